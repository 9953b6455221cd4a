"""`oncotrack evaluate response`: measurements proposed at the follow-up, compared with the truth and with two rivals."""

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.datasets.measured_visits import MeasuredLesion, MeasuredVisits, measured_phantoms
from oncotrack.errors import InputError
from oncotrack.evaluation.kept_parts import KeptParts
from oncotrack.evaluation.measured_follow_up import CARRIED, COPIED, ELLIPSOID, evaluate_measured_follow_up
from oncotrack.findings.finding import Kind, Observation
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.followup.tracker import Match
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.findings import observation
from oncotrack.masks.recist import measure
from oncotrack.phantom import make_patient
from oncotrack.phantom.truth import Instance

GRID = Geometry((80, 80, 40), (1.5, 1.5, 3.0), (-60.0, -60.0, -60.0))


def scan(radius: float, seed: int) -> tuple[Volume, Volume]:
    """Return a body with organs' edges for the registration and one lesion in its middle; and the lesion's mask."""
    k, j, i = np.indices(GRID.shape)
    at = GRID.to_ras(np.stack([i, j, k], -1))
    values = np.where(((at / (52, 40, 70)) ** 2).sum(-1) < 1, -90.0, -1000.0)
    values[((at - (25, 10, 20)) ** 2).sum(-1) < 225] = 50
    values[((at - (-28, -5, -25)) ** 2).sum(-1) < 169] = 300
    inside = (at**2).sum(-1) <= radius**2
    values[inside] = 60
    values += np.random.default_rng(seed).normal(0, 10, GRID.shape)
    mask = Volume(inside.astype(np.uint8), GRID)
    return Volume(values.astype(np.int16), GRID, f"scan {seed}", "CT"), mask


class Exact:
    """A tracker that is always right."""

    name = "exact"

    def match(self, pair, at, radius_mm=10.0, progress=None) -> Match:
        return Match(True, tuple(at), tuple(at), radius_mm, 1.0, 0.0, method="exact")


class Lost(Exact):
    """A tracker that never finds anything."""

    def match(self, pair, at, radius_mm=10.0, progress=None) -> Match:
        return Match(False, tuple(at), tuple(at), radius_mm, 0.0, None)


@pytest.fixture(scope="module")
def visits() -> MeasuredVisits:
    (before, old), (after, new) = scan(9.0, 1), scan(13.0, 2)
    seen, truth = observation(old), measure(new)
    lesion = Instance(
        1, 1, Kind.LESION, truth.centre, truth.box, truth.tracklet, truth.long_axis, truth.short_axis, truth.volume_mm3,
        "made", "made", "grows",
    )  # fmt: skip
    return MeasuredVisits("made", before, after, (MeasuredLesion("L 1", seen, lesion, new),))


def made(*pairs: MeasuredVisits):
    """Return the pairs as their names and makers."""
    return [(each.name, lambda each=each: each) for each in pairs]


def test_a_grown_lesion_is_measured_better_than_by_copying(visits):
    result = evaluate_measured_follow_up(Exact(), made(visits))
    assert (result["pairs"], result["lesions"], result["accepted"], result["not_measured"]) == (1, 1, 1, [])
    assert [result[way]["long_axis_right"] for way in (CARRIED, COPIED, ELLIPSOID)] == [100, 0, 0]
    assert [result[way]["volume_right"] for way in (CARRIED, COPIED, ELLIPSOID)] == [100, 0, 0]
    assert result[CARRIED]["Dice"] > 90 > result[COPIED]["Dice"]
    assert result["per_lesion"][0]["growth"] == pytest.approx(13 / 9, abs=0.1)


def test_a_pair_that_cannot_be_registered_is_left_out_and_named(visits):
    noise = np.random.default_rng(3).normal(-900, 20, GRID.shape).astype(np.int16)
    elsewhere = Volume(noise, GRID, "air", "CT")
    result = evaluate_measured_follow_up(Exact(), made(replace(visits, name="elsewhere", followup=elsewhere), visits))
    assert (result["pairs"], result["accepted"], result["not_registered"]) == (1, 1, ["elsewhere"])


def test_an_interrupted_evaluation_goes_on_where_it_was_ended(visits, tmp_path):
    file = tmp_path / "parts" / "done.jsonl"
    whole = evaluate_measured_follow_up(Exact(), made(visits), kept=KeptParts(file, "pairs"))
    with file.open("a") as parts:
        parts.write('["half", {"lesions"')  # killed while it was writing

    def never():
        raise AssertionError("a part that is kept is not made again")

    empty = [("made", never), ("without lesions", lambda: None)]
    again = evaluate_measured_follow_up(Lost(), empty, kept=KeptParts(file, "pairs"))
    assert again == whole
    assert KeptParts(file, "pairs").part("without lesions", never) is None
    with pytest.raises(InputError, match=r"done\.jsonl holds parts of another evaluation \(pairs\)"):
        KeptParts(file, "courses")
    (tmp_path / "table.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="holds no parts of an evaluation"):
        KeptParts(tmp_path / "table.csv", "pairs")


def test_matches_that_no_reader_would_accept_do_not_count(visits):
    with pytest.raises(InputError, match="No match was found"):
        evaluate_measured_follow_up(Lost(), made(visits))


def test_synthetic_patients_come_with_masks_and_diameters_at_both_visits(monkeypatch):
    def coarse(seed, visits, *, size, spacing):  # a quarter of the voxels
        (width, height, depth), (across, _across, thickness) = size, spacing
        size, spacing = (width // 2, height // 2, depth), (2 * across, 2 * across, thickness)
        return make_patient(seed, visits, size=size, spacing=spacing)

    monkeypatch.setattr("oncotrack.datasets.measured_visits.make_patient", coarse)
    ((_name, make),) = measured_phantoms(1_000_322, 1)
    visits = make()
    assert len(visits.lesions) >= 5
    for lesion in visits.lesions:
        before: Observation = lesion.before
        assert isinstance(before.mask, PackedMask)
        assert visits.baseline.geometry.contains(before.centre)
        assert lesion.mask.array.sum() * lesion.mask.geometry.voxel_mm3 == pytest.approx(
            lesion.after.volume_mm3, rel=0.01
        )
