"""Tables as comma-separated text in which a spreadsheet finds no formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

_NUMBERS = re.compile(r"[+-]?[\d.,;%+\-\s]*(e[+-]?\d+)?(mm|ml|mm2|mm3|HU)?", re.IGNORECASE)
"""Numbers, also several and with a unit: "-3.5 12.0 40.1", "+12 %". They are no formulas although they begin with a sign."""


def csv_text(rows: Iterable[Iterable[object]], line_end: str = "\r\n") -> str:
    """Return rows as comma-separated text (RFC 4180).

    Parameters
    ----------
    rows : iterable of iterables
        The cells, text or numbers.
    line_end : str
        Ends each line.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows(map(without_formula, row) for row in rows)
    return text.getvalue()


def without_formula(cell: object) -> object:
    """Return a cell as spreadsheets show it: an apostrophe is put before text that they would compute.

    Names, comments and descriptions come from files and readers; a spreadsheet takes "=A1" or "@SUM(A1)" for a formula.
    See OWASP, "CSV Injection".

    Parameters
    ----------
    cell : object
        Text, a number or None.
    """
    return f"'{cell}" if isinstance(cell, str) and _is_computed(cell.lstrip("'")) else cell


def as_written(cell: str) -> str:
    """Return the text that `without_formula` put an apostrophe before; other text stays as it is.

    Parameters
    ----------
    cell : str
        A cell of a table that was read.
    """
    return cell[1:] if cell.startswith("'") and _is_computed(cell.lstrip("'")) else cell


def _is_computed(text: str) -> bool:
    """Return whether a spreadsheet would compute a text."""
    if not text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return False
    return text[0] not in "+-" or not _NUMBERS.fullmatch(text)
