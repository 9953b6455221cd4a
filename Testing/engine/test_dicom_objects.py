"""Findings as DICOM objects and back: reports, segmentations, time points, predecessors."""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_visits import ORIENTATIONS, READER, lesion, write_visits

from oncotrack.dicom_objects import codes, content
from oncotrack.dicom_objects.export import Choice, earlier_reports, export, save
from oncotrack.dicom_objects.importing import import_objects
from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Observation, Provenance, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.geometry import Geometry

pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    return write_visits(tmp_path_factory.mktemp("visits"))


@pytest.fixture(scope="module")
def written(visits, tmp_path_factory):
    """Return the files of the first export."""
    result = export(visits.findings.time_points, visits.findings.findings, visits.scans)
    assert result.left_out == ()
    return save(result.objects, tmp_path_factory.mktemp("written"))


def of(paths, modality, description=""):
    found = [pydicom.dcmread(path) for path in paths]
    return [d for d in found if d.Modality == modality and description in str(d.get("SeriesDescription"))]


def same_axis(one, other, within=0.1):
    return np.abs(np.subtract([one.start, one.end], [other.start, other.end])).max() < within


@pytest.mark.parametrize(
    ("orientation", "is_label_map"), [*((each, False) for each in ORIENTATIONS), ("oblique", True)]
)
def test_findings_come_back_from_their_objects(tmp_path, orientation, is_label_map):
    visits = write_visits(tmp_path, ORIENTATIONS[orientation])
    if orientation == "flipped":
        assert list(pydicom.dcmread(visits.series[0].files[0]).ImageOrientationPatient) == [1, 0, 0, 0, -1, 0]
    count = 2 if orientation == "axial" else 1
    points = visits.findings.time_points[:count]
    scans = {point.id: visits.scans[point.id] for point in points}
    result = export(visits.findings.time_points, visits.findings.findings, scans, Choice(is_label_map=is_label_map))
    back = import_objects(save(result.objects, tmp_path / "out"), visits.read[:count])
    assert back.problems == ()
    assert back.findings.time_points == points
    assert len(back.findings) == len(visits.findings)
    for before in visits.findings:
        after = back.findings[before.uid]
        for name in ("label", "kind", "site", "side", "role", "comment", "reader", "split_from"):
            assert getattr(after, name) == getattr(before, name), name
        for time_point in scans:
            seen, again = before.observation(time_point), after.observation(time_point)
            assert (again.state, again.assessment, again.uptake) == (seen.state, seen.assessment, seen.uptake)
            assert (again.provenance.method, again.provenance.reader) == (
                seen.provenance.method,
                seen.provenance.reader,
            )
            if seen.mask is None:
                continue
            assert same_axis(again.long_axis, seen.long_axis) and same_axis(again.short_axis, seen.short_axis)
            assert again.mask.is_same(seen.mask)
            assert again.volume_mm3 == pytest.approx(seen.volume_mm3)


def test_the_tracking_uid_of_a_lesion_is_the_same_in_every_document(visits, written):
    uids = {finding.uid for finding in visits.findings}
    for report in of(written, "SR", "measurements"):
        groups = content.groups(report)
        found = [content.text(group, codes.TRACKING_UID) for group in groups]
        assert len(found) == len(set(found)) and set(found) <= uids
    assert len(of(written, "SR", "measurements")) == len(of(written, "SR", "volumes")) == 2
    for seg in of(written, "SEG"):
        for segment in seg.SegmentSequence:
            assert segment.TrackingUID in uids
            assert segment.TrackingID == f"Cornerstone3DTools@^0.1.0:Bidirectional:{segment.SegmentLabel}"


def test_code_meanings_are_spelled_as_other_viewers_compare_them(written):
    report = of(written, "SR", "measurements")[0]
    text = json.dumps(report.to_json_dict())
    for meaning in ("Imaging Measurements", "Measurement Group", "Tracking Identifier", "Tracking Unique Identifier"):
        assert f'"{meaning}"' in text
    assert '"Long Axis"' in text and '"Short Axis"' in text and "Long axis" not in text
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert content.text(report, codes.OBSERVER_NAME) == READER
    assert content.item(report, codes.Code("111028", "DCM", "Image Library"))
    for group in content.groups(report):
        for length in content.items(group, kind="NUM"):
            name = content.code_in(length.ConceptNameCodeSequence)
            if name.meaning in ("Long Axis", "Short Axis"):
                (shape,) = [each for each in content.items(length) if each.ValueType == "SCOORD"]
                assert content.image_of(shape)
    assert "." not in str(report.SeriesTime)


def test_patient_study_and_time_point_are_those_of_the_images(visits, written):
    image = pydicom.dcmread(visits.series[1].files[0], stop_before_pixels=True)
    mine = [d for p in written if (d := pydicom.dcmread(p)).StudyInstanceUID == image.StudyInstanceUID]
    assert len(mine) == 3
    for each in mine:
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyID"):
            assert each[keyword].value == image[keyword].value
        assert (each.ClinicalTrialTimePointID, each.ClinicalTrialTimePointDescription) == ("t1", "week 9")
        assert each.LongitudinalTemporalOffsetFromEvent == 63
        assert "." not in str(each.SeriesTime)
    assert next(d for d in mine if d.Modality == "SEG").FrameOfReferenceUID == image.FrameOfReferenceUID
    group = content.groups(next(d for d in mine if d.Modality == "SR"))[0]
    assert content.number(content.item(group, codes.TIME_POINT_ORDER))[0] == 2


def test_the_response_is_a_measurement_of_the_later_study(written):
    before, after = sorted(of(written, "SR", "volumes"), key=lambda d: d.StudyDate)
    group = next(g for g in content.groups(after) if content.text(g, codes.TRACKING_ID) == "Response")
    assert content.value(content.item(group, codes.CURRENT_RESPONSE)) == codes.RESPONSES["PR"]
    total = content.number(content.item(group, codes.SUM_OF_DIAMETERS))
    first = next(g for g in content.groups(before) if content.text(g, codes.TRACKING_ID) == "Response")
    earlier = content.number(content.item(first, codes.SUM_OF_DIAMETERS))
    change = content.number(content.item(group, codes.CHANGE_FROM_BASELINE))
    assert total[1] == "mm" and change[0] == pytest.approx(100 * (total[0] / earlier[0] - 1))


def test_volumes_refer_to_the_segments_of_their_masks(written):
    segmentations = {d.SOPInstanceUID: d for d in of(written, "SEG")}
    checked = 0
    for report in of(written, "SR", "volumes"):
        for group in content.groups(report):
            reference = content.item(group, codes.REFERENCED_SEGMENT)
            if reference is None:
                continue
            named = reference.ReferencedSOPSequence[0]
            number = named.ReferencedSegmentNumber
            seg = segmentations[named.ReferencedSOPInstanceUID]
            assert seg.SegmentSequence[number - 1].TrackingUID == content.text(group, codes.TRACKING_UID)
            checked += 1
    assert checked == 5


def test_overlapping_masks_go_into_layers_and_images_without_masks_are_left_out(visits, written):
    first = [d for d in of(written, "SEG") if d.ClinicalTrialTimePointID == "t0"]
    assert [len(d.SegmentSequence) for d in sorted(first, key=lambda d: d.InstanceNumber)] == [2, 1]
    assert len({d.SeriesInstanceUID for d in first}) == 1
    slices = sum(int(f.at("t0").mask.volume().array.any(axis=(1, 2)).sum()) for f in visits.findings if f.at("t0").mask)
    assert sum(d.NumberOfFrames for d in first) == slices


def test_proposals_stay_out_until_a_reader_accepts_them(visits):
    points = visits.findings.time_points
    findings = FindingList(points)
    findings.add("t0", lesion(visits.volumes[0], (20, 20, 8), 6))
    waiting = findings.add("t0", Observation(centre=visits.volumes[0].geometry.centre))
    result = export(points, findings.findings, {"t0": visits.series[0]})
    assert result.left_out == (
        f"baseline: 1 proposal was left out because no reader has accepted it ({waiting.label}).",
    )
    with pytest.raises(InputError, match="There is nothing to write"):
        export(points, [waiting], {"t0": visits.series[0]})
    both = export(points, findings.findings, {"t0": visits.series[0]}, Choice(with_proposals=True, segmentations=False))
    assert len(content.groups(both.objects[0])) == 2


def test_a_new_report_names_the_one_it_replaces_and_is_read_instead(visits, tmp_path):
    points, scan = visits.findings.time_points, {"t0": visits.series[0]}
    finding = visits.findings.findings[0]
    save(export(points, [finding], scan).objects, tmp_path)
    old = earlier_reports(tmp_path)
    assert len(old) == 2
    seen = finding.at("t0")
    start, end = np.asarray(seen.long_axis.start), np.asarray(seen.long_axis.end)
    shorter = Axis(tuple(start), tuple(start + 0.9 * (end - start)))
    smaller = seen.mask.volume()
    smaller = replace(smaller, array=smaller.array * (np.arange(smaller.array.shape[0]) < 3)[:, None, None])
    mask = PackedMask.of(smaller)
    edited = finding.with_observation("t0", replace(seen, long_axis=shorter, mask=mask, state=State.EDITED))
    new = export(points, [edited], scan, predecessors=old).objects
    for report in (each for each in new if each.Modality == "SR"):
        named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        (replaced,) = [d for d in old if d.SeriesDescription == report.SeriesDescription]
        assert named.ReferencedSOPInstanceUID == replaced.SOPInstanceUID
    save(new, tmp_path)
    back = import_objects([tmp_path], visits.read[:1]).findings
    assert len(back) == 1 and back[finding.uid].at("t0").mask.is_same(mask)
    assert back[finding.uid].at("t0").long_axis.length_mm == pytest.approx(shorter.length_mm, abs=0.01)
    third = export(points, [finding], scan, predecessors=earlier_reports(tmp_path)).objects
    assert all(len(each.PredecessorDocumentsSequence[0].ReferencedSeriesSequence) == 1 for each in third[-2:])


def test_diameters_across_slices_are_written_in_space(visits, tmp_path):
    middle = np.asarray(visits.volumes[0].geometry.centre)
    axis = Axis(tuple(middle), tuple(np.add(middle, (9, 3, 8))))
    short = Axis(tuple(np.add(middle, (0, 4, 2))), tuple(np.add(middle, (3, -2, 5))))
    findings = FindingList(visits.findings.time_points)
    made = Provenance(reader=READER)
    seen = Observation(centre=tuple(middle), long_axis=axis, short_axis=short, state=State.EDITED, provenance=made)
    uid = findings.add("t0", seen).uid
    result = export(findings.time_points, findings.findings, {"t0": visits.series[0]})
    assert result.objects[0].SOPClassUID.name == "Comprehensive 3D SR Storage"
    back = import_objects(save(result.objects, tmp_path), visits.read[:1]).findings[uid].at("t0")
    assert same_axis(back.long_axis, axis, 1e-3) and same_axis(back.short_axis, short, 1e-3)


def test_a_mask_on_another_grid_covers_the_same_place(visits, tmp_path):
    seen = visits.findings.findings[0].at("t0")
    grid = visits.volumes[0].geometry
    coarse = Geometry.from_values((30, 30, 30), 1.3, np.asarray(seen.centre) - 19, np.eye(3))
    mask = seen.mask.volume().resampled(coarse, fill=0, nearest=True)
    finding = visits.findings.findings[0].with_observation("t0", replace(seen, mask=PackedMask.of(mask)))
    result = export(visits.findings.time_points, [finding], {"t0": visits.series[0]})
    back = import_objects(save(result.objects, tmp_path), visits.read[:1]).findings[finding.uid].at("t0").mask.volume()
    assert back.geometry.spacing == pytest.approx(grid.spacing)
    assert back.array.sum() * grid.voxel_mm3 == pytest.approx(mask.array.sum() * coarse.voxel_mm3, rel=0.1)


def test_a_long_name_of_the_method_fits_the_segmentation_and_comes_back_whole(visits, tmp_path):
    method = "ensemble; proposed by fatblobs; baseline mask carried to the follow-up"
    seen = visits.findings.findings[0].at("t0")
    made = replace(seen.provenance, method=method, reader="")
    finding = visits.findings.findings[0].with_observation("t0", replace(seen, provenance=made))
    paths = save(export(visits.findings.time_points, [finding], {"t0": visits.series[0]}).objects, tmp_path)
    (segmentation,) = of(paths, "SEG")
    names = [element.value for element in segmentation.iterall() if element.name.endswith("Algorithm Name")]
    assert names and all(name == method[:64] for name in names), "64 characters is the most that DICOM allows"
    assert import_objects(paths, visits.read[:1]).findings[finding.uid].at("t0").provenance.method == method


def test_the_commands_write_and_read(oncotrack, visits, tmp_path):
    visits.findings.save(tmp_path / "findings.json")
    done = oncotrack(
        "export", tmp_path / "findings.json", *visits.folders, "--sr", "--seg", "--out", tmp_path / "dicom"
    )
    assert done.code == 0 and len(list((tmp_path / "dicom").glob("*.dcm"))) == 7
    scans = [word for folder in visits.folders for word in ("--scan", folder)]
    done = oncotrack("import", tmp_path / "dicom", *scans, "--out", tmp_path / "again.json")
    assert done.code == 0 and "3 findings read." in done.err
    assert [f.uid for f in FindingList.open(tmp_path / "again.json")] == [f.uid for f in visits.findings]
    assert "Doe" not in done.err + done.out
    assert not list(tmp_path.rglob(".oncotrack-*"))


def test_scans_that_do_not_fit_get_a_sentence(oncotrack, visits, tmp_path):
    visits.findings.save(tmp_path / "findings.json")
    other = write_visits(tmp_path / "other", size=(40, 36, 13))
    done = oncotrack("export", tmp_path / "findings.json", other.folders[0], "--out", tmp_path / "out")
    assert done.code == 2 and "is none of the scans that these findings were made on" in done.err
    done = oncotrack("export", tmp_path / "findings.json", tmp_path / "findings.json", "--out", tmp_path / "out")
    assert done.code == 2 and not (tmp_path / "out").exists()
