"""Response to treatment from measurements: RECIST 1.1, iRECIST, volumes, and PERCIST's thresholds; no image in sight."""
