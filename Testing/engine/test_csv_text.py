"""Tables and reports take names and comments as text, whatever they contain."""

from __future__ import annotations

import csv
import io

import pytest

from oncotrack.findings.csv_text import as_written, csv_text, without_formula
from oncotrack.report.page import labels_as_written


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", "+A1", "-B2*2", "\t=1", "-cmd|' /C calc'!A0", "+1+A1"])
def test_a_cell_that_a_spreadsheet_would_compute_gets_an_apostrophe(cell):
    assert without_formula(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["-3.5", "+12 %", "-12.0 40.1 -3.0", "-3.5 mm", "-1e-05", "LN 3", "", "a=b", 5, -2.5, None]
)
def test_numbers_and_plain_text_stay(cell):
    assert without_formula(cell) == cell


@pytest.mark.parametrize("cell", ["=1+1", "'=1+1", "''@A1", "-B2", "'", "'quoted'", "-3.5", "'-3.5", "L 1", ""])
def test_the_apostrophe_is_undone_and_no_other(cell):
    assert as_written(without_formula(cell)) == cell


def test_a_table_reads_back_as_its_cells():
    rows = [["label", "comment"], ['L "1"', "two\nlines, and a comma"]]
    assert list(csv.reader(io.StringIO(csv_text(rows)))) == rows


def test_a_dollar_sign_in_a_label_is_drawn():
    from matplotlib.figure import Figure

    label = r"L $\frac{1$ and $\nosuch$"
    with labels_as_written():
        figure = Figure()
        axes = figure.add_subplot()
        axes.set_title(label)
        axes.set_yticks([0.5], [label])
        figure.savefig(io.BytesIO(), format="png")
    with pytest.raises(ValueError, match=r"\\frac"):  # as matplotlib does by itself
        figure = Figure()
        figure.text(0, 0, label)
        figure.savefig(io.BytesIO(), format="png")
