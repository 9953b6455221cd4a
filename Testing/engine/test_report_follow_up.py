"""The report of two visits gives sizes, their change, and who decided."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from oncotrack.findings.finding import Axis, MatchEvidence, Observation, Provenance, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration
from oncotrack.report import write_report, write_visits_report

READER, PROGRAM = Provenance(reader="reader"), Provenance(method="selfsim")


def sized(long: float, short: float, volume: float | None = None, **fields) -> Observation:
    axes = {"long_axis": Axis((0, 0, 0), (long, 0, 0)), "short_axis": Axis((0, 0, 0), (0, short, 0))}
    return Observation(centre=(0, 0, 0), volume_mm3=volume, **axes, **fields)


@pytest.fixture(scope="module")
def scans() -> tuple[Volume, Volume]:
    geometry = Geometry((32, 32, 8), (4.0, 4.0, 5.0), (-62.0, -62.0, -17.5))
    array = np.random.default_rng(1).normal(40, 10, geometry.shape).astype(np.int16)
    return Volume(array, geometry, "CT 2025", "CT"), Volume(array, geometry, "CT 2026", "CT")


@pytest.fixture
def findings() -> FindingList:
    found = FindingList([TimePoint("t0", "baseline"), TimePoint("t1", "follow-up")])
    evidence = MatchEvidence((0, 0, 0), 8.0, 2.0)
    first = found.add("t0", sized(20.0, 12.0, 2500.0, state=State.ACCEPTED, provenance=READER))
    found.observe(first.uid, "t1", sized(15.0, 9.0, 1500.0, evidence=evidence, provenance=PROGRAM, score=0.8))
    found.describe(first.uid, role="target", side="right", site="liver", comment="dome <7>")
    gone = found.add("t0", sized(11.0, 7.0, state=State.ACCEPTED, provenance=READER))
    found.observe(
        gone.uid, "t1", Observation(centre=(0, 0, 0), state=State.ABSENT, evidence=evidence, provenance=READER)
    )
    lost = found.add("t0", Observation(centre=(5, 5, 0), state=State.ACCEPTED, provenance=READER))
    reason = replace(evidence, reason="No similar tissue found (similarity 0.09).")
    found.observe(
        lost.uid, "t1", Observation(centre=(5, 5, 0), state=State.NOT_FOUND, evidence=reason, provenance=PROGRAM)
    )
    found.add("t1", sized(8.0, 6.0, state=State.ACCEPTED, provenance=READER), label="L 9")
    return found


def rows(page: str) -> list[list[str]]:
    """Return the cells of the table, without the heading."""
    table = page.split("<table>")[1].split("</table>")[0]
    return [re.split("<td>", row.removesuffix("</tr>"))[1:] for row in table.split("<tr>")[2:]]


def test_two_visits_have_sizes_their_change_and_who_decided(findings, scans, tmp_path):
    pair = ScanPair(*scans, Registration(np.eye(4)))
    page = write_report(tmp_path / "report.html", pair, findings).read_text(encoding="utf-8")
    first, gone, lost, new = rows(page)
    assert first[:5] == [
        "L 1",
        "target, right liver",
        "20.0 mm x 12.0 mm, 2.5 ml, accepted",
        "15.0 mm x 9.0 mm, 1.5 ml, proposed",
        "long -5.0 mm (-25.0 %), short -3.0 mm (-25.0 %), volume -1.0 ml (-40.0 %)",
    ]
    assert first[5:] == ["2.0 mm off (good below 5)", "0.80"]
    assert gone[2:] == ["11.0 mm x 7.0 mm, accepted", "absent (reader)", "", "", ""], "no figures of a former match"
    assert lost[3] == "not found (program)"
    assert new[:4] == ["L 9", "", "-", "8.0 mm x 6.0 mm, accepted"], (
        "a lesion that only the follow-up shows is in the table"
    )
    assert "No similar tissue found (similarity 0.09)." in page and "Comment: dome &lt;7&gt;" in page


def test_the_report_of_many_visits_gives_the_change_from_visit_to_visit(findings, scans, tmp_path):
    page = write_visits_report(tmp_path / "visits.html", scans, findings).read_text(encoding="utf-8")
    assert (
        "follow-up: long -5.0 mm (-25.0 %), short -3.0 mm (-25.0 %), volume -1.0 ml (-40.0 %) since baseline." in page
    )
    assert "target, right liver" in page and "20.0 mm x 12.0 mm, 2.5 ml, accepted" in page


def test_a_label_that_looks_like_a_formula_does_not_stop_a_report(findings, scans, tmp_path):
    findings.rename(findings.findings[0].uid, r"L $\frac{1$ <b>")
    pair = ScanPair(*scans, Registration(np.eye(4)))
    for page in (
        write_report(tmp_path / "a.html", pair, findings),
        write_visits_report(tmp_path / "b.html", scans, findings),
    ):
        assert r"L $\frac{1$ &lt;b&gt;" in page.read_text(encoding="utf-8")
