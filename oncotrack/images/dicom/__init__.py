"""DICOM: what a folder, file, DICOMDIR or zip archive holds, and its volumes."""

from oncotrack.images.dicom.reader import header, load_study, open_series, picture, read
from oncotrack.images.dicom.study import Series, Study

__all__ = ["Series", "Study", "header", "load_study", "open_series", "picture", "read"]
