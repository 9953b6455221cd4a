"""Linking errors on small stacks worked by hand."""

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.evaluation import tracklets
from oncotrack.findings.finding import Finding, Observation, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import SliceBox, Tracklet

A, B = (0, 0, 10, 10), (20, 0, 30, 10)


def stack(*slices):
    """Return slices of {identity: box}."""
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


def scan(*nodes, origin=(0, 0, 0)):
    """Return the findings of one scan; `nodes` are pairs of {slice: box} and a score."""
    findings = []
    for n, (boxes, score) in enumerate(nodes):
        rows = tuple(SliceBox(k, box[:2], box[2:]) for k, box in boxes.items())
        tracklet = Tracklet(origin, (1, 0, 0), (0, 1, 0), (0, 0, 2), rows)
        seen = Observation(centre=(5, 5, 3), tracklet=tracklet, score=score)
        findings.append(Finding(label=f"LN {n}", observations={"t0": seen}))
    return FindingList([TimePoint("t0", "scan")], findings)


def test_linking_errors_of_a_scan_count_the_findings_above_a_score():
    truth = scan(({1: A, 2: A, 3: A, 4: A}, None), ({1: B, 2: B}, None))
    found = scan(({1: A, 2: A}, 0.9), ({3: A, 4: A}, 0.8), ({1: B, 2: B}, 0.1))
    counts = tracklets.linking_errors(truth, found, "t0")
    assert counts == {
        "fragmentation": 1, "wrong merges": 0, "identity switches": 1, "node slices": 6, "node slices matched": 6,
    }  # fmt: skip
    assert tracklets.linking_errors(truth, found, "t0", 0.5)["node slices matched"] == 4
    assert tracklets.linking_errors(truth, scan(), "t0")["node slices matched"] == 0
    assert tracklets.linking_errors(truth, scan(({1: A}, 0.9), origin=(0, 0, 1)), "t0") is None, "other slices"
