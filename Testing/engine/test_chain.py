"""A lesion is followed from visit to visit, each searched from the last known position."""

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.errors import Cancelled, InputError
from oncotrack.findings.finding import Observation, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.visit_table import cell, headings, lines
from oncotrack.followup.chain import KnownPosition, VisitPairs, follow_chain, follow_chains
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.methods import RegistrationTracker
from oncotrack.followup.selfsim import SelfSimilarity
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration
from oncotrack.report import write_visits_report

STEP = np.array([2.0, -1.0, 3.0])  # shift of the patient from visit to visit, mm
LESION = (4.0, -6.0, 2.0)


def scan(visit: int = 0, size=(40, 40, 32)) -> Volume:
    """Return a blob (HU) in noise, moved by STEP at each visit."""
    geometry = Geometry(size, (2.0, 2.0, 2.0), tuple(1.0 - np.array(size)))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    place = geometry.to_ras(np.stack([i, j, k], -1)) - visit * STEP
    array = 30 + 40 * np.sin(place / 7).sum(-1) + 150 * np.exp(-((place - LESION) ** 2).sum(-1) / 32)
    array += np.random.default_rng(visit).normal(0, 8, array.shape)
    return Volume(array.astype(np.int16), geometry, f"visit {visit + 1}", "CT")


def moved(steps: int) -> Registration:
    matrix = np.eye(4)
    matrix[:3, 3] = steps * STEP
    return Registration(matrix)


@pytest.fixture(scope="module")
def scans():
    return [scan(visit) for visit in range(6)]


@pytest.fixture
def pairs(scans):
    """Return a function that gives the registered pair of two visits and records its calls."""
    requested = []

    def pair_of(earlier, later):
        requested.append((earlier, later))
        return ScanPair(scans[earlier], scans[later], moved(later - earlier))

    pair_of.requested = requested
    return pair_of


class Blind(RegistrationTracker):
    """A tracker that finds nothing at some visits."""

    def __init__(self, *visits):
        super().__init__()
        self._names = [f"visit {visit + 1}" for visit in visits]

    def match(self, pair, at, radius_mm=10.0, progress=None):
        match = super().match(pair, at, radius_mm)
        return replace(match, found=False, reason="Gone.") if pair.followup.name in self._names else match


def places(chain):
    return [(link.visit, link.start, tuple(np.round(link.match.position, 3))) for link in chain]


def at(visit):
    return tuple(np.round(LESION + visit * STEP, 3))


def test_the_first_visit_is_followed_to_the_sixth_from_each_visit_to_the_next(pairs):
    chain = follow_chain(pairs, 6, RegistrationTracker(), {0: KnownPosition(LESION, 7.0)})
    assert places(chain) == [(n, n - 1, at(n)) for n in range(1, 6)]
    assert all(link.match.radius_mm == 7.0 for link in chain)


def test_after_a_visit_without_match_the_search_starts_from_the_last_one_with_a_match(pairs):
    chain = follow_chain(pairs, 5, Blind(2, 3), {0: KnownPosition(LESION)})
    assert [(link.visit, link.start, link.match.found) for link in chain] == [
        (1, 0, True),
        (2, 1, False),
        (3, 1, False),
        (4, 1, True),
    ]
    assert places(chain)[-1][2] == at(4)
    assert pairs.requested == [(0, 1), (1, 2), (1, 3), (1, 4)], "no other pair is registered"


def test_a_corrected_position_is_not_searched_and_the_chain_continues_from_it(pairs):
    put = (0.0, 0.0, 0.0)
    chain = follow_chain(pairs, 4, RegistrationTracker(), {0: KnownPosition(LESION, 5.0), 2: KnownPosition(put)})
    assert [(link.visit, link.start) for link in chain] == [(1, 0), (3, 2)]
    assert np.allclose(chain[-1].match.position, STEP)
    assert chain[-1].match.radius_mm == 5.0, "a position without a radius keeps the previous one"


def test_a_visit_marked_absent_by_the_reader_is_skipped(pairs):
    chain = follow_chain(pairs, 3, RegistrationTracker(), {0: KnownPosition(LESION), 1: None})
    assert places(chain) == [(2, 0, at(2))]


def test_lesions_that_begin_at_other_visits_are_followed_together(pairs):
    late, lost = {2: KnownPosition(at(2))}, {0: KnownPosition(LESION), 2: None}
    first, second = follow_chains(pairs, 4, RegistrationTracker(), [late, lost])
    assert places(first) == [(3, 2, at(3))]
    assert places(second) == [(1, 0, at(1)), (3, 1, at(3))]


def test_the_self_similarity_tracker_follows_the_tissue_and_not_the_registration(scans):
    chain = follow_chain(
        lambda a, b: ScanPair(scans[a], scans[b], Registration(np.eye(4))),
        3,
        SelfSimilarity(),
        {0: KnownPosition(LESION, 5.0)},
    )
    assert [link.match.found for link in chain] == [True, True]
    assert np.linalg.norm(np.subtract(chain[-1].match.position, at(2))) < 1.5


def test_the_similarity_map_peaks_where_the_lesion_is(scans):
    pair = ScanPair(scans[0], scans[2], Registration(np.eye(4)))
    shown = SelfSimilarity().probability_map(pair, LESION, 5.0)
    assert shown.array.dtype == np.float32 and shown.array.min() >= 0.0 and 0.8 < shown.array.max() <= 1.0
    k, j, i = np.unravel_index(shown.array.argmax(), shown.array.shape)
    assert np.linalg.norm(shown.geometry.to_ras((i, j, k)) - at(2)) < 4.0


def test_several_lesions_are_matched_as_one_batch_where_supported(pairs):
    class Batched(RegistrationTracker):
        calls = 0

        def match_many(self, pair, lesions, progress):
            self.calls += 1
            return [self.match(pair, at, radius) for at, radius in lesions]

    tracker, pair = Batched(), pairs(0, 1)
    lesions = [(LESION, 5.0), ((0.0, 0.0, 0.0), 6.0)]
    assert match_all(tracker, pair, lesions) == match_all(RegistrationTracker(), pair, lesions)
    assert tracker.calls == 1
    with pytest.raises(InputError, match="outside visit 1"):
        match_all(tracker, pair, [*lesions, ((900.0, 0.0, 0.0), 5.0)])
    assert tracker.calls == 1, "nothing is matched when one cannot be"


def test_progress_increases_and_can_cancel_the_chain(pairs):
    calls = []
    follow_chain(pairs, 4, Blind(1), {0: KnownPosition(LESION)}, lambda fraction, text: calls.append((fraction, text)))
    fractions = [fraction for fraction, _text in calls]
    assert fractions == sorted(fractions) and fractions[0] >= 0.0 and fractions[-1] <= 1.0
    assert calls[0][1].startswith("Visit 2 of 4")

    def stop(fraction, _text):
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        follow_chain(pairs, 4, RegistrationTracker(), {0: KnownPosition(LESION)}, stop)


def test_a_lesion_without_position_and_a_single_scan_are_refused(pairs, scans):
    with pytest.raises(InputError, match="no position at any visit"):
        follow_chain(pairs, 3, RegistrationTracker(), {0: None})
    with pytest.raises(InputError, match="at least two scans"):
        VisitPairs(scans[:1])


def test_the_pair_of_two_visits_is_created_once(scans):
    visits = VisitPairs(scans[:3], cache=False)
    assert visits(0, 2) is visits(0, 2)
    assert len(visits) == 3 and visits.registrations == {}


def test_the_table_and_the_report_have_a_column_for_each_visit(pairs, scans, tmp_path):
    chain = follow_chain(pairs, 3, Blind(2), {0: KnownPosition(LESION, 5.0)})
    visits = [
        TimePoint("t0", "baseline", date="20240301"),
        TimePoint("t1", "follow-up"),
        TimePoint("t2", "follow-up 2"),
    ]
    findings = FindingList(visits)
    finding = findings.add("t0", Observation(centre=LESION, state=State.ACCEPTED, volume_mm3=2400.0))
    for link in chain:
        findings.observe(finding.uid, f"t{link.visit}", link.match.observation())
    (line,) = lines(visits, findings.findings)
    assert headings(visits) == ["baseline 2024-03-01", "follow-up", "follow-up 2"]
    assert line.cells == ("2.4 ml, accepted", "proposed", "not found (program)")
    assert line.tips[2].startswith("Gone.") and "affine" in line.tips[1]
    assert cell(None) == "-"
    page = write_visits_report(tmp_path / "report.html", scans[:3], findings).read_text()
    assert all(f"<th>{heading}" in page for heading in headings(visits))
    assert "not found" in page and page.count("data:image/png") == 1
