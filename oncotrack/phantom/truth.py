"""What is known of a phantom, an insertion or a warp: the same object for all three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull, QhullError

from oncotrack.findings import Axis, Box, Finding, FindingList, Kind, Observation, Provenance, Role, State, TimePoint
from oncotrack.geometry import Geometry
from oncotrack.phantom.motion import PointMap, map_points
from oncotrack.tracklet import SliceBox, Tracklet
from oncotrack.volume import Volume


@dataclass(frozen=True)
class Instance:
    """One node or lesion at one visit, measured on its mask. RAS mm.

    `number` is its value in the instance mask and the same at all visits; merged deposits keep their own number and
    point at the mask of `mask_number`.
    """

    number: int
    mask_number: int
    kind: Kind
    centre: tuple[float, float, float]
    box: Box
    tracklet: Tracklet
    long_axis: Axis
    short_axis: Axis
    volume_mm3: float
    site: str
    region: str
    fate: str
    hot: bool = False
    primary: bool = False
    small: bool = False
    parent: int | None = None


@dataclass(frozen=True, eq=False)
class VisitTruth:
    """Truth of one visit.

    Parameters
    ----------
    masks : Volume of int16
        Instance numbers (`tissues.INSTANCE` upwards), 0 elsewhere.
    organs : Volume of int16
        Organ labels (`tissues.ORGANS`), 0 where not known.
    instances : what is visible at this visit.
    mapping : PointMap
        From the common frame (template, or first visit) to this visit.
    """

    masks: Volume
    organs: Volume
    instances: tuple[Instance, ...]
    mapping: PointMap

    @property
    def tumour(self) -> Volume:
        """uint8 mask of every lesion and of the nodes that take up FDG or are enlarged."""
        numbers = [i.mask_number for i in self.instances if i.kind is Kind.LESION or i.hot or not i.small]
        return replace(self.masks, array=np.isin(self.masks.array, numbers).astype(np.uint8))

    def instance(self, number: int) -> Instance | None:
        """The instance of that number, if it is visible."""
        return next((i for i in self.instances if i.number == number), None)


@dataclass(frozen=True, eq=False)
class Truth:
    """Truth over all visits."""

    visits: tuple[VisitTruth, ...]

    def correspond(self, points_ras, source: int = 0, target: int = 1) -> np.ndarray:
        """Where the tissue at (..., 3) RAS points of visit `source` lies at visit `target`."""
        common = map_points(self.visits[source].mapping, points_ras, inverse=True)
        return map_points(self.visits[target].mapping, common)

    def findings(self, time_points: Sequence[TimePoint] | None = None) -> FindingList:
        """All instances as one list of findings with accepted observations; gone ones are absent."""
        if time_points is None:
            time_points = [
                TimePoint(f"t{n}", "baseline" if n == 0 else f"follow-up {n}") for n in range(len(self.visits))
            ]
        numbers = sorted({i.number for visit in self.visits for i in visit.instances})
        counts = {Kind.LYMPH_NODE: 0, Kind.LESION: 0}
        findings = []
        for number in numbers:
            seen = [visit.instance(number) for visit in self.visits]
            first = next(n for n, i in enumerate(seen) if i)
            instance = seen[first]
            counts[instance.kind] += 1
            label = f"{'LN' if instance.kind is Kind.LYMPH_NODE else 'L'} {counts[instance.kind]}"
            observations = {}
            for n, (time_point, here) in enumerate(zip(time_points, seen, strict=True)):
                if here is not None:
                    observations[time_point.id] = observation(here)
                elif n > first:
                    place = self.correspond(seen[first].centre, first, n)
                    observations[time_point.id] = Observation(
                        centre=tuple(place), state=State.ABSENT, provenance=_SOURCE
                    )
            findings.append(Finding(label=label, kind=instance.kind, uid=f"2.25.{10**12 + number}", site=instance.site,
                                    role=_role(instance, first), observations=observations))  # fmt: skip
        return FindingList(time_points, findings)


_SOURCE = Provenance(method="phantom truth", when="2026-01-01T00:00:00+00:00")


def observation(instance: Instance) -> Observation:
    """An instance as an accepted observation."""
    return Observation(
        centre=instance.centre,
        state=State.ACCEPTED,
        radius_mm=instance.long_axis.length_mm / 2,
        box=instance.box,
        tracklet=instance.tracklet,
        long_axis=instance.long_axis,
        short_axis=instance.short_axis,
        volume_mm3=instance.volume_mm3,
        provenance=_SOURCE,
    )


def _role(instance: Instance, first_visit: int) -> Role:
    """RECIST 1.1: new after baseline; target from 15 mm short axis (nodes) or 10 mm long axis (lesions)."""
    if first_visit:
        return Role.NEW
    if instance.kind is Kind.LYMPH_NODE:
        return Role.TARGET if instance.short_axis.length_mm >= 15 else Role.NON_TARGET
    return Role.TARGET if instance.long_axis.length_mm >= 10 else Role.NON_TARGET


@dataclass(frozen=True)
class Measure:
    """Geometry of one mask. RAS mm."""

    centre: tuple[float, float, float]
    box: Box
    tracklet: Tracklet
    long_axis: Axis
    short_axis: Axis
    volume_mm3: float


def measure_masks(masks: Volume) -> dict[int, Measure]:
    """Measure every instance of a label volume: boxes, tracklet, RECIST axes, volume."""
    array = masks.array
    lowest = int(array[array > 0].min()) if (array > 0).any() else 0
    if not lowest:
        return {}
    found = find_objects(np.maximum(array - (lowest - 1), 0))
    measures = {}
    for n, where in enumerate(found):
        if where is not None:
            number = lowest + n
            measures[number] = _measure(array[where] == number, where, masks.geometry)
    return measures


def _measure(mask: np.ndarray, where: tuple[slice, slice, slice], geometry: Geometry) -> Measure:
    start = np.array([s.start for s in where])[::-1]
    kji = np.argwhere(mask)
    ijk = kji[:, ::-1] + start
    centre = tuple(geometry.to_ras(ijk.mean(0)))
    corners = np.stack(np.meshgrid(*zip(ijk.min(0) - 0.5, ijk.max(0) + 0.5, strict=True), indexing="ij"), -1).reshape(
        -1, 3
    )
    corners = geometry.to_ras(corners)
    box = Box(tuple(corners.min(0)), tuple(corners.max(0)))
    boxes, best = [], None
    spacing = np.asarray(geometry.spacing)
    for k in np.unique(kji[:, 0]):
        ji = kji[kji[:, 0] == k][:, 1:]
        ij = ji[:, ::-1] + start[:2]
        boxes.append(
            SliceBox(int(k + start[2]), tuple((ij.min(0) - 0.5) * spacing[:2]), tuple((ij.max(0) + 0.5) * spacing[:2]))
        )
        ends, length = _longest(ij * spacing[:2])
        if best is None or length > best[0]:
            best = (length, ends, int(k + start[2]), mask[k], start[:2])
    tracklet = Tracklet.on(geometry, boxes)
    _, ends, k, plane, corner = best
    ends = _to_border(plane, corner, spacing[:2], ends)
    short = _widest_across(plane, corner, spacing[:2], ends)
    if np.linalg.norm(short[1] - short[0]) > np.linalg.norm(ends[1] - ends[0]):
        ends, short = short, ends

    def ras(uv) -> tuple[float, float, float]:
        return tuple(geometry.to_ras([uv[0] / spacing[0], uv[1] / spacing[1], k]))

    return Measure(centre, box, tracklet, Axis(ras(ends[0]), ras(ends[1])), Axis(ras(short[0]), ras(short[1])),
                   float(mask.sum() * spacing.prod()))  # fmt: skip


def _longest(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The two of (N, 2) points that lie farthest apart, and their distance."""
    if len(points) > 8:
        try:
            points = points[ConvexHull(points).vertices]
        except QhullError:
            order = np.argsort(points @ (1.0, 1e-3))
            points = points[order[[0, -1]]]
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    a, b = np.unravel_index(gaps.argmax(), gaps.shape)
    return np.stack([points[a], points[b]]), float(gaps[a, b])


def _to_border(plane: np.ndarray, corner: np.ndarray, spacing: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The ends moved outwards from voxel centres to the border of the mask."""
    length = np.linalg.norm(ends[1] - ends[0])
    if length == 0:
        return ends
    u = (ends[1] - ends[0]) / length
    out = np.linspace(0, 0.71 * float(max(spacing)), 15)
    moved = []
    for end, direction in ((ends[0], -u), (ends[1], u)):
        index = np.round((end + out[:, None] * direction) / spacing - corner).astype(int)
        inside = ((index >= 0) & (index < plane.shape[::-1])).all(1)
        index = np.where(inside[:, None], index, 0)
        inside &= plane[index[:, 1], index[:, 0]]
        last = int(np.argmin(inside)) - 1 if not inside.all() else len(out) - 1
        moved.append(end + max(out[max(last, 0)] - 0.003, 0) * direction)
    return np.stack(moved)


def _widest_across(plane: np.ndarray, corner: np.ndarray, spacing: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(2, 2) ends of the longest chord inside the mask that is perpendicular to the long axis, mm in the slice."""
    length = np.linalg.norm(ends[1] - ends[0])
    if length == 0:
        return ends
    u = (ends[1] - ends[0]) / length
    v = np.array([-u[1], u[0]])
    step = float(min(spacing)) / 2
    along = np.linspace(0.0093 * step, length - 0.0093 * step, max(int(length / step), 2) + 1)
    across = np.arange(-np.ceil(length / step), np.ceil(length / step) + 1) * step + 0.0137 * step
    points = ends[0] + along[:, None, None] * u + across[None, :, None] * v
    index = np.round(points / spacing - corner).astype(int)
    legal = ((index >= 0) & (index < plane.shape[::-1])).all(-1)
    index = np.where(legal[..., None], index, 0)
    inside = plane[index[..., 1], index[..., 0]] & legal
    best, chord = -1.0, np.stack([ends[0], ends[0]])
    for row, hits in enumerate(inside):
        cuts = np.flatnonzero(np.diff(np.concatenate([[0], hits.astype(np.int8), [0]])))
        for a, b in zip(cuts[::2], cuts[1::2], strict=True):
            if across[b - 1] - across[a] > best:
                best, chord = across[b - 1] - across[a], np.stack([points[row, a], points[row, b - 1]])
    return chord
