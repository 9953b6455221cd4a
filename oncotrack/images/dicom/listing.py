"""The series of a set of DICOM files: duplicates dropped, volumes separated, damage attributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.images.dicom.frames import Frame, frames_of
from oncotrack.images.dicom.grid import Grid, fit
from oncotrack.images.dicom.groups import Part, label, normal_of
from oncotrack.images.dicom.headers import DicomFile, Header, integer, numbers, text
from oncotrack.images.dicom.kinds import DIRECTORY, kind_of, lacks_pixels, why_no_scan
from oncotrack.images.dicom.parts import parts_of
from oncotrack.images.dicom.study import Series

_SAME_COPY = ("ImagePositionPatient", "InstanceNumber", "NumberOfFrames", "AcquisitionNumber", "SeriesInstanceUID")


def list_series(
    files: Sequence[DicomFile], missing: dict[str, list[str]], path: Path, keep: object = None
) -> list[Series]:
    """Return the series of files: volumes, then damaged ones, other images, other objects.

    Parameters
    ----------
    files : sequence of DicomFile
        The files with their headers, damaged ones included.
    missing : dict of str to list of str
        Files that should be there, by Series Instance UID.
    path : Path
        What was opened.
    keep : object
        Kept by every series; see `Series`.
    """
    nameless = []
    groups: dict[str, list[DicomFile]] = {}
    for file in files:
        if "SeriesInstanceUID" not in file.header and (file.damage or lacks_pixels(file.header)):
            nameless.append(file if file.damage else replace(file, damage="it has no pixel data"))
        elif text(file.header, "SOPClassUID") != DIRECTORY:
            groups.setdefault(text(file.header, "SeriesInstanceUID"), []).append(file)
    listed = []
    for uid, members in groups.items():
        listed += _series(members, nameless, missing.get(uid, []), path, keep)
    listed = sorted(listed, key=_rank)
    several = sum(series.is_volume for series in listed) > 1
    name = path.name if path.is_dir() else path.parent.name if path.suffix.lower() != ".zip" else path.stem
    return [replace(series, name=_name(series, name) if several else name) for series in listed]


def _rank(series: Series) -> tuple:
    scan = 0 if series.is_volume else 1 if series.is_damaged else 2 if series.size else 3
    number = series.number if series.number is not None else 2**31
    return scan, series.date, number, series.time, series.uid  # the parts of one UID keep their order


def _name(series: Series, name: str) -> str:
    number = "" if series.number is None else str(series.number)
    return " ".join(word for word in (name, number, series.description or series.modality, series.part) if word)


def _series(
    files: list[DicomFile], nameless: list[DicomFile], missing: list[str], path: Path, keep: object
) -> list[Series]:
    """Return the volumes and other objects of one Series Instance UID."""
    files, copies = _without_copies(files)
    notes = []
    if copies:
        notes.append(
            f"{copies} file{' is a copy of another and was' if copies == 1 else 's are copies of others and were'} "
            "left out."
        )
    apart: dict[tuple[str, str], list[DicomFile]] = {}
    scans, broken = [], []
    for file in files:
        if lacks_pixels(file.header):
            broken.append(file if file.damage else replace(file, damage="it has no pixel data"))
        elif why := why_no_scan(file.header):
            apart.setdefault((kind_of(file.header), why), []).append(file)
        else:
            scans.append(file)
    found: list[tuple[Part, Grid | None]] = [
        (Part([Frame(file, file.header) for file in members], problem=why), None)
        for (_kind, why), members in apart.items()
    ]
    frames = [frame for file in scans for frame in frames_of(file)]
    lost = _lost(frames, broken, nameless, missing)
    notes += _notes(frames)
    for part in parts_of(frames) if frames else []:
        damaged = lost and (part.faulty or not part.problem or any(frame.file.damage for frame in part.frames))
        found += _fitted(replace(part, problem=lost, faulty=True) if damaged else part)
    if not found:
        found = [(Part([Frame(broken[0], broken[0].header)], problem=_damage(broken[0]), faulty=True), None)]
    uid = text(files[0].header, "SeriesInstanceUID")
    keys = [f"{uid}#{n}" for n in range(1, len(found) + 1)] if len(found) > 1 else [uid]
    return [
        _described(part, grid, key=key, path=path, keep=keep, notes=tuple(notes))
        for key, (part, grid) in zip(keys, found, strict=True)
    ]


def _notes(frames: list[Frame]) -> list[str]:
    """Return what a reader must know about the images, sentences."""
    if not frames:
        return []
    notes, header = [], frames[0].header
    if unscaled := sum(numbers(frame.header, "RescaleSlope")[:1] == (0.0,) for frame in frames):
        notes.append(
            f"The rescale slope of {unscaled} slice{'s' if unscaled > 1 else ''} is 0, which is invalid; 1 is used."
        )
    unit = text(header, "RescaleType")
    if text(header, "Modality") == "CT" and unit not in ("", "HU", "US", "UNSPECIFIED"):
        notes.append(f"The values are given as {unit}, not as Hounsfield units.")
    tilt = numbers(header, "GantryDetectorTilt")[:1]
    if tilt and abs(tilt[0]) > 0.5 and abs(normal_of(frames[0])[2]) > 0.99999 and frames[0].orientation:
        notes.append(f"The header states a gantry tilt of {tilt[0]:g} degrees, but the slice positions show none.")
    count = integer(header, "NumberOfSlices")
    if text(header, "Modality") == "PT" and count > len(frames):
        notes.append(f"The header states {count} slices, but the series has only {len(frames)}.")
    return notes


def _without_copies(files: list[DicomFile]) -> tuple[list[DicomFile], int]:
    """Return the files without those that hold the same image as another, and how many were left out."""
    kept: dict[tuple, DicomFile] = {}
    for n, file in enumerate(sorted(files, key=lambda each: bool(each.damage))):
        uid = file.header.get("SOPInstanceUID")
        kept.setdefault((uid, *(file.header.get(word) for word in _SAME_COPY)) if uid else (n,), file)
    left = {id(file) for file in kept.values()}
    return [file for file in files if id(file) in left], len(files) - len(kept)


def _lost(frames: list[Frame], broken: list[DicomFile], nameless: list[DicomFile], missing: list[str]) -> str:
    """Return which slices of a series are damaged or missing, a sentence; "" when all are whole, as far as is known."""
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"Listed in the DICOMDIR but missing: {missing[0]}{more}. Copy the whole disc again."
    damaged = [frame.file for frame in frames if frame.file.damage] + broken
    if nameless:
        folders = {frame.file.path.parent for frame in frames}
        names = {(frame.file.path.parent, frame.file.path.suffix.lower()) for frame in frames}
        for file in nameless:  # an empty file may be anything, one with the signature of DICOM is a part of it
            if file.path.parent in folders and (file.header or (file.path.parent, file.path.suffix.lower()) in names):
                damaged.append(file)
    if damaged:
        return _damage(damaged[0])
    for frame in frames:
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            if not numbers(frame.header, keyword) and text(frame.header, keyword):
                return f"The slice {frame.name} is damaged: its {keyword} is not a number. Fetch the series again."
    return ""


def _damage(file: DicomFile) -> str:
    if "SeriesInstanceUID" in file.header:
        return f"The slice {file.path.name} is damaged: {file.damage}. Fetch the series again."
    return (
        f"The file {file.path.name} in the folder of the slices is damaged: {file.damage}. It may be a slice of this "
        "series. Copy the series again, or delete the file if it does not belong to the series."
    )


def _fitted(part: Part) -> list[tuple[Part, Grid | None]]:
    """Return a part with its grid; stacks that do not form one grid together are taken apart."""
    if part.problem:
        return [(part, None)]
    frames = part.frames
    positions = np.array([frame.position for frame in frames])
    grid = fit(positions, frames[0].orientation, [frame.name for frame in frames])
    stacks: dict[bytes, list[Frame]] = {}
    for frame in frames:
        stacks.setdefault(frame.header.get("StackID", b""), []).append(frame)
    if (grid.problem or grid.irregular) and len(stacks) > 1:
        return [
            each
            for stack in stacks.values()
            for each in _fitted(replace(part, frames=stack, labels=(*part.labels, label("StackID", stack[0]))))
        ]
    frames = [frames[n] for n in grid.order]
    if not grid.step and not _alone(frames[0]):
        problem = "A single image without a slice thickness is not a volume. Open the whole series."
        return [(replace(part, frames=frames, problem=problem), None)]
    return [(replace(part, frames=frames, problem=grid.problem, faulty=bool(grid.problem)), grid)]


def _alone(frame: Frame) -> float:
    """Return the extent of a single slice along its normal, mm; 0 when it is unknown."""
    for keyword in ("SliceThickness", "SpacingBetweenSlices"):
        if any(numbers(frame.header, keyword)):
            return abs(numbers(frame.header, keyword)[0])
    return 0.0


def _described(part: Part, grid: Grid | None, **known: Any) -> Series:
    """Return a series with what its first image says."""
    frames = part.frames
    header = frames[0].header
    is_volume = grid is not None and not part.problem
    rows, columns = frames[0].size
    size = spacing = None
    if grid is not None:
        down, across = frames[0].pixel_spacing
        size, spacing = (columns, rows, len(frames)), (across, down, grid.step or _alone(frames[0]))
    irregular = grid.irregular if grid and is_volume else ""
    thickness = numbers(header, "SliceThickness")
    return Series(
        uid=text(header, "SeriesInstanceUID"),
        modality=text(header, "Modality"),
        kind=kind_of(header),
        description=text(header, "SeriesDescription"),
        part=", ".join(part.labels),
        date=_first(header, "AcquisitionDate", "SeriesDate", "StudyDate").replace(".", ""),
        time=_first(header, "AcquisitionTime", "SeriesTime", "StudyTime").replace(":", "").partition(".")[0],
        number=integer(header, "SeriesNumber") if numbers(header, "SeriesNumber") else None,
        patient_id=text(header, "PatientID"),
        patient_name=text(header, "PatientName").rstrip("^= "),
        birth_date=text(header, "PatientBirthDate"),
        sex=text(header, "PatientSex"),
        study_uid=text(header, "StudyInstanceUID"),
        frame_of_reference=text(header, "FrameOfReferenceUID"),
        slices=len(frames),
        size=size,
        spacing=spacing,
        thickness=thickness[0] if thickness else None,
        kernel=text(header, "ConvolutionKernel"),
        contrast=text(header, "ContrastBolusAgent"),
        image_type=text(header, "ImageType"),
        files=tuple(dict.fromkeys(frame.file.path for frame in frames)),
        is_volume=is_volume,
        problem=part.problem,
        is_damaged=part.faulty,
        needs_resampling=f"{irregular[0].upper()}{irregular[1:]}." if irregular else "",
        deviation=grid.deviation if grid else 0.0,
        frames=tuple(frames),
        grid=grid,
        **known,
    )


def _first(header: Header, *keywords: str) -> str:
    return next((value for keyword in keywords if (value := text(header, keyword))), "")
