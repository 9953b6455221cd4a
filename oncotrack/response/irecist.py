"""iRECIST: unconfirmed and confirmed progression under immunotherapy (L. Seymour et al., Lancet Oncol 18, 2017, tables 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from oncotrack.response.course import Visit
from oncotrack.response.criteria import Response, Settings
from oncotrack.response.recist import overall

EARLY_DAYS = 2
"""A confirming visit may be this much earlier than `Settings.confirmation_days` (RECIST working group, questions on iRECIST)."""


class Category(str, Enum):
    """What can progress."""

    TARGET = "target lesions"
    NON_TARGET = "non-target lesions"
    NEW = "new lesions"


class IResponse(str, Enum):
    """Response of the patient at one visit by iRECIST."""

    ICR = "iCR"
    IPR = "iPR"
    ISD = "iSD"
    NON = "Non-iCR/Non-iUPD"
    IUPD = "iUPD"
    ICPD = "iCPD"
    NE = "NE"
    NED = "NED"


_PREFIXED = {
    Response.CR: IResponse.ICR,
    Response.PR: IResponse.IPR,
    Response.SD: IResponse.ISD,
    Response.NON: IResponse.NON,
    Response.NE: IResponse.NE,
    Response.NED: IResponse.NED,
}
_BEST_FIRST = (Response.CR, Response.PR, Response.SD, Response.PD)


@dataclass(frozen=True)
class Evidence:
    """What iRECIST needs to know of one visit.

    Attributes
    ----------
    visit : Visit
        The visit.
    target, non_target : Response
        By the rules of RECIST 1.1.
    has_new : bool
        Whether there are new lesions, of this visit or of an earlier one.
    progress : mapping of Category to str
        What meets the rules of RECIST 1.1 for progression, with a sentence; lesions that are new at this visit too.
    growth : mapping of Category to str
        What has grown since the visit of the unconfirmed progression, with a sentence.
    added : str
        The sentence about lesions that are new at this visit; "" where there is none.
    days : int, optional
        Days after baseline.
    """

    visit: Visit
    target: Response
    non_target: Response
    has_new: bool
    progress: Mapping[Category, str]
    growth: Mapping[Category, str]
    added: str = ""
    days: int | None = None


@dataclass(frozen=True)
class IVerdict:
    """A response by iRECIST and one sentence with the rule and the measurements that gave it."""

    response: IResponse
    why: str


@dataclass(frozen=True)
class Status:
    """What is known before a visit.

    Attributes
    ----------
    start : Evidence, optional
        Of the visit at which an unconfirmed progression began.
    categories : frozenset of Category
        What has progressed since.
    confirmed : str
        The sentence about the confirmed progression; "" before it.
    """

    start: Evidence | None = None
    categories: frozenset[Category] = frozenset()
    confirmed: str = ""


def verdict(evidence: Evidence, status: Status, settings: Settings) -> tuple[IVerdict, Status]:
    """Return the response at one visit, and what is known after it.

    Parameters
    ----------
    evidence : Evidence
        Of this visit.
    status : Status
        What is known before it.
    settings : Settings
        With the days for confirmation.
    """
    start, progress = status.start, frozenset(evidence.progress)
    if status.confirmed and start is not None:
        if progress or not _is_reset(evidence, start, status.categories):
            return IVerdict(IResponse.ICPD, f"Progression stays confirmed. {status.confirmed}"), status
        plain = _without_progression(evidence)
        return IVerdict(plain.response, f"{plain.why} It follows a confirmed progression, which stays the end."), status
    if start is None:
        if not progress:
            return _without_progression(evidence), status
        return IVerdict(IResponse.IUPD, _sentences(evidence.progress.values())), Status(evidence, progress)
    if reasons := _confirmations(evidence, start, status.categories, settings):
        why = f"The progression of {start.visit.label} is confirmed at {evidence.visit.label}: {_sentences(reasons)}"
        return IVerdict(IResponse.ICPD, why), Status(start, status.categories, why)
    if not progress:
        plain = _without_progression(evidence)
        if plain.response is IResponse.NE and not evidence.has_new:
            return plain, status
        if plain.response is not IResponse.NE and _is_reset(evidence, start, status.categories):
            why = f"{plain.why} The unconfirmed progression of {start.visit.label} no longer counts."
            return IVerdict(plain.response, why), Status()
    early = f" Growth counts from {settings.confirmation_days} days on." * (
        bool(evidence.growth) and _is_early(evidence, start, settings)
    )
    why = f"The progression of {start.visit.label} is neither confirmed by further growth nor resolved.{early}"
    return IVerdict(IResponse.IUPD, why), Status(start, status.categories | progress)


def best_immune(steps: Sequence[tuple[IResponse, str, int | None]], settings: Settings) -> IVerdict:
    """Return the best overall response by iRECIST (table 3); responses after a confirmed progression do not count.

    Parameters
    ----------
    steps : sequence of (IResponse, str, int or None)
        Response, label of the visit, and days after baseline, in the order of the visits.
    settings : Settings
        With the days for SD.
    """
    confirmed = next((n for n, step in enumerate(steps) if step[0] is IResponse.ICPD), len(steps))
    for wanted in (IResponse.ICR, IResponse.IPR, IResponse.ISD, IResponse.NON):
        for response, label, days in steps[:confirmed]:
            is_long = wanted in (IResponse.ICR, IResponse.IPR) or days is None or days >= settings.stable_days
            if response is wanted and is_long:
                return IVerdict(wanted, f"{wanted.value} at {label} is the best response before confirmed progression.")
    for wanted in (IResponse.ICPD, IResponse.IUPD, IResponse.NED):
        for response, label, _days in steps:
            if response is wanted:
                return IVerdict(wanted, f"{wanted.value} at {label}; there was no better response.")
    return IVerdict(IResponse.NE, "No visit could be evaluated, or iSD was too short.")


def _without_progression(evidence: Evidence) -> IVerdict:
    """Return the response where nothing progressed at this visit: that of RECIST 1.1; new lesions exclude iCR."""
    plain = overall(evidence.target, evidence.non_target, False)
    response = _PREFIXED[plain.response]
    if evidence.has_new and response is IResponse.ICR:
        return IVerdict(IResponse.IPR, "All lesions of baseline are gone; earlier new lesions are still there.")
    table = f"target {evidence.target.value}, non-target {evidence.non_target.value}, nothing progressed"
    return IVerdict(response, f"iRECIST, table 2: {table}, so {response.value}.")


def _confirmations(
    evidence: Evidence, start: Evidence, categories: frozenset[Category], settings: Settings
) -> list[str]:
    """Return why an unconfirmed progression is confirmed: further growth, more new lesions, or progression elsewhere."""
    if _is_early(evidence, start, settings):
        return [evidence.added] if evidence.added else []
    grown = [text for category, text in evidence.growth.items() if category in categories]
    elsewhere = [text for category, text in evidence.progress.items() if category not in categories]
    return list(dict.fromkeys([*grown, *elsewhere]))


def _is_early(evidence: Evidence, start: Evidence, settings: Settings) -> bool:
    if evidence.days is None or start.days is None:
        return False
    return evidence.days - start.days < settings.confirmation_days - EARLY_DAYS


def _is_reset(evidence: Evidence, start: Evidence, categories: frozenset[Category]) -> bool:
    """Return whether an unconfirmed progression is over; new lesions that stay need target lesions that have shrunk."""
    if Category.NEW not in categories or not evidence.has_new:
        return True
    if evidence.target not in _BEST_FIRST or start.target not in _BEST_FIRST:
        return False
    return _BEST_FIRST.index(evidence.target) < _BEST_FIRST.index(start.target)


def _sentences(texts: Iterable[str]) -> str:
    return " ".join(text for text in texts if text)
