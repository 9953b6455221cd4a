"""Detection metrics against hand-worked cases and scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError
from oncotrack.evaluation import detection, evaluate_detection, write_report
from oncotrack.evaluation.detection import Comparison, compare_boxes
from oncotrack.findings.finding import Box, Finding, Kind, Observation, State, TimePoint
from oncotrack.findings.finding_list import FindingList


def comparison(scores, hits, objects=None):
    hits = np.array(hits, bool).reshape(len(scores), -1) if objects is None else np.zeros((len(scores), objects), bool)
    return Comparison(np.array(scores, float), hits.astype(float), hits)


@pytest.fixture
def two_patients():
    """Return two patients: 1 has objects A and B, 2 has C; the tests below work them out by hand.

    scores   0.9 A hit, 0.8 false, 0.7 A again, 0.6 B hit | 0.85 false, 0.5 C hit
    """
    first = comparison([0.9, 0.8, 0.7, 0.6], [[1, 0], [0, 0], [1, 0], [0, 1]])
    second = comparison([0.85, 0.5], [[0], [1]])
    return [first, second]


def test_froc_counts_objects_once_and_repeated_hits_not_at_all(two_patients):
    fps, sensitivity, thresholds = detection.froc(two_patients)
    # thresholds at which something changes: 0.9 (A), 0.85 (FP), 0.8 (FP), 0.6 (B), 0.5 (C)
    assert thresholds.tolist() == [np.inf, 0.9, 0.85, 0.8, 0.6, 0.5]
    assert fps.tolist() == [0, 0, 0.5, 1, 1, 1]
    assert sensitivity == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1])


def test_average_sensitivity_of_ln_tracker_and_mfroc_of_osln(two_patients):
    assert detection.sensitivity_at(two_patients, [0.25, 0.5, 0.99, 1]) == pytest.approx([100 / 3] * 3 + [100])
    assert detection.average_sensitivity(two_patients) == 100
    assert detection.average_sensitivity(two_patients, (0.5, 1)) == pytest.approx((100 / 3 + 100) / 2)
    noisy = comparison([0.9] * 3 + [0.5], [[0, 0]] * 3 + [[1, 0]])
    # one of two objects at 3 false positives: 2 -> 0, 3, 4, 6 -> 50 %
    assert detection.average_sensitivity([noisy], detection.OSLN_FPS) == pytest.approx(150 / 4)
    assert detection.average_sensitivity([noisy], detection.LN_TRACKER_FPS) == pytest.approx((0 + 0 + 50 + 50) / 4)
    assert detection.DEEPLESION_FPS == (0.125, 0.25, 0.5, 1, 2, 4, 8)


def test_average_precision_by_hand(two_patients):
    # one to one, from the top: A right 1/1, FP 1/2, FP 1/3, A again wrong 1/4, B right 2/5, C right 3/6
    precision, recall = detection.precision_recall(two_patients)
    assert precision == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 2 / 5, 3 / 6])
    assert recall == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1])
    # monotone precision: 1 for the first third, then max(2/5, 3/6) = 1/2 for both others
    assert detection.average_precision(two_patients) == pytest.approx(100 * (1 / 3 + 1 / 2 * 2 / 3))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=30),
    st.integers(0, 3),
)
def test_precision_and_recall_are_scikit_learns(rows, missed):
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, right = np.array([r[0] for r in rows]) / 8, np.array([r[1] for r in rows])
    if not right.any():
        return
    # each right detection finds its own object; `missed` objects are never found
    hits = np.zeros((len(rows), right.sum() + missed), bool)
    hits[np.flatnonzero(right), np.arange(right.sum())] = True
    both = Comparison(scores, hits.astype(float), hits)
    precision, recall = detection.precision_recall([both])
    found = right.sum() / (right.sum() + missed)
    step = (np.diff(recall, prepend=0) * precision).sum()
    assert step == pytest.approx(sklearn.average_precision_score(right, scores) * found)
    p, r, _ = sklearn.precision_recall_curve(right, scores)
    envelope = np.maximum.accumulate(p)  # scikit-learn's curve runs from the lowest score to the highest
    assert detection.average_precision([both]) == pytest.approx(100 * found * -(np.diff(r) * envelope[:-1]).sum())


def test_a_detection_takes_the_free_object_it_overlaps_most():
    overlap = np.array([[0.6, 0.5], [0.7, 0.2], [0.9, 0.0]])
    assert detection.assign(Comparison(np.array([0.9, 0.8, 0.7]), overlap, overlap > 0.1)).tolist() == [0, 1, -1]


def test_box_hits_of_ln_tracker_exceed_the_threshold_and_others_reach_it():
    truth, found = [[0, 0, 0, 10, 10, 10]], [[0, 0, 0, 10, 10, 1], [0, 0, 0, 10, 10, 2]]
    assert compare_boxes(truth, found, [1, 1], 0.1, strict=True).hits.ravel().tolist() == [False, True]
    assert compare_boxes(truth, found, [1, 1], 0.1).hits.ravel().tolist() == [True, True]
    flat = compare_boxes([[0, 0, 4, 4]], [[2, 0, 6, 4]], [1], 0.25)
    assert flat.overlap.item() == pytest.approx(1 / 3) and flat.hits.all()
    assert compare_boxes([], [], [], 0.5).hits.shape == (0, 0)


def test_the_hit_rule_of_osln_requires_overlap_and_a_similar_radius():
    overlap = [[0.01, 0.0], [0.3, 0.3], [0.5, 0.0], [0.2, 0.0]]
    hits = detection.osln_hits(overlap, [5.0, 3.0, 4.9, 15.1], [10.0, 2.0])
    assert hits.tolist() == [[True, False], [False, True], [False, False], [False, False]]


def test_macro_recall_precision_and_f1_of_osln(two_patients):
    precision, recall = detection.macro_precision_recall(two_patients)
    # at 0.9: P (1, -) -> 1, R (1/2, 0) -> 1/4; at 0.85: P (1, 0) -> 1/2; at the end: P (3/4, 1/2), R (1, 1)
    assert precision[[0, 1, -1]] == pytest.approx([1, 1 / 2, 5 / 8]) and recall[[0, 1, -1]] == pytest.approx(
        [1 / 4, 1 / 4, 1]
    )
    assert detection.recall_at_precision(two_patients, 0.6) == 100
    assert detection.recall_at_precision(two_patients, 0.9) == 25
    assert detection.recall_at_precision(two_patients, 1.1) == 0
    assert detection.mean_recall(two_patients) == 100
    assert detection.best_f1(two_patients) == pytest.approx(100 * 2 * 5 / 8 / (1 + 5 / 8))


def test_empty_lists_are_zero_and_no_objects_are_not_a_number():
    none = [comparison([], [], objects=3)]
    for metric in (
        detection.average_sensitivity,
        detection.average_precision,
        detection.mean_recall,
        detection.best_f1,
    ):
        assert metric(none) == 0
    assert np.isnan(detection.average_precision([comparison([0.5], [], objects=0)]))
    assert np.isnan(detection.sensitivity_at([], [1])).all()
    with pytest.raises(InputError, match="missing or infinite"):
        comparison([np.nan], [[1]])


boxes = st.lists(
    st.tuples(*[st.integers(0, 60)] * 3, *[st.integers(2, 20)] * 3), min_size=1, max_size=6, unique_by=lambda b: b[:3]
)


def findings(rows, scores=None, kind=Kind.LYMPH_NODE):
    return FindingList(
        [TimePoint("t0", "scan")],
        [
            Finding(
                label=f"LN {n}",
                kind=kind,
                observations={
                    "t0": Observation(
                        centre=np.add(row[:3], np.divide(row[3:], 2)),
                        box=Box(row[:3], np.add(row[:3], row[3:])),
                        score=None if scores is None else scores[n],
                    )
                },
            )
            for n, row in enumerate(rows)
        ],
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=3))
def test_truth_against_itself_is_perfect_and_nothing_scores_zero(patients):
    truth = {f"p{n}": findings(rows) for n, rows in enumerate(patients)}
    perfect = evaluate_detection(truth, truth)
    nothing = evaluate_detection(truth, {name: FindingList([TimePoint("t0", "scan")]) for name in truth})
    names = ("AS", "AP", "mFROC", "mRecall@0.10-0.20", "Recall@0.15", "F1", "AP25", "AP50", "SEN25", "SEN50")
    assert {perfect[name] for name in names} == {100.0} and {nothing[name] for name in names} == {0.0}
    assert set(perfect["deeplesion"].values()) == {100.0}
    assert perfect["objects"] == sum(map(len, patients)) == perfect["detections"]


def test_files_folders_and_what_detect_writes_are_read(tmp_path):
    truth = findings([(0, 0, 0, 10, 10, 10), (30, 0, 0, 10, 10, 10)])
    truth.save(tmp_path / "truth" / "p1.json")
    truth.save(tmp_path / "truth" / "p2" / "findings.json")
    detected = {
        "findings": [
            {"label": "LN 1", "center_ras": [5, 5, 5], "box_ras": [[0, 0, 0], [10, 10, 9]], "score": 0.9},
            {"label": "LN 2", "center_ras": [95, 5, 5], "box_ras": [[90, 0, 0], [100, 10, 10]], "score": 0.3},
        ],
        "seconds": 2.5,
    }
    (tmp_path / "given" / "p2").mkdir(parents=True)
    (tmp_path / "given" / "p1.json").write_text(json.dumps(detected))
    (tmp_path / "given" / "p2" / "findings.json").write_text(json.dumps({"findings": []}))
    result = evaluate_detection(tmp_path / "truth", tmp_path / "given")
    assert (result["cases"], result["objects"], result["detections"]) == (2, 4, 2)
    assert result["AS"] == result["AP50"] == 25.0
    assert result["per_case"][0] == {"case": "p1", "objects": 2, "found": 1, "false positives": 1}
    single = evaluate_detection(tmp_path / "truth" / "p1.json", tmp_path / "given" / "p1.json")
    assert single["cases"] == 1 and single["AS"] == 50.0
    files = write_report(result, tmp_path / "out")
    assert {f.name for f in files} == {"metrics.json", "metrics.csv", "metrics.md", "per_case.csv", "froc.png"}
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["AS"] == 25.0
    assert "| AS | 25.00 |" in (tmp_path / "out" / "metrics.md").read_text()


def test_rejected_findings_and_other_kinds_do_not_count():
    truth = findings([(0, 0, 0, 10, 10, 10)])
    given = findings([(0, 0, 0, 10, 10, 10), (30, 0, 0, 9, 9, 9)], [0.9, 0.8])
    given.set_state(given.findings[1].uid, "t0", State.REJECTED)
    assert evaluate_detection(truth, given)["detections"] == 1
    assert evaluate_detection(truth, given, Kind.LESION)["objects"] == 0
    assert evaluate_detection(truth, given, Kind.LESION)["AS"] is None


def test_files_that_cannot_be_compared_raise_an_error(tmp_path):
    truth = findings([(0, 0, 0, 10, 10, 10)])
    with pytest.raises(InputError, match="predictions lack 1 of the patients"):
        evaluate_detection({"a": truth, "b": truth}, {"a": truth, "c": truth})
    bare = FindingList([], [Finding(label="LN 1", observations={"t0": Observation(centre=(0, 0, 0))})])
    with pytest.raises(InputError, match="LN 1 has neither a box nor a size"):
        evaluate_detection(bare, truth)
    path = tmp_path / "p.json"
    for text, message in (
        ("{", "is not JSON"),
        ("[]", "neither a findings file"),
        ('{"findings": [{"score": 1}]}', 'finding 1 has no "box_ras"'),
        ('{"findings": [{"box_ras": [[1, 0, 0], [0, 1, 1]]}]}', "inside out"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            evaluate_detection(truth, path)
    with pytest.raises(InputError, match="does not exist"):
        evaluate_detection(truth, tmp_path / "none")
    with pytest.raises(InputError, match="holds no findings files"):
        (tmp_path / "empty").mkdir()
        evaluate_detection(tmp_path / "empty", truth)
    truth.save(tmp_path / "twice" / "p1.json")
    truth.save(tmp_path / "twice" / "p1" / "findings.json")
    with pytest.raises(InputError, match="holds p1 twice"):
        evaluate_detection(tmp_path / "twice", truth)
