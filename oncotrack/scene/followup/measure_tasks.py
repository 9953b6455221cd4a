"""The tasks that measure matches: mask, diameters and volume of a lesion, proposed from what it looked like at baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oncotrack.background.jobs import Progress, part_of
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation
from oncotrack.followup.match_lesions import lesion_message
from oncotrack.followup.measure import measure_match, measure_start
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.time_point_selection import TimePointSelection

_REGISTERING = 0.3  # part of the progress bar


def may_be_measured(finding: Finding, baseline_id: str, followup_id: str) -> bool:
    """Return whether a lesion is seen at both visits, and no reader has measured or accepted a size of the match."""
    before, match = finding.at(baseline_id), finding.at(followup_id)
    if before is None or match is None or not (before.is_there and match.is_there):
        return False
    return not (match.is_decided and match.is_measured) or match.is_size_proposed


class MeasureTasks:
    """Factory of the tasks that measure lesions at baseline, where they have no mask, and at the follow-up.

    Parameters
    ----------
    nodes : FindingNodes
    choice : TimePointSelection
    go_to : callable
        Shows a finding by its uid, after it was measured.
    """

    def __init__(self, nodes: FindingNodes, choice: TimePointSelection, go_to: Callable[[str], None]) -> None:
        self._nodes, self._choice, self._go_to = nodes, choice, go_to

    def measure(self, findings: Sequence[Finding], text: str) -> Task:
        """Return the task that proposes mask and diameters of matches, one step of undo named `text`.

        A lesion without a mask at baseline gets one there too. A size that a reader drew, edited or accepted is kept, and so
        is a finding that was changed while the task ran. Where one of several cannot be measured, the others are, and
        the nodes' `refused` says why it was not. Applying it returns the findings.

        Raises
        ------
        InputError
            A finding is not seen at both visits, or a reader has decided on its size.
        """
        ids = self._choice.baseline_id, self._choice.followup_id
        for finding in findings:
            _check(finding, *ids)
        scans = self._choice.scans()

        failed: list[InputError] = []

        def work(progress: Progress) -> list[tuple[Observation, Observation] | None]:
            pair = scans.pair
            failed.clear()
            pair.registration(part_of(progress, 0.0, _REGISTERING))
            measured: list[tuple[Observation, Observation] | None] = []
            for number, finding in enumerate(findings):
                done = _REGISTERING + (1 - _REGISTERING) * number / len(findings)
                progress(done, lesion_message(number, len(findings)) or "Fitting the mask to the follow-up")
                try:
                    before = finding.observation(ids[0])
                    if before.mask is None:
                        before = measure_start(pair.baseline, before)
                    measured.append((before, measure_match(pair, before, finding.observation(ids[1]))))
                except InputError as error:
                    failed.append(InputError(f"{finding.label} was not measured. {error}"))
                    measured.append(None)
            if len(failed) == len(findings):
                raise failed[0]
            return measured

        def apply(measured: list[tuple[Observation, Observation] | None]) -> tuple[Finding, ...]:
            if not scans.is_of(self._choice.baseline, self._choice.followup):
                raise InputError("The scans were changed meanwhile, so the measurement was discarded. Measure again.")
            if (registration := scans.registration) is not None:
                self._choice.draw_registration(registration)
            known = self._nodes.findings
            with known.group(text):
                for finding, seen in zip(findings, measured, strict=True):
                    if seen is not None and known.is_still(finding, *ids):
                        for time_point, observation in zip(ids, seen, strict=True):
                            known.observe(finding.uid, time_point, observation)
            left = tuple(known[finding.uid] for finding in findings if finding.uid in known)
            if left:
                self._go_to(left[0].uid)
            if failed:
                self._nodes.refused.emit(InputError(" ".join(map(str, failed))))
            return left

        return Task("Measuring", work, apply)


def _check(finding: Finding, baseline_id: str, followup_id: str) -> None:
    before, match = finding.at(baseline_id), finding.at(followup_id)
    for seen, where in ((before, "baseline"), (match, "follow-up")):
        if seen is None or not seen.is_there:
            raise InputError(f"{finding.label} is not seen in the {where}, so it cannot be measured. Follow it first.")
    if not may_be_measured(finding, baseline_id, followup_id):
        raise InputError(
            f"The size of {finding.label} in the follow-up was decided by a reader and is kept. Drag an end of a diameter "
            "to change it, or remove its mask and diameters first."
        )
