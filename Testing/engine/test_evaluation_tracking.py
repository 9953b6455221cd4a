"""Tracking metrics against hand-worked cases and the released evaluator's rules."""

import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError
from oncotrack.evaluation import evaluate_dls, tracking, write_report

finite = st.floats(-50, 50).map(lambda v: round(v, 3))


def record(name, target, predicted, diameters=(20.0, 10.0), spacing=(0.5, 0.5, 5.0), box=(10.0, 8.0, 2.0), **more):
    return {
        "source": f"{name}_01_01_001-030.nii.gz",
        "target": f"{name}_02_01_001-030.nii.gz",
        "source center": [50.0, 50.0, 10.0],
        "target center": list(target),
        "target box": [*(np.subtract(target, np.array(box) / 2)), *box],
        "target spacing": list(spacing),
        "target recist diameter": list(diameters),
        "predict target center": list(predicted),
    } | more


def write(path, records):
    path.write_text(json.dumps(records))
    return path


def test_offsets_are_voxels_times_the_targets_spacing():
    offsets = tracking.offsets_mm([[13, 9, 4]], [[10, 5, 3]], [[0.5, 0.5, 5.0]])
    assert offsets.tolist() == [[1.5, 2.0, 5.0]]
    assert tracking.distances_mm(offsets)[0] == pytest.approx(math.sqrt(2.25 + 4 + 25))
    assert tracking.mean_distance([3.0, 5.0]) == (4.0, 1.0)


def test_dlt_counts_the_radius_as_outside_and_min_r_10mm_as_inside():
    # released evaluator: distance / radius < 1, and distance <= min(radius, 10)
    assert tracking.matched_radius([4.999, 5.0], [5.0, 5.0]).tolist() == [True, False]
    assert tracking.matched_10mm([5.0, 5.001, 10.0, 10.001], [5.0, 5.0, 30.0, 30.0]).tolist() == [
        True,
        False,
        True,
        False,
    ]
    assert tracking.radii_mm([[8.0, 20.0]], [[0.7, 0.7, 5.0]]).tolist() == [7.0], "pixels become mm; the longer counts"
    # a lesion without extent is found only at less than a thousandth of a millimetre
    assert tracking.matched_radius([0.0, 0.0009, 0.002], [0.0, 0.0, 0.0]).tolist() == [True, True, False]


def test_the_other_two_definitions_differ_from_dlts():
    size = [[3.0, 4.0, 12.0]]  # voxels; diagonal 13
    assert tracking.matched_radius_tlt([12.9], size).all() and not tracking.matched_radius_tlt([13.0], size).any()
    assert tracking.matched_10mm_tlt([9.9], size).all() and not tracking.matched_10mm_tlt([10.0], size).any()
    box = [[10.0, 10.0, 2.0, 4.0, 4.0, 2.0]]
    assert tracking.matched_radius_uae([[10.0, 14.0, 4.0]], box).all(), "faces count as inside"
    assert not tracking.matched_radius_uae([[10.0, 14.1, 3.0]], box).any()
    assert tracking.matched_10mm_uae([10.0]).all() and not tracking.matched_10mm_uae([10.01]).any()


def test_robustness_shifts_stay_within_a_quarter_radius():
    centre = np.array([1.0, 2.0, 3.0])
    points = tracking.shifted_centres(centre, 8.0, np.random.default_rng(0))
    assert points.shape == (10, 3) and (points[0] == centre).all()
    many = np.linalg.norm(tracking.shifted_centres(centre, 8.0, np.random.default_rng(0), 20000)[1:] - centre, axis=1)
    assert many.max() <= 2.0 and np.mean(many <= 1.0) == pytest.approx(1 / 8, abs=0.01), "uniform in the ball"


def released_rules(records):
    """Compute the metrics as the released evaluator does, item by item."""
    distances, ratios, radii = [], [], []
    for item in records:
        squares = [
            ((p - t) * s) ** 2
            for p, t, s in zip(
                item["predict target center"], item["target center"], item["target spacing"], strict=True
            )
        ]
        distance = math.sqrt(squares[0] + squares[1] + squares[2])
        radius = float(max(item["target recist diameter"]) / 2.0) * item["target spacing"][0]
        distances.append(distance)
        radii.append(radius)
        ratios.append(distance / max(1e-3, radius))
    distances, radii, ratios = map(np.array, (distances, radii, ratios))
    return {
        "MED": distances.mean(),
        "MED std": distances.std(),
        "CPM@Radius": 100 * (ratios < 1.0).mean(),
        "CPM@10mm": 100 * (distances <= np.minimum(radii, 10)).mean(),
    }


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.tuples(finite, finite, finite), st.floats(0, 80), st.floats(0.3, 1.2)), min_size=1, max_size=20
    )
)
def test_any_file_gets_the_scores_of_the_released_rules(tmp_path_factory, rows):
    records = [
        record(f"{n:06d}", (60, 60, 15), np.add((60, 60, 15), shift), (diameter, 1.0), (pixel, pixel, 5.0))
        for n, (shift, diameter, pixel) in enumerate(rows)
    ]
    folder = tmp_path_factory.mktemp("dls")
    truth = write(folder / "truth.json", {f"{n:04d}": item for n, item in enumerate(records)})
    result = evaluate_dls(truth, write(folder / "given.json", {"results": records[::-1]}))
    for name, value in released_rules(records).items():
        assert result[name] == pytest.approx(value, abs=1e-9), name
    assert result["errors_mm"][0] == pytest.approx(
        math.dist((0, 0, 0), np.multiply(rows[0][0], (rows[0][2],) * 2 + (5.0,)))
    )


@pytest.fixture
def pairs():
    generator = np.random.default_rng(5)
    records = {}
    for n in range(12):
        target = generator.uniform(30, 60, 3).round(1)
        records[f"{n:04d}"] = record(f"{n // 3:06d}", target, (target + generator.normal(0, 3, 3)).round(1))
    return records


def test_truth_against_itself_is_perfect(tmp_path, pairs):
    truth = write(tmp_path / "truth.json", pairs)
    perfect = copy.deepcopy(list(pairs.values()))
    for item in perfect:
        item["predict target center"] = item["target center"]
    result = evaluate_dls(truth, write(tmp_path / "p.json", {"results": perfect}))
    assert result["MED"] == result["MED_Z"] == 0 and result["notes"] == []
    assert {value for name, value in result.items() if name.startswith("CPM")} == {100.0}
    assert result["confidence_95"]["CPM@10mm"] == [100.0, 100.0]


def test_no_predictions_score_zero_and_are_no_error(tmp_path, pairs):
    result = evaluate_dls(write(tmp_path / "t.json", pairs), write(tmp_path / "p.json", {"results": []}))
    assert result["CPM@10mm"] == result["CPM@Radius (UAE)"] == 0 and result["MED"] is None and result["pairs"] == 12
    assert {path.name for path in write_report(result, tmp_path / "out")} >= {"metrics.csv", "errors.png"}


def test_items_are_matched_by_identity_in_any_order_and_form(tmp_path, pairs):
    truth = write(tmp_path / "t.json", pairs)
    want = evaluate_dls(truth, truth)
    shuffled = list(pairs.values())
    np.random.default_rng(0).shuffle(shuffled)
    for item in shuffled:
        item["source"] = "export/" + item["source"].removesuffix(".nii.gz")
    for form in ({"results": shuffled}, {"distances": shuffled}, shuffled, dict(enumerate(shuffled))):
        given = evaluate_dls(truth, write(tmp_path / "p.json", form))
        assert given["errors_mm"] == want["errors_mm"]


def test_predictions_with_only_a_centre_are_enough(tmp_path, pairs):
    keys = ("source", "target", "source center", "predict target center")
    for n, item in enumerate(pairs.values()):
        item["source center"] = [50.0 + n, 50.0, 10.0]
    truth = write(tmp_path / "t.json", pairs)
    bare = [{key: item[key] for key in keys} for item in pairs.values()][::-1]
    assert (
        evaluate_dls(truth, write(tmp_path / "p.json", {"results": bare}))["MED"] == evaluate_dls(truth, truth)["MED"]
    )


def test_targets_of_a_prediction_file_are_its_own_only_up_to_rounding(tmp_path, pairs):
    truth = write(tmp_path / "t.json", pairs)
    fine = copy.deepcopy(list(pairs.values()))
    fine[0]["target center"] = (np.array(fine[0]["target center"]) + 0.04).tolist()
    own = evaluate_dls(truth, write(tmp_path / "p.json", {"results": fine}))
    assert own["errors_mm"][0] != evaluate_dls(truth, truth)["errors_mm"][0] and own["notes"] == []
    fine[0]["target center"] = fine[0]["predict target center"]
    fine[0]["target recist diameter"] = [500.0, 400.0]
    cheat = evaluate_dls(truth, write(tmp_path / "p.json", {"results": fine}))
    assert cheat["errors_mm"] == evaluate_dls(truth, truth)["errors_mm"]
    assert "1 of 12 items carry other target values" in cheat["notes"][0]


def test_predictions_counted_from_the_corner_of_a_crop_are_converted(tmp_path, pairs):
    truth = write(tmp_path / "t.json", pairs)
    cropped = copy.deepcopy(list(pairs.values()))
    for item in cropped:
        for key in ("target center", "predict target center", "target box"):
            item[key] = (np.array(item[key]) - np.array([11, 7, 3, 0, 0, 0])[: len(item[key])]).tolist()
    result = evaluate_dls(truth, write(tmp_path / "p.json", {"results": cropped}))
    assert result["errors_mm"] == pytest.approx(evaluate_dls(truth, truth)["errors_mm"]) and result["notes"] == []


def test_start_robustness_and_speed_are_reported_when_the_file_holds_them(tmp_path, pairs):
    truth = write(tmp_path / "t.json", pairs)
    full = copy.deepcopy(list(pairs.values()))
    for item in full:
        item["initial center"] = item["predict target center"]
        item["predict target center"] = item["target center"]
        item["predict target inner points"] = [item["target center"]] * 8 + [np.add(item["target center"], 40).tolist()]
        item["prcessing time"] = 3.5
    result = evaluate_dls(truth, write(tmp_path / "p.json", {"results": full}))
    assert result["CPM@10mm"] == 100 and result["robust"]["CPM@10mm"] == 90
    assert result["initial"]["MED"] == evaluate_dls(truth, truth)["MED"] and result["seconds a volume"] == 3.5


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda items: items.pop(), "missing predictions for 1 of the 12 lesion pairs"),
        (lambda items: items.append(items[0]), "too many predictions, namely for 1 of the 12"),
        (lambda items: items[0].update(source="other.nii.gz"), "missing predictions"),
        (lambda items: items[0].pop("predict target center"), 'item 1 has no "predict target center"'),
        (lambda items: items[0].pop("source"), 'item 1 has no "source" and "target"'),
        (lambda items: items[3].update({"predict target center": [1, 2, None]}), 'item 4: "predict target center"'),
        (lambda items: items[3].update({"predict target center": [1, 2]}), "3 finite numbers are needed"),
        (lambda items: items[3].update({"predict target center": "x"}), "does not hold 3 numbers"),
        (lambda items: items.__setitem__(0, 5), "holds no records"),
    ],
)
def test_a_wrong_prediction_file_raises_an_error(tmp_path, pairs, break_it, message):
    truth = write(tmp_path / "t.json", pairs)
    items = copy.deepcopy(list(pairs.values()))
    break_it(items)
    with pytest.raises(InputError, match=message):
        evaluate_dls(truth, write(tmp_path / "p.json", {"results": items}))


def test_files_that_are_no_json_raise_an_error(tmp_path, pairs):
    truth = write(tmp_path / "t.json", pairs)
    broken = tmp_path / "p.json"
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="could not be read as text"):
        evaluate_dls(truth, broken)
    broken.write_text('{"results": [')
    with pytest.raises(InputError, match="cut off"):
        evaluate_dls(truth, broken)
    with pytest.raises(InputError, match="does not exist"):
        evaluate_dls(truth, tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="holds no lesion pairs"):
        evaluate_dls(write(broken, {}), truth)


@pytest.mark.real
def test_the_affine_start_of_the_released_validation_set(shared_data, tmp_path):
    path = shared_data / "dls" / "valid.json"
    result = evaluate_dls(path, path)
    records = list(json.loads(path.read_text()).values())
    assert result["pairs"] == len(records) == 906
    for name, value in released_rules(records).items():
        assert result[name] == pytest.approx(value, abs=1e-9)
    assert (round(result["CPM@10mm"], 2), round(result["CPM@Radius"], 2)) == (52.32, 66.89)
    assert (round(result["MED"], 2), round(result["MED std"], 2)) == (10.12, 9.70)
    files = write_report(result, tmp_path)
    assert all(file.stat().st_size > 100 for file in files)
