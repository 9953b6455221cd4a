"""Readers of DICOM data sets, each on tiny files of its true format."""

import csv
import json

import numpy as np
import pytest

from oncotrack.datasets import lidc, lung_dx, nih_lymph_nodes, petct, prostatex
from oncotrack.dicom_objects.mask_objects import Structure, label_map, read_rtstruct, read_seg
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, generate_uid  # noqa: E402

CT, MR, PT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128"
SPACING = (0.8, 0.8, 2.5)
POSITION = (-10.0, -20.0, 30.0)


def write_dataset(path, sop_class, modality, study, series, frame="1.2.3.4", **tags):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.Modality, data.StudyInstanceUID, data.SeriesInstanceUID = modality, study, series
    data.FrameOfReferenceUID, data.PatientID, data.PatientName = frame, "P-1", "P^1"
    data.PatientBirthDate = data.PatientSex = data.AccessionNumber = data.StudyID = ""
    data.StudyDate, data.StudyTime, data.SeriesNumber = "20200102", "120000", 3
    for name, value in tags.items():
        setattr(data, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return data


def write_series(folder, array, sop_class=CT, modality="CT", study=None, slope=1.0, intercept=-1024.0, **tags):
    """Write a DICOM series of an array [z, y, x] of stored values; returns the slices' datasets."""
    study, series, slices = study or generate_uid(), generate_uid(), []
    for k, plane in enumerate(array):
        slices.append(
            write_dataset(
                folder / f"1-{k + 1:02d}.dcm", sop_class, modality, study, series,
                Rows=plane.shape[0], Columns=plane.shape[1], InstanceNumber=k + 1,
                SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=16, BitsStored=16, HighBit=15,
                PixelRepresentation=0, PixelData=plane.astype("<u2").tobytes(),
                RescaleSlope=slope if np.isscalar(slope) else slope[k], RescaleIntercept=intercept,
                PixelSpacing=list(SPACING[:2]), SliceThickness=SPACING[2],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                ImagePositionPatient=[*POSITION[:2], POSITION[2] + k * SPACING[2]],
                **tags,
            )
        )  # fmt: skip
    return slices


@pytest.fixture
def scan():
    return np.random.default_rng(2).integers(0, 2000, (8, 24, 20))


def nodes(shape=(8, 24, 20)):
    labels = np.zeros(shape, np.uint8)
    labels[2:5, 4:9, 5:11] = 1
    labels[6:7, 15:18, 12:16] = 2
    return labels


def test_nih_lymph_nodes(tmp_path, scan):
    write_series(tmp_path / "CT Lymph Nodes" / "MED_LYMPH_001" / "study" / "series", scan)
    masks = tmp_path / "MED_ABD_LYMPH_MASKS"
    stored = Volume(nodes(), Geometry((20, 24, 8), SPACING, (0, 0, 0), np.diag([-1.0, -1, 1])))
    save(stored, masks / "MED_LYMPH_001" / "MED_LYMPH_001_mask.nii.gz")
    (case,) = nih_lymph_nodes.cases(tmp_path / "CT Lymph Nodes", masks)
    assert case.name == "MED_LYMPH_001" and case.images["ct"].array.min() >= -1024
    assert [(f.label, f.kind) for f in case.truth] == [("LN 1", Kind.LYMPH_NODE), ("LN 2", Kind.LYMPH_NODE)]
    assert np.array_equal(case.masks["ct"].array, nodes())
    assert case.truth.findings[0].at("ct").centre == pytest.approx(
        (10 - 7.5 * 0.8, 20 - 6 * 0.8, 30 + 3 * 2.5), abs=1e-4
    )
    assert list(nih_lymph_nodes.cases(tmp_path / "CT Lymph Nodes", masks, "ABD")) == []
    (masks / "MED_LYMPH_001" / "MED_LYMPH_001_mask.nii.gz").unlink()
    with pytest.raises(InputError, match="should hold the mask of MED_LYMPH_001"):
        list(nih_lymph_nodes.cases(tmp_path / "CT Lymph Nodes", masks))
    with pytest.raises(InputError, match="holds no patient folders"):
        list(nih_lymph_nodes.cases(masks.parent / "CT Lymph Nodes" / "MED_LYMPH_001", masks))


def lidc_xml(series_uid, readers):
    """Return the text of a LIDC file; `readers` is a list of lists of nodules, each a list of (z, inclusion, points)."""
    sessions = ""
    for number, nodules in enumerate(readers):
        inner = ""
        for name, outlines in enumerate(nodules):
            rois = "".join(
                f"<roi><imageZposition>{z}</imageZposition><imageSOP_UID>1.2.3</imageSOP_UID>"
                f"<inclusion>{'TRUE' if inclusion else 'FALSE'}</inclusion>"
                + "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points)
                + "</roi>"
                for z, inclusion, points in outlines
            )
            inner += (
                f"<unblindedReadNodule><noduleID>{name}</noduleID><characteristics><malignancy>4</malignancy>"
                f"</characteristics>{rois}</unblindedReadNodule>"
            )
        sessions += f"<readingSession><servicingRadiologistID>{number}</servicingRadiologistID>{inner}</readingSession>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><LidcReadMessage xmlns="http://www.nih.gov"><ResponseHeader>'
        f"<SeriesInstanceUid>{series_uid}</SeriesInstanceUid></ResponseHeader>{sessions}</LidcReadMessage>"
    )


def square(x0, y0, x1, y1):
    """Return all points on the edge of a square."""
    top = [(x, y0) for x in range(x0, x1)] + [(x1, y) for y in range(y0, y1)]
    return top + [(x, y1) for x in range(x1, x0, -1)] + [(x0, y) for y in range(y1, y0, -1)]


def test_lidc_joins_the_readers_outlines_and_leaves_the_outline_itself_outside(tmp_path, scan):
    slices = write_series(tmp_path / "LIDC-IDRI-0001" / "s", scan)
    big = [(30 + k * 2.5, True, square(4, 5, 12, 11)) for k in (2, 3)]
    shifted = [(30 + k * 2.5, True, square(6, 5, 14, 11)) for k in (2, 3)]
    hollow = [*big, (30 + 2 * 2.5, False, square(6, 7, 9, 9))]
    alone = [(30.0, True, square(14, 15, 18, 19))]
    point = [(30.0, True, [(3, 3)])]
    xml = tmp_path / "LIDC-IDRI-0001" / "s" / "069.xml"
    xml.write_text(lidc_xml(slices[0].SeriesInstanceUID, [[big, point], [big], [shifted], [hollow, alone]]))
    (case,) = lidc.cases(tmp_path)
    (finding,) = case.truth
    mask = case.masks["ct"].array
    # two of four is half: inside is x 5..11, y 6..10 of readers 1, 2 and 4, and what reader 3 shares with them
    assert np.argwhere(mask[3]).min(0).tolist() == [6, 5] and np.argwhere(mask[3]).max(0).tolist() == [10, 11]
    assert mask[3].sum() == 7 * 5 and mask[[0, 1, 4, 5, 6, 7]].sum() == 0
    assert finding.at("ct").centre[2] == pytest.approx(30 + 2.5 * 2.5, abs=0.2)
    labels = lidc.consensus(lidc.read_xml(xml)[1], case.images["ct"], min_readers=1)
    assert labels.array.max() == 2, "the nodule that one reader saw counts when one reader is enough"
    hole = lidc.voxels(lidc.read_xml(xml)[1][3], case.images["ct"])
    inside = set(zip(*np.unravel_index(hole, mask.shape), strict=True))
    assert (2, 8, 7) not in inside and (2, 6, 5) in inside


def test_lidc_outlines_as_a_table_are_those_of_the_xml(tmp_path, scan):
    slices = write_series(tmp_path / "s", scan)
    outlines = [
        (35.0, True, square(4, 5, 12, 11)),
        (35.0, False, square(6, 7, 9, 9)),
        (37.5, True, square(4, 5, 12, 11)),
    ]
    xml, table = tmp_path / "s" / "069.xml", tmp_path / "s" / "nodule_contours.json"
    xml.write_text(lidc_xml(slices[0].SeriesInstanceUID, [[outlines]] * 3))
    (first,) = lidc.cases(tmp_path)
    xml.unlink()
    contours = [{"z_mm": z, "inclusion": inside, "xy_voxels": points} for z, inside, points in outlines]
    given = {"series": slices[0].SeriesInstanceUID, "readers": [{"nodule": "1", "contours": contours}] * 3}
    table.write_text(json.dumps(given))
    (second,) = lidc.cases(tmp_path)
    assert first.masks["ct"].array.any() and (first.masks["ct"].array == second.masks["ct"].array).all()
    table.write_text(json.dumps({**given, "readers": [{"nodule": "1"}]}))
    with pytest.raises(InputError, match="an outline lacks its position or its points"):
        list(lidc.cases(tmp_path))
    table.write_text(json.dumps({**given, "series": "1.2.3"}))
    with pytest.raises(InputError, match="not the DICOM slices that they were drawn on"):
        list(lidc.cases(tmp_path))


def test_lidc_names_what_is_damaged_or_missing(tmp_path, scan):
    slices = write_series(tmp_path / "s", scan)
    with pytest.raises(InputError, match="holds no LIDC annotation files"):
        list(lidc.cases(tmp_path))
    xml = tmp_path / "s" / "069.xml"
    text = lidc_xml(slices[0].SeriesInstanceUID, [[[(500.0, True, square(4, 5, 12, 11))]]] * 3)
    xml.write_text(text)
    with pytest.raises(InputError, match="z = 500 mm, outside the series"):
        list(lidc.cases(tmp_path))
    xml.write_text(text[:-40])
    with pytest.raises(InputError, match="not readable XML"):
        list(lidc.cases(tmp_path))
    xml.write_text(text.replace("<imageZposition>500.0</imageZposition>", ""))
    with pytest.raises(InputError, match="lacks its position"):
        list(lidc.cases(tmp_path))


def voc_xml(letter, x0, y0, x1, y1):
    return (
        f"<annotation><object><name>{letter}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox></object></annotation>"
    )


def test_lung_dx_boxes_of_neighbouring_slices_become_one_tracklet(tmp_path, scan):
    slices = write_series(tmp_path / "dicom" / "s", scan)
    folder = tmp_path / "Annotation"
    folder.mkdir()
    for k, box in ((2, (3, 4, 8, 9)), (3, (4, 4, 9, 10)), (6, (12, 12, 15, 15))):
        (folder / f"{slices[k].SOPInstanceUID}.xml").write_text(voc_xml("A", *box))
    (case,) = lung_dx.cases(tmp_path / "dicom", folder)
    first, second = (finding.at("ct") for finding in case.truth)
    assert [box.slice_index for box in first.tracklet.boxes] == [2, 3]
    assert first.box.low == pytest.approx((10 - 9.5 * 0.8, 20 - 10.5 * 0.8, 30 + 1.5 * 2.5))
    assert first.tracklet.bounds()[0] == pytest.approx(first.box.low)
    assert second.tracklet.first == 6 and case.truth.findings[0].site == "adenocarcinoma"
    (folder / f"{slices[2].SOPInstanceUID}.xml").write_text("<annotation><object>")
    with pytest.raises(InputError, match="not a readable VOC box file"):
        list(lung_dx.cases(tmp_path / "dicom", folder))


def test_prostatex_points_and_masks(tmp_path, scan):
    patient = tmp_path / "PROSTATEx" / "ProstateX-0000" / "study"
    for number, description in ((4, "t2_tse_tra"), (5, "t2_tse_sag"), (9, "t2_tse_tra")):
        about = {"SeriesDescription": description, "SeriesNumber": number}
        write_series(patient / str(number), scan + number, MR, "MR", intercept=0, **about)
    table = tmp_path / "ProstateX-Findings-Train.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ProxID", "fid", "pos", "zone", "ClinSig"])
        writer.writerow(["ProstateX-0000", 1, "-4.0 -15.2 37.5", "PZ", "TRUE"])
        writer.writerow(["ProstateX-0000", 2, "-2.0 -10.0 32.0", "TZ", "FALSE"])
    lesion = Volume((nodes() == 1).astype(np.uint8), load(patient / "9").geometry)
    save(lesion, tmp_path / "Masks" / "T2" / "ProstateX-0000-Finding1-t2_tse_tra0_ROI.nii.gz")
    (case,) = prostatex.cases(tmp_path / "PROSTATEx", table, tmp_path / "Masks")
    assert np.array_equal(case.images["t2"].array, scan + 9), "the last of the repeated series"
    drawn, point = case.truth
    assert drawn.site == "prostate PZ significant" and drawn.at("t2").volume_mm3 == pytest.approx(90 * 1.6)
    assert point.site == "prostate TZ not significant" and point.at("t2").centre == pytest.approx((2, 10, 32))
    assert point.at("t2").box is None and np.unique(case.masks["t2"].array).tolist() == [0, 1]
    (bare,) = prostatex.cases(tmp_path / "PROSTATEx", table)
    assert bare.masks == {} and bare.truth.findings[0].at("t2").centre == pytest.approx((4.0, 15.2, 37.5))
    table.write_text("ProxID,fid,pos,zone,ClinSig\nProstateX-0000,1,somewhere,PZ,TRUE\n")
    with pytest.raises(InputError, match="line 2: ProxID, fid, pos and zone are needed"):
        list(prostatex.cases(tmp_path / "PROSTATEx", table))


def tracer(**changes):
    item = Dataset()
    values = {"RadionuclideTotalDose": 370e6, "RadionuclideHalfLife": 6586.2, "RadiopharmaceuticalStartTime": "110000"}
    for name, value in (values | changes).items():
        if value is not None:
            setattr(item, name, value)
    return item


def pet_tags(**changes):
    return {
        "Units": "BQML", "CorrectedImage": ["ATTN", "DECY", "SCAT"], "DecayCorrection": "START", "PatientWeight": 74.0,
        "SeriesDate": "20200102", "SeriesTime": "120000", "AcquisitionDate": "20200102", "AcquisitionTime": "121500",
        "RadiopharmaceuticalInformationSequence": Sequence([tracer()]),
    } | changes  # fmt: skip


def write_pet(folder, array, study=None, slope=2.0, **changes):
    return write_series(folder, array, PT, "PT", study, slope=slope, intercept=0.0, **pet_tags(**changes))


def write_seg(path, slices, labels, names):
    """Write a DICOM SEG on the slices' grid by highdicom; `names` are (label, kind) by value."""
    highdicom = pytest.importorskip("highdicom")
    from highdicom.sr.coding import CodedConcept

    codes = {"node": CodedConcept("59441001", "SCT", "Lymph node"), "mass": CodedConcept("4147007", "SCT", "Mass")}
    category = CodedConcept("49755003", "SCT", "Morphologically abnormal structure")
    described = [
        highdicom.seg.SegmentDescription(number, name, category, codes[code], "MANUAL")
        for number, (name, code) in enumerate(names, 1)
    ]
    seg = highdicom.seg.Segmentation(
        slices, np.stack([labels == n for n in range(1, len(names) + 1)], -1), "BINARY", described,
        generate_uid(), 9, generate_uid(), 1, "Maker", "Model", "1.0", "0", omit_empty_frames=True,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    seg.save_as(path)


def test_a_pet_study_with_seg_is_read_in_suv(tmp_path, scan):
    study, slopes = generate_uid(), np.linspace(1.5, 3.0, len(scan))
    slices = write_pet(tmp_path / "P-1" / "PET", scan, study, slope=slopes)
    write_series(tmp_path / "P-1" / "CT", scan, study=study)
    write_seg(tmp_path / "P-1" / "SEG" / "seg.dcm", slices, nodes(), [("Primary", "mass"), ("Neck node", "node")])
    (case,) = petct.cases(tmp_path)
    factor = 74000 / (370e6 * 0.5 ** (3600 / 6586.2))
    assert np.allclose(case.images["pet"].array, scan * slopes[:, None, None] * factor, rtol=1e-5)
    assert set(case.images) == {"pet", "ct"} and case.images["ct"].modality == "CT"
    assert [(f.label, f.kind) for f in case.truth] == [("Primary", Kind.LESION), ("Neck node", Kind.LYMPH_NODE)]
    assert np.array_equal(case.masks["pet"].array, nodes())
    (split,) = petct.cases(tmp_path, split=True)
    assert len(split.truth) == 2


def test_voxels_of_at_least_half_are_inside_a_fractional_segment(tmp_path, scan, caplog):
    highdicom = pytest.importorskip("highdicom")
    from highdicom.sr.coding import CodedConcept

    slices = write_series(tmp_path / "CT", scan)
    share = np.where(nodes() == 1, 0.9, 0) + np.where(nodes() == 2, 0.4, 0)
    mass = CodedConcept("4147007", "SCT", "Mass")
    segment = highdicom.seg.SegmentDescription(1, "lump", mass, mass, "MANUAL")
    seg = highdicom.seg.Segmentation(
        slices, share.astype(np.float32), "FRACTIONAL", [segment], generate_uid(), 9, generate_uid(), 1, "Maker",
        "Model", "1.0", "0", fractional_type="PROBABILITY", max_fractional_value=255,
    )  # fmt: skip
    seg.save_as(tmp_path / "seg.dcm")
    (structure,) = read_seg(tmp_path / "seg.dcm")
    image = load(tmp_path / "CT")
    assert np.array_equal(structure.mask.resampled(image.geometry, fill=0, nearest=True).array, nodes() == 1)
    assert "fractions; voxels of at least 0.5 count as inside" in caplog.text


def test_structures_that_overlap_are_told(caplog):
    image = Volume(nodes().astype(np.int16), Geometry(nodes().shape[::-1]))
    whole = Structure("whole", Volume((nodes() > 0).astype(np.uint8), image.geometry))
    part = Structure("part", Volume((nodes() == 2).astype(np.uint8), image.geometry))
    labels = label_map([whole, part], image)
    assert f"whole and part share {(nodes() == 2).sum()} voxels, taken as part" in caplog.text
    assert np.array_equal(labels.array, nodes())


def test_seg_keeps_its_position_when_only_some_frames_are_stored(tmp_path, scan):
    slices = write_series(tmp_path / "CT", scan)
    write_seg(tmp_path / "seg.dcm", slices, nodes(), [("A", "mass"), ("B", "node")])
    image = load(tmp_path / "CT")
    structures = read_seg(tmp_path / "seg.dcm")
    assert np.array_equal(label_map(structures, image).array, nodes())
    with pytest.raises(InputError, match="not a readable DICOM segmentation"):
        read_seg(tmp_path / "CT" / "1-01.dcm")


def write_rtstruct(path, study, frame, contours):
    """Write an RTSTRUCT; `contours` maps a name to a list of (N, 3) LPS points."""
    rois, drawn = [], []
    for number, (name, polygons) in enumerate(contours.items(), 1):
        roi, item = Dataset(), Dataset()
        roi.ROINumber = item.ReferencedROINumber = number
        roi.ROIName, roi.ReferencedFrameOfReferenceUID, roi.ROIGenerationAlgorithm = name, frame, "MANUAL"
        item.ContourSequence = Sequence()
        for points in polygons:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [float(v) for v in np.ravel(points)]
            item.ContourSequence.append(contour)
        rois.append(roi)
        drawn.append(item)
    write_dataset(
        path, "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", study, generate_uid(), frame,
        StructureSetLabel="s", StructureSetROISequence=Sequence(rois), ROIContourSequence=Sequence(drawn),
    )  # fmt: skip


def rectangle(x0, y0, x1, y1, k):
    """Return the corners in LPS mm of pixels x0..x1, y0..y1 on slice k, a quarter pixel outside their centres."""
    corners = [(x0 - 0.25, y0 - 0.25), (x1 + 0.25, y0 - 0.25), (x1 + 0.25, y1 + 0.25), (x0 - 0.25, y1 + 0.25)]
    return [(POSITION[0] + x * 0.8, POSITION[1] + y * 0.8, POSITION[2] + k * 2.5) for x, y in corners]


def test_rtstruct_fills_contours_and_leaves_holes(tmp_path, scan):
    study = generate_uid()
    slices = write_series(tmp_path / "CT", scan, study=study)
    write_pet(tmp_path / "PET", scan, study)
    contours = {
        "GTVp": [rectangle(5, 4, 10, 8, k) for k in (2, 3, 4)],
        "GTV_node_1": [rectangle(12, 12, 17, 18, 6), rectangle(14, 14, 15, 16, 6)],
    }
    write_rtstruct(tmp_path / "RT" / "rt.dcm", study, slices[0].FrameOfReferenceUID, contours)
    image = load(tmp_path / "CT")
    primary, node = read_rtstruct(tmp_path / "RT" / "rt.dcm", image)
    assert np.array_equal(primary.mask.array, nodes() == 1)
    assert node.kind is Kind.LYMPH_NODE and node.mask.array[6].sum() == 6 * 7 - 2 * 3 and not node.mask.array[6, 15, 14]
    (case,) = petct.cases(tmp_path)
    assert [f.label for f in case.truth] == ["GTVp", "GTV_node_1"]
    assert np.array_equal(case.masks["pet"].array == 1, nodes() == 1)
    small = load(tmp_path / "CT").cropped((0, 0, 0), (20, 24, 4))
    with pytest.raises(InputError, match="GTVp is not drawn on slices"):
        read_rtstruct(tmp_path / "RT" / "rt.dcm", small)
    with pytest.raises(InputError, match="not a readable RTSTRUCT"):
        read_rtstruct(tmp_path / "CT" / "1-01.dcm", image)


def test_petct_names_what_is_missing(tmp_path, scan):
    with pytest.raises(InputError, match="holds no PET study"):
        list(petct.cases(tmp_path))
    write_pet(tmp_path / "PET", scan)
    with pytest.raises(InputError, match="P-1: the study has a PET but no SEG or RTSTRUCT"):
        list(petct.cases(tmp_path))


def test_autopet_nifti_studies(tmp_path):
    geometry = Geometry((20, 24, 8), SPACING, (1, 2, 3), np.diag([-1.0, -1, 1]))
    pet = Volume(np.random.default_rng(0).gamma(2, 1, (8, 24, 20)).astype(np.float32), geometry)
    for name, mask in (("sick", nodes() > 0), ("well", nodes() > 5)):
        save(pet, tmp_path / name / "SUV.nii.gz")
        save(Volume(mask.astype(np.uint8), geometry), tmp_path / name / "SEG.nii.gz")
    sick, well = petct.cases(tmp_path)
    assert (sick.name, len(sick.truth)) == ("sick", 2) and (well.name, len(well.truth)) == ("well", 0)
    (tmp_path / "well" / "SEG.nii.gz").unlink()
    with pytest.raises(InputError, match="should hold the lesion mask of an autoPET study"):
        list(petct.cases(tmp_path))
