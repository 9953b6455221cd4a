"""Any folder of images with masks, paired by their names.

Two naming schemes are read: ``X_image.nii.gz`` next to ``X_mask.nii.gz`` (also ``_seg``, ``_label``), and nnU-Net's
``imagesTr/X_0000.nii.gz`` with ``labelsTr/X.nii.gz``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from oncotrack.datasets.case import Case, label_case, label_components, load_mask
from oncotrack.datasets.dicom_tree import require_path
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind
from oncotrack.images.files import SUFFIXES, load

_MASKS = ("_mask", "_seg", "_label")


def pairs(root: str | Path, ending: str = "") -> list[tuple[str, Path, Path]]:
    """Return name, image and mask of every case under `root` whose name has that ending, sorted by name.

    Raises
    ------
    InputError
        No case at all, or an image without a mask (it is named).
    """
    root = require_path(root, "images with their masks")
    files = {path: _stem(path) for path in sorted(root.rglob("*")) if path.name.lower().endswith(SUFFIXES)}
    found = []
    for path, stem in files.items():
        if stem.endswith("_image"):
            name = stem.removesuffix("_image")
            expected = [name + end for end in _MASKS]
            masks = [other for other, text in files.items() if text in expected and other.parent == path.parent]
        elif stem.endswith("_0000") and path.parent.name.startswith("images"):
            name = stem.removesuffix("_0000")
            labels = path.parent.with_name(path.parent.name.replace("images", "labels", 1))
            masks = [other for other, text in files.items() if text == name and other.parent == labels]
        else:
            continue
        if not name.endswith(ending):
            continue
        if len(masks) != 1:
            raise InputError(f"{path} has {len(masks)} masks; exactly one is needed. Add it or move the image away.")
        found.append((str((path.parent / name).relative_to(root)), path, masks[0]))
    if not found:
        raise InputError(
            f"{root} holds no pairs such as A{ending}_image.nii.gz and A{ending}_mask.nii.gz, nor imagesTr and labelsTr."
        )
    return found


def cases(root: str | Path, kind: Kind = Kind.LESION, ending: str = "") -> Iterator[Case]:
    """Yield one case per pair.

    A mask of 0 and one other value is split into its connected components, each a finding of `kind`; in a mask of
    several values every value is one finding.

    Raises
    ------
    InputError
        As `pairs`; or a mask does not lie on the grid of its image.
    """
    for name, image_path, mask_path in pairs(root, ending):
        image, mask = load(image_path), load_mask(mask_path)
        if image.geometry.size != mask.geometry.size or not np.allclose(
            image.geometry.corners, mask.geometry.corners, atol=0.1
        ):
            raise InputError(
                f"{mask_path} does not lie on the grid of {image_path.name}. Resample the mask to its image."
            )
        labels = label_components(mask) if len(np.unique(mask.array)) <= 2 else mask
        labels = replace(labels, geometry=image.geometry)
        yield label_case(name, {"image": image}, labels, "image", "folder", kind)


def _stem(path: Path) -> str:
    """Return the file's name without .nii.gz, .nrrd ..."""
    return path.name.removesuffix(".gz").rpartition(".")[0]
