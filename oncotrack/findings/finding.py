"""Findings and their observations: immutable values in RAS millimetres that can be written as JSON."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum

from oncotrack.errors import InputError
from oncotrack.findings.assessment import Assessment
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.findings.shapes import Axis, Box, Point, middle, point
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.findings.uptake import Uptake


class State(str, Enum):
    """Decision on an observation: proposed and not found are the program's, the others the reader's."""

    PROPOSED = "proposed"
    NOT_FOUND = "not found"
    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"
    ABSENT = "absent"


class Kind(str, Enum):
    """Kind of a finding."""

    LYMPH_NODE = "lymph node"
    LESION = "lesion"
    OTHER = "other"


class Role(str, Enum):
    """RECIST 1.1 role; a finding has none until a reader chooses it."""

    TARGET = "target"
    NON_TARGET = "non-target"
    NEW = "new"
    NONE = "none"


class Side(str, Enum):
    """Side of the patient's body; `UNKNOWN` where it cannot be determined, `NOT_STATED` where it was not stated."""

    LEFT = "left"
    RIGHT = "right"
    MIDLINE = "midline"
    UNKNOWN = "side unknown"
    NOT_STATED = ""


@dataclass(frozen=True)
class Provenance:
    """Origin of an observation: the method and its weights, the reader who edited it, and the time (ISO 8601, UTC).

    `doubts` are sentences on what is doubtful in the mask that the method made, see `Observation.doubts`. `is_size_proposed`
    says that a method measured the finding after a reader had accepted it, and that no reader has accepted this size yet.
    `window` is the width and the level of the window in which a reader measured the diameters.
    """

    method: str = ""
    reader: str = ""
    weights_sha256: str = ""
    when: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    doubts: tuple[str, ...] = ()
    is_size_proposed: bool = False
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Alternative:
    """Another possible position of a match, RAS mm, with its score and the cycle error of its return match."""

    centre: Point
    score: float
    cycle_error_mm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", point(self.centre))


@dataclass(frozen=True)
class MatchEvidence:
    """Evidence for a match, kept so that a reader can check it later.

    Attributes
    ----------
    expected : (3,) float
        Position estimated by the registration, the centre of the anatomy map, RAS mm.
    radius_mm : float
        Lesion radius that the match was made for.
    cycle_error_mm : float, optional
        Distance between the starting point and the end of the return match.
    alternatives : tuple of Alternative
        Other possible positions, best first.
    reason : str
        Why the lesion was not found, or "".
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
    """A finding at one time point. Lengths in mm, volume in mm³, positions in RAS mm.

    `score` is the detector's or the tracker's own, on a scale of its own; `probability` is the calibrated probability that a
    proposal is a lymph node, of the detectors that give one.
    """

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
    probability: float | None = None
    evidence: MatchEvidence | None = None
    assessment: Assessment = field(default_factory=Assessment)
    uptake: Uptake | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", point(self.centre, "centre"))

    @property
    def is_there(self) -> bool:
        """Whether the finding is present: neither absent, nor rejected, nor not found."""
        return self.state not in (State.ABSENT, State.REJECTED, State.NOT_FOUND)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences on what is doubtful in the mask and in the diameters that belong to it; empty without a mask."""
        return self.provenance.doubts if self.mask is not None and self.is_there else ()

    @property
    def is_size_proposed(self) -> bool:
        """Whether the finding was accepted, but not its size, which a method measured later."""
        return self.provenance.is_size_proposed and self.is_there

    @property
    def is_proposal(self) -> bool:
        """Whether no reader has accepted the finding, or its size."""
        return self.state is State.PROPOSED or self.is_size_proposed

    @property
    def has_box_axes(self) -> bool:
        """Whether long and short axis are the sides of a slice box, an estimate and no measurement."""
        return self.tracklet is not None and (self.long_axis, self.short_axis) == box_axes(self.tracklet)

    @property
    def is_measured(self) -> bool:
        """Whether long and short axis are measured diameters."""
        return self.long_axis is not None and self.short_axis is not None and not self.has_box_axes

    @property
    def confidence(self) -> float | None:
        """What proposals are ranked by, 0 to 1: the probability, or the score of a detector that gives none."""
        return self.score if self.probability is None else self.probability

    @property
    def is_decided(self) -> bool:
        """Whether a reader decided on the observation, so that no method may change it without asking."""
        return self.state in (State.ACCEPTED, State.EDITED, State.REJECTED) or bool(
            self.state is State.ABSENT and self.provenance.reader
        )

    def with_tracklet(self, tracklet: Tracklet) -> Observation:
        """Return a copy with these slice boxes and the sizes that follow from them.

        The box is the smallest one around all slice boxes, and the centre is its centre; long and short axis are
        `box_axes`. Volume, mask and uptake belong to the old slice boxes and are dropped.

        Parameters
        ----------
        tracklet : Tracklet
            The new slice boxes.
        """
        box = Box(*tracklet.bounds())
        long, short = box_axes(tracklet)
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
            uptake=None,
        )


@dataclass(frozen=True)
class TimePoint:
    """One scan of the patient. `id` identifies it in every finding; `date` is YYYYMMDD or empty; `slice_mm` its slice thickness,
    and `contrast` its contrast phase as in `findings.contrast`, where these are known."""

    id: str
    label: str
    image: str = ""
    date: str = ""
    series_uid: str = ""
    fingerprint: str = ""
    slice_mm: float | None = None
    contrast: str = ""


def box_axes(tracklet: Tracklet, box: SliceBox | None = None) -> tuple[Axis, Axis]:
    """Return the longer and the shorter side of a slice box, drawn through its centre.

    Parameters
    ----------
    tracklet : Tracklet
        The slice boxes of a finding.
    box : SliceBox, optional
        One of them; the largest when missing.
    """
    box = box or max(tracklet.boxes, key=lambda each: each.area_mm2)
    a, b, c, d = tracklet.corners(box)
    axes = Axis(middle(a, d), middle(b, c)), Axis(middle(a, b), middle(d, c))
    short, long = sorted(axes, key=lambda axis: axis.length_mm)
    return long, short


def new_uid() -> str:
    """Return a new DICOM UID that is derived from a random UUID (DICOM PS3.5, B.2)."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A lesion or node, the same over all time points.

    Attributes
    ----------
    label : str
        Its name in the list.
    kind, role, side
        What it is, its role in RECIST 1.1, and its side of the body.
    uid : str
        Its DICOM tracking UID.
    site : str
        Organ or lymph node station, in the reader's words; `sites.SITES` holds the usual ones.
    region : str
        Body region in which a detector found it, a name of `detection.anatomy.regions` or "region unknown"; "" if none did.
    comment, reader : str
        The reader's comment, and the name of the reader who described the finding.
    split_from : str
        Tracking UID of the finding that this one is a fragment of.
    observations : mapping of str to Observation
        By time point.
    """

    label: str
    kind: Kind = Kind.LESION
    uid: str = field(default_factory=new_uid)
    site: str = ""
    role: Role = Role.NONE
    side: Side = Side.NOT_STATED
    region: str = ""
    comment: str = ""
    reader: str = ""
    split_from: str = ""
    observations: Mapping[str, Observation] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Side and site in words, "right kidney" or "kidney, side unknown"; "" where neither was stated."""
        if self.side is Side.UNKNOWN:
            return ", ".join(filter(None, (self.site, self.side.value)))
        return f"{self.side.value} {self.site}".strip()

    @property
    def region_text(self) -> str:
        """Region with its side, "axilla, left" or "upper mediastinum"; "" where no detector gave one."""
        has_side = self.side in (Side.LEFT, Side.RIGHT)
        return f"{self.region}, {self.side.value}" if self.region and has_side else self.region

    def at(self, time_point: str) -> Observation | None:
        """Return the observation at a time point, or None.

        Parameters
        ----------
        time_point : str
            Identifier of the time point.
        """
        return self.observations.get(time_point)

    def observation(self, time_point: str) -> Observation:
        """Return the observation at a time point where there must be one.

        Parameters
        ----------
        time_point : str
            Identifier of the time point.

        Raises
        ------
        InputError
            There is none.
        """
        observation = self.at(time_point)
        if observation is None:
            raise InputError(f"{self.label} has not been searched for at time point {time_point} yet.")
        return observation

    def with_observation(self, time_point: str, observation: Observation | None) -> Finding:
        """Return a copy with another observation at a time point.

        Parameters
        ----------
        time_point : str
            Identifier of the time point.
        observation : Observation or None
            The new observation; None removes the old one.
        """
        observations = {key: value for key, value in self.observations.items() if key != time_point}
        if observation is not None:
            observations[time_point] = observation
        return replace(self, observations=observations)
