"""What a reader says about a finding: kind, role, side, organ or station, comment; sizes and their change in words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.findings.finding import (
    Axis,
    Finding,
    Kind,
    MatchEvidence,
    Observation,
    Role,
    Side,
    State,
    TimePoint,
    box_axes,
)
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.observation_edits import moved
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.findings.sites import SITES, site_named, suggested_sites
from oncotrack.findings.sizes import NOT_MEASURED, axes_text, change_text, size_class
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.findings.tracklet_edits import add_proposals, has_decisions
from oncotrack.findings.visit_table import cell, description, reverse_check, tip
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

BOXES = Tracklet(
    (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 4), (SliceBox(2, (0, 0), (16, 10)), SliceBox(3, (1, 1), (17, 9)))
)


def measured(long: float, short: float, **fields) -> Observation:
    axes = {"long_axis": Axis((0, 0, 0), (long, 0, 0)), "short_axis": Axis((0, 0, 0), (0, short, 0))}
    return Observation(centre=(0, 0, 0), **axes, **fields)


def mask_of(slices: int) -> PackedMask:
    return PackedMask.of(Volume(np.ones((slices, 4, 4), np.uint8), Geometry((4, 4, slices))))


@pytest.fixture
def findings() -> FindingList:
    known = FindingList([TimePoint("t0", "baseline"), TimePoint("t1", "follow-up")])
    known.add("t0", Observation(centre=(1, 2, 3)))
    return known


def test_a_finding_has_no_role_before_a_reader_chooses_one(findings):
    (finding,) = findings
    assert finding.role is Role.NONE and description(finding) == ""


def test_a_description_is_one_step_of_undo_and_survives_the_file(findings):
    uid = findings.findings[0].uid
    described = findings.describe(
        uid,
        kind="lymph node",
        role="target",
        side="right",
        site=" axillary  lymph node ",
        comment="new\nnode",
        reader="Dr B",
    )
    assert (described.kind, described.role, described.side) == (Kind.LYMPH_NODE, Role.TARGET, Side.RIGHT)
    assert (described.site, described.comment, described.reader) == ("axillary lymph node", "new node", "Dr B")
    assert described.place == "right axillary lymph node"
    assert description(described) == "target, right axillary lymph node"
    assert findings.undo_text == "describe L 1"
    assert FindingList.from_json(findings.to_json()).findings == findings.findings
    assert findings.describe(uid, role=Role.TARGET, reader="Dr C").reader == "Dr B", "nothing has changed"
    findings.undo()
    assert findings[uid].role is Role.NONE and not findings[uid].comment


@pytest.mark.parametrize(("field", "sentence"), [("role", '"target", "non-target", "new", "none"'), ("kind", '"other"'),
                                                 ("side", "side unknown")])  # fmt: skip
def test_an_unknown_word_is_refused_with_the_known_ones(findings, field, sentence):
    with pytest.raises(InputError, match=f'There is no {field} "main"') as refused:
        findings.describe(findings.findings[0].uid, **{field: "main"})
    assert sentence in str(refused.value) and not findings[findings.findings[0].uid].site


def test_every_site_has_the_code_and_name_of_snomed_ct():
    from pydicom.sr._concepts_dict import concepts

    known = {
        code: meaning.lower()
        for entry in concepts["SCT"].values()
        for code, (meaning, _cids) in entry.items()
    } | {"15425007": "peritoneum"}  # fmt: skip
    names = {(code, meaning.lower()) for e in concepts["SCT"].values() for code, (meaning, _c) in e.items()}
    assert all((site.code, site.name) in names or known[site.code] == site.name for site in SITES)
    assert len({site.name for site in SITES}) == len({site.code for site in SITES}) == len(SITES) > 60
    assert (
        suggested_sites(Kind.LYMPH_NODE)[0].endswith("lymph node")
        and suggested_sites(Kind.LESION)[0] == "adrenal gland"
    )
    assert site_named(" Liver ").code == "10200004" and site_named("somewhere") is None


def test_a_freed_name_is_not_given_again(findings):
    first = findings.findings[0].uid
    second = findings.add("t0", Observation(centre=(0, 0, 0))).uid
    assert findings[second].label == "L 2"
    findings.rename(second, "Spleen")
    assert findings.next_label() == "L 3", "L 2 may have been dictated"
    findings.remove_everywhere(first)
    assert findings.next_label() == "L 3" and findings.next_label(Kind.LYMPH_NODE) == "LN 1"
    findings.add("t0", Observation(centre=(0, 0, 0)))
    findings.undo()
    assert findings.next_label() == "L 3", "an addition that was undone has not happened"


def test_sides_of_a_box_are_no_measured_diameters():
    node = Observation(centre=(0, 0, 0)).with_tracklet(BOXES)
    assert [axis.length_mm for axis in box_axes(BOXES)] == [16, 10]
    assert node.has_box_axes and not node.is_measured
    assert axes_text(node) == "box 16.0 mm x 10.0 mm" and size_class(node) == NOT_MEASURED
    drawn = replace(node, long_axis=Axis((0, 0, 8), (17, 0, 8)), short_axis=Axis((8, -6, 8), (8, 6, 8)))
    assert drawn.is_measured and axes_text(drawn) == "17.0 mm x 12.0 mm" and size_class(drawn) == "enlarged"
    assert size_class(measured(22, 15.2)) == "measurable"


def test_a_node_that_a_reader_described_stays_when_the_scan_is_searched_again(findings):
    node = Finding(
        label="LN 1", kind=Kind.LYMPH_NODE, observations={"t0": Observation(centre=(0, 0, 0)).with_tracklet(BOXES)}
    )
    findings.insert(node)
    assert not has_decisions(findings, "t0")
    findings.describe(node.uid, role="non-target")
    assert has_decisions(findings, "t0")
    assert add_proposals(findings, "t0", [replace(node, uid="2.25.1")]) == () and node.uid in findings


def test_moving_a_node_drops_the_sides_of_its_box_and_keeps_measured_diameters():
    node = Observation(centre=(0, 0, 0)).with_tracklet(BOXES)
    assert moved(node, (5, 5, 5)).long_axis is None and moved(node, (5, 5, 5)).box is not None
    assert moved(measured(20, 10), (5, 5, 5)).is_measured


def test_sizes_and_their_change_are_said_in_one_way():
    before = measured(20.0, 10.0, volume_mm3=2345.0, state=State.ACCEPTED)
    after = measured(15.0, 8.0, volume_mm3=1000.0)
    assert cell(before) == "20.0 mm x 10.0 mm, 2.3 ml, accepted"
    assert change_text(before, after) == "long -5.0 mm (-25.0 %), short -2.0 mm (-20.0 %), volume -1.3 ml (-57.4 %)"
    assert change_text(before, replace(after, state=State.ABSENT)) == change_text(before, None) == ""
    deep, flat = (replace(seen, mask=mask_of(slices)) for seen, slices in ((before, 3), (after, 1)))
    assert change_text(deep, flat).endswith(", volumes are not compared: one mask is in a single slice")
    assert change_text(flat, flat).endswith("volume +0.00 ml (+0.0 %)")
    boxed = Observation(centre=(0, 0, 0)).with_tracklet(BOXES)
    assert change_text(boxed, after) == "", "a box is not compared with a diameter"


def test_an_absent_lesion_has_no_figures_of_a_match():
    evidence = MatchEvidence((0, 0, 0), 5.0, 3.21)
    seen = Observation(centre=(0, 0, 0), evidence=evidence)
    assert (
        reverse_check(seen) == "3.2 mm off (good below 5)" and tip(seen) == "Reverse check: 3.2 mm off (good below 5)."
    )
    assert reverse_check(replace(seen, state=State.ABSENT)) == tip(replace(seen, state=State.ABSENT)) == ""


def test_a_place_has_one_name_in_the_file(findings):
    uid = findings.findings[0].uid
    findings.describe(uid, comment='the "centre": [1, 2] of the lesion')
    data = json.loads(findings.to_json())
    assert data["findings"][0]["observations"]["t0"]["position_ras"] == [1, 2, 3]
    assert FindingList.from_json(findings.to_json())[uid].comment == 'the "centre": [1, 2] of the lesion'
    old = findings.to_json().replace('"position_ras"', '"centre"').replace('"version": 3', '"version": 2')
    assert FindingList.from_json(old)[uid].at("t0").centre == (1, 2, 3)
