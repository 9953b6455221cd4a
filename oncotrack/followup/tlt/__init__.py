"""Transformer Lesion Tracker (Tang et al., MICCAI 2022): cross-attention between template and search crop."""
