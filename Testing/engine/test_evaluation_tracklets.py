"""Linking metrics on small stacks worked by hand, and against TrackEval."""

import numpy as np
import pytest

from oncotrack.errors import InputError, MissingPackageError
from oncotrack.evaluation import tracklets
from oncotrack.findings.finding import Finding, Observation, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import SliceBox, Tracklet

A, B = (0, 0, 10, 10), (20, 0, 30, 10)


def stack(*slices):
    """Slices of {identity: box}."""
    return [(np.array(list(s), int), np.array(list(s.values()), float).reshape(-1, 4)) for s in slices]


@pytest.fixture
def truth():
    return stack(*[{1: A, 2: B}] * 4)


def test_a_node_cut_in_two(truth):
    found = stack({5: A, 6: B}, {5: A, 6: B}, {7: A, 6: B}, {7: A, 6: B})
    matched = tracklets.links(truth, found)
    assert matched[0] == {1: 5, 2: 6} and matched[3] == {1: 7, 2: 6}
    assert tracklets.fragmentation(matched) == 1
    assert tracklets.identity_switches(matched) == 1 and tracklets.wrong_merges(matched) == 0


def test_two_nodes_fused_into_one_tracklet(truth):
    found = stack({5: A}, {5: A}, {5: B}, {5: B})
    matched = tracklets.links(truth, found)
    assert tracklets.wrong_merges(matched) == 1
    assert tracklets.fragmentation(matched) == 0 and tracklets.identity_switches(matched) == 0


def test_identities_that_swap_and_a_gap(truth):
    swapped = tracklets.links(truth, stack({1: A, 2: B}, {1: B, 2: A}, {1: A, 2: B}, {1: A, 2: B}))
    assert tracklets.identity_switches(swapped) == 4
    assert tracklets.fragmentation(swapped) == 2 and tracklets.wrong_merges(swapped) == 2
    gap = tracklets.links(truth, stack({1: A, 2: B}, {}, {1: A, 2: B}, {}))
    assert tracklets.identity_switches(gap) == 0 and gap[1] == {}


def test_a_pair_that_was_linked_is_kept_while_it_still_fits():
    truth = stack({1: A}, {1: A})
    found = stack({5: A}, {5: (0, 0, 10, 7), 6: A})
    assert tracklets.links(truth, found) == [{1: 5}, {1: 5}]
    with pytest.raises(InputError, match="same slices"):
        tracklets.links(truth, found[:1])


def test_truth_against_itself_and_against_nothing(truth):
    same = tracklets.links(truth, truth)
    assert all(
        metric(same) == 0 for metric in (tracklets.fragmentation, tracklets.wrong_merges, tracklets.identity_switches)
    )
    nothing = tracklets.links(truth, stack({}, {}, {}, {}))
    assert nothing == [{}] * 4 and tracklets.fragmentation(nothing) == 0


def test_findings_give_their_slice_boxes():
    boxes = tuple(SliceBox(k, (0, 0), (10, 10)) for k in (1, 2))
    tracklet = Tracklet((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2), boxes)
    seen = Observation(centre=(5, 5, 3), tracklet=tracklet)
    listed = FindingList([TimePoint("t0", "scan")], [Finding(label="LN 1", observations={"t0": seen})])
    slices = tracklets.slice_boxes(listed, "t0", 0, 3)
    assert [len(ids) for ids, _ in slices] == [0, 1, 1, 0] and slices[1][1].tolist() == [[0, 0, 10, 10]]


def test_hota_of_a_node_cut_in_two(truth):
    pytest.importorskip("trackeval")
    assert tracklets.hota(truth, truth) == {"HOTA": 100, "DetA": 100, "AssA": 100}
    found = stack({5: A, 6: B}, {5: A, 6: B}, {7: A, 6: B}, {7: A, 6: B})
    scores = tracklets.hota(truth, found)
    # 4 of 8 detections lie in whole tracks (association 1), 4 in halves (2 / 4): AssA = 3/4, DetA = 1
    assert scores["DetA"] == pytest.approx(100) and scores["AssA"] == pytest.approx(75)
    assert scores["HOTA"] == pytest.approx(100 * np.sqrt(0.75))
    assert tracklets.hota(truth, stack({}, {}, {}, {}))["HOTA"] == 0


def test_identity_switches_are_trackevals():
    clear = pytest.importorskip("trackeval.metrics.clear")
    generator = np.random.default_rng(0)
    truth = stack(*[{n: (20 * n, 0, 20 * n + 10, 10) for n in range(4)}] * 12)
    for _ in range(10):
        found = []
        for _ in range(12):
            shown = generator.integers(0, 5)
            ids, places = generator.permutation(4)[:shown], generator.permutation(4)[:shown]
            jitter = generator.uniform(-4, 4, shown)
            boxes = {int(n): (20 * p + d, 0, 20 * p + d + 10, 10) for n, p, d in zip(ids, places, jitter, strict=True)}
            found.append(boxes)
        found = stack(*found)
        want = clear.CLEAR({"PRINT_CONFIG": False}).eval_sequence(
            {
                "num_gt_dets": 48,
                "num_tracker_dets": sum(len(ids) for ids, _ in found),
                "num_timesteps": 12,
                "num_gt_ids": 4,
                "num_tracker_ids": 4,
                "gt_ids": [ids for ids, _ in truth],
                "tracker_ids": [ids for ids, _ in found],
                "similarity_scores": [tracklets._iou(a, b) for (_, a), (_, b) in zip(truth, found, strict=True)],
            }
        )
        matched = tracklets.links(truth, found)
        assert tracklets.identity_switches(matched) == want["IDSW"] > 0
        assert sum(map(len, matched)) == want["CLR_TP"]


def test_hota_without_its_package_says_how_to_get_it(truth, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "trackeval.metrics.hota", None)
    with pytest.raises(MissingPackageError, match="pip install --no-deps trackeval"):
        tracklets.hota(truth, truth)
