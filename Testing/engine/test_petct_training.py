"""The PET/CT detector whole: stored studies, training of its stages, detection, evaluation, command line."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from petct_toy import FOCI, NODES, TUMOUR, toy_scan

from oncotrack.datasets.node_scans import HELD_OUT
from oncotrack.detection.components import Component
from oncotrack.detection.detector import detector
from oncotrack.detection.petct.candidates import Candidate
from oncotrack.detection.petct.config import STAGE_ONE, STAGE_TWO
from oncotrack.detection.petct.detector import FirstStage, PETCTDetector, SecondStage, weights_path
from oncotrack.detection.petct.stage_one import StageOne
from oncotrack.detection.petct.tagger import TAGS, TrainedTagger
from oncotrack.errors import InputError, TrainingError, WeightsError
from oncotrack.evaluation import petct as metrics
from oncotrack.evaluation.petct_detectors import evaluate_petct
from oncotrack.evaluation.petct_paper import FIRST_ONLY
from oncotrack.findings.finding import State
from oncotrack.images.files import save
from oncotrack.networks import weights
from oncotrack.phantom.tissues import LABEL
from oncotrack.training import petct as training
from oncotrack.training.petct_samples import Candidates, RegionPatches, turned_and_mirrored
from oncotrack.training.petct_store import pet_statistics, read_study, write_study
from oncotrack.training.petct_tags import known_tags
from oncotrack.training.plan import Plan

FIRST = replace(
    STAGE_ONE["compact"],
    spacing_mm=(4.0, 4.0, 5.0),
    channels=(6, 12),
    patch=(8, 16, 16),
    window=(32, 64, 80),
    least_mm3=0.0,
)
SECOND = replace(STAGE_TWO["compact"], crop=(8, 16, 16), channels=(4, 4, 8, 8), features=8)
PLAN = Plan(steps=80, batch=2, learning_rate=0.02, final_learning_rate=1e-3, warmup=1, clip=5.0, log_every=5)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "toy.safetensors"
    write_study(path, toy_scan(), FIRST)
    return path


def test_a_stored_study_is_the_study(stored):
    known = read_study(stored, FIRST)
    assert known.study.ct.shape == known.labels.shape
    assert sorted(np.unique(known.labels)) == [0, 1, 2, 3, 4]
    mean, std = pet_statistics([stored])
    body = known.study.ct > 0.02
    assert mean == pytest.approx(float(known.study.pet[body].mean()), rel=0.02)
    assert std == pytest.approx(float(known.study.pet[body].std()), rel=0.05)


def test_sub_volumes_hold_their_region_s_nodes_and_depend_on_their_number_only(stored):
    samples = RegionPatches([stored], FIRST, seed=1)
    batch = samples.collate([samples.sample(n) for n in range(12)])
    again = RegionPatches([stored], FIRST, seed=1).sample(5)
    assert torch.equal(again[0]["proximal"], batch.images["proximal"][5])
    for region, near in (("proximal", True), ("distal", False)):
        assert batch.images[region].shape == (12, 3, *FIRST.patch)
        valid, distance = batch.valid[region], batch.images[region][:, 2:] * FIRST.distance_scale_mm
        inside = valid.bool()
        assert (distance[inside] <= 70.1).all() if near else (distance[inside] >= 69.9).all()
        assert (batch.masks[region] * valid).sum() > 0


def test_augmentation_turns_half_and_mirrors_a_quarter_of_the_sub_volumes():
    rng = np.random.default_rng(0)
    image = np.arange(16.0).reshape(1, 4, 4)
    seen = [turned_and_mirrored(image, rng) for _ in range(4000)]
    same = np.mean([np.array_equal(each, image) for each in seen])
    # unchanged: neither turned nor mirrored, or turned by 180 degrees and mirrored twice
    assert same == pytest.approx(0.5 * 0.75**2 + 0.5 / 3 * 0.25**2, abs=0.03)
    assert all(sorted(each.ravel()) == sorted(image.ravel()) for each in seen)


def test_tags_are_those_of_the_phantom(stored):
    known = read_study(stored, FIRST)

    def tags_at(centre, half):
        middle = known.study.geometry.to_ijk(np.array(centre))[::-1]
        extent = half / np.array(known.study.geometry.spacing[::-1])
        tags, is_known = known_tags(known, np.concatenate([np.floor(middle - extent), np.ceil(middle + extent)]))
        return {name for name, value in zip(TAGS, tags, strict=True) if value}, dict(zip(TAGS, is_known, strict=True))

    names, is_known = tags_at(NODES["para-aortic left"][0], 8)
    assert {"lymph node", "lymphadenopathy", "abdomen", "retroperitoneum", "paraaortic", "high uptake"} <= names
    assert "mediastinum" not in names
    assert not is_known["muscle"]
    muscle = known.study.geometry.to_ras(np.argwhere(known.organs == LABEL["muscle"])[:, ::-1])
    near = muscle[np.linalg.norm(muscle - np.array(FOCI[0]), axis=1) < 20]
    names, is_known = tags_at(near.mean(0), 5)
    assert {"muscle", "high uptake"} <= names
    assert "lymph node" not in names
    assert is_known["muscle"]
    assert not is_known["oval"]
    assert {"lung mass"} <= tags_at(TUMOUR, 10)[0]
    for box in ([-5, -5, -5, 0, 0, 0], [900, 900, 900, 905, 905, 905]):
        assert not known_tags(known, np.array(box, float))[0][TAGS.index("lymph node")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train all stages for a few steps on toys; the first in two runs."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STAGE_ONE, "compact", FIRST)
        patch.setitem(STAGE_TWO, "compact", SECOND)
        patch.setattr(training, "petct_scan", lambda seed: toy_scan(seed % 1000))
        run = training.Run(out, studies=3, validation=1, plan=PLAN, device="cpu")
        training.train("one", replace(run, max_minutes=0.02, validation=0))
        training.train("one", run)
        training.train("tagger", replace(run, plan=replace(PLAN, steps=10, batch=8)))
        training.train("two", replace(run, plan=replace(PLAN, steps=20, batch=8, optimiser="adam")))
    return out


def test_every_network_of_the_first_stage_learns(trained):
    loaded = weights.load(weights_path("one", "compact", trained), "petct-one")
    assert loaded.about["steps"] == PLAN.steps
    assert all(value.dtype == torch.float16 for value in loaded.state.values() if value.is_floating_point())
    assert loaded.config["pet_std"] > 0.1
    heading = (trained / "one-full" / "log.csv").read_text().splitlines()[0].split(",")
    assert {"ct proximal dice", "fusion proximal dice", "ct distal entropy", "fusion distal entropy"} <= {*heading}
    network = FirstStage(weights_path("one", "compact", trained), "cpu").network
    samples = RegionPatches(sorted((trained / "scans" / "training").glob("*.safetensors")), FIRST, seed=5)
    batch = samples.collate([samples.sample(number) for number in range(16)])
    with torch.inference_mode():
        for name, logits in network(batch.images).items():
            mask, valid = (given[name.split()[1]].bool() for given in (batch.masks, batch.valid))
            # of an untrained network both means are equal to 0.03
            assert logits[mask & valid].mean() - logits[~mask & valid].mean() > 0.3, name


def test_the_operating_point_and_the_threshold_are_kept_with_the_weights(trained):
    first = FirstStage(weights_path("one", "compact", trained), "cpu")
    assert first.threshold in metrics.THRESHOLDS
    two = weights.load(weights_path("two", "compact", trained), "petct-two").about
    assert 0 <= two["threshold"] <= 1
    assert two["candidates"] > two["true candidates"] > 0
    assert two["pet mean"] == pytest.approx(first.config.pet_mean)


def test_stages_are_refused_where_they_cannot_be_trained(trained, tmp_path):
    run = training.Run(tmp_path, studies=1, device="cpu")
    for stage, changes, error, sentence in (
        ("three", {}, InputError, "no stage"), ("one", {"ablation": "tags"}, InputError, "without-stratification"),
        ("one", {"config": "huge"}, InputError, "no config"), ("one", {"studies": HELD_OUT}, InputError, "later seeds"),
        ("two", {}, WeightsError, "oncotrack train petct"), ("tagger", {"config": "paper"}, InputError, "LesaNet"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence):
            training.train(stage, replace(run, **changes))
    with pytest.raises(TrainingError, match="nothing to train on"):
        Candidates([], 0, False)


@pytest.fixture(scope="module")
def whole(trained):
    return PETCTDetector("cpu", weights=trained, threshold=0.0)


def test_the_detector_gives_nodes_with_masks_uptake_and_distance(whole):
    scan = toy_scan(2)
    ct, pet = scan.case.images["ct"], scan.case.images["pet"]
    steps = []
    found = whole.detect(ct, pet, scan.tumour, lambda fraction, text: steps.append((fraction, text)), time_point="t0")
    assert found
    assert steps[-1][0] == 1.0
    scores = [finding.at("t0").score for finding in found]
    assert scores == sorted(scores, reverse=True)
    assert [finding.label for finding in found] == [f"LN {n}" for n in range(1, len(found) + 1)]
    for finding in found:
        seen = finding.at("t0")
        assert seen.state is State.PROPOSED
        assert seen.provenance.method == "petct compact"
        assert seen.mask is not None
        assert seen.uptake.suv_max >= seen.uptake.suv_mean > 0
        assert seen.uptake.is_proximal == (seen.uptake.distance_mm <= 70)
        straight = np.linalg.norm(np.array(seen.centre) - TUMOUR) - 18
        assert seen.uptake.distance_mm == pytest.approx(straight, abs=25)


def test_the_detector_refuses_what_it_cannot_read(whole, trained, tmp_path):
    scan = toy_scan(2)
    ct, pet = scan.case.images["ct"], scan.case.images["pet"]
    with pytest.raises(InputError, match="is empty"):
        whole.detect(ct, pet, replace(scan.tumour, array=np.zeros_like(scan.tumour.array)))
    with pytest.raises(InputError, match="is no folder"):
        PETCTDetector("cpu", weights=tmp_path / "nothing")
    with pytest.raises(InputError, match="reads the tags of the tagger compact"):
        SecondStage(weights_path("two", "compact", trained), None, "cpu")
    with pytest.raises(InputError, match="a PET and the primary tumour"):
        detector("petct")


def test_a_stage_starts_from_given_weights(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(STAGE_TWO, "compact", SECOND)
    start = weights_path("two", "compact", trained)
    plan = replace(PLAN, steps=1, batch=8, learning_rate=1e-9, final_learning_rate=1e-9, optimiser="adam")
    run = training.Run(
        trained, studies=3, validation=0, plan=plan, start=start, first=weights_path("one", "compact", trained),
        device="cpu",
    )  # fmt: skip
    for name in ("candidates", "scans"):
        (tmp_path / name).symlink_to(trained / name)
    (tmp_path / "petct-tagger-compact.safetensors").symlink_to(weights_path("tagger", "compact", trained))
    done = weights.load(training.train("two", replace(run, out=tmp_path)), "petct-two")
    initial = weights.load(start, "petct-two")
    assert done.about["started from"]["steps"] == initial.about["steps"]
    assert torch.allclose(done.state["head.weight"], initial.state["head.weight"], atol=1e-6)
    with pytest.raises(InputError, match="another petct-two configuration"):
        training.train("two", replace(run, out=tmp_path, ablation="ct-pet"))


def test_the_tables_of_the_paper_are_evaluated(trained, tmp_path):
    first = FirstStage(weights_path("one", "compact", trained), "cpu")
    config = replace(first.config, stratified=False)
    path = weights.save(tmp_path / "plain.safetensors", "petct-one", config, StageOne(config).state_dict(), {})
    tagger = TrainedTagger(weights_path("tagger", "compact", trained), "cpu")
    second = SecondStage(weights_path("two", "compact", trained), tagger, "cpu")
    firsts = {"full": first, "plain": FirstStage(path, "cpu")}
    made = []

    def studies(*seeds):
        return [(f"toy {seed}", lambda seed=seed: made.append(seed) or toy_scan(seed)) for seed in seeds]

    evaluate_petct(firsts, {"GLNet": second}, studies(5), keep=tmp_path / "kept")
    result = evaluate_petct(firsts, {"GLNet": second}, studies(5, 6), keep=tmp_path / "kept")
    assert made == [5, 6]
    evaluate_petct({"full": first}, {"GLNet": second}, studies(5), keep=tmp_path / "kept")
    assert made == [5, 6, 5]  # other weights
    # the paper's order, and its figures
    rows = result["first stage"]
    assert list(rows) == ["plain CT", "plain EF", "plain LF", "full CT", "full EF", "full LF"]
    assert rows["full LF"]["row"] == "U-Net LF"
    assert rows["full LF"]["paper"] == {"Recall@0.15": 82.8, "mRecall@0.10-0.20": 81.7}
    for row in rows.values():
        assert 0 <= row["Recall@0.15"] <= 100
        assert row["patients"] == 2
    assert list(result["second stage"]) == [FIRST_ONLY, "GLNet"]
    assert result["second stage"]["GLNet"]["nodes"] == 8
    assert result["second stage"]["GLNet"]["paper"] == {"F1": 55.2, "mFROC": 64.5}
    gained = result["Recall@0.15 gained by"]
    step = gained["stratification: U-Net EF over U-Net without stratification EF"]
    assert step["paper"] == 5.6
    assert step["difference"] == pytest.approx(rows["full EF"]["Recall@0.15"] - rows["plain EF"]["Recall@0.15"])
    assert len(gained) == 5  # three settings, and late fusion over either stream
    assert set(result["mFROC gained by"]) == {"second stage: CT + PET + tags over first stage only"}
    json.dumps(result, allow_nan=False)


def block(low, high, score=1.0) -> Candidate:
    where = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return Candidate(Component(where, np.ones([b - a for a, b in zip(low, high, strict=True)], bool)), score)


def test_a_hit_needs_overlap_and_a_similar_radius():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:8, 2:8, 2:8] = 1
    labels[12:14, 12:14, 12:14] = 3
    found = [block((2, 2, 2), (8, 8, 8)), block((11, 11, 11), (17, 17, 17)), block((0, 10, 0), (4, 14, 4))]
    comparison = metrics.compare_candidates(found, [0.9, 0.8, 0.7], labels, 1.0)
    assert comparison.hits.tolist() == [[True, False], [False, False], [False, False]]
    assert comparison.overlap[0, 0] == 1.0
    assert comparison.overlap[1, 1] > 0  # it overlaps, but its radius is three times as large


def test_recall_at_a_precision_is_averaged_over_patients():
    nan = float("nan")
    sweeps = [
        metrics.Sweep(np.array([0.1, 0.2, 1.0]), np.array([1.0, 0.5, 0.5])),
        metrics.Sweep(np.array([0.1, 0.12, nan]), np.array([1.0, 1.0, 0.0])),
        metrics.Sweep(np.array([0.1, nan, nan]), np.array([nan, nan, nan])),  # a patient without nodes
    ]
    assert metrics.recall_at(sweeps, 0.15) == pytest.approx(75.0)
    assert metrics.recall_at(sweeps, 0.5) == pytest.approx(25.0)
    assert metrics.mean_recall(sweeps) == pytest.approx((100 + 75 + 25) / 3)


def test_the_operating_point_has_the_highest_recall_at_precision_0_15(monkeypatch):
    monkeypatch.setattr(metrics, "THRESHOLDS", (0.1, 0.5, 0.9))
    sweeps = [metrics.Sweep(np.array([0.1, 0.2, 0.9]), np.array([1.0, 0.7, 0.2]))]
    assert metrics.operating_point(sweeps) == 0.5
    assert metrics.operating_point([metrics.Sweep(np.zeros(3), np.ones(3))]) == 0.9


def test_the_proposal_threshold_allows_three_false_nodes_a_patient():
    labels = np.zeros((4, 4, 40), np.uint8)
    found = [block((0, 0, 4 * n), (2, 2, 4 * n + 2)) for n in range(10)]
    scores = np.linspace(0.9, 0.0, 10)
    comparison = metrics.compare_candidates(found, scores, labels, 1.0)
    threshold = metrics.proposal_threshold([comparison])
    assert (scores > threshold).sum() == 3
    assert metrics.proposal_threshold([metrics.compare_candidates(found[:2], scores[:2], labels, 1.0)]) < scores[1]


def test_the_command_line_detects_with_a_mask_and_with_a_click(oncotrack, trained, tmp_path):
    scan = toy_scan(2)
    save(scan.case.images["ct"], tmp_path / "ct.nii.gz")
    save(scan.case.images["pet"], tmp_path / "pet.nii.gz")
    save(scan.tumour, tmp_path / "tumour.nii.gz")
    command = [
        "detect",
        tmp_path / "ct.nii.gz",
        "--pet",
        tmp_path / "pet.nii.gz",
        "--weights",
        trained,
        "--device",
        "cpu",
    ]
    done = oncotrack(*command, "--tumour", tmp_path / "tumour.nii.gz", "--json", "-", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["method"].startswith("petct")
    assert "taken as aligned" in result["alignment"]
    for row in result["findings"]:
        assert set(row["uptake"]) >= {
            "suv_max",
            "suv_peak",
            "suv_mean",
            "metabolic_volume_ml",
            "tlg_ml",
            "distance_mm",
            "is_proximal",
        }
    assert (tmp_path / "out" / "findings.json").is_file()
    at = ",".join(f"{value:g}" for value in TUMOUR)
    done = oncotrack(*command, f"--tumour={at}")
    assert done.code == 0, done.err
    assert "PET/CT" in done.out
    for extra, sentence in (
        ([], "needs the primary tumour"), (["--tumour", "nowhere.nii"], "neither a file nor a position"),
        ([f"--tumour={900},0,0"], "outside the PET"),
    ):  # fmt: skip
        done = oncotrack(*command, *extra)
        assert done.code == 2
        assert sentence in done.err.replace("\n", " ")


def test_the_command_line_describes_and_refuses(oncotrack, tmp_path):
    done = oncotrack("info", "petct", "--config", "paper", "--json", "-")
    assert done.code == 0, done.err
    about = json.loads(done.out)
    assert about["tagger"] == {"name": "lesanet", "tags": 171, "parameters": about["tagger"]["parameters"]}
    assert about["stage two"]["features"] == 1195
    assert "Dice" in about["losses"]["stage one"]
    assert oncotrack("info", "petct", "--config", "huge").code == 2
    done = oncotrack("detect", tmp_path, "--method", "petct")
    assert done.code == 2
    done = oncotrack("train", "petct", "--out", tmp_path / "run", "--stage", "two", "--device", "cpu")
    assert done.code == 2
    assert "oncotrack train petct" in done.err


def test_the_bench_compares_with_monai(trained, monkeypatch):
    pytest.importorskip("monai")
    from oncotrack.bench import petct as bench

    scan = toy_scan(1)
    images = scan.case.images["ct"], scan.case.images["pet"], scan.tumour
    monkeypatch.setattr(bench, "_study", lambda size: images)
    compared = []
    by_monai = bench.monai_segment
    monkeypatch.setattr(bench, "monai_segment", lambda *study: compared.append((study, by_monai(*study))))
    result = bench.bench_petct("cpu", trained, size=(64, 64, 40))
    assert result["ratio"] == pytest.approx(result["segmentation"] / result["monai"])
    (detector, study), found = compared[0]
    assert set(found) == set(detector.first.network.nets)
    assert next(iter(found.values())).shape[2:] == study.ct.shape
