"""The detector with its bundled weights, and its command."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from oncotrack.cli.app import app
from oncotrack.datasets.node_scans import inserted_scan
from oncotrack.detection.lntracker import slice_encoder
from oncotrack.detection.lntracker.detector import LNTrackerDetector
from oncotrack.detection.lntracker.tracking import Follower
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.node_files import BOXES, FINDINGS, LABELS, TABLE
from oncotrack.images.files import save
from oncotrack.images.volume import Volume


@pytest.fixture(scope="module")
def ct(body) -> Volume:
    """Return 19 x 15 cm of three slices, 4 mm apart, which the network reads as six."""
    return inserted_scan(body.cropped((18, 16, 10), (78, 64, 13)), 5, count=12).images["ct"]


@pytest.fixture(scope="module")
def found(ct):
    found = LNTrackerDetector("cpu").detect(ct)
    assert found
    return found


def seen(findings) -> list[tuple]:
    return [(each.at("t0").score, each.at("t0").tracklet) for each in findings]


def test_when_the_memory_of_the_accelerator_is_full_the_cpu_continues(ct, found, monkeypatch, caplog):
    real, messages = Follower.process, []

    def full_from(first: int) -> LNTrackerDetector:
        detector = LNTrackerDetector("cpu")
        detector.device = torch.device("cuda")  # simulated: its memory is full

        def process(self, index, stack):
            if detector.device.type != "cpu" and index >= first:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return real(self, index, stack)

        monkeypatch.setattr(Follower, "process", process)
        return detector

    with caplog.at_level(logging.WARNING):
        assert seen(full_from(3).detect(ct, lambda _done, text: messages.append(text))) == seen(found)
    assert "memory is full" in messages[-2] and "memory is full" not in messages[2]
    assert "memory is full" in caplog.text
    tracklet = found[0].at("t0").tracklet
    middle = (tracklet.first + tracklet.last) // 2
    again = full_from(0).retrack(ct, tracklet, middle)
    monkeypatch.undo()
    assert again == LNTrackerDetector("cpu").retrack(ct, tracklet, middle)


def test_bfloat16_finds_the_same_boxes(ct, found, monkeypatch):
    def boxes(is_mixed) -> list[np.ndarray]:
        monkeypatch.setattr(slice_encoder, "has_bfloat16", lambda _device: is_mixed)
        return [np.array([each.box.low, each.box.high]) for each in (one.at("t0") for one in detector.detect(near)[:4])]

    # around the first node alone: a processor without bfloat16 imitates it slowly
    middle = ct.geometry.to_ijk(found[0].at("t0").centre)[:2].round().astype(int)
    low, high = np.maximum(middle - 12, 0), np.minimum(middle + 12, ct.geometry.size[:2])
    near = ct.cropped((*low, 0), (*high, ct.geometry.size[2]))
    detector = LNTrackerDetector("cpu")
    single, mixed = boxes(False), boxes(True)
    assert single and all(min(np.abs(box - each).max() for each in mixed) < 0.5 for box in single), "mm"
    assert not np.array_equal(single, mixed), "not the same arithmetic"


def detect(*arguments):
    return CliRunner().invoke(app, ["detect", *map(str, arguments), "--device", "cpu"])


def test_the_command_prints_and_writes_the_findings(ct, found, tmp_path):
    scan = save(ct, tmp_path / "ct.nii.gz")
    done = detect(scan, "--method", "lntracker", "--out", tmp_path / "out", "--json", tmp_path / "found.json")
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "found.json").read_text())
    assert len(result["findings"]) == len(found) and result["method"] == "lntracker compact"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {BOXES, TABLE, LABELS, FINDINGS, "report.html"}
    assert len(FindingList.open(tmp_path / "out" / FINDINGS)) == len(found)


def test_images_other_than_ct_and_scans_without_a_body_are_refused(ct, tmp_path):
    def refused(volume: Volume, name: str, *arguments) -> str:
        done = detect(save(volume, tmp_path / name), *arguments)
        assert done.exit_code != 0
        return str(done.exception)

    def like(array) -> Volume:
        return Volume(array, ct.geometry, "image")

    bright = like((ct.array.clip(-200, 300) + 200).astype("int16"))
    assert "not in Hounsfield units" in refused(bright, "mr.nii.gz")
    room = np.full_like(ct.array, -1000)
    room[1, 4, 5] = -900
    assert "no body" in refused(like(room), "room.nii.gz")
    assert "oncotrack train lntracker" in refused(ct, "ct.nii.gz", "--weights", tmp_path / "none.safetensors")
