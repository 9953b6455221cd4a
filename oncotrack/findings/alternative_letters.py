"""Letters of a match's alternatives, the same in views, tables and reports."""

from __future__ import annotations

import string


def alternative_letter(index: int) -> str:
    """Return the letter of a candidate: a, b, ... z, aa, ab, ... as in the columns of a spreadsheet.

    Parameters
    ----------
    index : int
        0 for the match itself, which is not shown with its letter; alternatives count from 1.
    """
    rest, last = divmod(index, 26)
    return (alternative_letter(rest - 1) if rest else "") + string.ascii_lowercase[last]
