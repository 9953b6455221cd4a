"""Segmentations and label maps: masks that overlap are kept, and files of other programs are read."""

from __future__ import annotations

import nrrd
import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.findings.ellipses import label_map
from oncotrack.findings.names import numbered
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.label_files import write_labels
from oncotrack.masks.label_reader import read_labels

GRID = Geometry((12, 10, 6), (0.8, 0.8, 5.0), (10.0, 20.0, -5.0), np.diag([-1.0, -1.0, 1.0]))
LPS = {
    "space": "left-posterior-superior",
    "space directions": np.diag([0.8, 0.8, 5.0]),
    "space origin": [-10.0, -20.0, -5.0],
    "kinds": ["domain"] * 3,
}
LAYERED = {
    "kinds": ["list", "domain", "domain", "domain"],
    "space directions": [[np.nan] * 3, [0.8, 0, 0], [0, 0.8, 0], [0, 0, 5.0]],
}


def box(low, high) -> Volume:
    array = np.zeros(GRID.shape, np.uint8)
    array[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = 1
    return Volume(array, GRID)


def in_file(mask: Volume) -> np.ndarray:
    """Return a mask as files store it, [i, j, k]."""
    return mask.array.T


ONE, TWO = box((1, 1, 1), (5, 5, 3)), box((4, 4, 2), (8, 8, 4))
"""Two masks that share one voxel."""
FAR = box((9, 8, 4), (11, 9, 5))


def segment(n: int, name: str, value: int | None = None, layer: int | None = None) -> dict[str, str]:
    fields = {f"Segment{n}_ID": f"Segment_{n + 1}", f"Segment{n}_Name": name}
    if value is not None:
        fields |= {f"Segment{n}_LabelValue": str(value), f"Segment{n}_Layer": str(layer or 0)}
    return fields


def same(found: Volume, wanted: Volume) -> bool:
    return np.array_equal(found.resampled(GRID, fill=0, nearest=True).array, wanted.array)


def test_masks_that_overlap_are_written_in_layers_and_both_come_back_whole(tmp_path):
    path = write_labels(tmp_path / "m.seg.nrrd", GRID, {"A": ONE, "B": TWO, "C": FAR})
    array, header = nrrd.read(str(path))
    assert array.shape == (2, *GRID.size), "the third mask needs no layer of its own"
    assert [header[f"Segment{n}_Layer"] for n in range(3)] == ["0", "1", "0"]
    assert [header[f"Segment{n}_LabelValue"] for n in range(3)] == ["1", "2", "3"]
    again = read_labels(path)
    assert all(same(again[name], mask) for name, mask in zip("ABC", (ONE, TWO, FAR), strict=True))
    assert nrrd.read(str(write_labels(path, GRID, {"A": ONE, "C": FAR})))[0].ndim == 3


def test_a_label_map_that_cannot_hold_both_masks_says_how_much_is_lost(tmp_path, caplog):
    write_labels(tmp_path / "m.nii.gz", GRID, {"A": ONE, "B": TWO})
    assert "A and B share 1 voxels, written as B" in caplog.text
    caplog.clear()
    write_labels(tmp_path / "m.nii.gz", GRID, {"A": ONE, "C": FAR})
    assert not caplog.text


def test_a_mask_beside_the_image_is_told(tmp_path, caplog):
    away = Volume(np.ones((2, 2, 2), np.uint8), Geometry((2, 2, 2), origin=(500, 0, 0)))
    again = read_labels(write_labels(tmp_path / "m.seg.nrrd", GRID, {"A": ONE, "away": away}))
    assert "away has no voxel on the grid of the image" in caplog.text
    assert same(again["A"], ONE)
    assert not again["away"].array.any()


def test_nodes_that_overlap_are_told_when_their_ellipses_are_drawn(caplog):
    nodes = [Tracklet.on(GRID, [SliceBox(2, (u, 0.0), (u + 4.0, 4.0))]) for u in (0.0, 2.0)]
    drawn = label_map(GRID, nodes)
    count = int(caplog.text.split("share ")[1].split()[0])
    assert count and "Nodes 1 and 2" in caplog.text
    assert (drawn.array == 2).sum() == (label_map(GRID, nodes[1:]).array == 1).sum()
    assert (drawn.array == 1).sum() + count == (label_map(GRID, nodes[:1]).array == 1).sum()


def test_segmentations_of_slicer_4_8_are_read_with_a_layer_for_each_segment(tmp_path):
    both = np.stack([in_file(ONE), in_file(TWO)])
    header = LPS | LAYERED | segment(0, "liver met") | segment(1, "node")
    nrrd.write(str(tmp_path / "old.seg.nrrd"), both, header)
    found = read_labels(tmp_path / "old.seg.nrrd")
    assert same(found["liver met"], ONE)
    assert same(found["node"], TWO)
    nrrd.write(str(tmp_path / "one.seg.nrrd"), in_file(ONE), LPS | segment(0, "liver met"))
    assert list(read_labels(tmp_path / "one.seg.nrrd")) == ["liver met"]


def test_segments_are_found_by_layer_and_value(tmp_path):
    layers = np.stack([in_file(ONE) + 7 * in_file(FAR), 7 * in_file(TWO)])
    header = LPS | LAYERED | segment(0, "far", 7, 0) | segment(1, "two", 7, 1) | segment(2, "one", 1, 0)
    nrrd.write(str(tmp_path / "m.seg.nrrd"), layers.astype(np.uint8), header)
    found = read_labels(tmp_path / "m.seg.nrrd")
    assert all(same(found[name], mask) for name, mask in (("one", ONE), ("two", TWO), ("far", FAR)))


def test_equal_names_are_numbered_and_empty_segments_named(tmp_path):
    header = LPS | segment(0, "node", 1) | segment(1, "node", 2) | segment(2, "gone", 3)
    nrrd.write(str(tmp_path / "m.seg.nrrd"), in_file(ONE) + 2 * in_file(FAR), header)
    found = read_labels(tmp_path / "m.seg.nrrd")
    assert list(found) == ["node", "node (2)", "gone"]
    assert [int(mask.array.sum()) for mask in found.values()] == [32, 2, 0]
    assert numbered(["A", "A", "A (2)", "A"]) == ["A", "A (3)", "A (2)", "A (4)"]


def test_whole_numbers_stored_as_floats_are_labels(tmp_path):
    nrrd.write(str(tmp_path / "m.nrrd"), (in_file(ONE) + 2.0 * in_file(FAR)).astype(np.float32), LPS)
    found = read_labels(tmp_path / "m.nrrd")
    assert same(found["1"], ONE)
    assert same(found["2"], FAR)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (in_file(ONE) * 0.5, "numbers with fractions"),
        (in_file(ONE).astype(np.int16) * -2, "numbers from -2 to 0"),
        (np.full(GRID.size, np.nan, np.float32), "numbers from nan to nan"),
        (in_file(ONE).astype(np.int32) * 70000, "numbers from 0 to 70000"),
        (np.zeros(GRID.size, np.uint8), "every voxel is 0"),
    ],
)
def test_what_is_no_label_map_is_refused_with_the_reason(tmp_path, array, words):
    nrrd.write(str(tmp_path / "m.nrrd"), array, LPS)
    with pytest.raises(InputError, match=words):
        read_labels(tmp_path / "m.nrrd")


def test_label_maps_that_are_cut_off_and_segments_of_another_kind_are_refused(tmp_path):
    for name, kept in (("m.nii.gz", 0.67), ("m.nii", 0.67), ("m.nii.gz", 0.99)):
        cut = write_labels(tmp_path / name, GRID, {"A": ONE})
        cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * kept)])
        with pytest.raises(InputError, match="damaged"):
            read_labels(cut)
    header = LPS | segment(0, "A", 1) | {"Segmentation_MasterRepresentation": "Fractional labelmap"}
    nrrd.write(str(tmp_path / "f.seg.nrrd"), in_file(ONE), header)
    with pytest.raises(InputError, match='segments as "Fractional labelmap"'):
        read_labels(tmp_path / "f.seg.nrrd")
    (tmp_path / "seg.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match="no label map that can be read"):
        read_labels(tmp_path / "seg.dcm")


def test_images_are_not_taken_for_label_maps(tmp_path):
    nrrd.write(str(tmp_path / "ct.nrrd"), np.arange(1200, dtype=np.int16).reshape(12, 10, 10), LPS)
    with pytest.raises(InputError, match="1199 different numbers"):
        read_labels(tmp_path / "ct.nrrd")
    colours = np.stack([in_file(ONE)] * 3)
    nrrd.write(str(tmp_path / "rgb.nrrd"), colours, LPS | LAYERED)
    with pytest.raises(InputError, match="3 numbers per voxel and names no segments"):
        read_labels(tmp_path / "rgb.nrrd")
