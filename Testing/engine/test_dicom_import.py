"""DICOM objects of other programs as findings: reports, segmentations, structure sets, presentation states."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from small_dicom import series, write

from oncotrack.dicom_objects import content
from oncotrack.dicom_objects.importing import import_objects
from oncotrack.dicom_objects.source_images import SourceImages
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, State
from oncotrack.images.dicom import load_study, read
from oncotrack.images.volume import lps_to_ras

hd = pytest.importorskip("highdicom")

OBJECTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom_objects"


def real(test):
    """Mark a test that needs the real objects."""
    return pytest.mark.real(pytest.mark.skipif(not OBJECTS.exists(), reason="needs ../shared/data/dicom_objects")(test))


LIVER = OBJECTS.parent / "dcmqi_liver"


def opened(folder):
    chosen = load_study(folder).choose()
    return read(chosen), chosen


def scan_for(folder, seg, origin, shape, spacing, orientation=(1, 0, 0, 0, 1, 0), step=1.0):
    """Return a scan in the frame of reference and study of an object."""
    slices = series(np.zeros(shape), step, orientation, origin, PixelSpacing=list(spacing))
    for each in slices:
        each.FrameOfReferenceUID, each.StudyInstanceUID = seg.FrameOfReferenceUID, seg.StudyInstanceUID
    return opened(write(slices, folder))


def scan_of_frames(folder, path):
    """Return a scan around the frames of a SEG, with other voxels, so that nothing fits by chance."""
    seg = pydicom.dcmread(path)
    shared = seg.SharedFunctionalGroupsSequence[0]
    positions = np.array(
        [f.PlanePositionSequence[0].ImagePositionPatient for f in seg.PerFrameFunctionalGroupsSequence], float
    )
    orientation = [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
    normal = np.cross(orientation[:3], orientation[3:])
    along = positions @ normal
    first = positions[along.argmin()]
    count = int(np.ceil((along.max() - along.min()) / 2.0)) + 2
    shape = (count, seg.Rows // 2 + 1, seg.Columns // 2 + 1)
    return seg, scan_for(folder, seg, first, shape, [2 * v for v in spacing], orientation, 2.0)


@pytest.fixture
def ct(tmp_path):
    """Return a CT of 12 slices as (folder, data sets)."""
    slices = series(np.zeros((12, 40, 48)), 3.0)
    return write(slices, tmp_path / "ct"), slices


def write_object(path, modality, sop_class, source, **tags):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.Modality, data.StudyInstanceUID, data.SeriesInstanceUID = modality, source.StudyInstanceUID, generate_uid()
    data.PatientID, data.PatientName, data.Manufacturer = "P1", "Doe^Jane", "Maker"
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def items(**tags):
    item = Dataset()
    for name, value in tags.items():
        setattr(item, name, value)
    return item


# reports


@pytest.mark.parametrize("name", ["sample-sr.dcm", "structured_report.dcm"])
@real
def test_diameters_that_ohif_wrote(tmp_path, name):
    path = OBJECTS / "dcmjs" / name
    report = pydicom.dcmread(path)
    named = sorted({content.image_of(s)[0] for g in content.groups(report) for s in content.shapes(g)})
    slices = series(np.zeros((max(len(named), 2), 64, 64)), PixelSpacing=[0.6, 0.6])
    for each, uid in zip(slices, named, strict=False):
        each.SOPInstanceUID = uid
    imported = import_objects([path], [opened(write(slices, tmp_path))])
    seen = [finding.at("t0") for finding in imported.findings]
    both = [each for each in seen if each.long_axis and each.short_axis]
    first = both[0] if name.startswith("sample") else both[1]
    drawn = {
        "sample-sr.dcm": ([580.719, 1090.836], [543.354, 988.392]),
        "structured_report.dcm": ([71.5, 329.0], [139.5, 397.0]),
    }[name]
    assert first.long_axis.length_mm == pytest.approx(0.6 * np.linalg.norm(np.subtract(*drawn)), abs=0.01)
    assert all(each.provenance.method.startswith("DICOM report of") and each.provenance.reader for each in seen)
    assert len(seen) == (1 if name.startswith("sample") else 6)
    # the pixels of this scan are smaller than those of the images that were measured: the report's lengths disagree
    assert any("check it" in problem for problem in imported.problems) == (name == "structured_report.dcm")


@real
def test_a_report_of_dcmqi_with_its_segmentation(tmp_path):
    folder = OBJECTS / "dcmqi" / "sr-example"
    _, scan = scan_of_frames(tmp_path, folder / "seg.dcm")
    imported = import_objects([folder / "seg.dcm", folder / "sr.dcm"], [scan])
    (finding,) = imported.findings
    seen = finding.at("t0")
    assert (finding.label, finding.site) == ("primary tumor", "pharyngeal tonsil (adenoid)")
    assert seen.volume_mm3 == pytest.approx(33582.4) and seen.mask.volume().array.sum() == 795
    assert finding.uid == "2.25.318774060119084600392715520575818119084"


@real
def test_regions_that_highdicom_wrote(tmp_path):
    shutil.copy(OBJECTS / "highdicom" / "ct_image.dcm", tmp_path)
    path = OBJECTS / "highdicom" / "sr_document_with_multiple_groups.dcm"
    imported = import_objects([path], [opened(tmp_path)])
    found = {finding.label: finding for finding in imported.findings}
    spacing = float(pydicom.dcmread(tmp_path / "ct_image.dcm").PixelSpacing[0])
    circle = found["LungNodule0001"].at("t0")
    assert circle.long_axis.length_mm == pytest.approx(20 * spacing) == circle.short_axis.length_mm
    assert found["LungNodule0001"].site == "lung"
    square = found["Aorta0001"]
    assert square.kind is Kind.OTHER and square.at("t0").mask.volume().array.sum() == pytest.approx(400, abs=41)
    point = pydicom.dcmread(path)
    shape = [s for g in content.groups(point) for s in content.shapes(g) if s.ValueType == "SCOORD3D"]
    assert np.allclose(found["Vertebra0001"].at("t0").centre, lps_to_ras(content.graphic(shape[0])[1][0]))
    assert ["Image0001 was left out" in problem for problem in imported.problems] == [True]


@real
def test_a_segmentation_of_slicer_on_its_ct(caplog):
    imported = import_objects([LIVER / "liver.dcm"], [opened(LIVER)])
    (finding,) = imported.findings
    assert finding.label == "Liver" and finding.at("t0").mask.geometry.size[2] == 3
    assert finding.at("t0").mask.volume().array.sum() == 107098
    # the report beside it belongs to another patient's segmentation
    with pytest.raises(InputError, match="its segmentation is not among the files"):
        import_objects([LIVER / "sr.dcm"], [opened(LIVER)])


# segmentations


@pytest.mark.parametrize(
    ("name", "voxels"),
    [
        ("dcmqi/partial_overlaps.dcm", [9602, 11888, 10743, 6693, 4713]),
        ("dcmqi/sparse-labelmap-noppv.dcm", [630]),
        ("dcmqi/sparse-labelmap-ppv5.dcm", [630]),
        ("highdicom/seg_image_ct_binary_overlap.dcm", [64, 16]),
        ("highdicom/seg_image_ct_binary_fractional.dcm", [638]),
        ("highdicom/seg_image_ct_true_fractional.dcm", [638]),
    ],
)
@real
def test_segmentations_of_dcmqi_and_highdicom(tmp_path, name, voxels):
    path = OBJECTS / name
    seg, scan = scan_of_frames(tmp_path, path)
    imported = import_objects([path], [scan])
    assert [f.at("t0").mask.volume().array.sum() for f in imported.findings] == voxels
    labels = [s.SegmentLabel for s in seg.SegmentSequence if s.SegmentLabel != "Background"]
    assert [f.label for f in imported.findings] == labels
    assert bool(imported.problems) == ("fractional" in name)
    states = {f.at("t0").state for f in imported.findings}
    automatic = all(s.SegmentAlgorithmType == "AUTOMATIC" for s in seg.SegmentSequence)
    assert states == {State.PROPOSED if automatic else State.ACCEPTED}


@real
def test_a_segmentation_of_one_frame(tmp_path):
    shutil.copy(OBJECTS / "highdicom" / "ct_image.dcm", tmp_path)
    imported = import_objects([OBJECTS / "highdicom" / "seg_image_ct_binary_single_frame.dcm"], [opened(tmp_path)])
    assert [f.at("t0").mask.volume().array.sum() for f in imported.findings] == [1832]


def written_seg(path, slices, array, **changes):
    """Write a mask with highdicom, on the images themselves or elsewhere."""
    about = hd.seg.SegmentDescription(
        1, "node", hd.sr.CodedConcept("123037004", "SCT", "Anatomical Structure"),
        hd.sr.CodedConcept("59441001", "SCT", "Lymph node"), "MANUAL",
    )  # fmt: skip
    for each in slices:
        for keyword in ("AccessionNumber", "StudyID", "StudyTime", "PatientBirthDate", "PatientSex"):
            each.setdefault(pydicom.datadict.tag_for_keyword(keyword), None)
            setattr(each, keyword, each.get(keyword) or "")
    seg = hd.seg.Segmentation(
        slices, array, "BINARY", [about], generate_uid(), 9, generate_uid(), 1, "Maker", "Model", "1", "1", **changes
    )
    return seg, path


def test_a_segmentation_without_a_referenced_series_lies_in_the_frame_of_the_scan(ct, tmp_path):
    folder, slices = ct
    mask = np.zeros((12, 40, 48), np.uint8)
    mask[3:6, 10:20, 12:30] = 1
    mask[4, 12:15, 14:22] = 0
    seg, path = written_seg(tmp_path / "seg.dcm", slices, mask)
    del seg.ReferencedSeriesSequence
    for frame in seg.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    seg.save_as(path, enforce_file_format=True)
    imported = import_objects([path], [opened(folder)])
    (finding,) = imported.findings
    volume = finding.at("t0").mask.volume()
    assert finding.kind is Kind.LYMPH_NODE and imported.problems == ()
    assert np.array_equal(volume.array, mask[3:6, 10:20, 12:30])


def test_a_segmentation_on_another_grid_with_mirrored_rows(ct, tmp_path):
    folder, slices = ct
    coarse = series(np.zeros((6, 20, 24)), 6.0, (1, 0, 0, 0, -1, 0), (-10, 0, 0))
    for each in coarse:
        each.FrameOfReferenceUID, each.StudyInstanceUID = slices[0].FrameOfReferenceUID, slices[0].StudyInstanceUID
    mask = np.zeros((6, 20, 24), np.uint8)
    mask[2:4, 2:7, 4:12] = 1
    mask[3, 2:4, 4:7] = 0
    seg, path = written_seg(tmp_path / "seg.dcm", coarse, mask)
    seg.save_as(path, enforce_file_format=True)
    volume, chosen = opened(folder)
    (finding,) = import_objects([path], [(volume, chosen)]).findings
    found = finding.at("t0").mask.volume()
    assert found.array.sum() == mask.sum()
    write(coarse, tmp_path / "coarse")
    truth = SourceImages.of(load_study(tmp_path / "coarse").choose())
    inside = found.geometry.to_ras(np.argwhere(found.array)[:, ::-1])
    for point in inside:
        plane = truth.plane_of([point])
        column, row = np.floor(plane.pixels([point])[0]).astype(int)
        number = [each is plane for each in truth.planes].index(True)
        where = next(k for k, s in enumerate(coarse) if s.SOPInstanceUID == plane.header.SOPInstanceUID)
        assert mask[where, row, column] and number >= 0


def test_a_segmentation_of_another_patient_is_refused(ct, tmp_path):
    folder, _ = ct
    other = series(np.zeros((4, 20, 24)), 6.0)
    mask = np.ones((4, 20, 24), np.uint8)
    seg, path = written_seg(tmp_path / "seg.dcm", other, mask)
    seg.save_as(path, enforce_file_format=True)
    with pytest.raises(InputError, match="drawn on a series that is not among the scans"):
        import_objects([path], [opened(folder)])


# structure sets and presentation states


def test_structures_of_radiotherapy(ct, tmp_path):
    folder, slices = ct
    volume, chosen = opened(folder)
    outline = [(10, 12), (10, 30), (22, 30), (22, 12)]
    contours = []
    for k in (4, 5):
        points = lps_to_ras(volume.geometry.to_ras([(i, j, k) for j, i in outline]))
        contours.append(items(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=4,
                              ContourData=[f"{v:.4f}" for v in points.ravel()]))  # fmt: skip
    path = write_object(
        tmp_path / "rt.dcm", "RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3", slices[0],
        ReferencedFrameOfReferenceSequence=[items(FrameOfReferenceUID=slices[0].FrameOfReferenceUID)],
        StructureSetROISequence=[items(ROINumber=1, ROIName="node_left"), items(ROINumber=2, ROIName="empty")],
        ROIContourSequence=[
            items(ReferencedROINumber=1, ContourSequence=contours),
            items(ReferencedROINumber=2, ContourSequence=[]),
        ],
    )  # fmt: skip
    imported = import_objects([path], [(volume, chosen)])
    (finding,) = imported.findings
    assert finding.label == "node_left" and finding.kind is Kind.LYMPH_NODE
    assert finding.at("t0").mask.geometry.size[2] == 2
    assert finding.at("t0").provenance.method == "DICOM structure set of Maker"
    assert imported.problems == ("rt.dcm: empty has no closed contour and was left out.",)


def presentation(path, source, *graphics, text=""):
    annotation = items(
        ReferencedImageSequence=[
            items(ReferencedSOPClassUID=source.SOPClassUID, ReferencedSOPInstanceUID=source.SOPInstanceUID)
        ],
        GraphicObjectSequence=[
            items(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=len(points) // 2,
                  GraphicData=points, GraphicType="POLYLINE", GraphicFilled="N")
            for points in graphics
        ],
    )  # fmt: skip
    if text:
        annotation.TextObjectSequence = [items(UnformattedTextValue=text)]
    return write_object(
        path, "PR", "1.2.840.10008.5.1.4.1.1.11.1", source,
        GraphicAnnotationSequence=[annotation], ContentCreatorName="Reader^One",
        PresentationCreationDate="20260103", PresentationCreationTime="101500",
    )  # fmt: skip


def test_lines_drawn_in_a_pacs_become_diameters(ct, tmp_path):
    folder, slices = ct
    path = presentation(
        tmp_path / "pr.dcm", slices[5],
        [10, 20, 30, 20], [20, 14, 20, 26], [5, 5, 9, 8], [1, 1, 2, 2, 3, 1], text="node at the hilum",
    )  # fmt: skip
    imported = import_objects([path], [opened(folder)])
    crossed, single = (finding.at("t0") for finding in imported.findings)
    assert [finding.label for finding in imported.findings] == ["node at the hilum", "L 1"]
    assert crossed.long_axis.length_mm == pytest.approx(20 * 0.7)
    assert crossed.short_axis.length_mm == pytest.approx(12 * 0.8)
    assert single.long_axis.length_mm == pytest.approx(np.hypot(4 * 0.7, 3 * 0.8)) and single.short_axis is None
    assert crossed.provenance.reader == "Reader^One" and crossed.provenance.when == "2026-01-03T10:15:00"
    assert imported.problems == (
        "pr.dcm: 1 drawing other than a line of two points was left out. Only lines become diameters.",
    )
    position = np.asarray(slices[5].ImagePositionPatient, float)
    assert np.allclose(crossed.long_axis.start, lps_to_ras(np.add(position, (9.5 * 0.7, 19.5 * 0.8, 0))), atol=1e-3)


def test_drawings_on_images_that_are_not_there_are_named(ct, tmp_path):
    folder, _ = ct
    path = presentation(tmp_path / "pr.dcm", series(np.zeros((1, 8, 8)))[0], [1, 1, 5, 5])
    with pytest.raises(InputError, match="1 drawing lies on an image that is in no scan"):
        import_objects([path], [opened(folder)])


def test_what_cannot_be_read_says_why(ct, tmp_path):
    folder, slices = ct
    (tmp_path / "note.txt").write_text("no DICOM")
    with pytest.raises(InputError, match=r"note\.txt is no DICOM file"):
        import_objects([tmp_path / "note.txt"], [opened(folder)])
    with pytest.raises(InputError, match="There is no report, segmentation, structure set or presentation state"):
        import_objects([folder], [opened(folder)])
    path = write_object(tmp_path / "sr.dcm", "SR", "1.2.840.10008.5.1.4.1.1.88.33", slices[0], ContentSequence=[])
    with pytest.raises(InputError, match="holds no measurements"):
        import_objects([path], [opened(folder)])


def test_messages_and_logs_name_no_patient(ct, tmp_path, caplog):
    folder, slices = ct
    caplog.set_level(logging.DEBUG)
    path = presentation(tmp_path / "pr.dcm", slices[5], [10, 20, 30, 20])
    imported = import_objects([path], [opened(folder)])
    assert "Doe" not in caplog.text + str(imported.problems)
