"""Ground truth of a phantom, an insertion or a warp, in one form for all three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from oncotrack.findings.finding import Axis, Box, Finding, Kind, Observation, Provenance, Role, State, TimePoint, point
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume
from oncotrack.phantom.motion import PointMap, map_points


@dataclass(frozen=True)
class Instance:
    """One node or lesion at one visit, measured on its mask. RAS mm.

    `number` is its value in the instance mask and the same at all visits; a merged deposit keeps its own number and
    `mask_number` is the value of the mask that it is part of.
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
    instances : tuple of Instance
        The nodes and lesions that are visible at this visit.
    mapping : PointMap
        From the common frame (template, or first visit) to this visit.
    """

    masks: Volume
    organs: Volume
    instances: tuple[Instance, ...]
    mapping: PointMap

    @property
    def tumour(self) -> Volume:
        """uint8 mask of every lesion and of the nodes that show FDG uptake or are enlarged."""
        numbers = [i.mask_number for i in self.instances if i.kind is Kind.LESION or i.hot or not i.small]
        return replace(self.masks, array=np.isin(self.masks.array, numbers).astype(np.uint8))

    def instance(self, number: int) -> Instance | None:
        """Return the instance of that number; None when it is not visible."""
        return next((i for i in self.instances if i.number == number), None)


@dataclass(frozen=True, eq=False)
class Truth:
    """Truth over all visits."""

    visits: tuple[VisitTruth, ...]

    def correspond(self, points_ras: ArrayLike, source: int = 0, target: int = 1) -> np.ndarray:
        """Return the positions at visit `target` of the tissue at (..., 3) RAS points of visit `source`."""
        common = map_points(self.visits[source].mapping, points_ras, inverse=True)
        return map_points(self.visits[target].mapping, common)

    def findings(self, time_points: Sequence[TimePoint] | None = None) -> FindingList:
        """Return all instances as findings with accepted observations; those no longer visible are absent."""
        if time_points is None:
            time_points = [
                TimePoint(f"t{n}", "baseline" if n == 0 else f"follow-up {n}") for n in range(len(self.visits))
            ]
        numbers = sorted({i.number for visit in self.visits for i in visit.instances})
        counts = {Kind.LYMPH_NODE: 0, Kind.LESION: 0}
        findings = []
        for number in numbers:
            at_visits = [visit.instance(number) for visit in self.visits]
            first, instance = next((n, i) for n, i in enumerate(at_visits) if i)
            counts[instance.kind] += 1
            label = f"{'LN' if instance.kind is Kind.LYMPH_NODE else 'L'} {counts[instance.kind]}"
            observations = {}
            for n, (time_point, here) in enumerate(zip(time_points, at_visits, strict=True)):
                if here is not None:
                    observations[time_point.id] = observation(here)
                elif n > first:
                    position = self.correspond(instance.centre, first, n)
                    observations[time_point.id] = Observation(
                        centre=point(position.tolist()), state=State.ABSENT, provenance=_SOURCE
                    )
            findings.append(Finding(label=label, kind=instance.kind, uid=f"2.25.{10**12 + number}", site=instance.site,
                                    role=_role(instance, first), observations=observations))  # fmt: skip
        return FindingList(time_points, findings)


_SOURCE = Provenance(method="phantom truth", when="2026-01-01T00:00:00+00:00")


def observation(instance: Instance) -> Observation:
    """Return an instance as an accepted observation."""
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
    """Return the RECIST 1.1 role: new after baseline; target from 15 mm short axis (nodes) or 10 mm long axis (lesions)."""
    if first_visit:
        return Role.NEW
    if instance.kind is Kind.LYMPH_NODE:
        return Role.TARGET if instance.short_axis.length_mm >= 15 else Role.NON_TARGET
    return Role.TARGET if instance.long_axis.length_mm >= 10 else Role.NON_TARGET
