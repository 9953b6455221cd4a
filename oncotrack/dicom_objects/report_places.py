"""Where a measurement group of a report lies: diameters, masks, regions and points on the scans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pydicom.dataset import Dataset

from oncotrack.dicom_objects import codes, content
from oncotrack.dicom_objects.mask_objects import Structure
from oncotrack.dicom_objects.scans import Scan, Scans
from oncotrack.findings.finding import Axis, Observation, State, point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, lps_to_ras
from oncotrack.masks.findings import observation as observation_of_mask

_TO_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001}
_DIFFERENT_MM = 0.5
"""Least difference between a stated length and that of its line that is reported."""


class UnreadError(Exception):
    """A group cannot be read; the message says why and what to do."""


@dataclass
class Places:
    """The coordinates of one measurement group.

    Attributes
    ----------
    document, group : Dataset
        The report and the group.
    scans : Scans
        The scans.
    segments : mapping
        The segments that were read, by SOP Instance UID and number.
    used_segments : set of (str, int)
        The segments that the group refers to.
    problems : list of str
        What is doubtful, in sentences.
    is_drawn : bool
        Whether the place is drawn, rather than that of a mask.
    """

    document: Dataset
    group: Dataset
    scans: Scans
    segments: Mapping[tuple[str, int], tuple[Scan, Structure]]
    used_segments: set[tuple[str, int]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    is_drawn: bool = True

    def placed(self) -> tuple[Scan, Observation]:
        """Return the scan, and the observation with its geometry.

        Raises
        ------
        UnreadError
            The group has no place on a scan.
        """
        group = self.group
        presence = content.value(content.item(group, codes.PRESENCE))
        if presence is not None and codes.same(presence, codes.ABSENT):
            return self._absent()
        lines = [content.item(group, name, kind="NUM") for name in (codes.LONG_AXIS, codes.SHORT_AXIS, codes.LENGTH)]
        drawn = [_line_of(each) for each in lines]
        if drawn[0] is not None and drawn[1] is not None:
            scan, axes = self._axes([drawn[0], drawn[1]], [lines[0], lines[1]])
            return scan, self._with_mask(scan, of_axes(*axes))
        single = drawn[0] if drawn[0] is not None else drawn[2]
        if single is not None:
            scan, axes = self._axes([single], [lines[0] if drawn[0] is not None else lines[2]])
            return scan, self._with_mask(scan, of_axes(axes[0]))
        segment = self._segment()
        if segment:
            self.is_drawn = False
            return segment[0], observation_of_mask(segment[1].mask, state=State.ACCEPTED)
        shape = next(content.shapes(group), None)
        if shape is not None:
            return self._of_shape(shape)
        if content.item(group, codes.REFERENCED_SEGMENT):
            raise UnreadError("its segmentation is not among the files. Import the segmentation with it.")
        raise UnreadError("it has no place on an image. Draw it again in the viewer that measured it.")

    def _absent(self) -> tuple[Scan, Observation]:
        shape = next(content.shapes(self.group), None)
        if shape is not None:
            scan, points = self._points(shape)
            return scan, Observation(centre=point(points.mean(0)), state=State.ABSENT)
        for scan in self.scans.all:
            if scan.images.first.StudyInstanceUID == self.document.get("StudyInstanceUID"):
                middle = point(scan.volume.geometry.centre)
                return scan, Observation(centre=middle, state=State.ABSENT)
        raise UnreadError("it belongs to a study that is not among the scans. Add a scan of that study.")

    def _segment(self) -> tuple[Scan, Structure] | None:
        for key in content.segments(self.group):
            if key in self.segments:
                self.used_segments.add(key)
                return self.segments[key]
        return None

    def _with_mask(self, scan: Scan, seen: Observation) -> Observation:
        segment = self._segment()
        if segment is None or segment[0] is not scan:
            return seen
        made = observation_of_mask(segment[1].mask, state=seen.state)
        return replace(made, long_axis=seen.long_axis, short_axis=seen.short_axis, radius_mm=seen.radius_mm)

    def _points(self, shape: Dataset) -> tuple[Scan, np.ndarray]:
        _, points = content.graphic(shape)
        if not len(points):
            raise UnreadError("its coordinates are missing. Export the report again.")
        if shape.ValueType == "SCOORD3D":
            frame, study = str(shape.get("ReferencedFrameOfReferenceUID") or ""), self.document.get("StudyInstanceUID")
            scan = self.scans.of_frame(frame, str(study or ""))
            if scan is None:
                raise UnreadError(f"it lies in the frame of reference {frame}, which no scan has. Add that scan.")
            return scan, lps_to_ras(points)
        image = content.image_of(shape)
        if image is None:
            raise UnreadError("it does not name its image. Export the report again.")
        found = self.scans.plane(*image)
        if found is None:
            raise UnreadError(f"it lies on the image {image[0]}, which is in no scan. Add the series of that image.")
        return found[0], found[1].points(points)

    def _axes(self, shapes: Sequence[Dataset], lines: Sequence[Dataset | None]) -> tuple[Scan, list[Axis]]:
        axes = []
        scan = None
        for shape, line in zip(shapes, lines, strict=True):
            there, points = self._points(shape)
            scan = scan or there
            if len(points) < 2 or there is not scan:
                raise UnreadError("its diameters are not two lines on one scan. Draw them again.")
            axes.append(Axis(point(points[0]), point(points[-1])))
            stated = content.number(line)
            if (
                stated
                and stated[1] in _TO_MM
                and abs(stated[0] * _TO_MM[stated[1]] - axes[-1].length_mm) > _DIFFERENT_MM
            ):
                label = content.text(self.group, codes.TRACKING_ID)
                self.problems.append(
                    f"{label}: the report states {stated[0]:.1f} {stated[1]}, but its line on the image is "
                    f"{axes[-1].length_mm:.1f} mm long. The line was taken; check it."
                )
        assert scan is not None
        return scan, axes

    def _of_shape(self, shape: Dataset) -> tuple[Scan, Observation]:
        kind, drawn = content.graphic(shape)
        scan, points = self._points(shape)
        if kind == "POINT" or len(points) == 1:
            return scan, Observation(centre=point(points[0]), state=State.ACCEPTED)
        if kind == "CIRCLE":
            radius = math.dist(points[0], points[1])
            across = points[1] - points[0]
            # a quarter turn in the image: along the direction of rows, then of columns
            turned = self._turned(shape, drawn)
            ends = [(points[0] - side, points[0] + side) for side in (across, turned)]
            long, short = (Axis(point(a), point(b)) for a, b in ends)
            return scan, replace(of_axes(long, short), radius_mm=radius)
        if kind == "ELLIPSE" and len(points) == 4:
            return scan, of_axes(*(Axis(point(points[n]), point(points[n + 1])) for n in (0, 2)))
        image = content.image_of(shape)
        plane = self.scans.plane(*image) if image else None
        if kind in ("POLYLINE", "MULTIPOINT") and len(drawn) >= 3 and plane:
            mask = _polygon(drawn, plane[1].grid(scan.images.spacing_mm))
            return scan, observation_of_mask(scan.fitted(mask), state=State.ACCEPTED)
        if len(points) == 2:
            return scan, of_axes(Axis(point(points[0]), point(points[1])))
        raise UnreadError(f"its region is drawn as {kind.lower()} in space, which cannot be measured here.")

    def _turned(self, shape: Dataset, drawn: np.ndarray) -> np.ndarray:
        """Return the radius of a circle after a quarter turn in its image, RAS mm."""
        image = content.image_of(shape)
        found = self.scans.plane(*image) if image else None
        if found is None:
            raise UnreadError("its circle lies on no image. Export the report again.")
        along = found[1].points(drawn)
        across, normal = along[1] - along[0], found[1].matrix[:3, 2]
        return np.cross(normal / np.linalg.norm(normal), across)


def _line_of(number: Dataset | None) -> Dataset | None:
    """Return the line that a length is inferred from; None where there is none, or another shape."""
    shape = next(content.shapes(number), None) if number is not None else None
    return shape if shape is not None and content.graphic(shape)[0] == "POLYLINE" else None


def of_axes(long: Axis, short: Axis | None = None) -> Observation:
    """Return an observation with one or two diameters, the longer one first.

    Parameters
    ----------
    long, short : Axis
        The diameters.
    """
    if short is not None and short.length_mm > long.length_mm:
        long, short = short, long
    centre = np.mean([long.start, long.end], axis=0)
    return Observation(
        centre=point(centre), state=State.ACCEPTED, radius_mm=long.length_mm / 2, long_axis=long, short_axis=short
    )


def _polygon(pixels: np.ndarray, grid: Geometry) -> Volume:
    """Return the pixels inside a polygon of image coordinates, on the grid of its image."""
    from skimage.draw import polygon2mask

    rows_columns = pixels[:, ::-1] - 0.5
    inside = polygon2mask(grid.shape[1:], rows_columns)
    kji = np.argwhere(inside)
    if not len(kji):
        raise UnreadError("its region holds no pixel. Draw it again.")
    volume = Volume(inside[None].astype(np.uint8), grid, "region")
    low, high = kji.min(0), kji.max(0) + 1
    return volume.cropped((low[1], low[0], 0), (high[1], high[0], 1))
