"""The nodes of a scan on disk."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from oncotrack.detection.track_findings import proposed_observation
from oncotrack.findings.finding import Provenance, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.node_files import BOXES, FINDINGS, LABELS, TABLE, write_nodes


def test_a_run_that_finds_nothing_leaves_no_nodes_of_an_earlier_one(node_scan, tmp_path):
    ct = node_scan.images["ct"]
    found = [
        finding.with_observation("ct", proposed_observation(finding.at("ct").tracklet, 0.5, Provenance("hand")))
        for finding in node_scan.truth
    ]
    scan = TimePoint("ct", "ct")
    written = write_nodes(tmp_path, FindingList([scan], found), found, "ct", ct.geometry)
    assert {path.name for path in written} == {BOXES, TABLE, LABELS, FINDINGS}
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / LABELS)))) == set(range(len(found) + 1))

    written = write_nodes(tmp_path, FindingList([scan]), [], "ct", ct.geometry)
    assert {path.name for path in written} == {TABLE, LABELS, FINDINGS} == {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / TABLE).read_text().count("\n") == 1 and not sitk.GetArrayFromImage(
        sitk.ReadImage(tmp_path / LABELS)
    ).any()
    assert len(FindingList.open(tmp_path / FINDINGS)) == 0
