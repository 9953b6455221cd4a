"""LN-Tracker's samples from scans with known nodes, one step of training, and the evaluation of the detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import save_file

from oncotrack.datasets.case import label_case
from oncotrack.datasets.node_scans import HELD_OUT, TEST, held_out, inserted_scan, phantom_scan
from oncotrack.datasets.scan_variation import varied_scan
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.lntracker.config import COMPACT, CONFIGS, PAPER, LNTrackerConfig
from oncotrack.detection.lntracker.detector import LNTrackerDetector
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.proposer import Proposer
from oncotrack.detection.lntracker.tracking import THRESHOLDS, Thresholds
from oncotrack.errors import InputError, TrainingError, WeightsError
from oncotrack.evaluation.border_contrast import border_contrast
from oncotrack.evaluation.detectors import evaluate_detectors
from oncotrack.findings.finding import Kind, State
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks import weights
from oncotrack.networks.boxes import corners
from oncotrack.training import lntracker as training
from oncotrack.training.hard_negatives import find_hard_negatives
from oncotrack.training.node_sources import NodeSources
from oncotrack.training.plan import Plan
from oncotrack.training.slice_pairs import Augmentation, SlicePairs
from oncotrack.training.stored_cases import StoredCase, store

TINY = replace(COMPACT, stem=8, stages=(8, 16, 16, 16), blocks=(1, 1, 1, 1), width=32, heads=4, encoder_ffn=32,
               decoder_ffn=32, encoder_layers=1, decoder_layers=2, queries=12, denoising_queries=8)  # fmt: skip


@pytest.fixture(scope="module")
def ct(body):
    return body.cropped((0, 0, 6), (96, 80, 16))


@pytest.fixture(scope="module")
def case(ct):
    return inserted_scan(ct, 5, count=12)


@pytest.fixture(scope="module")
def stored(case, tmp_path_factory):
    return store(tmp_path_factory.mktemp("scans"), [("one", lambda: case)], "one scan")


def test_every_node_of_a_scan_is_known(case):
    assert 6 <= len(case.truth) <= 12  # the smallest are lost between voxels of 3.2 mm
    labels = case.masks["ct"]
    for n, finding in enumerate(case.truth, 1):
        assert finding.kind is Kind.LYMPH_NODE
        box = finding.at("ct").box
        points = labels.geometry.to_ras(np.argwhere(labels.array == n)[:, ::-1])
        assert ((points >= box.low) & (points <= box.high)).all()


def test_the_same_seed_is_the_same_scan(ct, case):
    again = inserted_scan(ct, 5, count=12)
    assert again.images["ct"].fingerprint == case.images["ct"].fingerprint
    assert inserted_scan(ct, 6, count=12).images["ct"].fingerprint != case.images["ct"].fingerprint


@pytest.mark.slow
def test_synthetic_scans_have_nodes_of_at_least_three_millimetres():
    scan = phantom_scan(395)  # of few voxels
    assert len(scan.truth) >= 3
    spacing = scan.images["ct"].spacing
    assert 0.65 <= spacing[0] <= 0.95
    assert 1 <= spacing[2] <= 5


def test_held_out_seeds_are_never_trained_on():
    assert TEST > HELD_OUT
    with pytest.raises(InputError, match="later seeds are for testing"):
        list(NodeSources(phantoms=HELD_OUT).jobs())


def test_stored_slices_are_those_the_network_reads(case, stored):
    kept = StoredCase(stored[0])
    slices = LNSlices(case.images["ct"])
    assert kept.shape == slices.geometry.shape
    image, labels = kept.read(np.array([7, 3, 7]))
    assert np.allclose(image[1].numpy() / 255, slices.slab(3, 4)[0], atol=0.003)
    assert torch.equal(image[0], image[2])
    assert labels.shape == image.shape
    assert len(kept.nodes) == len(np.unique(case.masks["ct"].array)) - 1


def test_a_folder_of_other_scans_is_refused(case, stored):
    assert store(stored[0].parent, [], "one scan") == stored
    with pytest.raises(TrainingError, match="holds other scans"):
        store(stored[0].parent, [], "two scans")
    with pytest.raises(TrainingError, match="nothing to train on"):
        SlicePairs([], 64, 0)


def test_a_sample_depends_on_its_number_only(stored):
    one, two = SlicePairs(stored, 96, seed=1), SlicePairs(stored, 96, seed=1)
    two.sample(3)
    for a, b in zip(one.sample(8), two.sample(8), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else torch.equal(a.boxes, b.boxes)
    assert not torch.equal(one.sample(8)[0], SlicePairs(stored, 96, seed=2).sample(8)[0])


def test_boxes_lie_on_bright_nodes_and_identities_continue(stored):
    plain = Augmentation(scale=1.0, rotation_deg=0.0, intensity=0.0, gamma=0.0, near_node=1.0)
    pairs = SlicePairs(stored, 128, 0, plain)
    shared = inside = around = 0
    for n in range(24):
        images, before, now = pairs.sample(n)
        assert images.shape == (2, 9, 128, 128)
        assert images.min() >= 0
        assert images.max() <= 1
        shared += len(set(before.ids.tolist()) & set(now.ids.tolist()))
        for cx, cy, w, h in now.boxes * 128:
            middle = images[1, 4, int(cy), int(cx)]
            y0, y1, x0, x1 = (int(v) for v in (cy - h, cy + h, cx - w, cx + w))
            inside, around = (
                inside + float(middle),
                around + float(images[1, 4, max(y0, 0) : y1, max(x0, 0) : x1].median()),
            )
    assert shared >= 12
    assert inside > around


def test_rotation_and_scaling_keep_boxes_on_their_nodes(stored):
    """A box of the rotated slice is the box of the rotated mask: the fraction of labelled pixels in it stays high."""
    pairs = SlicePairs(stored, 128, 0, Augmentation(scale=1.25, rotation_deg=15, intensity=0, gamma=0, near_node=1.0))
    sizes = [float(size) * 128 for n in range(20) for size in pairs.sample(n)[2].boxes[:, 2:].flatten()]
    assert len(sizes) > 20
    assert min(sizes) >= 2
    assert max(sizes) < 60


def test_wrong_proposals_of_the_starting_weights_lie_off_the_nodes_and_are_found_once(stored, tmp_path):
    torch.manual_seed(0)
    proposer = Proposer(TINY)
    assert not find_hard_negatives(stored, proposer, tmp_path / "cautious")[stored[0]].size
    torch.nn.init.zeros_(proposer.proposals.score.bias)  # proposes something everywhere
    found = find_hard_negatives(stored, proposer, tmp_path)[stored[0]]
    kept = StoredCase(stored[0])
    _, labels = kept.read(np.arange(kept.shape[0]))
    assert len(found) > 4
    for z, y, x in found:
        assert not labels[z, max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].any()
    assert np.array_equal(find_hard_negatives(stored, Proposer(TINY), tmp_path)[stored[0]], found)


def test_crops_are_drawn_around_hard_negatives(tmp_path):
    image = torch.zeros(9, 200, 200, dtype=torch.uint8)
    image[3, 150:154, 40:44] = 255
    path = tmp_path / "one.safetensors"
    save_file({"image": image, "labels": torch.zeros_like(image)}, path)

    def share_with_it(errors: dict) -> float:
        pairs = SlicePairs([path], 64, 0, Augmentation(near_node=0.0, near_error=1.0), errors=errors)
        return float(np.mean([float(pairs.sample(n)[0][1, 4].max()) > 0.3 for n in range(30)]))

    assert share_with_it({path: np.array([[3, 152, 42]])}) > 0.9
    assert share_with_it({}) < 0.3


def test_a_varied_scan_has_thicker_slices_another_kernel_or_noise_and_is_the_same_again(body):
    thin = replace(body, geometry=replace(body.geometry, spacing=(*body.spacing[:2], 2.0)))
    varied = [varied_scan(thin, seed) for seed in range(4)]
    assert all(len(case.truth) >= 3 and not case.is_complete for case in varied)
    assert all(case.masks["ct"].geometry == case.images["ct"].geometry for case in varied)
    assert len({case.images["ct"].spacing[2] for case in varied}) > 1
    air = [float(case.images["ct"].array[:, :2, :2].std()) for case in varied]
    assert max(air) > 3 > min(air)
    assert varied_scan(thin, 0).images["ct"].fingerprint == varied[0].images["ct"].fingerprint


@pytest.fixture(params=["no", "bf16"])
def precision(request):
    """Return the precision of a training run; accelerate allows one per process."""
    AcceleratorState._reset_state()
    yield request.param
    AcceleratorState._reset_state()


def test_a_step_of_training_moves_every_weight_and_can_be_saved(stored, tmp_path, monkeypatch, precision):
    monkeypatch.setitem(CONFIGS, "compact", TINY)
    monkeypatch.setattr(training, "store", lambda *_: stored)
    plan = Plan(steps=4, batch=2, learning_rate=0.01, warmup=1, clip=1.0, precision=precision)
    path = training.train(tmp_path, "compact", NodeSources(), plan=plan, crop=64, device="cpu")
    loaded = weights.load(path, "lntracker")
    assert loaded.about["steps"] == 4
    torch.manual_seed(plan.seed)
    before = LNTracker(TINY).state_dict()
    same = [name for name, value in loaded.state.items() if torch.equal(value, before[name]) and value.numel() > 1]
    assert not [name for name in same if "phi" not in name]
    detector = LNTrackerDetector("cpu", weights=path)
    assert detector.network.config == TINY


def test_the_mask_branch_learns_from_the_masks_of_the_crops(stored):
    pairs = SlicePairs(stored, 64, 0, Augmentation(near_node=1.0))
    batch = pairs.collate([pairs.sample(n) for n in range(4)]).to(torch.device("cpu"))
    for target in batch.targets[1]:
        for box, mask in zip(target.boxes * 64, target.masks, strict=True):
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(
                corners(box).tolist()
            )
    config = replace(TINY, mask_branch=True)
    network = LNTracker(config)
    parts = training.step_loss(network, batch, torch.Generator().manual_seed(0))
    parts["loss"].backward()
    assert parts["mask"] > 0
    assert all(weight.grad is not None for weight in network.masks.parameters())


def test_the_papers_network_begins_with_weights_of_imagenet(stored, tmp_path, monkeypatch):
    """The file has torchvision's names; it is required because the frozen norms cannot be trained."""
    small = replace(PAPER, stem=8, stages=(16, 32, 32, 32), blocks=(1, 1, 1, 1), width=32, heads=4, encoder_ffn=32,
                    decoder_ffn=32, encoder_layers=1, decoder_layers=2, queries=12, denoising_queries=8)  # fmt: skip
    monkeypatch.setitem(CONFIGS, "paper", small)
    monkeypatch.setattr(training, "store", lambda *_: stored)
    plan = Plan(steps=1, batch=1, learning_rate=1e-6, warmup=1)
    with pytest.raises(InputError, match="as the backbone"):
        training.train(tmp_path, "paper", NodeSources(), plan=plan, device="cpu")
    state = {
        name: torch.rand_like(value) + 0.5
        for name, value in LNTracker(small).backbone.state_dict().items()
        if not name.startswith("fusions")
    } | {"fc.weight": torch.zeros(1000, 32), "bn1.num_batches_tracked": torch.tensor(3)}
    torch.save(state, tmp_path / "resnet.pth")
    path = training.train(
        tmp_path / "run", "paper", NodeSources(), plan=plan, crop=64, backbone=tmp_path / "resnet.pth", device="cpu"
    )
    written = weights.load(path, "lntracker")
    assert torch.equal(written.state["backbone.bn1.running_var"], state["bn1.running_var"])
    assert torch.allclose(written.state["backbone.layer4.0.conv2.weight"], state["layer4.0.conv2.weight"], atol=1e-4)
    assert written.about["started from"] == "resnet.pth"
    detector = LNTrackerDetector("cpu", weights=path)
    assert detector.thresholds == THRESHOLDS["paper"], "the thresholds go with the weights"
    torch.save({name: value for name, value in state.items() if "layer3" not in name}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="layer3"):
        training.train(tmp_path, "paper", NodeSources(), plan=plan, backbone=tmp_path / "other.pth", device="cpu")


def test_the_proposals_are_trained_first_and_then_the_queries(stored, tmp_path, monkeypatch):
    """The weights of the first stage hold the whole network, and the second stage starts from them."""
    monkeypatch.setattr(training, "store", lambda *_: stored)
    monkeypatch.setitem(CONFIGS, "compact", TINY)
    plan = Plan(steps=2, batch=2, learning_rate=0.01, warmup=1, clip=1.0, optimiser="muon")
    path = training.train(
        tmp_path / "one", "compact", NodeSources(), part="proposals", plan=plan, crop=64, device="cpu"
    )
    loaded = weights.load(path, "lntracker")
    torch.manual_seed(plan.seed)
    for name, value in LNTracker(TINY).state_dict().items():
        proposing = name.startswith(("backbone", "encoder", "proposals"))
        assert proposing or torch.equal(loaded.state[name], value), name
        assert not proposing or value.numel() == 1 or not torch.equal(loaded.state[name], value), name
    then = training.train(
        tmp_path / "two", "compact", NodeSources(), part="queries", start=path, plan=plan, crop=64, device="cpu"
    )
    whole = weights.load(then, "lntracker")
    assert whole.about["started from"]["part"] == "proposals"
    for name, value in loaded.state.items():
        proposing = name.startswith(("backbone", "encoder", "proposals"))
        assert torch.equal(whole.state[name], value) == proposing or "phi" in name or value.numel() == 1, name
    for ablation, switches in training.ABLATIONS.items():
        less = training.train(
            tmp_path / ablation, "compact", NodeSources(), ablation=ablation, part="queries", start=path,
            plan=replace(plan, steps=1), crop=64, device="cpu",
        )  # fmt: skip
        assert weights.load(less, "lntracker").config_as(LNTrackerConfig) == replace(TINY, **switches)
    monkeypatch.setitem(CONFIGS, "compact", replace(TINY, queries=7))
    with pytest.raises(InputError, match="another lntracker configuration"):
        training.train(tmp_path / "not", "compact", NodeSources(), start=path, plan=plan, device="cpu")
    with pytest.raises(InputError, match="supervision is dense"):
        training.train(tmp_path, "paper", NodeSources(phantoms=1), part="proposals")


def test_crops_are_the_same_as_those_of_whole_slices(stored):
    """Reading only the pixels that a crop needs does not change the crop."""
    augmentation = Augmentation(near_node=0.5)
    pairs, whole_slices = (SlicePairs(stored, 64, 0, augmentation, margin=margin) for margin in (1, 9999))
    for n in range(6):
        part = pairs.sample(n)
        whole = whole_slices.sample(n)
        assert torch.allclose(part[0], whole[0], atol=1e-3)
        assert torch.equal(part[2].ids, whole[2].ids)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="paper or compact"):
        training.train(tmp_path, "huge", NodeSources(phantoms=1))
    with pytest.raises(InputError, match="trackformer"):
        training.train(tmp_path, "compact", NodeSources(phantoms=1), ablation="nothing")


class Oracle:
    """Detector that returns the truth, or the first `part` of it."""

    name = "oracle"

    def __init__(self, cases, part: float = 1.0) -> None:
        self._known = {case.images["ct"].fingerprint: case.truth for case in cases}
        self._part = part

    def detect(self, volume, progress=None, *, time_point="t0"):
        findings = list(self._known[volume.fingerprint])
        findings = findings[: round(self._part * len(findings))]
        return [f.with_observation("ct", replace(f.at("ct"), state=State.PROPOSED, score=0.9)) for f in findings]


def test_the_truth_is_perfect_and_half_of_it_is_worse(ct):
    cases = [inserted_scan(ct, seed, count=8) for seed in range(4)]
    result = evaluate_detectors({"all": Oracle(cases), "half": Oracle(cases, 0.5), "none": Oracle(cases, 0.0)}, cases)
    assert result["all"]["AS"] == pytest.approx(100)
    assert result["all"]["AS interval"] == pytest.approx([100, 100])
    nodes = [len(case.truth) for case in cases]
    half = 100 * sum(round(n / 2) for n in nodes) / sum(nodes)
    assert result["half"]["AS"] == pytest.approx(half)
    assert result["none"]["AS"] == pytest.approx(0)
    assert result["AS over"]["half"]["difference"] == pytest.approx(100 - half)
    assert result["AS over"]["half"]["interval"][0] > 0
    assert result["AS over"]["half"]["p"] == pytest.approx(2 / 2 ** len(cases)), "the first is better for each patient"
    linking = result["all"]["linking"]
    assert linking["node slices matched"] == linking["node slices"] > sum(nodes)
    assert linking["fragmentation"] == linking["wrong merges"] == linking["identity switches"] == 0
    assert result["none"]["linking"]["node slices matched"] == 0
    groups = result["all"]["sensitivity by short axis"]
    assert sum(group["nodes"] for group in groups.values()) <= sum(nodes)
    assert result["all"]["AS by least short axis"][">= 5 mm"] == pytest.approx(100)
    assert result["none"]["AS by least short axis"][">= 5 mm"] == pytest.approx(0)
    assert result["all"]["AS of free nodes"] == pytest.approx(100)
    assert 0 < result["all"]["free nodes"] <= sum(nodes)


def test_a_node_without_contrast_is_neither_required_nor_counted():
    """One ball lies in fat, one in muscle of its own density; marking the second is neither an error nor a hit."""
    geometry = Geometry((60, 60, 30), (0.8, 0.8, 2.0), (0.0, 0.0, 0.0), np.eye(3))
    k, j, i = np.meshgrid(*(np.arange(n) for n in (30, 60, 60)), indexing="ij")
    balls = [((i - x) * 0.8) ** 2 + ((j - 30) * 0.8) ** 2 + ((k - 15) * 2.0) ** 2 < 36 for x in (15, 45)]
    array = np.where(i < 30, -100, 45)
    array[balls[0]] = array[balls[1]] = 40
    image = Volume(array.astype(np.float32), geometry, name="two", modality="CT")
    labels = replace(image, array=(balls[0] + 2 * balls[1]).astype(np.int16))
    case = label_case("two", {"ct": image}, labels, "ct", "drawn", Kind.LYMPH_NODE)
    shares = border_contrast(case)
    assert shares[0] > 0.95
    assert shares[1] < 0.05
    result = evaluate_detectors({"all": Oracle([case]), "first": Oracle([case], 0.5)}, [case])
    assert [result[name]["AS of free nodes"] for name in ("all", "first")] == [100, 100]
    assert [result[name]["free nodes"] for name in ("all", "first")] == [1, 1]
    assert result["first"]["AS"] == 50


def test_held_out_scans_are_generated_one_by_one(ct, tmp_path):
    from oncotrack.images.files import save

    path = save(ct, tmp_path / "ct.nii.gz")
    cases = list(held_out(2, [path]))
    assert len(cases) == 2
    assert all(f"nodes {TEST + n}" in case.name for n, case in enumerate(cases))


@pytest.fixture
def untrained(tmp_path):
    """Return a function that builds detectors of an ablation from a tiny untrained network."""

    def make(ablation: str, **options) -> LNTrackerDetector:
        torch.manual_seed(0)
        config = replace(TINY, **training.ABLATIONS[ablation])
        path = weights.save(tmp_path / "w.safetensors", "lntracker", config, LNTracker(config).state_dict(), {})
        limits = Thresholds(detection=0.00995, tracking=0.005, similarity=0.4)
        return LNTrackerDetector("cpu", weights=path, thresholds=limits, **options)

    return make


@pytest.mark.parametrize("ablation", ["full", "trackformer", "without-track-queries"])
def test_tracking_and_stacking_of_one_reading_are_those_of_two(ablation, ct, untrained):
    tracking, stacking = (untrained(ablation, stacking=stacking) for stacking in (False, True))
    slab = ct.cropped((24, 20, 3), (72, 60, 6))
    followed, stacks = tracking.detect_both(slab, time_point="ct")
    for one, two in ((followed, tracking.detect(slab)), (stacks, stacking.detect(slab))):
        assert len(one) > 0
        assert [f.at("ct").score for f in one] == pytest.approx([f.at("t0").score for f in two], abs=1e-6)
        corners = [sorted(f.at(time).box.low for f in some) for time, some in (("ct", one), ("t0", two))]
        assert np.allclose(*corners, atol=1e-2)
    if ablation == "without-track-queries":
        assert [f.at("ct").box for f in followed] == [f.at("ct").box for f in stacks]


def test_tracking_and_stacking_of_one_reading_are_evaluated_side_by_side(case, untrained):
    both = evaluate_detectors({"one": untrained("full")}, [case], stacking=True)
    assert set(both) == {"one", "stacking", "AS over"}
    alone = evaluate_detectors({"alone": untrained("full", stacking=True)}, [case])["alone"]
    assert both["stacking"]["AS"] == pytest.approx(alone["AS"])


def test_the_detector_runs_whole_with_untrained_weights(case, tmp_path):
    torch.manual_seed(0)
    path = weights.save(tmp_path / "w.safetensors", "lntracker", TINY, LNTracker(TINY).state_dict(), {})
    detector = LNTrackerDetector("cpu", weights=path, thresholds=Thresholds(detection=0.005, tracking=0.005))
    fractions = []
    found = detector.detect(case.images["ct"], lambda fraction, _: fractions.append(fraction), time_point="ct")
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    bounds = case.images["ct"].geometry.bounds
    for finding in found:
        seen = finding.at("ct")
        assert seen.state is State.PROPOSED
        assert seen.provenance.weights_sha256
        assert (np.array(seen.centre) > bounds[0] - 20).all()
        assert (np.array(seen.centre) < bounds[1] + 20).all()
    assert [f.at("ct").score for f in found] == sorted((f.at("ct").score for f in found), reverse=True)
    best = found[0].at("ct").score
    detector.thresholds = replace(detector.thresholds, node=best)
    assert [f.at("ct").score for f in detector.detect(case.images["ct"], time_point="ct")] == pytest.approx([best])
    tracklet = next(iter(case.truth)).at("ct").tracklet
    middle = tracklet.boxes[len(tracklet.boxes) // 2]
    again = detector.retrack(case.images["ct"], tracklet, middle.slice_index)
    assert again.at(middle.slice_index) == middle
    with pytest.raises(InputError, match="no box on slice"):
        detector.retrack(case.images["ct"], tracklet, 9999)
