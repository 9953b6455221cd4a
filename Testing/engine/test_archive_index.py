"""An archive is indexed from headers: patients, visits, the series to read by rules, reasons for the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import small_dicom

from oncotrack.archive.entries import Entry, read_index, write_index
from oncotrack.archive.index import index_archive
from oncotrack.archive.retrieving import retrieve_archive
from oncotrack.archive.selection import Rules, choose, sharpness
from oncotrack.errors import InputError
from oncotrack.pacs.archive import Query, SeriesEntry, StudyEntry

FEW = Rules(least_slices=3)


def write(folder: Path, slices: int = 4, **tags) -> list[Path]:
    """Write a small series, and return its files."""
    values = np.zeros((slices, 4, 4))
    return sorted(small_dicom.write(small_dicom.series(values, **tags), folder).iterdir())


@pytest.fixture
def archive(tmp_path) -> Path:
    """Two patients; the first has two visits, the second of which comes first in the tree, with three series each."""
    root = tmp_path / "archive"
    for day, name in (("20260301", "a later visit"), ("20250901", "b first visit")):
        study = {"StudyInstanceUID": f"2.25.{day}", "StudyDate": day, "AcquisitionDate": day, "PatientID": "P1"}
        write(root / "one" / name / "thick", SeriesNumber=2, SliceThickness=5.0, ConvolutionKernel="Br40", **study)
        write(root / "one" / name / "thin", SeriesNumber=3, SliceThickness=1.5, ConvolutionKernel="Br40", **study)
        write(root / "one" / name / "lung", SeriesNumber=4, SliceThickness=1.5, ConvolutionKernel="Bl57", **study)
    write(root / "two", PatientID="P2", PatientName="Roe^Richard")
    (root / "notes").mkdir()
    (root / "notes" / "readme.txt").write_text("no image")
    return root


def test_patients_and_visits_are_ordered_by_date_and_one_series_of_each_study_is_read(archive):
    found = index_archive(archive, FEW, processes=1)
    read = [(entry.patient, entry.visit, entry.date, entry.folder) for entry in found.entries if entry.is_read]
    assert read == [
        ("P1", 0, "20250901", "one/b first visit/thin"),
        ("P1", 1, "20260301", "one/a later visit/thin"),
        ("P2", 0, "20260102", "two"),
    ]
    reasons = {entry.folder.rpartition("/")[2]: entry.reason for entry in found.entries if not entry.is_read}
    assert reasons == {
        "thick": "Series 3 of the study is read instead: it is nearer to a thickness of 1.5 mm.",
        "lung": "Series 3 of the study is read instead: it is of a soft kernel.",
        "notes": "The folder holds no DICOM files.",
    }


def test_a_second_run_reads_only_what_is_new_and_gives_the_same(archive, tmp_path):
    first = index_archive(archive, FEW, processes=1)
    path = write_index(tmp_path / "index.parquet", list(first.entries), archive)
    before, root = read_index(path)
    assert (tuple(before), root) == (first.entries, archive)
    again = index_archive(archive, FEW, before, processes=1)
    assert (again.read_folders, again.entries) == (0, first.entries)
    added = write(archive / "one" / "c third visit", PatientID="P1", StudyDate="20260901", AcquisitionDate="20260901")
    (archive / "two" / "IM0000.dcm").unlink()
    grown = index_archive(archive, FEW, before, processes=1)
    assert grown.read_folders == 2
    assert grown.entries == index_archive(archive, FEW, processes=1).entries
    assert [e.visit for e in grown.entries if e.patient == "P1" and e.is_read] == [0, 1, 2]
    added[0].write_bytes(added[0].read_bytes()[:200])
    damaged = index_archive(archive, FEW, grown.entries, processes=1)
    assert damaged.read_folders == 1
    assert "is damaged" in next(e.reason for e in damaged.entries if e.folder.endswith("third visit"))


def test_a_series_that_is_spread_over_folders_is_one(archive):
    files = write(archive / "spread" / "1", slices=6, PatientID="P3")
    other = archive / "spread" / "2"
    other.mkdir()
    for file in files[3:]:
        file.rename(other / file.name)
    found = index_archive(archive, FEW, processes=1)
    (series,) = [entry for entry in found.entries if entry.patient == "P3"]
    assert (series.slices, series.folder, series.visit) == (6, "spread/1|spread/2", 0)
    assert index_archive(archive, FEW, found.entries, processes=1).entries == found.entries
    (other / files[5].name).unlink()
    (series,) = [e for e in index_archive(archive, FEW, found.entries, processes=1).entries if e.patient == "P3"]
    assert series.slices == 5


def test_several_processes_give_the_same(archive):
    assert index_archive(archive, FEW, processes=2).entries == index_archive(archive, FEW, processes=1).entries


def test_a_patient_id_of_two_people_is_left_out_with_the_reason(archive):
    write(archive / "three", PatientID="P2", PatientName="Poe^Paula", StudyInstanceUID="2.25.77")
    for entry in index_archive(archive, FEW, processes=1).entries:
        if entry.patient == "P2":
            assert not entry.is_read
            assert entry.reason.startswith("The Patient ID P2 is used for people of different names")


def test_a_reformat_a_localizer_and_a_short_series_are_not_read_when_an_axial_one_exists():
    def entry(key: str, **values) -> Entry:
        known = {"modality": "CT", "kind": "CT", "is_volume": True, "is_axial": True, "image_type": "ORIGINAL\\PRIMARY"}
        return Entry(
            "f", "s", key=key, number=int(key), slices=100, thickness_mm=1.5, step_mm=1.5, **{**known, **values}
        )

    study = [
        entry("1", kind="localizer"),
        entry("2", is_axial=False, contrast="Iohexol"),
        replace(entry("3"), thickness_mm=7.0, contrast="Iohexol"),
        replace(entry("4"), slices=1),
        entry("5", image_type="DERIVED\\SECONDARY", contrast="Iohexol"),
        entry("6"),
        entry("7", contrast="Iohexol"),
        replace(entry("8"), image_type="DERIVED\\SECONDARY\\ADC", contrast="Iohexol"),
    ]
    chosen = {entry.key: entry for entry in choose(study, Rules())}
    assert [key for key, each in chosen.items() if each.is_read] == ["7"]
    assert chosen["1"].reason == "It is a localizer."
    assert chosen["2"].reason.endswith("it is axial.")
    assert chosen["3"].reason.endswith("it is not thicker than 5 mm.")
    assert chosen["4"].reason == "It has 1 slice; the rules ask for at least 20."
    assert chosen["5"].reason.endswith("it is no reformat.")
    assert chosen["6"].reason.endswith("it is with contrast agent.")
    assert chosen["8"].reason.endswith("it is no computed map.")
    assert [e.key for e in choose([study[2], study[7]], Rules()) if e.is_read] == ["3"], (
        "a thick image rather than a map"
    )
    without = {entry.key for entry in choose(study, Rules(contrast="without")) if entry.is_read}
    assert without == {"6"}
    assert {e.key for e in choose(study[1:2], Rules()) if e.is_read} == {"2"}, "a reformat where there is nothing else"


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [("B31f", "soft"), ("B70f", "sharp"), ("Br40d", "soft"), ("Bl57", "sharp"), ("STANDARD", "soft"), ("LUNG", "sharp"),
     ("BONEPLUS", "sharp"), ("FC08", "soft"), ("FC52", "sharp"), ("I30f\\3", "soft"), ("", ""), ("unknown", "")],
)  # fmt: skip
def test_kernels_of_the_vendors_are_soft_or_sharp(kernel, kind):
    assert sharpness(kernel) == kind


def test_rules_are_read_from_a_file_and_wrong_ones_are_named(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(replace(Rules(), modality="MR", kernel="any", thickest_mm=3).as_toml())
    assert Rules.load(path) == Rules(modality="MR", kernel="any", thickest_mm=3)
    for text, why in (
        ('kernel = "hard"', "must be one of soft, sharp, any"),
        ("thickest_mm = -1", "greater than 0"),
        ("least_slices = 2.5", "must be a number"),
        ("slices = 3", 'no rule "slices"'),
        ("kernel", "is not a TOML file"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=why):
            Rules.load(path)


def test_what_is_no_index_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    for path, why in ((tmp_path / "x.parquet", "Parquet"), (tmp_path / "y.parquet", "does not exist")):
        with pytest.raises(InputError, match=why):
            read_index(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no files"):
        index_archive(tmp_path / "empty")


def test_the_command_writes_the_index_and_prints_why_series_are_left_out(archive, tmp_path, oncotrack):
    rules = tmp_path / "rules.toml"
    rules.write_text("least_slices = 3\n")
    path = tmp_path / "index.parquet"
    done = oncotrack("archive", "index", archive, "--rules", rules, "--workers", 1, "--out", path)
    assert done.code == 0, done.err
    assert "1 series: " not in done.err
    assert "2 series: Series 3 of the study is read instead: it is of a soft kernel." in done.err
    assert len(read_index(path)[0]) == 8
    again = oncotrack("archive", "index", archive, "--rules", rules, "--workers", 1, "--out", path, "--json", "-")
    assert '"folders_unchanged": 8' in again.out
    assert oncotrack("archive", "index", tmp_path / "nowhere", "--out", path).code == 2


def test_series_of_a_query_are_retrieved_once_and_indexed(archive, tmp_path):
    found = index_archive(archive, FEW, processes=1)
    pacs = KnownArchive([entry for entry in found.entries if entry.series_uid], archive)
    root = tmp_path / "retrieved"
    done = retrieve_archive(pacs, Query(date="20250101-20261231"), root, FEW)
    assert (done.retrieved, done.known) == (7, 0)
    assert done.left_out == {"It is of modality SR, not CT.": 1, "It has fewer than 3 images.": 1}
    indexed = index_archive(root, FEW, processes=1)
    read = [(entry.patient, entry.visit, entry.date, entry.series_uid) for entry in indexed.entries if entry.is_read]
    assert read == [(e.patient, e.visit, e.date, e.series_uid) for e in found.entries if e.is_read]
    again = retrieve_archive(pacs, Query(date="20250101-20261231"), root, FEW)
    assert (again.retrieved, again.known) == (0, 7)


class KnownArchive:
    """An archive (PACS) that holds the series of an index, a report and a series of one image."""

    name = "clinic"

    def __init__(self, entries: list[Entry], root: Path) -> None:
        self._entries, self._root = entries, root

    def find_studies(self, query: Query) -> list[StudyEntry]:
        studies = {entry.study_uid: entry for entry in self._entries}
        return [StudyEntry(uid, entry.patient_id, date=entry.date) for uid, entry in studies.items()]

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        found = [
            SeriesEntry(entry.series_uid, study_uid, entry.modality, instances=entry.slices)
            for entry in self._entries
            if entry.study_uid == study_uid
        ]
        if study_uid == self._entries[0].study_uid:
            found += [SeriesEntry("2.25.1", study_uid, "SR"), SeriesEntry("2.25.2", study_uid, "CT", instances=1)]
        return found

    def find_instances(self, study_uid: str, series_uid: str) -> list[str]:
        return [str(each.SOPInstanceUID) for each in self.retrieve(study_uid, series_uid)]

    def retrieve(self, _study_uid: str, series_uid: str):
        folder = next(entry.folder for entry in self._entries if entry.series_uid == series_uid)
        return map(pydicom.dcmread, sorted((self._root / folder).iterdir()))
