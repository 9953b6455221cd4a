"""The page of detected nodes."""

from __future__ import annotations

import numpy as np

from oncotrack.detection.track_findings import proposed_observation
from oncotrack.findings.finding import Provenance
from oncotrack.findings.sizes import size_word
from oncotrack.report import write_node_report


def test_every_node_has_its_row_and_picture(node_scan, tmp_path):
    ct = node_scan.images["ct"]
    found = [
        finding.with_observation("ct", proposed_observation(finding.at("ct").tracklet, 0.5, Provenance("hand")))
        for finding in node_scan.truth
    ]
    assert found
    page = write_node_report(tmp_path / "report.html", ct, found, "ct", note="A <note>.").read_text()
    assert page.count("<tr>") == len(found) + 1
    assert page.count("data:image/png;base64,") == 1
    assert "A &lt;note&gt;." in page
    assert f"{len(found)} unchecked proposals" in page and "not measured" in page
    for finding in found:
        axes = finding.at("ct")
        assert f"box {axes.long_axis.length_mm:.1f} mm x {axes.short_axis.length_mm:.1f} mm" in page
        assert np.isfinite(axes.centre).all()
    assert "0 unchecked proposals" in write_node_report(tmp_path / "none.html", ct, [], "ct").read_text()


def test_the_size_classes_are_those_of_recist():
    assert [size_word(mm) for mm in (9.9, 10.0, 14.9, 15.0)] == ["", "enlarged", "enlarged", "measurable"]
