"""The list of findings loses nothing: in JSON, in edits, in undo and redo."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError, OutputError
from oncotrack.findings.finding import (
    Alternative,
    Axis,
    Box,
    Finding,
    Kind,
    MatchEvidence,
    Observation,
    Provenance,
    Role,
    Side,
    State,
    TimePoint,
)
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import SliceBox, Tracklet

coordinate = st.floats(-2000, 2000, allow_nan=False)
points = st.tuples(coordinate, coordinate, coordinate)
axes = st.builds(Axis, points, points)
boxes = st.builds(lambda a, b: Box(tuple(map(min, a, b)), tuple(map(max, a, b))), points, points)
positive = st.floats(0.01, 500)
tracklets = st.builds(
    lambda origin, first, scores: Tracklet(
        origin, (1, 0, 0), (0, 1, 0), (0, 0, 2),
        tuple(SliceBox(first + n, (0, n), (1.5, n + 2), s) for n, s in enumerate(scores)),
    ),
    points, st.integers(-5, 50), st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=4),
)  # fmt: skip
evidence = st.builds(
    MatchEvidence, points, positive, st.none() | positive,
    st.lists(st.builds(Alternative, points, st.floats(0, 1)), max_size=3).map(tuple), st.text(max_size=20),
)  # fmt: skip
observations = st.builds(
    Observation, centre=points, state=st.sampled_from(State), radius_mm=st.none() | positive, box=st.none() | boxes,
    tracklet=st.none() | tracklets, long_axis=st.none() | axes, short_axis=st.none() | axes,
    volume_mm3=st.none() | positive, score=st.none() | st.floats(0, 1), evidence=st.none() | evidence,
    provenance=st.builds(Provenance, st.text(max_size=8), st.text(max_size=8)),
)  # fmt: skip
findings = st.builds(
    Finding, label=st.text(min_size=1, max_size=12), kind=st.sampled_from(Kind), site=st.text(max_size=5),
    role=st.sampled_from(Role), side=st.sampled_from(Side), comment=st.text(max_size=20), reader=st.text(max_size=5),
    observations=st.dictionaries(st.sampled_from(["t0", "t1", "t2"]), observations),
)  # fmt: skip
TIMES = [TimePoint("t0", "baseline", date="20260101"), TimePoint("t1", "follow-up")]


@settings(max_examples=60, deadline=None)
@given(st.lists(findings, max_size=3))
def test_json_round_trip(some):
    before = FindingList(TIMES, some)
    after = FindingList.from_json(before.to_json())
    assert after.findings == before.findings
    assert after.time_points == before.time_points


def edits(owner):
    """Return every command, for a list with one followed lesion."""
    uid = owner.findings[0].uid
    return {
        "add": lambda: owner.add("t0", Observation(centre=(0, 0, 0)), kind=Kind.LYMPH_NODE),
        "remove everywhere": lambda: owner.remove_everywhere(uid),
        "remove from scan": lambda: owner.remove_from_scan(uid, "t1"),
        "rename": lambda: owner.rename(uid, "target 1"),
        "state": lambda: owner.set_state(uid, "t1", State.REJECTED, "AB"),
        "move": lambda: owner.move(uid, "t1", (1, 2, 3)),
        "alternative": lambda: owner.take_alternative(uid, "t1", 1),
        "describe": lambda: owner.describe(uid, role="target", side="left", comment="cyst"),
        "update": lambda: owner.update(uid, site="liver", role=Role.NON_TARGET),
        "times": lambda: owner.set_time_points([*TIMES, TimePoint("t2", "third")]),
        "load": lambda: owner.load_json(FindingList(TIMES).to_json()),
    }


@pytest.fixture
def followed():
    owner = FindingList(TIMES)
    lesion = owner.add("t0", Observation(centre=(10, 20, 30), state=State.ACCEPTED))
    others = (Alternative((1, 1, 1), 0.4), Alternative((2, 2, 2), 0.3))
    match = Observation(
        centre=(11, 21, 31), score=0.9, box=Box((6, 16, 26), (16, 26, 36)), long_axis=Axis((7, 21, 31), (15, 21, 31)),
        evidence=MatchEvidence((12, 22, 32), 5.0, 0.7, others),
    )  # fmt: skip
    owner.observe(lesion.uid, "t1", match)
    return owner


@pytest.mark.parametrize(
    "name",
    [
        "add",
        "remove everywhere",
        "remove from scan",
        "rename",
        "state",
        "move",
        "alternative",
        "update",
        "times",
        "load",
    ],
)
def test_each_command_is_one_step_of_undo(followed, name):
    emitted = []
    followed.changed.connect(lambda: emitted.append(1))
    before = followed.findings, followed.time_points
    edits(followed)[name]()
    after = followed.findings, followed.time_points
    assert after != before
    followed.undo()
    assert (followed.findings, followed.time_points) == before
    followed.redo()
    assert (followed.findings, followed.time_points) == after
    assert len(emitted) == 3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["add", "state", "move", "rename", "update", "undo", "redo"]), max_size=12))
def test_undoing_everything_restores_the_first_list(steps):
    owner = FindingList(TIMES, [Finding(label="L 1", observations={"t1": Observation(centre=(0, 0, 0))})])
    first = owner.findings
    for step in steps:
        if step in ("undo", "redo"):
            getattr(owner, step)()
        else:
            edits(owner)[step]()
    while owner.can_undo:
        owner.undo()
    assert owner.findings == first


def test_moving_a_finding_moves_box_and_axis(followed):
    uid = followed.findings[0].uid
    moved = followed.move(uid, "t1", (21, 21, 31), "AB").at("t1")
    assert moved.state is State.EDITED
    assert moved.box.low == (16, 16, 26)
    assert moved.long_axis.start == (17, 21, 31)
    assert moved.provenance.reader == "AB"


def test_an_alternative_is_exchanged_with_the_match(followed):
    uid = followed.findings[0].uid
    taken = followed.take_alternative(uid, "t1", 1).at("t1")
    assert taken.centre == (2, 2, 2)
    assert taken.score == 0.3
    assert [a.centre for a in taken.evidence.alternatives] == [(1, 1, 1), (11, 21, 31)]


def test_a_failure_inside_a_group_restores_everything(followed):
    before = followed.findings
    uid = before[0].uid
    with pytest.raises(RuntimeError), followed.group("two steps"):
        followed.move(uid, "t1", (0, 0, 0))
        raise RuntimeError
    assert followed.findings == before
    assert "two steps" not in followed.undo_text


def test_a_change_after_saving_makes_the_list_unsaved(followed, tmp_path):
    followed.save(tmp_path / "findings.json")
    followed.mark_saved()
    assert followed.is_saved
    followed.rename(followed.findings[0].uid, "other")
    assert not followed.is_saved
    followed.undo()
    assert followed.is_saved
    assert FindingList.open(tmp_path / "findings.json").findings == followed.findings


def test_labels_are_counted_by_kind(followed):
    assert followed.next_label() == "L 2"
    assert followed.next_label(Kind.LYMPH_NODE) == "LN 1"


def test_a_finding_is_removed_everywhere_or_from_one_scan_only(followed):
    uid = followed.findings[0].uid
    followed.remove_from_scan(uid, "t1")
    assert list(followed[uid].observations) == ["t0"] and "on this scan" in followed.undo_text
    with pytest.raises(InputError, match="L 1 is not marked on this scan"):
        followed.remove_from_scan(uid, "t1")
    followed.remove_from_scan(uid, "t0")
    assert uid not in followed
    followed.undo()
    followed.undo()
    assert list(followed[uid].observations) == ["t0", "t1"]
    followed.remove_everywhere(uid)
    assert uid not in followed and "on this scan" not in followed.undo_text


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda t: t[:-20], "is not JSON"),
        (lambda t: t.replace("oncotrack-findings", "other"), "not an OncoTrack findings file"),
        (lambda t: t.replace('"version": 3', '"version": 99'), "version 99"),
        (
            lambda t: t.replace("proposed", "guessed"),
            "does not fit the findings schema at findings.0.observations.t1.state",
        ),
        (lambda t: json.dumps({**json.loads(t), "findings": json.loads(t)["findings"] * 2}), "same tracking UID"),
    ],
)
def test_damaged_files_are_refused(followed, damage, sentence):
    with pytest.raises(InputError, match=sentence):
        FindingList.from_json(damage(followed.to_json()))


def test_bad_numbers_and_unknown_findings_are_refused(followed):
    uid = followed.findings[0].uid
    for wrong in (
        lambda: followed.move(uid, "t1", (float("nan"), 0, 0)),
        lambda: followed.move(uid, "t9", (0, 0, 0)),
        lambda: followed.remove_everywhere("1.2.3"),
        lambda: followed.remove_from_scan(uid, "t9"),
        lambda: followed.rename(uid, "  "),
        lambda: followed.take_alternative(uid, "t1", 7),
        lambda: Box((1, 0, 0), (0, 0, 0)),
        lambda: followed.insert(followed.findings[0]),
    ):
        with pytest.raises(InputError):
            wrong()
    assert len(followed) == 1


def test_a_file_that_cannot_be_written_is_reported_and_keeps_the_old_one(followed, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        followed.save(tmp_path / "file" / "findings.json")
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("field", ["label", "site", "comment"])
def test_a_text_that_is_too_long_is_refused_and_changes_nothing(field):
    findings = FindingList([TimePoint("t0", "baseline")])
    finding = findings.add("t0", Observation(centre=(0, 0, 0)))
    before = findings.to_json()
    with pytest.raises(InputError, match=f"The {field} has 1,000,000 characters; at most"):
        if field == "label":
            findings.rename(finding.uid, "x" * 10**6)
        else:
            findings.describe(finding.uid, **{field: "x" * 10**6})
    assert findings.to_json() == before


def test_ten_thousand_findings_are_kept_and_read_back():
    points = TimePoint("t0", "baseline"), TimePoint("t1", "follow-up")
    many = [
        Finding(label=f"L {n}", observations={each.id: Observation(centre=(n, 0, 0)) for each in points})
        for n in range(10_000)
    ]
    findings = FindingList(points, many)
    findings.set_state(many[5000].uid, "t1", State.ACCEPTED)
    again = FindingList.from_json(findings.to_json())
    assert again.findings == findings.findings


def test_the_text_of_a_changed_list_is_that_of_a_new_one():
    findings = FindingList([TimePoint("t0", 'base "findings": [] line')])
    kept, changed, removed = (findings.add("t0", Observation(centre=(n, 0, 0)), label=f"L\u2028{n}") for n in range(3))
    findings.to_json()
    findings.rename(changed.uid, "other")
    findings.remove_everywhere(removed.uid)
    text = findings.to_json()
    assert text == FindingList(findings.time_points, findings.findings).to_json()
    assert [each["label"] for each in json.loads(text)["findings"]] == [kept.label, "other"]
    findings.undo()
    assert removed.uid in findings.to_json()


def test_observations_of_a_scan_are_those_of_the_list_after_every_edit():
    findings = FindingList()
    for number in range(3):
        findings.add("a", Observation(centre=(float(number), 0.0, 0.0)))
    first, second, third = findings.findings
    findings.observe(second.uid, "b", Observation(centre=(0.0, 5.0, 0.0)))
    assert findings.used_time_points == {"a", "b"}
    assert [finding.uid for finding, _seen in findings.observations_at("b")] == [second.uid]
    findings.observations_at("b").clear()  # a list of the caller's own
    assert [seen.centre[1] for _finding, seen in findings.observations_at("b")] == [5.0]
    findings.remove_everywhere(first.uid)
    assert [finding.uid for finding, _seen in findings.observations_at("a")] == [second.uid, third.uid]
    findings.undo()
    assert len(findings.observations_at("a")) == 3 and findings.observations_at("c") == []
    known = findings._by_time_point
    assert findings.used_time_points and findings._by_time_point is known, "it is made once for each state"
    findings.move(third.uid, "a", (9.0, 0.0, 0.0))
    assert findings.observations_at("a")[-1][1].centre == (9.0, 0.0, 0.0)
