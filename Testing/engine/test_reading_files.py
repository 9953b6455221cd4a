"""Where DICOM comes from: folders, single files, DICOMDIR, zip archives, files without preamble; and its headers."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet
from small_dicom import changed, hounsfield, series, write

import oncotrack
from oncotrack import InputError, load, load_study
from oncotrack.bench.read import bench_read
from oncotrack.images.dicom import header, picture
from oncotrack.images.dicom.headers import _WANTED, numbers, read_header, text

HU = hounsfield((5, 4, 6))


@pytest.fixture
def folder(tmp_path):
    return write(series(HU), tmp_path / "ct")


@pytest.fixture
def archive(folder):
    path = folder.parent / "ct.zip"
    with zipfile.ZipFile(path, "w") as out:
        for file in folder.iterdir():
            out.write(file, f"DICOM/{file.name}")
    return path


def test_the_public_names_are_there():
    assert all(getattr(oncotrack, name) for name in oncotrack.__all__)
    with pytest.raises(AttributeError):
        _ = oncotrack.nothing


def test_a_volume_has_what_scripts_need(folder):
    volume = oncotrack.load(folder)
    assert volume.array.dtype == np.float32
    assert volume.array.shape == (5, 4, 6)
    assert np.allclose(volume.ijk_to_ras, [[-0.7, 0, 0, 10], [0, -0.8, 0, 20], [0, 0, 5, -30], [0, 0, 0, 1]])
    assert (volume.spacing, volume.modality) == (pytest.approx((0.7, 0.8, 5.0)), "CT")


@pytest.mark.parametrize("name", ["IM0003.dcm", "IM3", "IM3.ima"])
def test_one_file_opens_its_series(folder, name):
    (folder / "IM0003.dcm").rename(folder / name)
    write(series(HU + 5), folder, "other{}.dcm")
    assert np.array_equal(load(folder / name).array, HU)


def test_one_file_opens_the_phase_that_it_belongs_to(folder):
    first = series(HU)
    second = [changed(ds, AcquisitionNumber=2) for ds in first]
    write(first, folder.parent / "phases", "a{}.dcm")
    write(second, folder.parent / "phases", "b{}.dcm")
    assert load(folder.parent / "phases" / "b2.dcm").metadata["part"] == "acquisition 2"


@pytest.mark.parametrize("bytes_left_out", [128, 132])
def test_files_without_preamble_are_read(folder, bytes_left_out):
    """Without the preamble the signature is missing, too: the file starts with an element."""
    for file in folder.iterdir():
        whole = file.read_bytes()
        file.write_bytes(whole[132:] if bytes_left_out == 132 else b"\1" * 128 + whole[128:])
    assert np.array_equal(load(folder).array, HU)


@pytest.mark.parametrize("implicit", [False, True])
def test_files_without_meta_information_are_read(folder, implicit):
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        with file.open("wb") as out:
            pydicom.dcmwrite(out, ds, implicit_vr=implicit, little_endian=True, force_encoding=True)
        data = file.read_bytes()
        start = data.index(b"\x08\x00\x08\x00")
        file.write_bytes(data[start:])
    assert np.array_equal(load(folder).array, HU)


def test_other_files_beside_the_slices_do_not_matter(folder):
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 300)
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" * 100)
    (folder / "._IM0000.dcm").write_bytes(b"\0\5\x16\7" * 100)
    (folder / "report.pdf").write_bytes(b"%PDF-1.4 " * 50)
    (folder / "note.txt").write_text("checked")
    assert np.array_equal(load(folder).array, HU)


def test_names_in_any_script_are_read(tmp_path):
    ds = series(HU, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 192", SeriesDescription="Schädel")
    folder = write(ds, tmp_path / "Müller, Jörg ^ 山田" / "n°1 [A] 100%", "IM ä {}.DCM")
    found = load_study(folder.parent).series[0]
    assert (found.patient_name, found.description) == ("Müller^Jörg", "Schädel")
    assert np.array_equal(load(folder).array, HU)


@pytest.fixture
def disc(folder):
    files = FileSet()
    for file in sorted(folder.iterdir()):
        ds = pydicom.dcmread(file)
        ds.StudyID, ds.StudyTime, ds.AccessionNumber = "1", "120000", ""
        files.add(ds)
    files.write(folder.parent / "disc")
    return folder.parent / "disc"


def test_a_dicomdir_and_its_folder_are_read(disc):
    assert np.array_equal(load(disc / "DICOMDIR").array, HU)
    assert np.array_equal(load(disc).array, HU)


def test_names_of_a_dicomdir_in_another_case_are_found(disc):
    for path in sorted(disc.rglob("*"), key=lambda each: -len(each.parts)):
        if path.name != "DICOMDIR":
            path.rename(path.with_name(path.name.lower()))
    assert np.array_equal(load(disc / "DICOMDIR").array, HU)


def test_files_missing_from_a_dicomdir_are_named(disc):
    file = max(path for path in disc.rglob("*") if path.is_file() and path.name != "DICOMDIR")
    file.unlink()
    with pytest.raises(InputError, match=f"Listed in the DICOMDIR but missing: .*{file.name}"):
        load(disc / "DICOMDIR")


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_dicomdir_never_leaves_its_folder(disc, folder):
    other = write(series(HU + 1), disc.parent / "elsewhere", "SECRET{}")
    directory = pydicom.dcmread(disc / "DICOMDIR")
    for record in directory.DirectoryRecordSequence:
        if record.get("ReferencedFileID"):
            record.ReferencedFileID = ["..", "elsewhere", "SECRET0"]
    directory.save_as(disc / "DICOMDIR")
    assert other.is_dir()
    with pytest.raises(InputError, match="holds no DICOM images"):
        load(disc / "DICOMDIR")


def test_a_damaged_dicomdir_says_to_open_the_folder(disc):
    (disc / "DICOMDIR").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"damaged or not a DICOMDIR. Open the folder"):
        load(disc / "DICOMDIR")


def test_a_zip_archive_is_read_and_leaves_nothing_behind(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "unpacked"))
    (tmp_path / "unpacked").mkdir()
    volume = load(archive)
    assert (volume.name, volume.metadata["path"]) == ("ct", str(archive))
    assert np.array_equal(volume.array, HU)
    found = load_study(archive).choose()  # the unpacked files live as long as the series
    assert found.files[0].exists() and picture(found).shape == (4, 6)
    del found
    assert not list((tmp_path / "unpacked").iterdir())


@pytest.mark.parametrize("name", ["../outside.dcm", "/etc/outside.dcm", "a/../../outside.dcm", "C:\\outside.dcm"])
def test_an_archive_that_writes_outside_is_refused(archive, name):
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr(name, b"x")
    with pytest.raises(InputError, match="outside the target folder"):
        load(archive)


def test_an_archive_that_is_too_large_is_refused(archive, monkeypatch):
    monkeypatch.setattr("oncotrack.images.dicom.sources._LARGEST", 1000)
    with pytest.raises(InputError, match="unpacks to more than"):
        load(archive)


def test_links_in_an_archive_are_left_out(archive):
    link = zipfile.ZipInfo("DICOM/IM0000.dcm2")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr(link, "/etc/passwd")
    assert np.array_equal(load(archive).array, HU)


def test_a_damaged_archive_is_refused(archive):
    data = bytearray(archive.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = bytes(200)
    archive.write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be unpacked: it is damaged"):
        load(archive)


def test_an_archive_with_a_password_is_refused(archive):
    data = bytearray(archive.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the bit of each file and of its entry in the list
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(mark, at + 4)
    archive.write_bytes(data)
    with pytest.raises(InputError, match="password"):
        load(archive)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda d: (d / "notes.txt").write_text("none"), "holds no DICOM images. Choose the folder"),
        (
            lambda d: (d / "ct.nii.gz").write_bytes(b"x"),
            "holds no DICOM images, but it contains ct.nii.gz. Open that file",
        ),
        (lambda d: (d / "a.dcm").write_bytes(b""), r"no DICOM images that can be read \(a.dcm is damaged: it is empty"),
    ],
)
def test_a_folder_without_images_says_what_it_holds(tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(InputError, match=sentence):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"text", "is not an image that OncoTrack can read"), (b"", "is damaged: it is empty")]
)
def test_a_file_that_is_no_image_is_refused(tmp_path, content, sentence):
    (tmp_path / "file.bin").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load(tmp_path / "file.bin")


def test_an_image_file_has_no_series_to_choose(tmp_path, folder):
    from oncotrack.images.files import save

    path = save(load(folder), tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="without DICOM series to choose"):
        load(path, series=1)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs files that cannot be read")
def test_a_file_that_cannot_be_read_is_named(folder):
    (folder / "IM0004.dcm").chmod(0)
    with pytest.raises(InputError, match=r"IM0004\.dcm .*cannot be read"):
        load(folder)


def test_the_header_has_the_time_of_every_slice(folder):
    slices = series(HU, Modality="PT")
    for n, ds in enumerate(slices):
        ds.AcquisitionTime = f"12000{n}"
    found = load_study(write(slices, folder.parent / "pt")).choose()
    whole = header(found)
    assert whole.PatientID == "P1" and "PixelData" not in whole
    assert [each.AcquisitionTime for each in whole.slices] == [f"12000{n}" for n in range(5)]


@pytest.mark.filterwarnings("ignore:.*VR")
def test_the_short_way_reads_headers_as_pydicom_does():
    """pydicom's own test files: many encodings, private elements, nested sequences, character sets."""
    root = Path(get_testdata_file("CT_small.dcm", download=False)).parent
    checked = 0
    for path in sorted(root.rglob("*.dcm")):
        try:
            expected = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:
            continue
        found = read_header(path, {})
        if found is None or not found.header:
            continue
        for keyword in _WANTED.values():
            if keyword not in expected or keyword.endswith("Sequence") or keyword == "PatientName":
                continue
            value = expected.get(keyword)
            kind = expected[keyword].VR
            if kind in ("DS", "IS", "US"):
                many = (
                    value if isinstance(value, pydicom.multival.MultiValue) else [] if value in (None, "") else [value]
                )
                try:
                    many = tuple(float(each) for each in many)
                except ValueError:
                    many = ()
                assert numbers(found.header, keyword) == many, (path.name, keyword)
            else:
                one = "\\".join(map(str, value)) if expected[keyword].VM > 1 else str("" if value is None else value)
                assert text(found.header, keyword) == one.strip(), (path.name, keyword)
            checked += 1
    assert checked > 1000


def test_reading_is_measured():
    result = bench_read(slices=3, files=40)
    assert (result["slices"], result["files"]) == (3, 40)
    assert min(result[f"{name}_seconds"] for name in ("open", "simpleitk", "list", "pydicom")) > 0
