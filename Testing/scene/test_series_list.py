"""The list of series that the browser and the Slicer modules show, and the opening of one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from study_folder import SERIES, ellipsoid, write_study, write_tilted

from oncotrack.errors import Cancelled, InputError
from oncotrack.images.dicom import load_study
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.dicom_series import write_series
from oncotrack.scene.files.series_list import ScanSource, SeriesChoice, open_scan, rows_of
from oncotrack.scene.files.series_tasks import listing_task, opened_text, reading_task
from oncotrack.scene.files.thumbnails import png, thumbnail
from oncotrack.scene.nodes.volumes import add_volume, to_volume

SOFT, LUNG, *_ = SERIES


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("visit") / "study")


def asked(path: Path, **wanted) -> SeriesChoice:
    choice = open_scan(ScanSource(path, **wanted))
    assert isinstance(choice, SeriesChoice)
    return choice


def test_the_rows_name_what_sets_series_apart_and_what_is_no_volume(study):
    rows = asked(study).rows
    assert [row.title for row in rows[:4]] == [f"1. CT {SOFT}", f"2. CT {LUNG}", "3. PT FDG", "4. CT Topogram"]
    details = "2026-01-15 · 8 slices · 4 x 4 x 5 mm · thickness 5 mm · Br40 · contrast Iohexol"
    assert rows[0].details == details
    assert [bool(row.problem) for row in rows] == [False, False, False, True, True, True]
    assert rows[3].details == "2026-01-15 · 1 image" and rows[5].details == "2026-01-15"
    assert asked(study).question == "study holds 3 volumes. Choose the one to open."


def test_the_patient_is_in_the_rows_where_there_are_several(study, tmp_path):
    both = shutil.copytree(study, tmp_path / "both")
    for path in (both / "b").iterdir():
        ds = pydicom.dcmread(path)
        ds.PatientID, ds.PatientName = "77", "Other^Anna"
        ds.save_as(path)
    assert {row.patient for row in rows_of(load_study(study))} == {""}
    assert {row.patient for row in rows_of(load_study(both))} == {"PHANTOM, ID PHANTOM", "Other Anna, ID 77"}


def test_the_chosen_series_is_read(study):
    choice = asked(study)
    volume = choice.read(choice.rows[1].key)
    assert np.array_equal(volume.array, ellipsoid().array + 1)
    assert opened_text(volume) == f'Series 2 of 6: CT "{LUNG}", 8 slices of 5 mm.'
    with pytest.raises(InputError, match="localizer"):
        choice.read(choice.rows[3].key)


def test_no_question_is_asked_where_one_volume_can_be_meant(study, tmp_path):
    assert isinstance(open_scan(ScanSource(study, series="lung")), Volume)
    one = shutil.copytree(study, tmp_path / "one")
    for name in ("b", "c"):
        shutil.rmtree(one / name)
    volume = open_scan(ScanSource(one))
    assert isinstance(volume, Volume) and "Series 1 of 4" in opened_text(volume)
    assert isinstance(open_scan(ScanSource(save(ellipsoid(), tmp_path / "ct.nii.gz"))), Volume)
    with pytest.raises(InputError, match="does not exist"):
        open_scan(ScanSource(tmp_path / "nothing"))
    shutil.rmtree(one / "a")
    with pytest.raises(InputError, match="no series that can be read as a volume"):
        open_scan(ScanSource(one))


def test_a_name_that_fits_no_series_or_several_asks(study):
    question = asked(study, series="99").question
    assert question == '"99" does not identify exactly one series of study. Choose the one to open.'
    assert len(asked(study, series="5 mm").rows) == 6


def test_a_tilted_series_is_resampled_when_it_is_chosen(tmp_path):
    folder = write_tilted(tmp_path / "tilted")
    choice = asked(folder)
    assert choice.question == "tilted can only be opened if it is resampled."
    assert "The gantry was tilted" in choice.rows[0].resampling
    volume = choice.read(choice.rows[0].key)
    assert volume.array.shape[1] > ellipsoid().array.shape[1]
    assert opened_text(volume).startswith("Resampled to a regular grid")
    assert isinstance(open_scan(ScanSource(folder, resample=True)), Volume)


def test_a_damaged_series_beside_the_only_volume_asks(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "damaged")
    shutil.rmtree(folder / "c")
    (folder / "b" / "slice0003.dcm").unlink()
    choice = asked(folder)
    assert choice.question == "damaged holds 1 volume and a damaged series. Choose the one to open."
    assert "1 slice is missing" in choice.rows[1].problem and "mm" not in choice.rows[1].spacing


# pictures


def test_pictures_show_the_patient_upright_with_true_proportions(study):
    pictures = [thumbnail(series) for series in load_study(study).series]
    assert [picture is None for picture in pictures] == [False, False, False, False, False, True]
    soft = pictures[0]
    assert soft.dtype == np.uint8 and soft.shape == (80, 96), "24 x 20 voxels of 4 mm"
    assert soft[0, 0] == 0 and 100 < soft[48, 20] < 150 < soft[48, 62], "air, water, and bone in the left half"
    again = sitk.ReadImage(str(_written(png(soft), study)))
    assert np.array_equal(sitk.GetArrayFromImage(again), soft)


@pytest.mark.parametrize("flips", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_pictures_do_not_depend_on_the_order_of_rows_and_columns_in_the_file(tmp_path, flips):
    ct = ellipsoid()
    ct.array[:, 12:, :] += 200  # the front; the bone is in the patient's left half
    i, j = flips
    corner = ct.geometry.to_ras((23 if i < 0 else 0, 19 if j < 0 else 0, 0))
    geometry = Geometry.from_values(ct.geometry.size, ct.spacing, corner, np.diag([i, j, 1.0]))
    turned = Volume(ct.array[:, ::j, ::i], geometry, "turned", "CT")
    (series,) = load_study(write_series(turned, tmp_path / "ct")).series
    picture = thumbnail(series).astype(int)
    assert picture[16, 48] > picture[64, 48] + 50, "the front is on top"
    assert picture[48, 62] > picture[48, 30] + 50, "the patient's left is on the right"


def _written(data: bytes, folder: Path) -> Path:
    path = folder.parent / "picture.png"
    path.write_bytes(data)
    return path


# tasks of the Slicer modules


def test_a_study_is_listed_with_pictures_and_its_series_is_added_to_the_scene(scene, study):
    def opened(volume):
        return add_volume(scene, volume)

    choice, pictures = listing_task(study, opened, lambda *question: question).run()
    assert [bool(picture) for picture in pictures] == [True, True, True, True, True, False]
    assert pictures[0].startswith(b"\x89PNG")
    node = reading_task(choice, choice.rows[1], opened).run()
    assert node.GetName().endswith(LUNG)
    assert np.allclose(to_volume(node).geometry.ijk_to_ras, load(study, LUNG).geometry.ijk_to_ras)


def test_a_folder_of_one_series_is_opened_without_a_question(scene, study):
    node = listing_task(study / "a", lambda volume: add_volume(scene, volume), lambda *_question: None).run()
    assert node.GetImageData().GetDimensions() == (24, 20, 8)


def test_listing_can_be_cancelled_between_pictures(study):
    def progress(fraction, _text):
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        listing_task(study, lambda _volume: None, lambda *_question: None).run(progress)


def test_a_series_that_cannot_be_read_is_abandoned_with_the_reason(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "cut")
    choice, abandoned = asked(folder), []
    file = folder / "a" / "slice0002.dcm"
    file.write_bytes(file.read_bytes()[:-300])
    task = reading_task(choice, choice.rows[0], lambda _volume: None, lambda: abandoned.append(True))
    with pytest.raises(InputError, match=r"slice0002\.dcm"):
        task.run()
    assert abandoned
