"""Readers of public data sets: each turns a downloaded set into one lazy stream of `Case` (images, truth).

One file a data set; every reader is an iterator named `cases` that loads one patient at a time and raises
`InputError` with a sentence that says what is missing where.
"""

from oncotrack.datasets.case import Case

__all__ = ["Case"]
