"""Files of version 0.1 open completely: a list of findings, and the weights that the package contains.

``data/findings-0.1.json`` was written by version 0.1 itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.network import MaskRCNN
from oncotrack.findings.finding import (
    Alternative,
    Axis,
    Box,
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
from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.dlt.network import DLT
from oncotrack.followup.tlt.config import TLTConfig
from oncotrack.followup.tlt.network import TLT
from oncotrack.networks import weights

OLD_FINDINGS = Path(__file__).parent / "data" / "findings-0.1.json"
WEIGHTS_SHA256 = "3f" * 32


def when(hour: int) -> str:
    return f"2026-03-04T{hour:02d}:15:00+00:00"


@pytest.fixture(scope="module")
def findings() -> FindingList:
    return FindingList.open(OLD_FINDINGS)


def test_time_points_and_fields_of_the_findings_are_those_of_the_old_file(findings):
    assert findings.time_points == (
        TimePoint(
            "t0", "baseline", "baseline.nrrd", "20260105", "1.2.826.0.1.3680043.8.498.1",
            "00112233445566778899aabbccddeeff",
        ),
        TimePoint(
            "t1", "follow-up", "follow-up.nrrd", "20260304", "1.2.826.0.1.3680043.8.498.2",
            "ffeeddccbbaa99887766554433221100",
        ),
        TimePoint("t2", "follow-up 2"),
    )  # fmt: skip
    assert [(f.uid, f.label, f.kind, f.place, f.side, f.role, list(f.observations)) for f in findings] == [
        ("2.25.101", "L 1", Kind.LESION, "liver, segment 7", Side.NOT_STATED, Role.TARGET, ["t0", "t1", "t2"]),
        ("2.25.102", "LN 1", Kind.LYMPH_NODE, "left", Side.LEFT, Role.TARGET, ["t0"]),
        ("2.25.103", "L 2", Kind.LESION, "", Side.NOT_STATED, Role.NEW, ["t1"]),
        ("2.25.104", "Läsion β", Kind.LESION, "", Side.NOT_STATED, Role.NON_TARGET, ["t0", "t1"]),
    ]
    assert {f.comment + f.reader for f in findings} == {""}


def test_a_followed_lesion_keeps_axes_evidence_and_alternatives(findings):
    lesion = findings["2.25.101"]
    assert lesion.at("t0") == Observation(
        centre=(10, -20, 30),
        state=State.ACCEPTED,
        radius_mm=6.25,
        long_axis=Axis((4, -20, 30), (16.5, -20, 30)),
        short_axis=Axis((10, -24, 30), (10, -15.5, 30)),
        provenance=Provenance("", "reader", "", when(8)),
    )
    assert lesion.at("t1") == Observation(
        centre=(11.5, -21.25, 31),
        radius_mm=5.5,
        box=Box((6, -27, 25.5), (17, -15.5, 36.5)),
        score=0.91,
        evidence=MatchEvidence(
            (12, -22, 32), 5.0, 0.75, (Alternative((1, 2, 3), 0.4, 12.5), Alternative((4, 5, 6), 0.3))
        ),
        provenance=Provenance("ensemble", "", WEIGHTS_SHA256, when(9)),
    )
    assert lesion.at("t2") == Observation(
        centre=(12, -20, 30),
        state=State.NOT_FOUND,
        radius_mm=5.0,
        score=0.09,
        evidence=MatchEvidence((12, -20, 30), 5.0, reason="The lesion may have vanished (score 0.09)."),
        provenance=Provenance("selfsim", "", "", when(10)),
    )


def test_a_node_keeps_its_slice_boxes_and_its_mask(findings):
    node = findings["2.25.102"].observation("t0")
    boxes = (
        SliceBox(7, (10.5, 20), (18, 29.5), 0.5),
        SliceBox(8, (10, 19.5), (18.5, 30), 0.875),
        SliceBox(9, (11, 20), (17, 28)),
    )
    assert node.tracklet == Tracklet((-100, 90, -40), (0, 1, 0), (-1, 0, 0), (0, 0.5, 2.5), boxes)
    assert (node.centre, node.radius_mm, node.volume_mm3, node.score) == ((-124.75, 108.25, -20), 5.25, 123.5, 0.875)
    assert node.box == Box((-130, 103.75, -23.75), (-119.5, 112.75, -16.25))
    assert node.long_axis == Axis((-119.5, 108.25, -20), (-130, 108.25, -20))
    assert node.short_axis == Axis((-124.75, 104, -20), (-124.75, 112.5, -20))
    assert node.state is State.EDITED and node.evidence is None
    assert node.provenance == Provenance("lntracker compact", "reader", WEIGHTS_SHA256, when(11))
    mask = node.mask.volume()
    assert mask.geometry.size == (5, 4, 3) and mask.spacing == (0.75, 0.75, 2.5) and mask.origin == (-12.5, 80.25, -21)
    assert mask.direction == ((0.8, 0.6, 0), (-0.6, 0.8, 0), (0, 0, 1))
    assert np.array_equal(mask.array, np.random.default_rng(4).random((3, 4, 5)) < 0.6)


def test_decisions_of_the_reader_are_kept(findings):
    rejected, absent = findings["2.25.103"].observation("t1"), findings["2.25.104"].observation("t1")
    assert rejected.state is State.REJECTED and rejected.provenance == Provenance(
        "dlt", "reader", WEIGHTS_SHA256, when(12)
    )
    assert absent.state is State.ABSENT and absent.provenance == Provenance("", "reader", "", when(14))
    assert rejected.is_decided and absent.is_decided
    assert not findings["2.25.104"].observation("t0").is_decided


NOT_ASSESSED = '{"judgement": "", "is_equivocal": false, "is_larger": false, "merged_with": "", "sul_peak": null}'
"""What is stored of an observation without a judgement for a response."""


def test_saving_writes_the_same_file_in_the_present_version(findings):
    text = OLD_FINDINGS.read_text(encoding="utf-8")
    assert text.count('"centre"') > 3 and text.count('"expected"')
    old = json.loads(text.replace('"centre"', '"position_ras"').replace('"expected"', '"expected_ras"'))
    old["findings"][0]["observations"]["t2"]["state"] = "not found"
    for finding in old["findings"]:
        finding |= {"side": "", "comment": "", "reader": "", "split_from": "", "region": ""}
        for observation in finding["observations"].values():
            observation |= {"uptake": None, "probability": None, "assessment": json.loads(NOT_ASSESSED)}
            observation["provenance"] |= {"doubts": [], "is_size_proposed": False, "window": None}
    for time_point in old["time_points"]:
        time_point |= {"slice_mm": None, "contrast": ""}
    old["findings"][1] |= {"side": "left", "site": ""}
    assert json.loads(findings.to_json()) == {
        **old,
        "version": 3,
        "notes": [],
        "measurements": [],
        "criteria": "recist11",
    }
    again = FindingList.from_json(findings.to_json())
    assert again.findings == findings.findings and again.time_points == findings.time_points


@pytest.mark.parametrize(
    ("system", "config", "network"),
    [("dlt", DLTConfig, DLT), ("lntracker", LNTrackerConfig, LNTracker), ("mr", MRConfig, MaskRCNN),
     ("tlt", TLTConfig, TLT)],
)  # fmt: skip
def test_the_weights_of_the_package_fit_the_networks(system, config, network, monkeypatch):
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    path = weights.bundled(system, "compact")
    trained = weights.load_network(path, system, config, network, "cpu")
    stored = weights.load(path, system)
    assert json.loads(json.dumps(asdict(trained.config))) == stored.config
    assert trained.network.state_dict().keys() == stored.state.keys()
    assert trained.about and trained.sha256 == stored.sha256
