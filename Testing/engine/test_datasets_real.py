"""Readers on real files; skipped where ../shared/data is absent."""

import json
import shutil
import tarfile
from io import BytesIO

import numpy as np
import pytest

from oncotrack.datasets import deeplesion, dls, folder, lidc, lung_dx, petct
from oncotrack.dicom_objects.mask_objects import label_map, read_seg
from oncotrack.findings.finding import Kind
from oncotrack.images.files import load
from oncotrack.masks.label_reader import read_labels

pytestmark = pytest.mark.real


def unpack(archive, target, keep=None):
    """Extract an archive; with `keep`, only the DICOM slices whose header it accepts."""
    pydicom = pytest.importorskip("pydicom")
    with tarfile.open(archive, "r|*") as tar:  # a stream: going back in a compressed file would begin it again
        for member in tar:
            if not member.isfile():
                continue
            content = tar.extractfile(member).read()
            if keep is None or keep(pydicom.dcmread(BytesIO(content), stop_before_pixels=True)):
                path = target / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    return target


def test_dls_as_released_has_906_directed_pairs_each_in_both_directions(shared_data):
    pairs = dls.read_pairs(shared_data / "dls" / "valid.json", "valid")
    assert len(pairs) == 906
    ends = {(p.source, p.target) for p in pairs}
    assert len(ends) == 906 and all((target, source) in ends for source, target in ends)


def test_dls_diameters_are_in_pixels(shared_data):
    path = shared_data / "dls" / "valid.json"
    records = dls.read_records(path)
    for pair in dls.read_pairs(path):
        p = np.reshape(records[pair.key]["target recist coordinate"], (4, 2))
        assert np.linalg.norm(p[0] - p[1]) * pair.target.spacing[0] == pytest.approx(
            pair.target.diameters_mm[0], abs=0.15
        )
        first = int(pair.target.image.split("_")[-1].split("-")[0])
        key = int(records[pair.key]["target recist slice"].split("/")[-1].removesuffix(".png"))
        assert pair.target.centre[2] == key - first, "z counts DeepLesion's slices from the first of the range"


def test_dl_info_rows_agree_with_their_own_diameters(shared_data):
    lesions = deeplesion.read_info(shared_data / "deeplesion_annotations" / "DL_info_excerpt.csv")
    assert len(lesions) == 1349 and {lesion.split for lesion in lesions} <= {1, 2, 3}
    for lesion in lesions:
        p = np.reshape(lesion.recist, (4, 2))
        assert max(np.linalg.norm(p[0] - p[1]), np.linalg.norm(p[2] - p[3])) == pytest.approx(
            max(lesion.diameters_px), rel=0.01
        )


def test_dl_info_counts_pixels_from_one_and_dls_from_zero(shared_data):
    rows = {}
    for lesion in deeplesion.read_info(shared_data / "deeplesion_annotations" / "DL_info_excerpt.csv"):
        rows.setdefault((lesion.series, lesion.key_slice), []).append(np.reshape(lesion.recist, (4, 2)).mean(0))
    found = 0
    for record in dls.read_records(shared_data / "dls" / "valid.json").values():
        series, name = record["target recist slice"].split("/")
        for centre in rows.get((series, int(name.removesuffix(".png"))), []):
            distance = np.abs(centre - record["target center"][:2]).max()
            assert distance < 0.11 or distance > 0.9, "the same lesion to rounding, or another one on that slice"
            found += distance < 0.11
    assert found > 20


def test_deeplesion_key_slices_show_tissue_under_their_marks(shared_data, tmp_path):
    info = shared_data / "deeplesion_annotations" / "DL_info_excerpt.csv"
    here = {path.stem for path in (shared_data / "deeplesion_keyslices").glob("*.jpg")}
    lines = info.read_text().splitlines(keepends=True)
    small = tmp_path / "DL_info.csv"
    small.write_text(lines[0] + "".join(line for line in lines[1:] if line.split(".png")[0] in here))
    cases = list(deeplesion.cases(shared_data / "deeplesion_keyslices", small, key_slices=True))
    assert len(cases) == len(here) == 29
    for case in cases:
        ct = case.images["ct"]
        assert ct.array.shape == (1, 512, 512) and -1024 <= ct.array.min() < -900, "air is black"
        for finding in case.truth:
            seen = finding.at("ct")
            assert -200 < ct.sample([seen.centre])[0] < 800 or finding.site == "lung", "a lung lesion may hold air"
            low, high = np.array(seen.box.low), np.array(seen.box.high)
            for axis in (seen.long_axis, seen.short_axis):
                assert (low <= axis.start).all() and (axis.end <= high).all()


def test_qin_headneck_pet_is_hot_inside_its_segments(shared_data, tmp_path):
    around = (-460.0, -380.0)  # mm; the segments lie between -433 and -405
    unpack(
        shared_data / "qin_hn_0024" / "pet_dicom.tar.xz",
        tmp_path,
        lambda header: around[0] < header.ImagePositionPatient[2] < around[1],
    )
    files = sorted((tmp_path / "PET").iterdir())
    (tmp_path / "SEG").mkdir()
    shutil.copy(shared_data / "qin_hn_0024" / "tumor_User1_Manual_Trial1.dcm", tmp_path / "SEG")
    (case,) = petct.cases(tmp_path)
    suv, labels = case.images["pet"].array, case.masks["pet"].array
    assert suv.shape == (len(files), 128, 128)
    assert [(f.kind, f.site) for f in case.truth] == [
        (Kind.LESION, "base of tongue"),
        (Kind.LYMPH_NODE, "lymph node of head and neck"),
    ]
    for n in (1, 2):
        assert suv[labels == n].mean() > 3, "tumour and metastatic node are hot"
    body = suv[suv > 0.3]
    assert 0.4 < np.median(body) < 2, "the body's own uptake is about 1"
    pydicom = pytest.importorskip("pydicom")
    first = pydicom.dcmread(files[len(files) // 2])
    # by hand: 66.2 kg, 381.47 MBq, half life 6586.2 s, injected 11:39:00, series 13:02:44
    factor = 66200 / (381.47e6 * 0.5 ** (5024 / 6586.2))
    k = round(float(case.images["pet"].geometry.to_ijk([0, 0, first.ImagePositionPatient[2]])[2]))
    assert np.allclose(suv[k], first.pixel_array * float(first.RescaleSlope) * factor, rtol=1e-4)


def test_lidc_readers_agree_on_one_solid_nodule(shared_data, tmp_path):
    table = shared_data / "lidc_idri_0314" / "nodule_contours.json"
    given = json.loads(table.read_text())
    heights = [contour["z_mm"] for reader in given["readers"] for contour in reader["contours"]]
    low, high = min(heights) - 8, max(heights) + 8
    scan = unpack(
        shared_data / "lidc_idri_0314" / "ct_dicom.tar.xz",
        tmp_path,
        lambda header: low < header.ImagePositionPatient[2] < high,
    )
    (scan / table.name).write_bytes(table.read_bytes())
    (case,) = lidc.cases(scan)
    (finding,) = case.truth
    seen, hu = finding.at("ct"), case.images["ct"].array
    mask = case.masks["ct"].array > 0
    assert 12 <= 2 * seen.radius_mm <= 20
    from scipy import ndimage

    ring = ndimage.binary_dilation(mask, iterations=6) & ~ndimage.binary_dilation(mask, iterations=3)
    assert np.median(hu[mask]) > -300 > -500 > np.median(hu[ring]), "soft tissue inside, lung round it"


def test_lung_dx_boxes_lie_on_the_tumour(shared_data, tmp_path):
    annotation = shared_data / "lung_dx_A0001" / "Annotation"
    marked = {path.stem for path in annotation.rglob("*.xml")}
    scan = unpack(
        shared_data / "lung_dx_A0001" / "ct_dicom.tar.xz", tmp_path, lambda header: header.SOPInstanceUID in marked
    )
    (case,) = lung_dx.cases(scan, annotation)
    assert case.name == "Lung_Dx-A0001"
    boxed = sum(len(f.at("ct").tracklet.boxes) for f in case.truth)
    assert boxed == 9 and {f.site for f in case.truth} == {"adenocarcinoma"}
    hu = case.images["ct"].sample([f.at("ct").centre for f in case.truth])
    assert (hu > -100).all() and (hu < 200).all()


def test_dcmqi_segment_covers_the_liver(shared_data, tmp_path):
    for n in (1, 2, 3):
        shutil.copy(shared_data / "dcmqi_liver" / f"0{n}.dcm", tmp_path)
    image = load(tmp_path)
    structures = read_seg(shared_data / "dcmqi_liver" / "liver.dcm")
    assert len(structures) == 1 and "liver" in structures[0].name.lower()
    inside = label_map(structures, image).array == 1
    assert inside.sum() > 30000 and 40 < np.median(image.array[inside]) < 200


def test_segments_that_overlap_lie_where_dcmqi_exports_them(shared_data):
    folder = shared_data / "dicom_objects" / "dcmqi"
    exported = {}
    for n in (1, 2, 3):
        exported |= read_labels(folder / f"partial_overlaps-{n}.nrrd")
    structures = read_seg(folder / "partial_overlaps.dcm")
    assert len(structures) == 5
    for number, structure in enumerate(structures, 1):
        found, wanted = (
            mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1]) for mask in (structure.mask, exported[str(number)])
        )
        assert len(found) == len(wanted)
        assert np.allclose(found.mean(0), wanted.mean(0), atol=0.01)


def test_fractional_segments_and_label_maps_of_other_programs(shared_data, caplog):
    folder = shared_data / "dicom_objects"
    (true,) = read_seg(folder / "highdicom" / "seg_image_ct_true_fractional.dcm")
    assert true.mask.array.sum() == 638 and "count as inside" in caplog.text
    for name in ("sparse-labelmap-noppv.dcm", "sparse-labelmap-ppv5.dcm"):
        (liver,) = read_seg(folder / "dcmqi" / name)
        assert (liver.name, liver.mask.array.sum()) == ("Liver", 630), "not the background"


def test_soft_tissue_sarcoma_pairs(shared_data):
    pairs = folder.pairs(shared_data / "sts_petct_nifti")
    assert len(pairs) == 6
    pet = next(
        case for case in folder.cases(shared_data / "sts_petct_nifti", ending="_PET") if case.name == "STS_001_PET"
    )
    mask = pet.masks["image"].array > 0
    assert len(pet.truth) >= 1
    assert load(pairs[1][1]).array[mask].mean() > 2 * np.median(load(pairs[1][1]).array)
