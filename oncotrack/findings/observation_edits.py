"""A reader's edits of an observation; each function returns a changed copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oncotrack.errors import InputError
from oncotrack.findings.finding import Alternative, Axis, Box, Observation, Point, Provenance, State, point


def edited_by_reader(observation: Observation, reader: str = "reader") -> Observation:
    """Return the observation as edited by a reader now.

    Parameters
    ----------
    observation : Observation
        The observation before the edit.
    reader : str
        Who edited it.
    """
    return with_state(observation, State.EDITED, reader)


def with_proposed_size(observation: Observation) -> Observation:
    """Return the observation with a note that its size is proposed, where a reader has accepted the finding already.

    Parameters
    ----------
    observation : Observation
        The observation after a method has measured it.
    """
    provenance = replace(observation.provenance, is_size_proposed=observation.is_decided)
    return replace(observation, provenance=provenance)


def with_state(observation: Observation, state: State, reader: str = "") -> Observation:
    """Return the observation with another state, decided now; the decision is about its size, too.

    Parameters
    ----------
    observation : Observation
        The observation before the decision.
    state : State
        The new state.
    reader : str
        Who decided; "" keeps the previous reader.
    """
    old = observation.provenance
    provenance = replace(old, reader=reader or old.reader, when=Provenance().when, is_size_proposed=False)
    return replace(observation, state=state, provenance=provenance)


def moved(observation: Observation, centre: Sequence[float], reader: str = "reader") -> Observation:
    """Return the observation moved by a reader: box and measured axes move along, the state becomes `edited`.

    A tracklet with the axes that are its sides, a mask with its volume and the match's cycle error belong to the old position and are dropped. The same
    observation is returned when the centre is where it was.

    Parameters
    ----------
    observation : Observation
        The observation before the move.
    centre : (3,) float
        The new centre, RAS mm.
    reader : str
        Who moved it.

    Raises
    ------
    InputError
        The centre is not three finite numbers.
    """
    centre = point(centre, "centre")
    if centre == observation.centre:
        return observation
    offset = point([b - a for a, b in zip(observation.centre, centre, strict=True)], "move")
    box, evidence = observation.box, observation.evidence
    long, short = (observation.long_axis, observation.short_axis) if not observation.has_box_axes else (None, None)
    shifted = replace(
        observation,
        centre=centre,
        tracklet=None,
        volume_mm3=None,
        mask=None,
        box=box and Box(_shift(box.low, offset), _shift(box.high, offset)),
        evidence=evidence and replace(evidence, cycle_error_mm=None),
        long_axis=_shift_axis(long, offset),
        short_axis=_shift_axis(short, offset),
    )
    return edited_by_reader(shifted, reader)


def with_alternative(observation: Observation, index: int, reader: str = "reader") -> Observation:
    """Return the observation at one of its alternatives, with the score and cycle error of that alternative; see `moved`.

    Parameters
    ----------
    observation : Observation
        A match; it becomes the alternative of this index.
    index : int
        Which alternative, from 0.
    reader : str
        Who chose it.

    Raises
    ------
    InputError
        There is no such alternative.
    """
    evidence = observation.evidence
    if evidence is None or not 0 <= index < len(evidence.alternatives):
        count = len(evidence.alternatives) if evidence else 0
        raise InputError(f"There are {count} alternatives; number {index + 1} is not among them.")
    chosen = evidence.alternatives[index]
    former = Alternative(observation.centre, observation.score or 0.0, evidence.cycle_error_mm)
    swapped = tuple(former if n == index else each for n, each in enumerate(evidence.alternatives))
    evidence = replace(evidence, alternatives=swapped, cycle_error_mm=chosen.cycle_error_mm)
    return replace(moved(observation, chosen.centre, reader), score=chosen.score, evidence=evidence)


def _shift(position: Point, offset: Point) -> Point:
    return point([a + b for a, b in zip(position, offset, strict=True)])


def _shift_axis(axis: Axis | None, offset: Point) -> Axis | None:
    return axis and Axis(_shift(axis.start, offset), _shift(axis.end, offset))
