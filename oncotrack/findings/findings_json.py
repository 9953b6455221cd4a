"""The JSON format of a list of findings: schema "oncotrack-findings", version 3."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation, State, TimePoint
from oncotrack.findings.measurement import Measurement
from oncotrack.findings.note import Note

SCHEMA = "oncotrack-findings"
VERSION = 3


@dataclass(frozen=True)
class FindingsDocument:
    """The content of a findings file; the names of its fields are the keys of the JSON text."""

    time_points: tuple[TimePoint, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    schema: str = SCHEMA
    version: int = VERSION


def dump(document: FindingsDocument) -> str:
    """Return a document as JSON text.

    Parameters
    ----------
    document : FindingsDocument
        The time points and findings to write.
    """
    return _adapter().dump_json(document, indent=1).decode()


def parse(text: str, source: str) -> FindingsDocument:
    """Read what `dump` wrote.

    Parameters
    ----------
    text : str
        The JSON text.
    source : str
        Where it comes from, for messages.

    Raises
    ------
    InputError
        Not JSON, another schema, a newer version, a field that does not fit (it is named), or a tracking UID that
        occurs twice.
    """
    from pydantic import ValidationError

    try:
        head = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source} is not JSON (line {error.lineno}: {error.msg}). Choose a findings.json that OncoTrack wrote."
        ) from error
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise InputError(
            f'{source} is not an OncoTrack findings file: its "schema" is not "{SCHEMA}". '
            "Choose a findings.json that OncoTrack wrote."
        )
    version = head.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise InputError(
            f"{source} has version {version} of the findings schema and this OncoTrack reads up to {VERSION}. "
            "Update OncoTrack."
        )
    try:
        document = _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{source} does not fit the findings schema at {where}: {first['msg']}.") from error
    for name in ("findings", "measurements"):
        uids = [each.uid for each in getattr(document, name)]
        if len(set(uids)) < len(uids):
            raise InputError(f"{source} holds two {name} with the same tracking UID. Remove one of them.")
    return _with_not_found(document) if version == 1 else replace(document, version=VERSION)


def _with_not_found(document: FindingsDocument) -> FindingsDocument:
    """Return a document of version 1, in which "absent" also meant that a method had not found the lesion, as version 2."""
    findings = tuple(
        replace(finding, observations={key: _as_not_found(seen) for key, seen in finding.observations.items()})
        for finding in document.findings
    )
    return replace(document, findings=findings, version=VERSION)


def _as_not_found(seen: Observation) -> Observation:
    is_of_program = seen.state is State.ABSENT and not seen.provenance.reader and seen.evidence is not None
    return replace(seen, state=State.NOT_FOUND) if is_of_program else seen


@cache
def _adapter() -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(allow_inf_nan=False))(FindingsDocument))
