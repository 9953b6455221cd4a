"""RECIST diameters to masks and back (S. Wang et al., Medical Image Analysis 77, 102345, 2022, sec. 3.1; below: MR)."""
