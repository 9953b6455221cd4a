"""Images: their grid, their files and DICOM series."""
