"""A second look at the proposals of a detector: features of each, a calibrated probability, its region."""
