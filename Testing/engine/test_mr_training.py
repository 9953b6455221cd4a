"""The MR detector from RECIST axes and pseudo-masks to samples, training, detection and evaluation."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from oncotrack.datasets.case import label_case
from oncotrack.datasets.node_scans import HELD_OUT
from oncotrack.detection.detector import DETECTORS, detector
from oncotrack.detection.mr.config import COMPACT, CONFIGS
from oncotrack.detection.mr.detector import MRDetector
from oncotrack.detection.mr.network import MaskRCNN
from oncotrack.detection.mr.slice_nodes import SliceNode
from oncotrack.detection.mr.slices import MRGrid
from oncotrack.errors import InputError, TrainingError
from oncotrack.evaluation.masks import dice
from oncotrack.evaluation.mr_detectors import evaluate_mr, proposal_threshold
from oncotrack.findings.finding import Kind, State
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks import weights
from oncotrack.training import mr as training
from oncotrack.training.bookmarked_slices import BookmarkedSlices, write
from oncotrack.training.plan import Plan

TINY = replace(COMPACT, stem=8, stages=(8, 8, 16, 16), blocks=(1, 1, 1, 1), width=8, anchors_sampled=32, rois_sampled=12,
               proposals=12, proposals_in_training=20, candidates=40, box_size=3, mask_size=8, box_width=16, mask_layers=1,
               attention_width=8, detections=5)  # fmt: skip
GRID = Geometry((90, 70, 8), (0.9, 0.9, 6.0), (40.0, 30.0, -20.0), np.diag([-1.0, -1.0, 1.0]))
NODES = (((18, 20, 12), (6, 5, 9)), ((48, 22, 24), (5, 5, 9)), ((62, 48, 30), (4, 7, 9)))
"""Centres and half axes of ellipsoids, mm from the corner."""


@pytest.fixture(scope="module")
def case():
    """Build a T2-like MR: grey fat with three bright nodes."""
    rng = np.random.default_rng(2)
    k, j, i = np.indices(GRID.shape)
    place = np.stack([i * 0.9, j * 0.9, k * 6.0], -1)
    labels = np.zeros(GRID.shape, np.int16)
    for n, (middle, half) in enumerate(NODES, 1):
        labels[(((place - middle) / half) ** 2).sum(-1) <= 1] = n
    image = 80 + 15 * ndimage.gaussian_filter(rng.normal(size=GRID.shape), (0, 2, 2)) + rng.normal(0, 4, GRID.shape)
    image = np.where(labels > 0, 190 + rng.normal(0, 6, GRID.shape), image).astype(np.float32)
    volume = Volume(image, GRID, "grey MR", "MR")
    return label_case("grey", {"mr": volume}, Volume(labels, GRID), "mr", "made", Kind.LYMPH_NODE)


@pytest.fixture(scope="module")
def stored(case, tmp_path_factory):
    path = tmp_path_factory.mktemp("slices") / "one.safetensors"
    write(path, case, COMPACT)
    return [path]


def test_samples_are_made_of_axes_and_their_pseudo_masks_fit(case, stored):
    from safetensors.torch import load_file

    kept = load_file(stored[0])
    slices = MRGrid(case.images["mr"], COMPACT)
    truth = case.masks["mr"].resampled(slices.geometry, fill=0, nearest=True).array
    assert kept["images"].shape[1:] == (3, *slices.geometry.shape[1:])
    assert len(kept["ends"]) == len(kept["owner"]) >= 6
    fits = []
    for n in range(len(kept["images"])):
        level = int(np.abs(slices.array - kept["images"][n, 1].numpy() / 255).sum((1, 2)).argmin())
        fits.append(dice(kept["labels"][n].numpy() > 0, truth[level] > 0))
    assert np.mean(fits) > 80


def test_a_sample_depends_on_its_number_only_and_boxes_lie_on_bright_nodes(stored):
    samples = BookmarkedSlices(stored, (96, 128), seed=3)
    image, target = samples.sample(5)
    again, same = BookmarkedSlices(stored, (96, 128), seed=3).sample(5)
    assert torch.equal(image, again)
    assert torch.equal(target.boxes, same.boxes)
    assert image.shape == (3, 96, 128)
    for n in range(8):
        image, target = samples.sample(n)
        assert len(target.boxes) == len(target.masks) >= 1
        for box, mask in zip(target.boxes, target.masks, strict=True):
            x0, y0, x1, y1 = box.int().tolist()
            assert mask[y0:y1, x0:x1].sum() == mask.sum()
            assert image[1][mask].mean() > image[1][image[1] > 0].median()


def test_without_pseudo_masks_boxes_are_the_rectangles_around_the_axes(stored):
    with_masks = BookmarkedSlices(stored, (96, 128), seed=3)
    ruled = BookmarkedSlices(stored, (96, 128), seed=3, pseudo_masks=False)
    for n in range(6):
        (image, masked), (same, target) = with_masks.sample(n), ruled.sample(n)
        assert torch.equal(image, same)
        assert target.masks is None
        assert len(target.boxes) == len(masked.boxes)
        distance = (target.boxes.mean(0) - masked.boxes.mean(0)).abs().max()
        assert distance < 3


def test_a_run_without_samples_and_unknown_names_are_refused(case, tmp_path):
    empty = label_case("empty", dict(case.images), replace(case.masks["mr"], array=np.zeros(GRID.shape, np.int16)),
                       "mr", "made", Kind.LYMPH_NODE)  # fmt: skip
    write(tmp_path / "empty.safetensors", empty, COMPACT)
    with pytest.raises(TrainingError, match="nothing to train on"):
        BookmarkedSlices([tmp_path / "empty.safetensors"], (96, 128), 0)
    with pytest.raises(InputError, match="without-uncertainty"):
        training.train(tmp_path, "compact", 1, ablation="nothing")
    with pytest.raises(InputError, match="later seeds are for testing"):
        training.train(tmp_path, "compact", HELD_OUT)
    with pytest.raises(InputError, match="no config"):
        MRDetector("cpu", config="huge")


@pytest.fixture(scope="module")
def trained(case, tmp_path_factory):
    """Train for a few steps, in two runs."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CONFIGS, "compact", TINY)
        patch.setitem(training.SHAPES, "compact", (96, 96))
        patch.setattr(training, "mr_phantom_scan", lambda seed: case)
        patch.setattr(training, "held_out_mr", lambda count, first: [case] * count)
        plan = Plan(steps=4, batch=2, learning_rate=0.01, warmup=1, clip=5.0, log_every=1)
        training.train(out, "compact", 1, plan=plan, device="cpu", max_minutes=0.0, calibrating=0)
        return training.train(out, "compact", 1, plan=plan, device="cpu", calibrating=1)


def test_training_moves_every_weight_and_logs_the_sigmas(trained):
    loaded = weights.load(trained, "mr")
    assert loaded.about["steps"] == 4
    assert loaded.about["ablation"] == "full"
    torch.manual_seed(0)
    before = MaskRCNN(TINY).state_dict()
    same = [name for name, value in loaded.state.items() if torch.equal(value, before[name]) and value.numel() > 1]
    assert not same
    heading, *rows = (trained.parent / "log.csv").read_text().splitlines()
    assert len(rows) == 4
    assert {"rpn class", "mask", "sigma 1", "sigma 5"} <= set(heading.split(","))


def test_the_detector_runs_whole(case, trained):
    assert "mr" in DETECTORS
    found = MRDetector("cpu", weights=trained, threshold=0.0)
    fractions = []
    findings = found.detect(case.images["mr"], lambda fraction, _: fractions.append(fraction), time_point="t0")
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert findings
    bounds = case.images["mr"].geometry.bounds
    for finding in findings:
        seen = finding.at("t0")
        assert seen.state is State.PROPOSED
        assert seen.provenance.method == "mr compact"
        assert (np.array(seen.centre) >= bounds[0] - 1).all()
        assert (np.array(seen.centre) <= bounds[1] + 1).all()
        assert seen.mask is None or seen.volume_mm3 == pytest.approx(
            seen.mask.volume().array.sum() * np.prod(seen.mask.geometry.spacing)
        )
    scores = [finding.at("t0").score for finding in findings]
    assert scores == sorted(scores, reverse=True)
    tracklet = findings[0].at("t0").tracklet
    middle = tracklet.boxes[len(tracklet.boxes) // 2]
    again = found.retrack(case.images["mr"], tracklet, middle.slice_index)
    assert again.at(middle.slice_index) == middle
    with pytest.raises(InputError, match="no box on slice"):
        found.retrack(case.images["mr"], tracklet, 9999)
    with pytest.raises(InputError, match="reads MR"):
        found.detect(replace(case.images["mr"], modality="CT"))


def test_the_weights_hold_the_threshold_of_five_false_nodes_a_scan(case, trained):
    threshold = weights.load(trained, "mr").about["threshold"]
    everything = MRDetector("cpu", weights=trained, threshold=0.0)
    assert proposal_threshold(everything, [case] * 2) == threshold

    def false(detector):
        findings = detector.detect(case.images["mr"])
        inside = [
            case.masks["mr"].array[tuple(np.rint(GRID.to_ijk(f.at("t0").centre)).astype(int)[::-1])] for f in findings
        ]
        return sum(number == 0 for number in inside)

    assert false(MRDetector("cpu", weights=trained)) <= 5
    assert threshold == 0.0 or false(everything) > 5
    slices = MRGrid(case.images["mr"], everything.network.config)
    best = max(node.score for nodes in everything.read(slices) for node in nodes)
    assert not MRDetector("cpu", weights=trained, threshold=best).detect(case.images["mr"])


def test_the_detector_is_made_by_its_name(trained, monkeypatch):
    monkeypatch.setattr("oncotrack.detection.mr.detector.weights_files.bundled", lambda *_: trained)
    assert isinstance(detector("mr", "cpu"), MRDetector)


class Oracle:
    """Detector that returns the true masks of every `every`-th node."""

    def __init__(self, case, every: int = 1, masks: bool = True) -> None:
        self._labels, self._every = case.masks["mr"], every
        self.network = SimpleNamespace(config=COMPACT, mask_head=masks or None)

    def read(self, slices, progress=None):
        labels = self._labels.resampled(slices.geometry, fill=0, nearest=True).array
        return [list(self._on(level)) for level in labels]

    def _on(self, level):
        for number, where in enumerate(ndimage.find_objects(level), 1):
            if where is not None and number % self._every == 0:
                y, x = where
                box = np.array([x.start, y.start, x.stop, y.stop], np.float32)
                yield SliceNode(box, 0.9, level[where] == number, (y.start, x.start))


def test_the_truth_is_perfect_in_slices_and_in_volumes_and_less_is_worse(case):
    result = evaluate_mr(
        {"all": Oracle(case), "second": Oracle(case, 2), "boxes": Oracle(case, masks=False)}, [case] * 3
    )
    for each in ("slices", "volumes"):
        for kind in ("box", "mask"):
            metrics = result["all"][each][kind]
            assert [metrics[name] for name in ("AP25", "AP50", "SEN25", "SEN50")] == pytest.approx([100] * 4)
    assert result["all"]["volumes"]["objects"] == 9
    assert result["all"]["slices"]["images"] == 3 * len(set(_levels(case)))
    assert result["second"]["volumes"]["box"]["SEN25"] == pytest.approx(100 / 3)
    assert result["boxes"]["slices"]["mask"] is None
    assert result["SEN25 over"]["second"]["difference"] == pytest.approx(
        100 - result["second"]["slices"]["box"]["SEN25"]
    )
    assert result["SEN25 over"]["second"]["interval"][0] > 0


def _levels(case):
    from oncotrack.datasets.bookmarks import bookmarks

    return [mark.index for mark in bookmarks(case.masks["mr"], 5.0)]
