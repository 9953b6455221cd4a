"""Mask files: one label map with one label for each finding, which 3D Slicer opens as a segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from oncotrack.atomic import replacing
from oncotrack.errors import InputError, OutputError
from oncotrack.findings.finding import Kind
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, from_sitk, itk_warnings_off, to_sitk

SEGMENTATION = ".seg.nrrd"
_COLOURS = ("1 0.76 0.03", "0.16 0.71 0.96", "0.93 0.35 0.16", "0.45 0.83 0.35", "0.8 0.47 0.95", "0.98 0.98 0.98")
_TYPES = {
    Kind.LESION: "SCT^49755003^Morphologically Altered Structure~SCT^52988006^Lesion",
    Kind.LYMPH_NODE: "SCT^123037004^Anatomical Structure~SCT^59441001^Lymph node",
}
_LISTS = "Segmentation category and type - 3D Slicer General Anatomy list", "Anatomic codes - DICOM master list"


def write_labels(path: str | Path, image: Geometry, masks: Mapping[str, Volume], kind: Kind = Kind.LESION) -> Path:
    """Write masks as one label map on the image's grid: the n-th one (from 1) has the value n.

    Parameters
    ----------
    path : path
        ``.seg.nrrd`` also holds the names, colours and SNOMED types from which Slicer creates segments (and from them
        DICOM SEG); ``.nii.gz``, ``.nii``, ``.nrrd`` and ``.mha`` hold numbers only.
    image : Geometry
        Grid of the label map.
    masks : mapping of str to Volume
        By the finding's label; inside where not 0, on any grid. Where two overlap the later one is written.
    kind : Kind
        What the findings are.

    Raises
    ------
    OutputError
        The suffix is not known, or the file cannot be written.
    """
    path = Path(path)
    labels = Volume(np.zeros(image.shape, np.uint8 if len(masks) < 256 else np.uint16), image, path.name)
    for value, mask in enumerate(masks.values(), 1):
        _paste(labels, mask, value)
    if not path.name.lower().endswith(SEGMENTATION):
        return save(labels, path)
    written = to_sitk(labels)
    for key, text in _segments(labels, list(masks), kind).items():
        written.SetMetaData(key, text)
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(written, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OutputError(f"{path} could not be written; is the disk full?") from error
    return path


def read_labels(path: str | Path) -> dict[str, Volume]:
    """Read the masks of a label map, each cropped to its finding.

    Parameters
    ----------
    path : path
        A file that `write_labels` or Slicer wrote, or any other label map.

    Returns
    -------
    dict of str to Volume of uint8
        By the segment's name, or by the label's number where it has no name.

    Raises
    ------
    InputError
        The file is missing or damaged, holds no labels, or holds overlapping segments in several layers.
    """
    path = Path(path)
    try:
        with itk_warnings_off():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"The label map {path} is missing or damaged. Write it again.") from error
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise InputError(f"{path} holds segments that overlap, in several layers. Export them as one label map.")
    labels = from_sitk(image, path.name)
    if labels.array.dtype.kind == "f":
        raise InputError(f"{path} holds numbers with fractions: it is an image, not a label map. Choose another file.")
    names = _names(image)
    found = {}
    for value in np.unique(labels.array[labels.array > 0]).tolist():
        kji = np.argwhere(labels.array == value)[:, ::-1]
        part = labels.cropped(kji.min(0), kji.max(0) + 1)
        name = names.get(value, str(value))
        name = name if name not in found else f"{name} ({value})"
        found[name] = Volume((part.array == value).astype(np.uint8), part.geometry, name)
    if not found:
        raise InputError(f"{path} holds no labels: every voxel is 0. Choose another file.")
    return found


def _paste(labels: Volume, mask: Volume, value: int) -> None:
    """Set `labels` to `value` inside the mask."""
    kji = np.argwhere(mask.array != 0)
    if not len(kji):
        return
    ijk = labels.geometry.to_ijk(mask.geometry.to_ras(kji[:, ::-1]))
    start = np.clip(np.floor(ijk.min(0)).astype(int) - 1, 0, None)
    part = labels.cropped(start, np.ceil(ijk.max(0)).astype(int) + 2)
    inside = mask.resampled(part.geometry, fill=0, nearest=True).array != 0
    part.array[inside] = value  # a crop is a view


def _segments(labels: Volume, names: list[str], kind: Kind) -> dict[str, str]:
    """Return the header fields of a Slicer segmentation file."""
    category, anatomy = _LISTS
    entry = f"{category}~{_TYPES[kind]}~^^~{anatomy}~^^~^^"
    fields = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for n, name in enumerate(names):
        kji = np.argwhere(labels.array == n + 1)
        ends = zip(kji.min(0)[::-1], kji.max(0)[::-1], strict=True) if len(kji) else [(0, -1)] * 3
        fields |= {
            f"Segment{n}_ID": f"Segment_{n + 1}",
            f"Segment{n}_Name": name,
            f"Segment{n}_NameAutoGenerated": "0",
            f"Segment{n}_Color": _COLOURS[n % len(_COLOURS)],
            f"Segment{n}_ColorAutoGenerated": "0",
            f"Segment{n}_Extent": " ".join(f"{low} {high}" for low, high in ends),
            f"Segment{n}_LabelValue": str(n + 1),
            f"Segment{n}_Layer": "0",
            f"Segment{n}_Tags": f"Segmentation.Status:completed|TerminologyEntry:{entry}|",
        }
    return fields


def _names(image: sitk.Image) -> dict[int, str]:
    """Return the segment names in a file's header by label value."""
    keys = set(image.GetMetaDataKeys())
    names, n = {}, 0
    while f"Segment{n}_Name" in keys:
        value = image.GetMetaData(f"Segment{n}_LabelValue") if f"Segment{n}_LabelValue" in keys else ""
        names[int(value) if value.isdigit() else n + 1] = image.GetMetaData(f"Segment{n}_Name")
        n += 1
    return names
