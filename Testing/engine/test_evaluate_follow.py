"""Evaluation of lesion trackers: trackers of known behaviour get the expected numbers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from oncotrack.cli.app import app
from oncotrack.datasets.lesion_visits import CONTRAST, GROWN, MOVED, VANISHED, LesionVisits, VisitLesion
from oncotrack.errors import InputError, MissingPackageError, RegistrationError
from oncotrack.evaluation.baselines import BASELINES, CentreCopy
from oncotrack.evaluation.follow import evaluate_follow
from oncotrack.evaluation.follow_summary import table_row
from oncotrack.evaluation.match_pictures import MatchPicture, axial_image, choose
from oncotrack.followup.ensemble import Ensemble, decide
from oncotrack.followup.tracker import Match, ScanPair
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration

GRID = Geometry((40, 40, 20), (5.0, 5.0, 10.0))
PLACES = [(20.0, 30.0, 50.0), (60.0, 100.0, 90.0), (120.0, 60.0, 40.0), (150.0, 150.0, 150.0)]


class Off:
    """Tracker with a constant offset from the true position, which is 10 mm to the right of the click."""

    def __init__(self, offset, cycle=1.0, found=True):
        self.name, self.offset, self.cycle, self.found = "off", offset, cycle, found

    def match(self, pair, at, radius_mm=10.0, progress=None):
        place = tuple(np.add(at, (10.0, 0.0, 0.0)) + self.offset)
        return Match(self.found, place, at, radius_mm, 0.5, self.cycle)


@pytest.fixture(autouse=True)
def known_registration(monkeypatch):
    monkeypatch.setattr(ScanPair, "registration", lambda self, progress=None: Registration(np.eye(4)))


@pytest.fixture
def visits():
    array = np.random.default_rng(0).integers(-100, 100, GRID.shape).astype(np.int16)
    scans = Volume(array, GRID, "before", "CT"), Volume(array, GRID, "after", "CT")
    there = [tuple(np.add(place, (10.0, 0.0, 0.0))) for place in PLACES]
    radii = [(5.0, 8.0), (12.0, 12.0), (6.0, 6.0), (7.0, None)]
    groups = [(GROWN, CONTRAST), (MOVED,), (CONTRAST,), (VANISHED,)]
    lesions = [
        VisitLesion((a, b), r, g, (16.0, 10.0, 10.0) if r[1] else None)
        for a, b, r, g in zip(PLACES, there, radii, groups, strict=True)
    ]
    unseen = VisitLesion((PLACES[0], there[0]), (None, 5.0))
    return LesionVisits("pair", "patient", *scans, (*lesions, unseen))


def test_the_table_has_the_metrics_of_the_papers(visits):
    result = evaluate_follow({"right": Off((0, 0, 0)), "off": Off((0, 0, 7.0), cycle=12.0, found=False)}, [visits])
    assert (result["lesions"], result["vanished"], result["pairs"]) == (3, 1, 1)
    right, off = result["right"], result["off"]
    assert right["MED"] == pytest.approx(0, abs=1e-9)
    assert right["CPM@10mm"] == right["CPM@Radius"] == right["CPM@Radius (UAE)"] == 100
    assert off["MED"] == off["MED_Z"] == pytest.approx(7)
    assert off["MED_X"] == pytest.approx(0, abs=1e-9)
    # radii 8, 12 and 6 mm; half a box's height is 5 mm, its diagonal in voxels (16/5, 2, 1) is 3.9
    assert off["CPM@10mm"] == off["CPM@Radius"] == pytest.approx(200 / 3)
    assert off["CPM@Radius (UAE)"] == 0
    assert off["CPM@10mm (UAE)"] == 100
    assert off["CPM@Radius (TLT)"] == 0
    assert off["groups"][CONTRAST]["lesions"] == 2
    assert off["groups"][CONTRAST]["CPM@10mm"] == 50
    assert VANISHED not in off["groups"]


def test_vanished_lesions_and_cycle_errors_are_evaluated(visits):
    result = evaluate_follow({"sure": Off((0, 0, 0), cycle=1.0), "lost": Off((30.0, 0, 0), None, False)}, [visits])
    assert (result["sure"]["vanished told"], result["sure"]["present doubted"]) == (0, 0)
    assert (result["lost"]["vanished told"], result["lost"]["present doubted"]) == (100, 100)
    assert result["sure"]["trust"] == [{"cycle error": "below 2 mm", "lesions": 4, "within 10 mm": 75.0}]
    assert result["lost"]["trust"] == [{"cycle error": "none", "lesions": 4, "within 10 mm": 0.0}]
    over = result["over"]["lost"]
    assert over["CPM@10mm"]["difference"] == 100
    assert over["CPM@10mm"]["p"] == 1, "one patient alone is no evidence"
    assert over["MED"]["difference"] == pytest.approx(-30)


def test_clicks_beside_the_centre_are_followed_too(visits):
    result = evaluate_follow({"right": Off((0, 0, 0))}, [visits], shifts=3)
    shifted = result["right"]["shifted"]
    assert shifted["clicks"] == 9
    assert 0 < shifted["MED"] <= 3.0
    assert shifted["CPM@Radius"] == 100


def test_pictures_of_ten_matches_are_written(visits, tmp_path):
    """The plane that is shown has the match in its middle, with the patient's right on the left."""
    evaluate_follow({"off": Off((0, 0, 7.0))}, [visits], pictures=tmp_path)
    picture = plt.imread(tmp_path / "off.png")
    assert picture.std() > 0.1
    array = np.full(GRID.shape, -1000, np.int16)
    array[:, :, 20:] = 40
    half = axial_image(Volume(array, GRID, "half", "CT"), (97.5, 100.0, 95.0))
    assert half[60, 10] == 40
    assert half[60, 110] == -1000
    far = [MatchPicture("", half, half, np.zeros(3), np.zeros(3), (5.0, 5.0), float(n)) for n in range(30)]
    assert [picture.distance for picture in choose(far)] == [0, 1, 2, 13, 14, 15, 16, 27, 28, 29]
    assert len(choose(far[:4])) == 4


def test_pairs_that_cannot_be_registered_are_named(visits, monkeypatch):
    calls = iter([True, False])

    def registration(self, progress=None):
        if next(calls, False):
            raise RegistrationError("no")
        return Registration(np.eye(4))

    monkeypatch.setattr(ScanPair, "registration", registration)
    result = evaluate_follow({"right": Off((0, 0, 0))}, [visits, visits])
    assert (result["not registered"], result["pairs"]) == (["pair"], 1)
    with pytest.raises(InputError, match="no pair of visits"):
        evaluate_follow({"right": Off((0, 0, 0))}, [])


def test_no_lesion_gives_no_numbers():
    assert table_row([], []) == {"lesions": 0, "MED": None, "CPM@10mm": None, "CPM@Radius": None}


def test_the_copied_centre_stays_where_it_was_clicked(visits):
    pair = ScanPair(visits.baseline, visits.followup)
    match = CentreCopy().match(pair, PLACES[0], 5.0)
    assert match.position == PLACES[0]
    assert match.found
    far = Volume(visits.followup.array, Geometry(GRID.size, GRID.spacing, (500.0, 0.0, 0.0)), "far", "CT")
    assert not CentreCopy().match(ScanPair(visits.baseline, far), PLACES[0], 5.0).found


def match(place, cycle, found=True):
    return Match(found, place, (0.0, 0.0, 0.0), 5.0, 0.5, cycle)


def test_two_matches_that_agree_become_one():
    plain, learned = match((1.0, 0, 0), 3.0), match((2.0, 0, 0), 0.5)
    assert decide(plain, learned) is plain
    doubted = match((1.0, 0, 0), 8.0, found=False)
    assert decide(doubted, learned).found
    assert decide(doubted, learned).position == (1.0, 0.0, 0.0)


def test_of_two_matches_that_disagree_the_one_with_the_smaller_cycle_error_is_used():
    plain, learned = match((1.0, 0, 0), 12.0), match((30.0, 0, 0), 1.0)
    chosen = decide(plain, learned)
    assert chosen.position == (30.0, 0.0, 0.0)
    assert chosen.alternatives[0].centre == (1.0, 0.0, 0.0)
    assert decide(match((1.0, 0, 0), 0.5), learned).position == (1.0, 0.0, 0.0)
    assert decide(match((1.0, 0, 0), None), learned).position == (30.0, 0.0, 0.0)


def test_the_ensemble_uses_both_trackers(visits):
    pair = ScanPair(visits.baseline, visits.followup)
    found = Ensemble(Off((0, 0, 20.0), cycle=9.0), Off((0, 0, 0), cycle=0.5)).match(
        pair, PLACES[0], 5.0, lambda *_: None
    )
    assert found.position == tuple(np.add(PLACES[0], (10.0, 0, 0)))
    assert found.method == "ensemble"


def test_the_ensemble_rejects_a_match_on_different_tissue(visits):
    exact = Off((0, 0, 0))
    array = visits.followup.array.copy()
    k, j, i = np.round(visits.followup.geometry.to_ijk(exact.match(None, PLACES[0]).position)[::-1]).astype(int)
    array[k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3] = -900
    aired = ScanPair(visits.baseline, replace(visits.followup, array=array))
    found, doubted = (
        Ensemble(exact, exact).match(pair, PLACES[0], 5.0)
        for pair in (ScanPair(visits.baseline, visits.followup), aired)
    )
    assert found.found
    assert not doubted.found
    assert doubted.position == found.position
    assert "may be gone" in doubted.reason


def test_the_ensemble_uses_only_the_untrained_tracker_for_images_other_than_ct(visits):
    scans = [replace(scan, modality="MR") for scan in (visits.baseline, visits.followup)]
    plain = Off((0, 0, 20.0), cycle=9.0)
    (found,) = Ensemble(plain, Off((0, 0, 0), cycle=0.5)).match_many(ScanPair(*scans), [(PLACES[0], 5.0)])
    assert found.position == plain.match(None, PLACES[0]).position


def test_convex_adam_corrects_the_affine_registration():
    """A textured block on anisotropic voxels is displaced by some millimetres that the given registration does not contain."""
    pytest.importorskip("convexAdam", reason="the extra compare is not installed")
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.standard_normal((34, 36, 40)), 2.0)
    grid = Geometry((40, 36, 34), (2.0, 2.0, 2.0))
    moved = Geometry(grid.size, grid.spacing, (6.0, -4.0, 2.0))
    array = (texture / texture.std() * 200).astype(np.float32)
    pair = ScanPair(Volume(array, grid, "before", "CT"), Volume(array, moved, "after", "CT"), cache=False)
    match = BASELINES["convexadam"]().match(pair, (38.0, 34.0, 32.0), 5.0)
    assert match.position == pytest.approx((44.0, 30.0, 34.0), abs=1.0)
    assert match.registration_guess == pytest.approx((38.0, 34.0, 32.0))
    assert match.cycle_error_mm < 0.1
    with pytest.raises(RegistrationError, match="too thin"):
        thin = Volume(array[:20], replace(grid, size=(40, 36, 20)), "thin", "CT")
        BASELINES["convexadam"]().match(ScanPair(thin, pair.followup, cache=False), (38.0, 34.0, 20.0))


def test_without_convex_adam_the_command_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "convexAdam.convex_adam_MIND", None)
    done = CliRunner().invoke(app, ["evaluate", "follow", "--method", "convexadam"])
    assert isinstance(done.exception, MissingPackageError)
    assert "oncotrack[compare]" in str(done.exception)


def test_the_command_writes_one_json(visits, tmp_path, monkeypatch):
    monkeypatch.setattr("oncotrack.datasets.warped_visits.phantom_visits", lambda seed: [visits])
    out = tmp_path / "follow.json"
    done = CliRunner().invoke(
        app, ["evaluate", "follow", "--method", "copy", "--method", "affine", "--cases", "2", "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    result = json.loads(out.read_text())
    assert result["lesions"] == 6
    assert result["copy"]["MED"] == result["affine"]["MED"] == pytest.approx(10)
    assert result["over"]["affine"]["MED"]["difference"] == pytest.approx(0)
    assert result["over"]["affine"]["MED"]["p"] == 1
    assert "copy over affine" in done.output
    assert "MED +0.0 mm (0.0 to 0.0), p 1.000" in " ".join(done.output.split())


def test_data_and_its_options_must_fit():
    for options in (["--data", "warped"], ["--data", "phantom", "--warp", "x.nii"], ["--data", "none"]):
        done = CliRunner().invoke(app, ["evaluate", "follow", *options])
        assert isinstance(done.exception, InputError)
