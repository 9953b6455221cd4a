"""RECIST axes as programs write them: lines of Slicer in one file or in two, points of Slicer 4, tables of spreadsheets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.masks.axes_files import read_axes, read_axes_files
from oncotrack.masks.axes_table import ENDS, read_table

LONG = np.array([[-10.0, 10, -330], [10.0, 10, -330]])
SHORT = np.array([[0.0, 16, -330], [0.0, 4, -330]])
"""RAS mm."""
BOTH = np.concatenate([LONG, SHORT])
FCSV = "# Markups fiducial file version = 4.11\n# CoordinateSystem = {}\n# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc\n"


def line(ends, kind="Line", **more) -> dict:
    """Return a markup as Slicer saves it, in LPS."""
    lps = np.asarray(ends) * [-1, -1, 1]
    points = [{"id": str(n), "position": end.tolist(), "positionStatus": "defined"} for n, end in enumerate(lps)]
    return {"type": kind, "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points} | more


def write(path, *markups):
    path.write_text(json.dumps({"markups": markups}), encoding="utf-8")
    return path


def write_csv(path, *rows, separator=",", comma=False, head="", encoding="utf-8", names=("label", *ENDS)):
    texts = [separator.join(names)]
    for label, ends in rows:
        cells = [str(value).replace(".", ",") if comma else str(value) for value in np.ravel(ends)]
        texts.append(separator.join([label, *cells]))
    path.write_bytes((head + "\r\n".join(texts) + "\r\n").encode(encoding))
    return path


def same(axes, ends=BOTH) -> bool:
    return np.allclose(axes.ends, ends)


def test_two_files_of_one_line_each_are_the_axes_of_a_lesion(tmp_path):
    one, other = write(tmp_path / "L.mrk.json", line(LONG)), write(tmp_path / "L_1.mrk.json", line(SHORT))
    assert same(read_axes(one, other)) and same(read_axes(other, one))
    assert same(read_axes(write(tmp_path / "both.mrk.json", line(SHORT), line(LONG))))
    with pytest.raises(InputError, match=r"holds 1 line, but a lesion has two.*choose both files"):
        read_axes(one)
    with pytest.raises(InputError, match="holds 3 lines"):
        read_axes_files([one, tmp_path / "both.mrk.json"])
    with pytest.raises(InputError, match="axes of 2 lesions"):
        read_axes(one, other, tmp_path / "both.mrk.json")


def test_a_folder_of_lines_is_a_table_in_the_order_of_slicers_numbers(tmp_path):
    for n in range(12):
        shift = (n // 2) * np.array([0, 0, 5.0])
        write(tmp_path / (f"L_{n}.mrk.json" if n else "L.mrk.json"), line((SHORT if n % 2 else LONG) + shift))
    rows = read_table(tmp_path)
    assert [row.label for row in rows] == [f"L {n}" for n in range(1, 7)]
    assert [row.axes.centre[2] for row in rows] == [-330 + 5 * n for n in range(6)]
    with pytest.raises(InputError, match="no lines of 3D Slicer"):
        read_table((tmp_path / "none").mkdir() or tmp_path / "none")
    with pytest.raises(InputError, match="Several files"):
        read_table(tmp_path / "L.mrk.json", write_csv(tmp_path / "a.csv", ("A", BOTH)))


def test_points_that_were_not_placed_are_left_out(tmp_path):
    extra = {"position": [0, 0, 0], "positionStatus": "undefined"}
    unfinished = line(LONG)
    unfinished["controlPoints"].append(extra)
    path = write(tmp_path / "a.mrk.json", unfinished, line(SHORT))
    assert same(read_axes(path)) and same(read_table(path)[0].axes)


def test_one_bad_line_does_not_stop_the_other_lesions(tmp_path):
    path = write(tmp_path / "a.mrk.json", line(LONG), line(SHORT[:1]), line(LONG), line(SHORT))
    first, second = read_table(path)
    assert first.axes is None and "a line has 1 point instead of two" in first.error
    assert same(second.axes)
    cm = write(tmp_path / "cm.mrk.json", line(LONG, coordinateUnits="cm"), line(SHORT))
    assert "coordinates in cm; mm are needed" in read_table(cm)[0].error


@pytest.mark.parametrize(("system", "sign"), [("LPS", -1), ("1", -1), ("RAS", 1), ("0", 1)])
def test_points_of_slicer_4_are_read_in_their_coordinate_system(tmp_path, system, sign):
    rows = [f"{n},{sign * x},{sign * y},{z},0,0,0,1,1,1,0,F-{n},," for n, (x, y, z) in enumerate(BOTH)]
    path = tmp_path / "F.fcsv"
    path.write_text(FCSV.format(system) + "\n".join(rows) + "\n")
    assert same(read_axes(path)) and same(read_table(path)[0].axes)
    path.write_text(FCSV.format("2") + "\n".join(rows))
    with pytest.raises(InputError, match='coordinates as "2"'):
        read_axes(path)
    path.write_text(FCSV.format(system) + "\n".join(rows[:3]))
    with pytest.raises(InputError, match="holds 3 points"):
        read_axes(path)
    path.write_text(FCSV.format(system) + "vtkMRMLMarkupsFiducialNode_0,1\n")
    with pytest.raises(InputError, match="row without a position"):
        read_axes(path)


def test_a_list_of_four_points_is_two_lines(tmp_path):
    assert same(read_axes(write(tmp_path / "F.mrk.json", line(BOTH, kind="Fiducial"))))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"separator": ";"},
        {"separator": ";", "comma": True},
        {"separator": "\t", "comma": True},
        {"separator": ";", "comma": True, "head": "sep=;\r\n"},
        {"encoding": "utf-8-sig"},
        {"encoding": "utf-16", "separator": "\t"},
        {"names": ("Label ", *(name.upper() for name in ENDS))},
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path, how):
    path = write_csv(tmp_path / "a.csv", ("Knoten größer", BOTH + 0.25), ("B", BOTH), **how)
    first, second = read_table(path)
    assert first.label == "Knoten größer" and same(first.axes, BOTH + 0.25)
    assert second.label == "B" and same(second.axes)


def test_empty_rows_are_skipped_and_bad_ones_named_by_their_line(tmp_path):
    path = write_csv(tmp_path / "a.csv", ("A", BOTH), ("", [""] * 12), ("C", ["x"] * 12), separator=";")
    first, bad = read_table(path)
    assert same(first.axes)
    assert bad.label == "C" and "Line 4: an end of an axis is not three numbers" in bad.error
    path.write_bytes("label\nKnoten größer\n".encode("latin-1"))
    with pytest.raises(InputError, match="not a readable text in UTF-8"):
        read_table(path)
    path.write_text("label;long_start_r\nA;1\n")
    with pytest.raises(InputError, match="lacks the columns long_start_a"):
        read_table(path)
