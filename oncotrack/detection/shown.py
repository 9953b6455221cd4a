"""Which proposals of a detector are shown at first: the most probable ones; a reader who wants more lowers the threshold."""

from __future__ import annotations

from collections.abc import Sequence

from oncotrack.findings.finding import Finding

SHOWN_AT_MOST = 15
"""Proposals with a probability that are shown at first; those of a detector without probabilities are all shown."""


def shown_and_hidden(
    findings: Sequence[Finding], time_point: str, most: int = SHOWN_AT_MOST
) -> tuple[list[Finding], list[Finding]]:
    """Divide proposals into those that are shown at first and the others.

    Parameters
    ----------
    findings : sequence of Finding
        From a detector, best first.
    time_point : str
        Of their observations.
    most : int
        Number of proposals that are shown if they have probabilities; without, all are shown.
    """
    least = least_confidence(findings, time_point, most)
    shown = [each for each in findings if (each.observations[time_point].confidence or 0.0) >= least][:most]
    return (list(findings), []) if not least else (shown, [each for each in findings if each not in shown])


def least_confidence(findings: Sequence[Finding], time_point: str, most: int = SHOWN_AT_MOST) -> float:
    """Return the confidence of the last proposal that is shown at first; 0 if all are.

    Parameters
    ----------
    findings : sequence of Finding
        From a detector, in any order.
    time_point : str
        Of their observations.
    most : int
        Number of proposals that are shown.
    """
    seen = [finding.observations[time_point].probability for finding in findings]
    known = sorted((each for each in seen if each is not None), reverse=True)
    return known[most - 1] if len(known) > most and len(known) == len(findings) else 0.0
