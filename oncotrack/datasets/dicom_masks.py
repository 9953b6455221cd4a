"""Masks stored as DICOM objects: Segmentation (SEG) and radiotherapy structures (RTSTRUCT)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from oncotrack.datasets.dicom_tree import dicom_headers
from oncotrack.errors import InputError, MissingPackageError
from oncotrack.findings.finding import Kind
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, lps_to_ras

FRACTION = 0.5
"""Least fraction of a voxel of a fractional segment that is inside."""
_BACKGROUND = "125040", "DCM"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Structure:
    """A named mask: `mask` is 0 and 1 on its own grid; `kind` and `site` come from its codes or name."""

    name: str
    mask: Volume
    kind: Kind = Kind.LESION
    site: str = ""


def _kind(*texts: str) -> Kind:
    """Return the kind of finding that names and codes describe."""
    joined = " ".join(texts).lower()
    return Kind.LYMPH_NODE if "lymph node" in joined or "node" in joined.split() else Kind.LESION


def read_seg(path: str | Path) -> list[Structure]:
    """Read the segments of a DICOM SEG, each on the smallest grid that holds the object's frames.

    Of fractional segments the voxels of at least `FRACTION` are inside; a warning states it. The background of a
    label map is left out.

    Raises
    ------
    InputError
        Not a SEG, or its frames do not form a regular volume.
    """
    try:
        import highdicom
    except ImportError as error:
        raise MissingPackageError(
            "Reading DICOM SEG needs the package highdicom. Install it: pip install highdicom."
        ) from error
    try:
        seg = highdicom.seg.segread(str(path))
        structures = []
        is_fractional = seg.segmentation_type is highdicom.seg.SegmentationTypeValues.FRACTIONAL
        if is_fractional:
            _log.warning("%s holds fractions; voxels of at least %g count as inside.", path, FRACTION)
        for number in seg.segment_numbers:
            about = seg.get_segment_description(number)
            code = about.segmented_property_type
            if (code.value, code.scheme_designator) == _BACKGROUND:
                continue
            volume = seg.get_volume(segment_numbers=[number])
            # highdicom: array (slice, row, column), affine in LPS for the same order
            affine = np.eye(4)
            affine[:3] = np.diag([-1.0, -1.0, 1.0]) @ volume.affine[:3]
            affine = affine[:, [2, 1, 0, 3]]
            array = volume.array[..., 0] if volume.array.ndim == 4 else volume.array
            array = (array >= FRACTION).astype(np.uint8)
            mask = Volume(array, Geometry.from_matrix(array.shape[::-1], affine), about.segment_label)
            regions = [code.CodeMeaning for code in about.get("AnatomicRegionSequence", [])]
            kind = _kind(about.segment_label, about.segmented_property_type.meaning, *regions)
            structures.append(Structure(about.segment_label, mask, kind, ", ".join(regions)))
    except (ValueError, RuntimeError, AttributeError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{path} is not a readable DICOM segmentation ({error}). Export it again.") from error
    return structures


def read_rtstruct(path: str | Path, image: Volume) -> list[Structure]:
    """Read the structures of an RTSTRUCT, filled on the grid of the scan they were drawn on.

    Contours of a structure on one slice are combined by the even-odd rule: a contour inside another is a hole.

    Raises
    ------
    InputError
        Not an RTSTRUCT, or contours that do not lie on slices of `image`.
    """
    from skimage.draw import polygon2mask

    pydicom = dicom_headers()
    from pydicom.errors import InvalidDicomError

    try:
        data = pydicom.dcmread(path)
        names = {int(roi.ROINumber): str(roi.ROIName) for roi in data.StructureSetROISequence}
        drawn = data.ROIContourSequence
    except (InvalidDicomError, AttributeError, OSError) as error:
        raise InputError(f"{path} is not a readable RTSTRUCT. Export the structures again.") from error
    structures = []
    for item in drawn:
        name = names.get(int(item.ReferencedROINumber), str(item.ReferencedROINumber))
        array = np.zeros(image.array.shape, bool)
        for contour in item.get("ContourSequence", []):
            if contour.ContourGeometricType != "CLOSED_PLANAR":
                continue
            ijk = image.geometry.to_ijk(lps_to_ras(np.reshape([float(v) for v in contour.ContourData], (-1, 3))))
            k = np.round(ijk[:, 2].mean()).astype(int)
            if np.abs(ijk[:, 2] - k).max() > 0.5 or not 0 <= k < len(array):
                raise InputError(
                    f"{path}: {name} is not drawn on slices of {image.name}. Choose the scan it was drawn on."
                )
            array[k] ^= polygon2mask(array.shape[1:], ijk[:, 1::-1])
        mask = replace(image, array=array.astype(np.uint8), name=name)
        structures.append(Structure(name, mask, _kind(name.replace("_", " "))))
    return structures


def label_map(structures: list[Structure], image: Volume) -> Volume:
    """Return one label map on the grid of `image`: value n is the n-th structure.

    Where two overlap the later one is taken, and a warning names them and the number of voxels.
    """
    labels = np.zeros(image.array.shape, np.uint16)
    for n, structure in enumerate(structures, 1):
        inside = structure.mask.resampled(image.geometry, fill=0, nearest=True).array > 0
        for other in np.unique(labels[inside & (labels > 0)]).tolist():
            names = structures[other - 1].name, structure.name
            _log.warning("%s and %s share %d voxels, taken as %s.", *names, (labels[inside] == other).sum(), names[1])
        labels[inside] = n
    return Volume(labels, image.geometry, f"structures on {image.name}")
