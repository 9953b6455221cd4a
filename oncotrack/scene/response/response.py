"""The response session, used by the Slicer module and the browser: it reads the findings of a follow-up session."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from undo_stack import Signal

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.assessment import Assessment, Judgement
from oncotrack.findings.finding import Finding, Observation, Provenance, Role, State, TimePoint, point
from oncotrack.findings.observation_edits import with_state
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM
from oncotrack.response.course_of_findings import course_of_findings
from oncotrack.response.result import CRITERIA, CourseResponse, respond
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.tasks import Task

_REACH_MM = 6.0  # of a click on a small finding


class ResponseScene:
    """The response of the patient whose visits a follow-up session holds; every choice and judgement is one step of undo.

    Parameters
    ----------
    session : FollowUpScene
        Its visits are the columns, its findings the rows.
    """

    changed = Signal()
    """The response, or what it follows from, may be different now."""

    def __init__(self, session: FollowUpScene) -> None:
        self.session = session
        self._computed: tuple[tuple, CourseResponse | None, str] | None = None
        session.changed.connect(self.changed.emit)

    def close(self) -> None:
        """Stop observing the follow-up session."""
        self.session.changed.disconnect(self.changed.emit)

    # the response

    @property
    def visits(self) -> tuple[TimePoint, ...]:
        """The visits, in the reader's order."""
        return self.session.time_points

    @property
    def criteria(self) -> str:
        """The criteria, a key of `CRITERIA`."""
        return self.session.findings.criteria

    @property
    def result(self) -> CourseResponse | None:
        """The response; None where there is none, and `problem` says why."""
        return self._compute()[0]

    @property
    def problem(self) -> str:
        """Why there is no response; "" where there is one."""
        return self._compute()[1]

    def _compute(self) -> tuple[CourseResponse | None, str]:
        findings = self.session.findings
        key = self.visits, findings.findings, self.criteria
        if self._computed is None or self._computed[0] != key:
            try:
                self._computed = key, respond(course_of_findings(self.visits, findings), self.criteria), ""
            except OncoTrackError as error:
                self._computed = key, None, str(error)
        return self._computed[1:]

    # choices of the reader

    def choose_criteria(self, criteria: str) -> None:
        """Choose RECIST 1.1 or iRECIST ("recist11", "irecist")."""
        if criteria not in CRITERIA:
            raise InputError(f'There are no criteria "{criteria}"; choose {" or ".join(CRITERIA)}.')
        self.session.findings.set_criteria(criteria)

    def set_role(self, role: Role | str, uid: str = "", site: str = "") -> None:
        """Give a finding (the current one by default) a role in RECIST, and an organ where one is named."""
        self.session.describe(uid, role=role, site=site or None)

    def set_site(self, site: str, uid: str = "") -> None:
        """Give a finding (the current one by default) an organ or lymph node station."""
        self.session.describe(uid, site=site)

    def choose_at(self, time_point: str, at: Sequence[float], role: Role | str, site: str = "") -> Task | None:
        """Give the finding at a position (RAS mm) of a scan a role and an organ.

        Where there is no finding, a new lesion is added, or a lesion in the baseline is followed by the task that is returned.

        Raises
        ------
        InputError
            Nothing is marked there, and a lesion of this role can only be marked in the baseline.
        """
        role = Role(role)
        near = [
            (math.dist(seen.centre, at), finding.uid)
            for finding, seen in self.session.findings.observations_at(time_point)
            if math.dist(seen.centre, at) <= max(seen.radius_mm or 0.0, _REACH_MM)
        ]
        if near:
            uid = min(near)[1]
            self.set_role(role, uid, site)
            self.session.nodes.select(uid)
            return None
        ids = [visit.id for visit in self.visits]
        if role is Role.NEW and time_point in ids[1:]:
            self.add_new(at, ids.index(time_point), site)
            return None
        if role is Role.NEW or time_point != self.session.baseline_id:
            raise InputError("No lesion is marked there. Click it in the baseline, or click one that is marked.")
        return self.session.place(at, role=role, site=site)

    def toggle_target(self, uid: str = "") -> None:
        """Make a finding (the current one by default) a target lesion, or take that role from it."""
        is_target = self._finding(uid).role is Role.TARGET
        self.set_role(Role.NONE if is_target else Role.TARGET, uid)

    def judge(self, judgement: Judgement | str, uid: str = "", visit: int = -1, merged_with: str = "") -> None:
        """Judge a finding at a visit (by default the current one, at the visit that the follow-up's views show).

        At a visit where it was not looked for, it is recorded at the place of the visit before, as judged by the reader.

        Raises
        ------
        InputError
            It has merged, but the finding `merged_with` is not another one of the list.
        """
        judgement = Judgement(judgement)
        if judgement is not Judgement.MERGED:
            merged_with = ""
        elif merged_with not in self.session.findings or merged_with == self._finding(uid).uid:
            raise InputError("Choose the other lesion with which it has merged; that one is measured for both.")
        text = f"mark {{}} as {judgement.value or 'measured'}"
        self._assess(uid, visit, text, judgement=judgement, merged_with=merged_with)

    def set_split(self, other: str = "", uid: str = "") -> None:
        """Say that a finding is a fragment of another one ("" for none); the fragments of a lesion are added up.

        Raises
        ------
        InputError
            The other one is not in the list, is the same one, or is a fragment itself.
        """
        finding, findings = self._finding(uid), self.session.findings
        if other and (other == finding.uid or other not in findings or findings[other].split_from):
            raise InputError("Choose the lesion that has split: another one of the list that is no fragment itself.")
        what = f"a fragment of {findings[other].label}" if other else "no fragment"
        findings.update(finding.uid, f"mark {finding.label} as {what}", split_from=other)

    def set_equivocal(self, is_equivocal: bool, uid: str = "", visit: int = -1) -> None:
        """Say whether a new lesion, or a progression, is only suspected."""
        self._assess(
            uid, visit, "mark {} as " + ("suspected" if is_equivocal else "certain"), is_equivocal=is_equivocal
        )

    def set_larger(self, is_larger: bool, uid: str = "", visit: int = -1) -> None:
        """Say whether a lesion is larger than at the visit before; iRECIST needs this of lesions without a sum."""
        self._assess(uid, visit, "mark {} as " + ("larger" if is_larger else "not larger"), is_larger=is_larger)

    def mark_gone(self, uid: str = "", visit: int = -1) -> None:
        """Record that a lesion is no longer present at a visit."""
        finding, time_point = self._finding(uid), self._visit(visit)
        seen = with_state(self._seen(finding, time_point.id), State.ABSENT, self._reader)
        self._observe(finding, time_point, replace(seen, assessment=Assessment()), f"mark {finding.label} absent")

    def resize(self, part: str, length_mm: float, uid: str = "", visit: int = -1) -> Task:
        """Return the task that gives the "long axis" or the "short axis" of a lesion at a visit another length, mm; its mask follows."""
        return self.session.axes_edits.resize(self._finding(uid), self._visit(visit).id, part, length_mm)

    def add_new(
        self, at: Sequence[float], visit: int = -1, site: str = "", radius_mm: float = DEFAULT_RADIUS_MM
    ) -> Finding:
        """Add a new lesion at a visit (by default the one that the follow-up's views show), RAS mm, and return it.

        Raises
        ------
        InputError
            The visit is the baseline: what is seen there is not new.
        """
        time_point = self._visit(visit)
        if time_point == self.visits[0]:
            raise InputError("A lesion that is seen at baseline is not new. Click it at a later visit.")
        seen = Observation(
            centre=point(at), state=State.ACCEPTED, radius_mm=radius_mm, provenance=Provenance(reader=self._reader)
        )
        findings = self.session.findings
        label = findings.next_label()
        with findings.group(f"add the new lesion {label}"):
            self.session.name_time_points()
            finding = findings.add(time_point.id, seen, label=label, role=Role.NEW, site=site)
        self.session.nodes.select(finding.uid)
        return finding

    @property
    def shown(self) -> int:
        """The visit that the follow-up's views show, from 0; -1 without one."""
        ids = [visit.id for visit in self.visits]
        return ids.index(self.session.followup_id) if self.session.followup_id in ids else -1

    # private

    @property
    def _reader(self) -> str:
        return self.session.reader or "reader"

    def _finding(self, uid: str) -> Finding:
        if uid:
            return self.session.findings[uid]
        if self.session.current is None:
            raise InputError("No finding is chosen. Choose one in the table, or click one in a scan.")
        return self.session.current

    def _visit(self, visit: int) -> TimePoint:
        number = self.shown if visit < 0 else visit
        if not 0 <= number < len(self.visits):
            raise InputError("There is no such visit. Open a baseline and a follow-up first.")
        return self.visits[number]

    def _seen(self, finding: Finding, time_point: str) -> Observation:
        """Return what is known of a finding at a visit; where nothing is, its place at the nearest visit before, or after."""
        if (seen := finding.at(time_point)) is not None:
            return seen
        ids = [visit.id for visit in self.visits]
        here = ids.index(time_point)
        near = sorted((n for n, each in enumerate(ids) if finding.at(each)), key=lambda n: (n > here, abs(n - here)))
        other = finding.at(ids[near[0]]) if near else next(iter(finding.observations.values()))
        return Observation(centre=other.centre, radius_mm=other.radius_mm)

    def _assess(self, uid: str, visit: int, text: str, **judged: object) -> None:
        finding, time_point = self._finding(uid), self._visit(visit)
        seen = self._seen(finding, time_point.id)
        assessment = replace(seen.assessment, **judged)
        state = seen.state if seen.is_decided and seen.is_there else State.ACCEPTED
        changed = replace(with_state(seen, state, self._reader), assessment=assessment)
        self._observe(finding, time_point, changed, text.format(finding.label))

    def _observe(self, finding: Finding, time_point: TimePoint, seen: Observation, text: str) -> None:
        findings = self.session.findings
        with findings.group(text):
            self.session.name_time_points()
            findings.observe(finding.uid, time_point.id, seen, text)
