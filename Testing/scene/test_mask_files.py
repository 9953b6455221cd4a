"""Mask files in a scene: Slicer reads our layers, labels stay apart, tables of other scans are refused, slices are counted."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import slicer

from oncotrack.findings.finding import Observation
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes_table import ENDS
from oncotrack.masks.label_files import write_labels
from oncotrack.masks.label_reader import read_labels
from oncotrack.scene.masks.panel import mask_text
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.nodes.mask_segments import from_segment
from oncotrack.scene.nodes.volumes import add_volume

MIDDLE = np.array([12.0, -8.0, 6.0])


@pytest.fixture
def session(scene, make_phantom):
    """Return a session with one scan and no findings."""
    session = RecistScene(scene)
    session.set_scan(add_volume(scene, make_phantom()))
    yield session
    session.close()


def box(low, high, grid: Geometry) -> Volume:
    array = np.zeros(grid.shape, np.uint8)
    array[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = 1
    return Volume(array, grid)


def add(session, mask: Volume, label: str):
    """Add a finding with a mask and return it."""
    seen = Observation(centre=tuple(mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1]).mean(0)))
    return session.findings.add(session.time_point, replace(seen, mask=PackedMask.of(mask)), label=label)


def test_slicer_reads_masks_that_overlap_as_segments_at_their_places(scene, tmp_path):
    tilt = np.radians(20)
    turned = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    grid = Geometry((12, 10, 6), (0.8, 0.9, 5.0), (10.0, 20.0, -5.0), np.array(turned))
    masks = {"A": box((1, 1, 1), (5, 5, 3), grid), "B": box((4, 4, 2), (8, 8, 4), grid)}
    path = write_labels(tmp_path / "m.seg.nrrd", grid, masks)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segmentation = node.GetSegmentation()
    found = {segmentation.GetSegment(uid).GetName(): from_segment(node, uid) for uid in segmentation.GetSegmentIDs()}
    assert list(found) == ["A", "B"]
    for name, mask in masks.items():
        seen, wanted = (each.geometry.to_ras(np.argwhere(each.array)[:, ::-1]) for each in (found[name], mask))
        assert len(seen) == len(wanted) and np.allclose(seen.mean(0), wanted.mean(0), atol=0.01)
    again = tmp_path / "again.seg.nrrd"
    storage.SetFileName(str(again))
    assert storage.WriteData(node)
    assert {name: int(mask.array.sum()) for name, mask in read_labels(again).items()} == {"A": 32, "B": 32}


def test_findings_with_the_same_label_are_exported_side_by_side(session, tmp_path):
    grid = session._scan.image().geometry
    for low in ((20, 20, 10), (30, 30, 20)):
        add(session, box(low, np.add(low, 4), grid), "LN 1")
    add(session, box((40, 40, 30), (44, 44, 33), grid), "LN-1")
    session.export(tmp_path).run()
    assert list(read_labels(tmp_path / "masks.seg.nrrd")) == ["LN 1", "LN 1 (2)", "LN-1"]
    table = csv.DictReader((tmp_path / "masks.csv").read_text().splitlines())
    assert [row["label"] for row in table] == ["LN 1", "LN 1 (2)", "LN-1"]
    assert len(list((tmp_path / "pairs").glob("*_mask.nii.gz"))) == 3


def test_two_scans_are_exported_into_one_folder_side_by_side(session, make_phantom, tmp_path):
    for n, name in enumerate(("CT 1", "CT 2")):
        scan = add_volume(session.scene, make_phantom(name=name))
        session.set_scan(scan)
        finding = session.add(Observation(centre=tuple(MIDDLE)), f"L {n}")
        grid = session._scan.image().geometry
        seen = replace(finding.at(session.time_point), mask=PackedMask.of(box((20, 20, 10), (24 + n, 24, 12), grid)))
        session.findings.observe(finding.uid, session.time_point, seen)
        session.export(tmp_path).run()
    session.export(tmp_path).run()
    assert len(session.findings.time_points) == 2
    found = {path.name: list(read_labels(path)) for path in tmp_path.glob("*.seg.nrrd")}
    assert sorted(found.values()) == [["L 0"], ["L 1"]], found


def test_an_empty_segment_is_refused_by_name_and_the_others_are_imported(session, tmp_path):
    grid = session._scan.image().geometry
    mask = box((20, 20, 10), (24, 24, 12), grid)
    away = Volume(np.ones((2, 2, 2), np.uint8), Geometry((2, 2, 2), origin=(900, 0, 0)))
    outcome = session.import_masks(write_labels(tmp_path / "m.seg.nrrd", grid, {"A": mask, "gone": away})).run()
    assert outcome.new == ("A",)
    assert len(outcome.refused) == 1 and "gone: The mask is empty" in outcome.refused[0]


def test_rows_of_other_scans_are_refused_in_a_table_of_several(session, tmp_path):
    ends = [MIDDLE + each for each in ((-8, 0, 0), (8, 0, 0), (0, -6, 0), (0, 6, 0))]
    cells = np.ravel(ends).tolist()
    with (tmp_path / "axes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["label", "image", *ENDS], ["A", "P1/CT", *cells], ["B", "P2/MR", *cells]])
    outcome = session.measure_table(tmp_path / "axes.csv").run()
    assert outcome.new == ("A",)
    assert "B: This row belongs to the scan P2/MR, not to CT" in outcome.refused[0]


@pytest.mark.parametrize(
    ("size", "words"),
    [((6, 6, 1), "in one slice"), ((6, 6, 4), "in 4 slices"), ((6, 2, 4), "in 4 slices"), ((2, 9, 5), "in 5 slices")],
)
def test_slices_of_a_mask_are_counted_along_the_slice_axis(session, size, words):
    grid = session._scan.image().geometry
    low = np.array((20, 20, 10))
    finding = add(session, box(low, low + size, grid), "A")
    assert mask_text(finding.at(session.time_point)) == words
    has_surface = session.segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    assert bool(has_surface) == (size[2] > 1)
