"""Detection of abnormal lymph nodes in MR, learned from RECIST diameters."""
