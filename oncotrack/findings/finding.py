"""What a finding is made of: immutable values in RAS millimetres, no arrays, fit for JSON."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum

from oncotrack.errors import InputError
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.findings.tracklet import Tracklet

Point = tuple[float, float, float]


def point(values: Sequence[float], what: str = "position") -> Point:
    """Three finite floats, or InputError."""
    numbers = tuple(float(v) for v in values)
    if len(numbers) != 3 or not all(math.isfinite(v) for v in numbers):
        raise InputError(f"The {what} {list(values)} is not a point: three finite numbers R A S in mm are needed.")
    return numbers


class State(str, Enum):
    """What has been decided of an observation."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"
    ABSENT = "absent"


class Kind(str, Enum):
    """What a finding is."""

    LYMPH_NODE = "lymph node"
    LESION = "lesion"


class Role(str, Enum):
    """RECIST 1.1 role."""

    TARGET = "target"
    NON_TARGET = "non-target"
    NEW = "new"


@dataclass(frozen=True)
class Box:
    """A box along the RAS axes: lowest and highest corner, mm."""

    low: Point
    high: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", point(self.low, "box corner"))
        object.__setattr__(self, "high", point(self.high, "box corner"))
        if any(a > b for a, b in zip(self.low, self.high, strict=True)):
            raise InputError(f"The box from {self.low} to {self.high} is inside out; give its lowest corner first.")

    @property
    def centre(self) -> Point:
        """Its middle, RAS mm."""
        return tuple((a + b) / 2 for a, b in zip(self.low, self.high, strict=True))

    def holds(self, place: Point) -> bool:
        """Whether a place lies in the box."""
        return all(low <= at <= high for low, at, high in zip(self.low, place, self.high, strict=True))

    def iou(self, other: Box) -> float:
        """Intersection over union of two boxes, 0 to 1."""
        overlap = math.prod(
            max(0.0, min(b, d) - max(a, c))
            for a, b, c, d in zip(self.low, self.high, other.low, other.high, strict=True)
        )
        union = sum(math.prod(b - a for a, b in zip(x.low, x.high, strict=True)) for x in (self, other)) - overlap
        return overlap / union if union > 0 else 0.0


@dataclass(frozen=True)
class Axis:
    """A measured diameter: its two end points, RAS mm."""

    start: Point
    end: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", point(self.start, "axis end"))
        object.__setattr__(self, "end", point(self.end, "axis end"))

    @property
    def length_mm(self) -> float:
        """Millimetres between the ends."""
        return math.dist(self.start, self.end)


@dataclass(frozen=True)
class Provenance:
    """Where an observation came from: a method with its weights, or a hand; and when (ISO 8601, UTC)."""

    method: str = ""
    reader: str = ""
    weights_sha256: str = ""
    when: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))


@dataclass(frozen=True)
class Alternative:
    """Another place the matcher considered, RAS mm, with its score and the cycle error of matching back from there."""

    centre: Point
    score: float
    cycle_error_mm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", point(self.centre))


@dataclass(frozen=True)
class MatchEvidence:
    """Why a match lies where it lies, kept so that a reader can look at it again.

    `expected` is the registration's guess (centre of the anatomy map), `radius_mm` the lesion radius it was made
    for, `cycle_error_mm` the distance by which matching back misses the starting point (the trust shown).
    """

    expected: Point
    radius_mm: float
    cycle_error_mm: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "expected", point(self.expected))


@dataclass(frozen=True, kw_only=True)
class Observation:
    """A finding at one time point. Lengths in mm, volume in mm^3, positions RAS mm."""

    centre: Point
    state: State = State.PROPOSED
    radius_mm: float | None = None
    box: Box | None = None
    tracklet: Tracklet | None = None
    long_axis: Axis | None = None
    short_axis: Axis | None = None
    volume_mm3: float | None = None
    mask: PackedMask | None = None
    score: float | None = None
    evidence: MatchEvidence | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", point(self.centre, "centre"))

    @property
    def is_there(self) -> bool:
        """Whether the finding is taken to be here: neither absent nor rejected."""
        return self.state not in (State.ABSENT, State.REJECTED)

    @property
    def is_decided(self) -> bool:
        """Whether a reader said what is seen here, so that no method may say otherwise unasked."""
        return self.state in (State.ACCEPTED, State.EDITED, State.REJECTED) or bool(
            self.state is State.ABSENT and self.provenance.reader
        )

    def with_tracklet(self, tracklet: Tracklet) -> Observation:
        """A copy with these slice boxes, and what they measure.

        The box is the smallest round them, the centre its middle; long and short axis are the edges of the largest
        slice box, drawn through its middle. Volume and mask belong to what was there before and are dropped.
        """
        box = Box(*tracklet.bounds())
        largest = max(tracklet.boxes, key=lambda b: (b.high[0] - b.low[0]) * (b.high[1] - b.low[1]))
        a, b, c, d = tracklet.corners(largest)
        axes = (Axis(_between(a, d), _between(b, c)), Axis(_between(a, b), _between(d, c)))
        short, long = sorted(axes, key=lambda axis: axis.length_mm)
        return replace(
            self,
            centre=box.centre,
            box=box,
            tracklet=tracklet,
            long_axis=long,
            short_axis=short,
            radius_mm=long.length_mm / 2,
            volume_mm3=None,
            mask=None,
        )


@dataclass(frozen=True)
class TimePoint:
    """One scan of the patient. `id` names it in every finding; `date` is YYYYMMDD or empty."""

    id: str
    label: str
    image: str = ""
    date: str = ""
    series_uid: str = ""
    fingerprint: str = ""


def _between(a: Point, b: Point) -> Point:
    return tuple((p + q) / 2 for p, q in zip(a, b, strict=True))


def new_uid() -> str:
    """A DICOM UID from a random UUID (DICOM PS3.5, B.2)."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A lesion or node, the same over all time points. `uid` is its DICOM tracking UID."""

    label: str
    kind: Kind = Kind.LESION
    uid: str = field(default_factory=new_uid)
    site: str = ""
    role: Role = Role.TARGET
    observations: Mapping[str, Observation] = field(default_factory=dict)

    def at(self, time_point: str) -> Observation | None:
        """Its observation at a time point, if any."""
        return self.observations.get(time_point)

    def observed(self, time_point: str, observation: Observation | None) -> Finding:
        """A copy with that time point's observation set, or removed when None."""
        observations = {key: value for key, value in self.observations.items() if key != time_point}
        if observation is not None:
            observations[time_point] = observation
        return replace(self, observations=observations)
