"""A department's archive: an index of its series, and all methods over all of its patients."""
