"""Masks of findings as DICOM segmentations: one object for each layer of masks that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import oncotrack
from oncotrack.background.jobs import Progress, silent
from oncotrack.dicom_objects import codes
from oncotrack.dicom_objects.lesion_groups import Seen, SegmentReference
from oncotrack.dicom_objects.library import MANUFACTURER, MODEL, highdicom, person_name
from oncotrack.dicom_objects.source_images import Plane, SourceImages
from oncotrack.dicom_objects.visits import Visit
from oncotrack.errors import InputError
from oncotrack.findings.finding import State, new_uid
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, lps_to_ras

COLOURS = ("#ffc107", "#29b6f6", "#ef5a29", "#73d45a", "#cc78f2", "#fafafa")
"""Colours of the segments, in turn; the same as in a .seg.nrrd."""
_MOST_SEGMENTS = 65535
_Patch = tuple[int, tuple[slice, slice], np.ndarray]


@dataclass
class Layer:
    """Masks that do not overlap, drawn as one label map.

    Attributes
    ----------
    labels : (N, H, W) ndarray of uint8 or uint16
        One image for each plane of the series that a mask may touch; value n is the n-th of `seen`.
    planes : list of int
        Indices of those planes in the series.
    seen : list of Seen
        The findings.
    """

    labels: np.ndarray
    planes: list[int]
    seen: list[Seen]


def draw(seen: Sequence[Seen], images: SourceImages, progress: Progress = silent) -> tuple[list[Layer], list[Seen]]:
    """Draw the masks of findings on the images of a series.

    Parameters
    ----------
    seen : sequence of Seen
        Findings with masks, on any grid.
    images : SourceImages
        The series.
    progress : Progress
        Called once a mask.

    Returns
    -------
    list of Layer
        The first one holds as many masks as do not overlap, and so on.
    list of Seen
        Findings whose mask has no pixel on any image of the series.
    """
    dtype = np.uint8 if len(seen) < 256 else np.uint16
    columns, rows = images.planes[0].size
    patches = []
    missed = []
    for number, each in enumerate(seen):
        progress(number / len(seen), f"Drawing {each.finding.label}")
        found = _patches(each, images)
        (patches if found else missed).append((each, found))
    layers: list[tuple[dict[int, np.ndarray], list[Seen]]] = []
    for each, found in patches:
        layer = next((layer for layer in layers if not _overlaps(layer[0], found)), None)
        if layer is None:
            layer = {}, []
            layers.append(layer)
        canvas, there = layer
        there.append(each)
        for index, where, inside in found:
            canvas.setdefault(index, np.zeros((rows, columns), dtype))[where][inside] = len(there)
    drawn = []
    for canvas, there in layers:
        planes = sorted(canvas)
        drawn.append(Layer(np.stack([canvas.pop(index) for index in planes]), planes, there))
    return drawn, [each for each, _ in missed]


def _overlaps(canvas: dict[int, np.ndarray], patches: list[_Patch]) -> bool:
    return any(canvas[index][where][inside].any() for index, where, inside in patches if index in canvas)


def _patches(seen: Seen, images: SourceImages) -> list[_Patch]:
    """Return the parts of a mask: index of the plane, rows and columns, and which of these pixels lie inside."""
    assert seen.observation.mask is not None
    mask = seen.observation.mask.volume(seen.finding.label)
    corners = mask.geometry.corners
    found = []
    for index, plane in enumerate(images.planes):
        off = plane.distances(corners)
        if off.min() > 0 or off.max() < 0:
            continue
        pixels = plane.pixels(corners)
        columns, rows = plane.size
        low = np.clip(np.floor(pixels.min(0)).astype(int) - 1, 0, (columns - 1, rows - 1))
        high = np.clip(np.ceil(pixels.max(0)).astype(int) + 1, low + 1, (columns, rows))
        inside = _inside(mask, plane.grid(images.spacing_mm), low, high)
        if inside.any():
            found.append((index, (slice(low[1], high[1]), slice(low[0], high[0])), inside))
    return found


def _inside(mask: Volume, grid: Geometry, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    part = Geometry.from_values(
        (*(high - low), 1), grid.spacing, grid.to_ras((low[0], low[1], 0)), np.asarray(grid.direction)
    )
    return mask.resampled(part, fill=0, nearest=True).array[0] != 0


def write_segmentation(
    layer: Layer, visit: Visit, images: SourceImages, *, series_uid: str, number: int, is_label_map: bool
) -> tuple[Any, dict[str, SegmentReference]]:
    """Return one layer of masks as a DICOM segmentation, and where the mask of each finding is.

    Images without a mask are left out.

    Parameters
    ----------
    layer : Layer
        From `draw`.
    visit : Visit
        The visit.
    images : SourceImages
        The series that the masks lie on.
    series_uid : str
        Series Instance UID of the object.
    number : int
        Its instance number.
    is_label_map : bool
        Write a label map (one number for each pixel) instead of one image for each mask.

    Raises
    ------
    InputError
        The series has too many masks, or images of different sizes.
    """
    package = highdicom()
    if len(layer.seen) > _MOST_SEGMENTS or len({plane.size for plane in images.planes}) > 1:
        raise InputError(f"{images.series.path}: the images differ in size, so that one segmentation cannot hold them.")
    used = [images.planes[index] for index in layer.planes]
    is_multi_frame = used[0].frame is not None
    seg = package.seg.Segmentation(
        source_images=[images.first] if is_multi_frame else [plane.header for plane in used],
        pixel_array=layer.labels,
        segmentation_type="LABELMAP" if is_label_map else "BINARY",
        segment_descriptions=[_description(n, each) for n, each in enumerate(layer.seen, 1)],
        series_instance_uid=series_uid,
        series_number=300,
        sop_instance_uid=new_uid(),
        instance_number=number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=oncotrack.__version__,
        device_serial_number="0",
        series_description="OncoTrack segmentation",
        content_label="LESIONS",
        content_description=f"Lesions at {visit.time_point.label}"[:64],
        content_creator_name=person_name("OncoTrack"),
        coding_schemes=own_coding_scheme(),
        **({"plane_positions": [_position(plane) for plane in used]} if is_multi_frame else {}),
    )
    visit.mark(seg)
    where = {
        each.finding.uid: SegmentReference(str(seg.SOPClassUID), str(seg.SOPInstanceUID), n)
        for n, each in enumerate(layer.seen, 1)
    }
    return seg, where


def own_coding_scheme() -> list[Any]:
    """Return what an object says about the coding scheme of OncoTrack."""
    scheme = highdicom().coding_schemes.CodingSchemeIdentificationItem
    return [scheme(codes.OWN, name="OncoTrack", responsible_organization="OncoTrack")]


def _description(number: int, seen: Seen) -> Any:
    package, finding, made = highdicom(), seen.finding, seen.observation.provenance
    automatic = "MANUAL"
    if made.method:
        automatic = "SEMIAUTOMATIC" if seen.observation.state is State.EDITED else "AUTOMATIC"
    site = codes.site_code(finding.site)
    regions = None
    if site:
        regions = [package.sr.CodedConcept.from_code(site)]
        if finding.side in codes.SIDES:
            regions[0].AnatomicRegionModifierSequence = [package.sr.CodedConcept.from_code(codes.SIDES[finding.side])]
    return package.seg.SegmentDescription(
        segment_number=number,
        segment_label=finding.label[:64],
        segmented_property_category=codes.CATEGORIES[finding.kind],
        segmented_property_type=codes.KINDS[finding.kind],
        algorithm_type=automatic,
        algorithm_identification=package.AlgorithmIdentificationSequence(
            name=made.method[:64],
            family=codes.LEARNED if made.weights_sha256 else codes.CLUSTERS,
            version=oncotrack.__version__,
        )
        if made.method
        else None,
        tracking_uid=finding.uid,
        tracking_id=seen.tracking_id,
        anatomic_regions=regions,
        display_color=package.color.CIELabColor.from_string(COLOURS[(number - 1) % len(COLOURS)]),
    )


def _position(plane: Plane) -> Any:
    return highdicom().PlanePositionSequence("PATIENT", lps_to_ras(plane.matrix[:3, 3]).tolist())
