"""Whatever is beyond a limit is refused with a sentence: sizes of texts and masks, depth and digits of JSON; pipes are not waited for."""

from __future__ import annotations

import base64
import json
import os
import zlib

import pytest

from oncotrack import json_text
from oncotrack.dicom_objects.importing import import_objects
from oncotrack.errors import InputError
from oncotrack.evaluation.landmarks import read_points
from oncotrack.findings import packed_mask
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.files import load
from oncotrack.images.geometry import Geometry
from oncotrack.masks.axes_files import read_axes
from oncotrack.masks.axes_table import read_table
from oncotrack.masks.label_reader import read_labels

HEAD = '{"schema": "oncotrack-findings", "version": 3, "findings": '
READERS = {
    "findings.json": FindingList.open,
    "axes.json": read_axes,
    "points.fcsv": read_axes,
    "table.csv": read_table,
    "points.txt": lambda path: read_points(path, None),
    "report.dcm": lambda path: import_objects([path], []),
    "masks.seg.nrrd": read_labels,
    **dict.fromkeys(("scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mhd", "scan.dcm", "scan.zip", "DICOMDIR"), load),
}


@pytest.mark.parametrize("reader", ["findings.json", "axes.json"])
@pytest.mark.parametrize(
    "content, what",
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("1" * 100_000, "thousands of digits"),
        ("NaN", "holds NaN"),
    ],
)
def test_json_beyond_its_limits_is_refused(tmp_path, reader, content, what):
    path = tmp_path / reader
    path.write_text(HEAD + content + "}")
    with pytest.raises(InputError, match=what):
        READERS[reader](path)


@pytest.mark.parametrize("reader", ["findings.json", "axes.json", "points.fcsv", "table.csv", "points.txt"])
def test_a_text_of_a_gigabyte_is_refused_unread(tmp_path, monkeypatch, reader):
    path = tmp_path / reader
    path.write_bytes(b"")
    os.truncate(path, json_text.LARGEST + 1)  # without blocks on the disk
    with pytest.raises(InputError, match="more than 1 GiB"):
        READERS[reader](path)


@pytest.mark.parametrize("content", ['"' + "x" * 200_000 + '"\n1', "\0", "sep=;\n"])
def test_an_odd_table_is_refused(tmp_path, content):
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(InputError):
        read_table(tmp_path / "table.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("reader", READERS)
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path, reader):
    path, link = tmp_path / reader, tmp_path / f"link-{reader}"
    os.mkfifo(path)
    link.symlink_to("/dev/zero")  # which never ends
    for each in (path, link):
        with pytest.raises(InputError):
            READERS[reader](each)


@pytest.mark.parametrize("reader", READERS)
def test_a_name_that_no_disk_can_hold_is_refused(tmp_path, reader):
    with pytest.raises(InputError):
        READERS[reader](tmp_path / ("n" * 300 + reader))


def test_a_mask_of_too_many_voxels_is_refused():
    bits = base64.b64encode(zlib.compress(b"")).decode()
    with pytest.raises(InputError, match="A mask has 8,000,000,000 voxels; at most 1,073,741,824 can be kept"):
        PackedMask(Geometry((2000, 2000, 2000)), bits)


def test_a_mask_that_unpacks_to_more_than_its_grid_is_refused_before_it_is_unpacked(monkeypatch):
    taken, decompressobj = [], zlib.decompressobj

    class Inflate:
        """Notes how much is unpacked."""

        def __init__(self):
            self._inflate = decompressobj()

        def decompress(self, content, most):
            taken.append(len(part := self._inflate.decompress(content, most)))
            return part

        @property
        def eof(self):
            return self._inflate.eof

    monkeypatch.setattr(packed_mask.zlib, "decompressobj", Inflate)
    bits = base64.b64encode(zlib.compress(bytes(10**7))).decode()
    with pytest.raises(InputError, match="damaged"):
        PackedMask(Geometry((8, 8, 8)), bits)
    assert taken == [65]


def test_a_findings_file_with_such_a_mask_is_refused(tmp_path):
    mask = {"geometry": {"size": [99999, 99999, 99999], "spacing": [1, 1, 1]}, "bits": ""}
    finding = {"label": "L 1", "observations": {"t0": {"position_ras": [0, 0, 0], "mask": mask}}}
    text = json.dumps({"schema": "oncotrack-findings", "version": 3, "time_points": [], "findings": [finding]})
    (tmp_path / "findings.json").write_text(text)
    with pytest.raises(InputError):
        FindingList.open(tmp_path / "findings.json")
