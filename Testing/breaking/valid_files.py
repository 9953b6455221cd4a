"""Small valid files of every format that OncoTrack reads, from which damaged ones are made."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    RLELossless,
    RTStructureSetStorage,
    generate_uid,
)
from small_dicom import hounsfield, item, series, write

from oncotrack.dicom_objects.export import Choice, export
from oncotrack.dicom_objects.export import save as save_objects
from oncotrack.dicom_objects.importing import import_objects
from oncotrack.dicom_objects.mask_objects import read_seg
from oncotrack.findings.finding import State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.scans import time_point_of
from oncotrack.images.dicom import Series, load_study, read
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, to_sitk
from oncotrack.masks.axes_files import read_axes_files
from oncotrack.masks.axes_table import ENDS, read_table
from oncotrack.masks.findings import observation
from oncotrack.masks.label_files import write_labels
from oncotrack.masks.label_reader import read_labels

SHAPE = 12, 40, 48


@dataclass(frozen=True)
class Kind:
    """A valid file or folder, and how it is read.

    Attributes
    ----------
    name : str
        What it is.
    path : Path
        The file or folder that is opened.
    damaged : Path
        The file that is damaged: itself, or one of several.
    read : callable
        Returns something that can be compared, from a path.
    is_checked : bool
        Whether a checksum or a length covers the whole content after the header.
    header : int
        Bytes of the header; what follows is content.
    weight : int
        How often it is taken.
    is_plain : bool
        Whether a voxel that is not covered by a checksum lies in bytes of its own.
    """

    name: str
    path: Path
    damaged: Path
    read: Callable[[Path], Any]
    is_checked: bool
    header: int = 0
    weight: int = 4
    is_plain: bool = True


def make(folder: Path, has_scene: bool = True) -> list[Kind]:
    """Write the valid files into a folder and describe them; a scene only where Slicer's libraries are installed."""
    folder.mkdir(parents=True, exist_ok=True)
    values = hounsfield(SHAPE).astype(np.int16)
    turned = [[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]]
    volume = Volume(
        values, Geometry.from_values(SHAPE[::-1], [0.8, 0.7, 2.5], [-20, 10, 40.5], np.array(turned)), "image", "CT"
    )
    return [
        *_images(folder, volume),
        *_dicom(folder),
        *_masks(folder, volume),
        *_texts(folder),
        *(_scene(folder, volume) if has_scene else ()),
    ]


def _images(folder: Path, volume: Volume) -> list[Kind]:
    for name in ("image.nii", "image.nii.gz", "image.nrrd", "image.mha"):
        save(volume, folder / name)
    for name in ("raw.nrrd", "raw.mha", "detached.mhd", "detached.nhdr"):
        sitk.WriteImage(to_sitk(volume), str(folder / name), useCompression=False)
    about = [
        ("image.nii", "", False, 352), ("image.nii.gz", "", True, 0), ("image.nrrd", "", True, -1), ("raw.nrrd", "", False, -1),
        ("image.mha", "", True, -1), ("raw.mha", "", False, -1), ("detached.mhd", "", False, -1),
        ("detached.mhd", "detached.raw", False, 0), ("detached.nhdr", "", False, -1), ("detached.nhdr", "detached.raw", False, 0),
    ]  # fmt: skip
    return [
        Kind(
            data or name,
            folder / name,
            folder / (data or name),
            image,
            is_checked,
            _header(folder / (data or name), header),
        )
        for name, data, is_checked, header in about
    ]


def _dicom(folder: Path) -> list[Kind]:
    slices = series(hounsfield((6, 32, 32)))
    for each in slices:
        each.StudyTime = each.PatientBirthDate = each.PatientSex = each.AccessionNumber = each.StudyID = ""
        each.ReferringPhysicianName = ""
    seg = _seg(folder / "seg.dcm", slices)
    plain = write(slices, folder / "dicom")
    for each in slices:
        each.compress(RLELossless)
    packed = write(slices, folder / "rle")
    with zipfile.ZipFile(folder / "dicom.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(plain.iterdir()):
            archive.write(path, path.name)
    first = sorted(plain.iterdir())[2]
    return [
        Kind("DICOM slice", plain, first, image, False, first.stat().st_size - 32 * 32 * 2, 8),
        Kind("DICOM slice, RLE", packed, packed / first.name, image, False, 1200, is_plain=False),
        Kind("DICOM SEG", seg, seg, segments, False, seg.stat().st_size - 2 * 6 * 32 * 32 // 8, is_plain=False),
        Kind("DICOM in a zip archive", folder / "dicom.zip", folder / "dicom.zip", image, True),
        *_objects(folder, plain, dcmread(first)),
    ]


def _objects(folder: Path, scan: Path, source: Dataset) -> list[Kind]:
    """Write a structure set, a presentation state and a report of findings on a scan; `source` is one of its slices."""
    series = load_study(scan).choose()
    volume = read(series)
    read_objects = partial(objects, scan=(volume, series))
    outline = volume.geometry.to_ras([(8, 8, 2), (8, 20, 2), (18, 20, 2), (18, 8, 2)]) * [-1, -1, 1]
    contour = item(ContourGeometricType="CLOSED_PLANAR", ContourData=[f"{v:.3f}" for v in outline.ravel()])
    line = item(
        GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicType="POLYLINE",
        GraphicData=[5, 6, 20, 21],
    )  # fmt: skip
    drawn = item(
        ReferencedImageSequence=[item(ReferencedSOPInstanceUID=source.SOPInstanceUID)], GraphicObjectSequence=[line]
    )
    contents = {
        "rtstruct": {
            "Modality": "RTSTRUCT", "SOPClassUID": RTStructureSetStorage,
            "StructureSetROISequence": [item(ROINumber=1, ROIName="LN 1")],
            "ROIContourSequence": [item(ReferencedROINumber=1, ContourSequence=[contour])],
        },
        "lines": {
            "Modality": "PR", "SOPClassUID": GrayscaleSoftcopyPresentationStateStorage, "GraphicAnnotationSequence": [drawn]
        },
    }  # fmt: skip
    paths = {}
    for name, content in contents.items():
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
            setattr(made, keyword, source[keyword].value)
        for keyword, value in content.items():
            setattr(made, keyword, value)
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.save_as(folder / f"{name}.dcm", enforce_file_format=True)
        paths[name] = folder / f"{name}.dcm"
    inside = np.zeros(volume.array.shape, np.uint8)
    inside[1:4, 6:14, 7:18] = 1
    findings = FindingList([time_point_of(volume, "t0", "baseline")])
    findings.add("t0", observation(replace(volume, array=inside), state=State.ACCEPTED))
    exported = export(findings.time_points, findings.findings, {"t0": series}, Choice(segmentations=False))
    paths["report"] = save_objects(exported.objects, folder / "reports")[0]
    return [
        Kind(f"DICOM {name}", path, path, read_objects, False, 0, 6, is_plain=False) for name, path in paths.items()
    ]


def _seg(path: Path, slices: list) -> Path:
    from highdicom.seg import Segmentation, SegmentDescription
    from highdicom.sr.coding import CodedConcept
    from pydicom.uid import generate_uid

    mass = CodedConcept("4147007", "SCT", "Mass")
    described = [SegmentDescription(number, f"LN {number}", mass, mass, "MANUAL") for number in (1, 2)]
    inside = np.zeros((6, 32, 32, 2), bool)
    inside[1:4, 5:12, 6:15, 0] = inside[3:5, 20:25, 16:20, 1] = True
    made = Segmentation(
        slices, inside, "BINARY", described, generate_uid(), 9, generate_uid(), 1, "Maker", "Model", "1.0", "0",
        omit_empty_frames=False,
    )  # fmt: skip
    made.save_as(path)
    return path


def _masks(folder: Path, volume: Volume) -> list[Kind]:
    drawn = {}
    for n in range(2):
        inside = np.zeros(SHAPE, np.uint8)
        inside[3 : 8 + n, 10:20, 12 + 3 * n : 22] = 1
        drawn[f"LN {n + 1}"] = Volume(inside, volume.geometry)
    apart = {"LN 1": drawn["LN 1"]}
    kinds = []
    for name, masks in (("masks.seg.nrrd", drawn), ("labels.nii.gz", apart), ("labels.mha", apart)):
        path = write_labels(folder / name, volume.geometry, masks)
        kinds.append(Kind(name, path, path, labels, True, _header(path, 0 if name.endswith("gz") else -1)))
    return kinds


def _texts(folder: Path) -> list[Kind]:
    data = Path(__file__).parents[1] / "engine" / "data"
    stored = next(iter(sorted(data.rglob("findings*.json"))), None)
    text = stored.read_text(encoding="utf-8") if stored else FindingList([("t0", "Baseline")]).to_json()
    (folder / "findings.json").write_text(text, encoding="utf-8")
    axes = {"coordinates": "RAS", "long": [[0, 10, 40], [15, 10, 40]], "short": [[7, 5, 40], [7, 15, 40]]}
    (folder / "axes.json").write_text(json.dumps(axes), encoding="utf-8")
    names = list(ENDS)
    numbers = [n for axis in ("long", "short") for point in axes[axis] for n in point]
    rows = "\n".join(",".join([f"LN {n}", *map(str, numbers)]) for n in range(4))
    (folder / "axes.csv").write_text(",".join(["label", *names]) + "\n" + rows + "\n", encoding="utf-8")
    control = [{"id": str(n), "position": point, "positionStatus": "defined"} for n, point in enumerate(axes["long"])]
    other = [{"id": str(n), "position": point, "positionStatus": "defined"} for n, point in enumerate(axes["short"])]
    markups = [{"type": "Line", "coordinateSystem": "RAS", "controlPoints": points} for points in (control, other)]
    (folder / "lines.mrk.json").write_text(json.dumps({"@schema": "markups", "markups": markups}), encoding="utf-8")
    readers = {"findings.json": findings, "axes.json": axes_of, "axes.csv": table, "lines.mrk.json": axes_of}
    return [Kind(name, folder / name, folder / name, reader, False, 0, 3) for name, reader in readers.items()]


def _scene(folder: Path, volume: Volume) -> list[Kind]:
    try:
        from oncotrack.scene.files.storage import save_scene
        from oncotrack.scene.nodes.volumes import add_volume
        from oncotrack.scene.views.application import new_scene
    except ImportError:
        return []
    application = new_scene()
    add_volume(application.scene, volume)
    path = save_scene(application.scene, folder / "scene.mrb")
    return [Kind("scene.mrb", path, path, scene, True, 0, 2)]


def _header(path: Path, known: int) -> int:
    """Return the bytes of a text header, which ends with an empty line (NRRD) or with ElementDataFile (MetaImage)."""
    if known >= 0:
        return known
    content = path.read_bytes()
    if path.suffix in (".nrrd", ".nhdr"):
        return content.find(b"\n\n") + 2 if b"\n\n" in content else len(content)
    return content.index(b"\n", content.index(b"ElementDataFile")) + 1


# readers; each returns something that can be compared


def image(path: Path) -> Any:
    volume = load(path)
    return volume.array.shape, volume.array.tobytes(), np.round(volume.ijk_to_ras, 4).tobytes(), volume.geometry


def labels(path: Path) -> Any:
    found = read_labels(path)
    return [(name, each.array.tobytes(), np.round(each.ijk_to_ras, 4).tobytes()) for name, each in found.items()]


def segments(path: Path) -> Any:
    found = read_seg(path)
    return [(each.name, each.mask.array.tobytes(), np.round(each.mask.ijk_to_ras, 4).tobytes()) for each in found]


def objects(path: Path, scan: tuple[Volume, Series]) -> Any:
    found = import_objects([path], [scan])
    seen = [(each.label, each.at("t0")) for each in found.findings]
    return [(label, each.centre, each.long_axis, each.short_axis, each.volume_mm3) for label, each in seen if each]


def findings(path: Path) -> Any:
    return FindingList.open(path).to_json()


def axes_of(path: Path) -> Any:
    return repr(read_axes_files([path]))


def table(path: Path) -> Any:
    return repr(read_table(path))


def scene(path: Path) -> Any:
    from oncotrack.scene.files.storage import open_scene
    from oncotrack.scene.nodes.volumes import to_volume
    from oncotrack.scene.views.application import new_scene

    application = new_scene()
    notice = open_scene(application.scene, path)
    nodes = application.scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    return notice, [to_volume(nodes.GetItemAsObject(n)).fingerprint for n in range(nodes.GetNumberOfItems())]
