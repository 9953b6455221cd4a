"""The JSON format of a list of findings: schema "oncotrack-findings", version 3.

A place has one name: ``position_ras`` of an observation or alternative, ``expected_ras`` of the evidence, in RAS mm.
Versions 1 and 2 called them ``centre`` and ``expected``, had the side of a node in ``site``, and no ``side``,
``comment`` and ``reader``; version 1 had no "not found".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation, Side, State, TimePoint
from oncotrack.findings.measurement import Measurement
from oncotrack.findings.note import Note
from oncotrack.json_text import parse_json

SCHEMA = "oncotrack-findings"
VERSION = 3
_NAMES = {"centre": "position_ras", "expected": "expected_ras"}
"""Names of the attributes of observations, alternatives and evidence that differ in the file."""
_ATTRIBUTES = {name: attribute for attribute, name in _NAMES.items()}
_SIDES = {side.value for side in (Side.LEFT, Side.RIGHT, Side.MIDLINE)}


@dataclass(frozen=True)
class FindingsDocument:
    """The content of a list of findings; the names of its fields are the keys of the JSON text.

    `criteria` are those of the response to treatment, a key of `response.result.CRITERIA`. `freed_labels`, labels that were renamed or deleted in this session, are not written.
    """

    time_points: tuple[TimePoint, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    schema: str = SCHEMA
    version: int = VERSION
    freed_labels: tuple[str, ...] = ()
    criteria: str = "recist11"


Known = dict[str, tuple[Finding, str]]
"""The JSON text of findings by their UID, each with the finding that it is of."""


def dump(document: FindingsDocument, known: Known | None = None) -> str:
    """Return a document as JSON text.

    Parameters
    ----------
    document : FindingsDocument
        The time points and findings to write.
    known : dict of str to (Finding, str), optional
        Texts from an earlier call. They are used for findings that are still the same objects, and brought up to date.
    """
    known = {} if known is None else known
    texts = {finding.uid: _text_of(finding, known) for finding in document.findings}
    known.clear()
    known.update({finding.uid: (finding, texts[finding.uid]) for finding in document.findings})
    text = _dumped(replace(document, findings=()), _adapter(), exclude={"freed_labels"})
    if not texts:
        return text
    listed = ",\n".join(texts[finding.uid] for finding in document.findings)
    return text.replace('"findings": []', f'"findings": [\n{listed}\n ]', 1)


def _text_of(finding: Finding, known: Known) -> str:
    """Return a finding as indented text, as it stands in the list."""
    same, text = known.get(finding.uid, (None, ""))
    if same is finding:
        return text
    lines = _dumped(finding, _finding_adapter()).split("\n")  # texts in it have no line feeds of their own
    return "\n".join(f"  {line}" for line in lines)


def _dumped(content: Any, adapter: Any, **how: Any) -> str:
    text = adapter.dump_json(content, indent=1, **how).decode()
    for attribute, name in _NAMES.items():
        text = text.replace(f'"{attribute}": [', f'"{name}": [')  # no value: its quotation marks have a backslash
    return text


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

    head = parse_json(text, source, "Choose a findings.json that OncoTrack wrote.", _with_attributes)
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
        document = _adapter().validate_python(head)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(_NAMES.get(str(part), str(part)) for part in first["loc"])
        raise InputError(f"{source} does not fit the findings schema at {where}: {first['msg']}.") from error
    for name in ("findings", "measurements"):
        uids = [each.uid for each in getattr(document, name)]
        if len(set(uids)) < len(uids):
            raise InputError(f"{source} holds two {name} with the same tracking UID. Remove one of them.")
    findings = document.findings
    if version < 2:
        findings = tuple(map(_with_not_found, findings))
    if version < 3:
        findings = tuple(map(_with_side, findings))
    return replace(document, findings=findings, version=VERSION)


def _with_attributes(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an object of the file with the names of the attributes."""
    return {_ATTRIBUTES.get(name, name): value for name, value in entry.items()}


def _with_not_found(finding: Finding) -> Finding:
    """Return a finding of version 1, in which "absent" also meant that a method had not found the lesion."""
    return replace(finding, observations={key: _as_not_found(seen) for key, seen in finding.observations.items()})


def _with_side(finding: Finding) -> Finding:
    """Return a finding of version 1 or 2, in which a detector wrote the side into the site."""
    return replace(finding, side=Side(finding.site), site="") if finding.site in _SIDES else finding


def _as_not_found(seen: Observation) -> Observation:
    is_of_program = seen.state is State.ABSENT and not seen.provenance.reader and seen.evidence is not None
    return replace(seen, state=State.NOT_FOUND) if is_of_program else seen


@cache
def _adapter() -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(allow_inf_nan=False))(FindingsDocument))


@cache
def _finding_adapter() -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(allow_inf_nan=False))(Finding))
