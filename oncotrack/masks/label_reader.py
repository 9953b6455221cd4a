"""Reading of masks: segmentations of 3D Slicer, old and new, with or without layers, and label maps of any program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

from oncotrack.background.isolation import isolated
from oncotrack.errors import InputError
from oncotrack.findings.names import numbered
from oncotrack.images import nrrd
from oncotrack.images.files import SUFFIXES, read_image
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

MOST_LABELS = 1000
"""A file with more different numbers is an image."""
_HIGHEST = 65535
_BINARY, _KINDS = "Binary labelmap", ("Segmentation_SourceRepresentation", "Segmentation_MasterRepresentation")
_NAME = re.compile(r"Segment(\d+)_Name")


@dataclass(frozen=True)
class _Segment:
    """A segment that a file's header names: where its voxels are, by layer and value (0: every value but 0)."""

    name: str
    layer: int
    value: int


@isolated
def read_labels(path: str | Path) -> dict[str, Volume]:
    """Read the masks of a file, each cropped to its finding.

    Parameters
    ----------
    path : path
        A segmentation that `write_labels` or Slicer wrote, or any other label map. Numbers stored as floats are read if
        they are whole.

    Returns
    -------
    dict of str to Volume of uint8
        By the segment's name, or by the label's number where it has no name; names that occur twice are numbered. A
        segment that is named but empty is one voxel of 0.

    Raises
    ------
    InputError
        The file is missing or damaged, holds no labels, or is an image.
    """
    path = Path(path)
    layers, geometry, header = _read(path)
    kind = next((header[key] for key in _KINDS if key in header), _BINARY)
    if kind != _BINARY:
        raise InputError(
            f'{path} holds its segments as "{kind}". Convert them to a binary labelmap in Slicer and save it.'
        )
    named = _segments(header, len(layers))
    if len(layers) > 1 and not named:
        raise InputError(
            f"{path} holds {len(layers)} numbers per voxel and names no segments: it is a colour or vector image. "
            "Choose a segmentation or a label map."
        )
    found: list[tuple[str, Volume]] = []
    for n, array in enumerate(layers):
        found += _masks(array, geometry, {each.value: each.name for each in named if each.layer == n}, path)
    if not any(mask.array.any() for _name, mask in found):
        raise InputError(f"{path} holds no labels: every voxel is 0. Choose another file.")
    names = numbered([name for name, _mask in found])
    return {name: Volume(mask.array, mask.geometry, name) for name, (_old, mask) in zip(names, found, strict=True)}


def _read(path: Path) -> tuple[list[np.ndarray], Geometry, Mapping[str, str]]:
    """Return a file's layers, each a label map of whole numbers (D, H, W), their grid and the file's header."""
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{path} is no label map that can be read. Choose one that ends in {', '.join(SUFFIXES)}.")
    if not path.is_file():
        what = "is a folder, a pipe or a device and no file" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}. Check the path.")
    if path.name.lower().endswith((".nrrd", ".nhdr")):
        volumes, header = nrrd.read_layers(path)
    else:
        volumes, header = [read_image(path, keep_shear=True)], {}
    return [_whole_numbers(volume.array, path) for volume in volumes], volumes[0].geometry, header


def _whole_numbers(array: np.ndarray, path: Path) -> np.ndarray:
    """Return a label map's numbers as integers; InputError when they cannot be labels."""
    lowest, highest = float(array.min()), float(array.max())
    if not lowest >= 0 or highest > _HIGHEST:  # a NaN is neither
        raise InputError(
            f"{path} holds numbers from {lowest:g} to {highest:g}: it is an image, not a label map, whose numbers go "
            f"from 0 to {_HIGHEST}. Choose another file."
        )
    if array.dtype.kind != "f":
        return array
    whole = array.astype(np.uint16)
    if (whole != array).any():
        raise InputError(f"{path} holds numbers with fractions: it is an image, not a label map. Choose another file.")
    return whole


def _masks(array: np.ndarray, geometry: Geometry, names: Mapping[int, str], path: Path) -> list[tuple[str, Volume]]:
    """Return name and mask of each label of a layer, then of each named segment that has no voxel."""
    if 0 in names:
        array, names = (array != 0).astype(np.uint8), {1: names[0]}
    labels = Volume(array, geometry, path.name)
    found = {value: where for value, where in enumerate(scipy.ndimage.find_objects(array.astype(np.int32)), 1) if where}
    if len(found) > MOST_LABELS:
        raise InputError(
            f"{path} holds {len(found)} different numbers: it is an image, not a label map. Choose another file."
        )
    masks = []
    for value, where in found.items():
        part = labels.cropped([each.start for each in where[::-1]], [each.stop for each in where[::-1]])
        mask = Volume((part.array == value).astype(np.uint8), part.geometry)
        masks.append((names.get(value) or str(value), mask))
    nothing = labels.cropped((0, 0, 0), (1, 1, 1)).geometry
    empty = Volume(np.zeros((1, 1, 1), np.uint8), nothing)
    return masks + [(name, empty) for value, name in names.items() if value not in found]


def _segments(header: Mapping[str, str], layers: int) -> list[_Segment]:
    """Return the segments that the header of a file with this number of layers names.

    Slicer up to 4.10 wrote neither value nor layer: each segment is a layer of its own.
    """
    found = []
    for n in sorted(int(match[1]) for key in header if (match := _NAME.fullmatch(key))):
        name, value, layer = (header.get(f"Segment{n}_{field}", "") for field in ("Name", "LabelValue", "Layer"))
        if value.isdigit():
            found.append(_Segment(name, int(layer) if layer.isdigit() else 0, int(value)))
        else:
            found.append(_Segment(name, n, 0) if layers > 1 else _Segment(name, 0, n + 1))
    return found
