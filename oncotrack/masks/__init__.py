"""Masks from RECIST diameters, and diameters from masks.

The method is that of S. Wang et al., Medical Image Analysis 77, 102345, 2022, sec. 3.1; this package calls it "MR".
"""
