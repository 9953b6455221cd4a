"""Whether an image can be a CT in Hounsfield units is seen from its intensities, whatever modality it states."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from oncotrack.detection.ct_slices import check_ct
from oncotrack.errors import InputError, RegistrationError
from oncotrack.images.geometry import Geometry
from oncotrack.images.hounsfield import problem
from oncotrack.images.volume import Volume
from oncotrack.masks.windows import lesion_window
from oncotrack.phantom import make_patient
from oncotrack.registration.register import register

RNG = np.random.default_rng(3)
MM = (2.0, 2.0, 2.0)


def tissue(hu, noise=15.0, shape=(12, 40, 40)):
    return RNG.normal(hu, noise, shape)


def mixed(*parts):
    """Return tissues side by side."""
    return np.concatenate(parts, axis=1)


def with_margin(array, value):
    framed = array.copy()
    framed[:, :6], framed[:, -6:] = value, value
    return framed


@pytest.fixture(scope="module")
def images() -> dict[str, Volume]:
    """Return CT, MR and PET of a small synthetic patient, by modality."""
    return make_patient(7, visits=1, size=(54, 48, 30), modalities=("CT", "PT", "MR")).visits[0].images


@pytest.fixture(scope="module")
def ct(images) -> Volume:
    return images["CT"]


@pytest.fixture(scope="module")
def mr(images) -> Volume:
    return images["MR"]


@pytest.fixture(scope="module")
def pet(images) -> Volume:
    return images["PT"]


@pytest.mark.parametrize(
    "array",
    [
        tissue(115), tissue(40, 25), tissue(330, 30), tissue(-850, 60), tissue(-100), tissue(5, 3),
        mixed(tissue(60), tissue(350, 40)),
        mixed(tissue(900, 250, (12, 15, 12)), tissue(1400, 200, (12, 15, 12))),
        mixed(np.full((12, 20, 40), 3071.0), tissue(40, 200), tissue(-1000, 10)),
        np.full((9, 9, 9), 3071.0),
        with_margin(tissue(110), 0), with_margin(tissue(110), -2000), with_margin(tissue(110), -3024),
        mixed(np.full((12, 20, 60), -1000.0), np.zeros((12, 60, 60))),
        mixed(tissue(-1000, 80), tissue(-100), tissue(50), tissue(700, 200)),
        mixed(tissue(-1000, 80, (60, 60, 30)), tissue(50, 15, (60, 60, 30))),
    ],
)  # fmt: skip
def test_what_ct_shows_is_accepted(array):
    assert problem(array, MM) == ""
    assert problem(np.round(array).astype(np.int16), MM) == ""


def test_whole_synthetic_cts_and_crops_of_them_are_accepted(ct):
    assert ct.hounsfield_problem == "" and ct.is_ct
    assert replace(ct, modality="").is_ct
    for _ in range(40):
        start = [RNG.integers(0, n - 6) for n in ct.geometry.size]
        crop = ct.cropped(start, np.add(start, RNG.integers(4, 20)))
        assert crop.hounsfield_problem == ""


OFFSET = "offset of -1024 was lost"
WRONG = {
    "unsigned": (lambda hu: (hu.clip(-1024) + 1024).astype(np.uint16), OFFSET),
    "offset of 1000": (lambda hu: hu.clip(-1000) + 1000, OFFSET),
    "margin of 0": (lambda hu: with_margin(hu.clip(-1024) + 1024, 0), OFFSET),
    "margin of -2000": (lambda hu: with_margin(hu.clip(-1024) + 1024, -2000), OFFSET),
    "margin like air": (lambda hu: with_margin(hu.clip(-1024) + 1024, -1024), OFFSET),
    "negative": (lambda hu: -hu.clip(-1024), "inverted"),
    "stored inverted": (lambda hu: 4095 - (hu.clip(-1024) + 1024) - 1024, "above 1600"),
    "8 bits": (lambda hu: ((hu.clip(-160, 240) + 160) / 400 * 255).round(), "neither air nor fat"),
    "0 to 1": (lambda hu: (hu.clip(-1000, 1000) + 1000) / 2000, "between 0 and"),
    "offset of 8192": (lambda hu: hu + 8192, "above 1600"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_ct_with_other_intensities_is_not_taken_for_one(ct, name):
    change, sentence = WRONG[name]
    wrong = Volume(change(ct.array), ct.geometry, "scan", "CT")
    with pytest.raises(InputError, match=f"scan is not in Hounsfield units: .*{sentence}"):
        check_ct(wrong)
    assert not replace(wrong, modality="").is_ct


def test_mr_and_pet_are_not_taken_for_a_ct(mr, pet):
    phase = (mr.array / mr.array.max()) * 8192 - 4096
    ringing = mr.array.copy()
    ringing[::7, ::7, ::7] -= 350
    for array, sentence in (
        (mr.array, "neither air nor fat"),
        (phase, "below air, down to"),
        (RNG.integers(-4096, 4096, mr.array.shape), "below air"),
        ((mr.array - mr.array.mean()) / mr.array.std(), "between"),
        (ringing, "neither air nor fat"),
    ):
        image = Volume(array, mr.geometry, "scan", "CT")
        with pytest.raises(
            InputError, match=f"scan is not in Hounsfield units: .*{sentence}.* an MR, a PET or a picture"
        ):
            check_ct(image)
        assert not replace(image, modality="").is_ct
    for scale in (1, 5000):
        assert Volume(pet.array * scale, pet.geometry, "scan", "CT").hounsfield_problem


@pytest.mark.parametrize("scale", np.geomspace(0.1, 20, 25))
def test_an_mr_or_a_pet_of_any_scale_is_not_taken_for_a_shifted_ct(mr, pet, scale):
    for image in (mr, pet):
        assert problem(image.array * scale, image.spacing, may_be_other=True) == ""


def test_follow_up_says_that_an_offset_was_lost(ct, mr):
    shifted = Volume((ct.array.clip(-1024) + 1024).astype(np.int16), ct.geometry, "shifted")
    for pair in ((ct, shifted), (shifted, ct), (shifted, shifted)):
        with pytest.raises(InputError, match=f"shifted is not in Hounsfield units.*{OFFSET}"):
            register(*pair, cache=False)
    with pytest.raises(InputError, match="MR is not in Hounsfield units"):
        register(replace(mr, modality="CT", name="MR"), replace(mr, modality="CT", name="MR"), cache=False)
    with pytest.raises(RegistrationError, match="scans of one modality"):
        register(ct, replace(mr, modality=""), cache=False)


def test_a_mask_on_an_mr_that_is_labelled_ct_uses_the_window_of_mr(mr):
    region, inside = mr.array[15, 20:40, 20:40], np.ones((20, 20), bool)
    assert lesion_window(replace(mr, modality="CT"), region, inside) == lesion_window(mr, region, inside)


def test_few_voxels_and_a_thin_image_are_judged_without_an_error():
    assert problem(np.zeros((1, 2, 2)), MM) == ""
    assert problem(np.full((4, 30, 30), -3000.0), MM) == ""
    assert problem(tissue(40, shape=(1, 64, 64)), MM) == ""
    assert Volume(np.full((2, 30, 30), 7.0), Geometry((30, 30, 2))).is_ct is False


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["crlm_1004/ct_dicom", "lung_dx_A0001/ct_dicom", "tilted_ct/ge_tilt_18deg_mixed_spacing", "totalseg_refs/example_ct_dicom"]
)  # fmt: skip
def test_real_cts_and_crops_of_them_are_accepted(shared_data, tmp_path, name):
    from pydicom import dcmread

    subprocess.run(["tar", "xf", shared_data / f"{name}.tar.xz", "-C", tmp_path], check=True)
    slices = [dcmread(path) for path in sorted(tmp_path.rglob("*")) if path.is_file()][::2]
    scan = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])
    spacing = (*map(float, slices[0].PixelSpacing), 2 * float(slices[0].SliceThickness))
    assert problem(scan, spacing) == ""
    for _ in range(60):
        size = int(RNG.choice([20, 40, 80, 150, 250]))
        k, j, i = RNG.integers(0, len(scan) - 3), *RNG.integers(0, 512 - size, 2)
        assert problem(scan[k : k + 10, j : j + size, i : i + size], spacing) == ""


@pytest.mark.real
def test_a_real_mr_that_lost_its_modality_is_no_ct(shared_data, tmp_path):
    from pydicom import dcmread

    archive = shared_data / "cmb_crc_mr" / "scan_001_1960-04-13.tar.xz"
    subprocess.run(["tar", "xf", archive, "-C", tmp_path], check=True)
    slices = [dcmread(path) for path in sorted(tmp_path.rglob("t2_image/*"))]
    stored = np.stack([s.pixel_array * float(s.get("RescaleSlope", 1)) for s in slices]).astype(np.float32)
    mr = Volume(stored, Geometry.from_values(stored.shape[::-1], (0.68, 0.68, 8), (0, 0, 0)), "mr")
    assert mr.array.min() < -200 and not mr.is_ct
