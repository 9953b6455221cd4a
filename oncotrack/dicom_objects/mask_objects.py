"""Masks read from DICOM objects: Segmentation (SEG) and radiotherapy structures (RTSTRUCT)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from pydicom import dcmread

from oncotrack.background.isolation import isolated
from oncotrack.dicom_objects import codes
from oncotrack.dicom_objects.library import highdicom
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, Side
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, lps_to_ras

FRACTION = 0.5
"""Least fraction of a voxel of a fractional segment that is inside."""
_BACKGROUND = codes.Code("125040", "DCM", "Background")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Structure:
    """A named mask.

    Attributes
    ----------
    name : str
        Label of the segment, or name of the structure.
    mask : Volume
        0 and 1 on a grid of its own.
    kind, site, side
        From its codes or name.
    number : int
        Number of the segment; 0 for other objects.
    uid, tracking_id : str
        Its tracking UID and identifier, or "".
    method : str
        Name of the algorithm that made it, or "".
    is_automatic : bool
        Whether no reader took part.
    """

    name: str
    mask: Volume
    kind: Kind = Kind.LESION
    site: str = ""
    side: Side = Side.NOT_STATED
    number: int = 0
    uid: str = ""
    tracking_id: str = ""
    method: str = ""
    is_automatic: bool = False


@isolated
def read_seg(path: str | Path) -> list[Structure]:
    """Read the segments of a DICOM SEG, each on the smallest grid that holds it; segments without voxels are left out.

    Of fractional segments the voxels of at least `FRACTION` are inside; a warning states it. The background of a
    label map is left out.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    InputError
        Not a SEG, or its frames do not form a regular volume.
    """
    package = highdicom()
    try:
        seg = package.seg.segread(str(path))
        is_fractional = seg.segmentation_type is package.seg.SegmentationTypeValues.FRACTIONAL
        if is_fractional:
            _log.warning("%s holds fractions; voxels of at least %g count as inside.", path, FRACTION)
        about = {number: seg.get_segment_description(number) for number in seg.segment_numbers}
        wanted = [
            n for n, each in about.items() if not codes.same(codes.read_code(each.segmented_property_type), _BACKGROUND)
        ]
        masks = dict(_masks(seg, wanted, is_fractional))
        return [_structure(number, about[number], masks[number]) for number in wanted if number in masks]
    except InputError:
        raise
    except Exception as error:  # pydicom and highdicom raise whatever they like on damaged bytes
        raise InputError(f"{path} is not a readable DICOM segmentation ({error}). Export it again.") from error


def _masks(seg: Any, numbers: list[int], is_fractional: bool) -> Iterator[tuple[int, Volume]]:
    """Yield the mask of each segment, cropped; all are read at once where they do not overlap."""
    if len(numbers) > 1 and not is_fractional:
        try:
            labels = _volume(seg.get_volume(segment_numbers=numbers, combine_segments=True))
        except RuntimeError:  # they overlap
            pass
        else:
            for number, where in enumerate(scipy.ndimage.find_objects(labels.array), 1):
                if where is not None and number in numbers:
                    start, stop = [part.start for part in where][::-1], [part.stop for part in where][::-1]
                    part = labels.cropped(start, stop)
                    yield number, replace(part, array=(part.array == number).astype(np.uint8))
            return
    for number in numbers:
        volume = _volume(seg.get_volume(segment_numbers=[number]))
        inside = volume.array >= FRACTION
        (where,) = scipy.ndimage.find_objects(inside.astype(np.uint8)) or [None]
        if where is not None:
            start, stop = [part.start for part in where][::-1], [part.stop for part in where][::-1]
            part = replace(volume, array=inside.astype(np.uint8)).cropped(start, stop)
            yield number, replace(part, array=part.array.copy())


def _volume(volume: Any) -> Volume:
    """Return a volume of highdicom: array (slice, row, column), affine in LPS for the same order."""
    affine = np.eye(4)
    affine[:3] = np.diag([-1.0, -1.0, 1.0]) @ volume.affine[:3]
    affine = affine[:, [2, 1, 0, 3]]
    array = volume.array[..., 0] if volume.array.ndim == 4 else volume.array
    return Volume(array, Geometry.from_matrix(array.shape[::-1], affine), "segmentation")


def _structure(number: int, about: Any, mask: Volume) -> Structure:
    regions = list(about.get("AnatomicRegionSequence", []))
    sites = [codes.site_of(codes.read_code(each)) for each in regions]
    modifiers = [
        codes.read_code(each) for region in regions for each in region.get("AnatomicRegionModifierSequence", [])
    ]
    sides = [side for each in modifiers if (side := codes.of_code(codes.SIDES, each))]
    made = (about.get("SegmentationAlgorithmIdentificationSequence") or [{}])[0]
    return Structure(
        name=about.segment_label,
        mask=replace(mask, name=about.segment_label),
        kind=codes.kind_of(codes.read_code(about.segmented_property_type), " ".join([about.segment_label, *sites])),
        site=", ".join(sites),
        side=sides[0] if sides else Side.NOT_STATED,
        number=number,
        uid=str(about.get("TrackingUID") or ""),
        tracking_id=str(about.get("TrackingID") or ""),
        method=str(made.get("AlgorithmName") or about.get("SegmentAlgorithmName") or ""),
        is_automatic=str(about.get("SegmentAlgorithmType")) == "AUTOMATIC",
    )


def read_rtstruct(path: str | Path, image: Volume) -> list[Structure]:
    """Read the structures of an RTSTRUCT, filled on the grid of the scan they were drawn on.

    Contours of a structure on one slice are combined by the even-odd rule: a contour inside another is a hole.

    Parameters
    ----------
    path : path
        The file.
    image : Volume
        The scan; only its grid is used.

    Raises
    ------
    InputError
        Not an RTSTRUCT, or contours that do not lie on slices of `image`.
    """
    return [
        Structure(name, replace(image, array=array, name=name), codes.kind_of(None, name.replace("_", " ")))
        for name, array in _contoured(path, image.name, image.geometry)
    ]


@isolated
def _contoured(path: str | Path, image: str, grid: Geometry) -> list[tuple[str, np.ndarray]]:
    """Return the name and the mask of each structure, on the grid of an image of some name."""
    from skimage.draw import polygon2mask

    structures = []
    try:
        data = dcmread(path)
        names = {int(roi.ROINumber): str(roi.ROIName) for roi in data.StructureSetROISequence}
        for item in data.ROIContourSequence:
            name = names.get(int(item.ReferencedROINumber), str(item.ReferencedROINumber))
            array = np.zeros(grid.shape, bool)
            for contour in item.get("ContourSequence") or []:
                if contour.ContourGeometricType != "CLOSED_PLANAR":
                    continue
                ijk = grid.to_ijk(lps_to_ras(np.reshape([float(v) for v in contour.ContourData], (-1, 3))))
                k = ijk[:, 2].mean().round()
                if not (np.abs(ijk[:, 2] - k).max() <= 0.5 and 0 <= k < len(array)):
                    raise InputError(
                        f"{path}: {name} is not drawn on slices of {image}. Choose the scan it was drawn on."
                    )
                array[int(k)] ^= polygon2mask(array.shape[1:], ijk[:, 1::-1])
            structures.append((name, array.astype(np.uint8)))
    except InputError:
        raise
    except Exception as error:  # as above
        raise InputError(f"{path} is not a readable RTSTRUCT. Export the structures again.") from error
    return structures


def label_map(structures: list[Structure], image: Volume) -> Volume:
    """Return one label map on the grid of `image`: value n is the n-th structure.

    Where two overlap the later one is taken, and a warning names them and the number of voxels.

    Parameters
    ----------
    structures : list of Structure
        The masks.
    image : Volume
        The scan; only its grid is used.
    """
    labels = np.zeros(image.array.shape, np.uint16)
    for n, structure in enumerate(structures, 1):
        inside = structure.mask.resampled(image.geometry, fill=0, nearest=True).array > 0
        for other in np.unique(labels[inside & (labels > 0)]).tolist():
            names = structures[other - 1].name, structure.name
            _log.warning("%s and %s share %d voxels, taken as %s.", *names, (labels[inside] == other).sum(), names[1])
        labels[inside] = n
    return Volume(labels, image.geometry, f"structures on {image.name}")
