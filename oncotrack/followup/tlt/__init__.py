"""TLT: Tang et al., Transformer Lesion Tracker, MICCAI 2022."""
