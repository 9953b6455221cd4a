"""Readers of public data sets: each yields a downloaded set as a stream of `Case` (images and ground truth).

One file per data set. Every reader is an iterator named `cases` that loads one patient at a time and raises
`InputError` with a message that names what is missing and where.
"""

from oncotrack.datasets.case import Case

__all__ = ["Case"]
