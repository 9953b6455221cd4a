"""PET/CT of autoPET, QIN-HEADNECK and similar sets: SUV from DICOM tags, masks as SEG or RTSTRUCT, or autoPET's NIfTI.

S. Gatidis et al., "A whole-body FDG-PET/CT dataset with manually annotated tumor lesions", Scientific Data 9, 2022;
R. Beichel et al., QIN-HEADNECK, TCIA 2015. SUV by body weight follows the vendor-neutral recipe of QIBA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.datasets.case import Case, label_case, label_components, load_mask
from oncotrack.datasets.dicom_masks import Structure, label_map, read_rtstruct, read_seg
from oncotrack.datasets.dicom_tree import dicom_headers, find_series, require_path
from oncotrack.errors import InputError
from oncotrack.images.dicom import Series, load_study, read
from oncotrack.images.files import load
from oncotrack.images.volume import Volume

SOURCE = "PET/CT"


def suv_factor(headers: Sequence[Any]) -> float:
    """Compute the factor from a PET series' rescaled values to SUV by body weight (g/ml).

    ``SUV = activity [Bq/ml] * weight [g] / (dose [Bq] * 2 ** (-(scan start - injection) / half life))``; series that
    are decay-corrected to the injection (ADMIN) need no decay term. Scan start is the series time, or the first
    acquisition when the series time was overwritten with a later one (QIBA, "SUV calculation", vendor-neutral).

    Parameters
    ----------
    headers : sequence of pydicom datasets
        The headers of all slices.

    Raises
    ------
    InputError
        A tag is missing (it is named), or the series is not corrected for decay and attenuation.
    """
    first = headers[0]

    def tag(name: str, where: Any = first) -> Any:
        value = where.get(name)
        if value in (None, ""):
            raise InputError(
                f"The PET series lacks the tag {name}, so SUV cannot be computed. Export it with all tags."
            )
        return value

    units = tag("Units")
    if units == "GML":
        return 1.0
    if units == "CNTS" and first.get((0x7053, 0x1000)) is not None:
        return float(first[(0x7053, 0x1000)].value)
    scale = 1.0
    if units == "CNTS" and first.get((0x7053, 0x1009)) is not None:
        scale = float(first[(0x7053, 0x1009)].value)
    elif units != "BQML":
        raise InputError(
            f"The PET series is in {units}; SUV needs Bq/ml (BQML), g/ml (GML) or Philips counts. Export it again."
        )
    corrections = set(first.get("CorrectedImage") or [])
    decay = tag("DecayCorrection")
    if not {"ATTN", "DECY"} <= corrections or decay not in ("START", "ADMIN"):
        raise InputError(
            f"The PET series is not corrected for attenuation and decay (CorrectedImage {sorted(corrections)}, "
            f"DecayCorrection {decay}), so SUV cannot be computed. Choose the attenuation-corrected series."
        )
    tracer = tag("RadiopharmaceuticalInformationSequence")[0]
    dose, half_life = float(tag("RadionuclideTotalDose", tracer)), float(tag("RadionuclideHalfLife", tracer))
    weight = float(tag("PatientWeight")) * 1000
    if min(dose, half_life, weight) <= 0:
        raise InputError(
            "The PET series gives a dose, half life or weight of zero, so SUV cannot be computed. Export it again."
        )
    if decay == "START":
        dose *= 2 ** (-_uptake_seconds(headers, tracer, tag) / half_life)
    return scale * weight / dose


def _uptake_seconds(headers: Sequence[Any], tracer: Any, tag: Callable[..., Any]) -> float:
    """Return the seconds from injection to scan start."""
    first = headers[0]
    series = _parse_datetime(tag("SeriesDate"), tag("SeriesTime"))
    acquired = min(
        _parse_datetime(h.get("AcquisitionDate") or first.SeriesDate, tag("AcquisitionTime", h)) for h in headers
    )
    scan = min(series, acquired)
    if tracer.get("RadiopharmaceuticalStartDateTime"):
        text = str(tracer.RadiopharmaceuticalStartDateTime)
        injected = _parse_datetime(text[:8], text[8:14] or "0")
    else:
        injected = _parse_datetime(scan.strftime("%Y%m%d"), tag("RadiopharmaceuticalStartTime", tracer))
        if injected > scan:
            injected -= timedelta(days=1)
    return (scan - injected).total_seconds()


def _parse_datetime(date: object, time: object) -> datetime:
    """Parse a DICOM date and time, without fractions of a second."""
    digits = str(time).partition(".")[0].zfill(6)
    return datetime.strptime(f"{date}{digits}", "%Y%m%d%H%M%S")


def load_suv(folder: str | Path) -> Volume:
    """Read a PET series as SUV by body weight.

    Raises
    ------
    InputError
        As `oncotrack.images.files.load` and `suv_factor`.
    """
    return _suv(load_study(folder).choose(modality="PT"))


def _suv(series: Series) -> Volume:
    """Read a series as SUV by body weight."""
    pet = read(series)
    headers = [dicom_headers().dcmread(path, stop_before_pixels=True) for path in series.files]
    return replace(pet, array=pet.array * np.float32(suv_factor(headers)), modality="PT")


def cases(root: str | Path, *, split: bool = False) -> Iterator[Case]:
    """Yield one case per study: "pet" in SUV and "ct" where present; truth and mask lie on the PET's grid.

    Parameters
    ----------
    root : path
        Searched downwards for DICOM studies, and for autoPET's NIfTI studies (SUV.nii.gz, CTres.nii.gz, SEG.nii.gz).
    split : bool
        Make every connected component of the masks a finding (in autoPET all lesions are one segment); otherwise every
        segment or structure is one.

    Raises
    ------
    InputError
        No PET study at all; a PET without a mask, a tag missing for SUV; the study is named.
    """
    root = require_path(root, "PET/CT studies")
    found = False
    for suv in sorted(root.rglob("SUV.nii.gz")):
        found = True
        yield _nifti_case(suv.parent, root)
    studies: dict[str, list[Series]] = {}
    for series in find_series(root):
        studies.setdefault(series.study_uid, []).append(series)
    for study in studies.values():
        if any(series.modality == "PT" for series in study):
            found = True
            yield _dicom_case(study, split)
    if not found:
        raise InputError(
            f"{root} holds no PET study: neither a DICOM PET series nor SUV.nii.gz. Choose another folder."
        )


def _nifti_case(folder: Path, root: Path) -> Case:
    """Read a NIfTI study of autoPET."""
    images = {"pet": replace(load(folder / "SUV.nii.gz"), modality="PT")}
    if (folder / "CTres.nii.gz").exists():
        images["ct"] = replace(load(folder / "CTres.nii.gz"), modality="CT")
    path = require_path(folder / "SEG.nii.gz", "the lesion mask of an autoPET study")
    mask = load_mask(path).resampled(images["pet"].geometry, fill=0, nearest=True)
    return label_case(str(folder.relative_to(root)), images, label_components(mask), "pet", SOURCE)


def _dicom_case(study: list[Series], split: bool) -> Case:
    """Read a DICOM study with exactly one PET series."""
    by_modality: dict[str, list[Series]] = {}
    for series in study:
        by_modality.setdefault(series.modality, []).append(series)
    pet_series = by_modality["PT"][0]
    name = pet_series.patient_id or pet_series.study_uid
    if len(by_modality["PT"]) > 1:
        raise InputError(
            f"{name}: the study holds {len(by_modality['PT'])} PET series. Keep only the attenuation-corrected one."
        )
    images = {"pet": _suv(pet_series)}
    if "CT" in by_modality:
        images["ct"] = read(max(by_modality["CT"], key=lambda series: (series.is_volume, series.slices)))
    structures = [s for series in by_modality.get("SEG", []) for path in series.files for s in read_seg(path)]
    for series in by_modality.get("RTSTRUCT", []):
        for path in series.files:
            structures += _structures(path, images)
    if not structures:
        raise InputError(f"{name}: the study has a PET but no SEG or RTSTRUCT. Download its annotation too.")
    labels = label_map(structures, images["pet"])
    if split:
        return label_case(name, images, label_components(labels), "pet", SOURCE)
    names = {n: (s.name, s.kind, s.site) for n, s in enumerate(structures, 1)}
    return label_case(name, images, labels, "pet", SOURCE, names=names)


def _structures(path: Path, images: dict[str, Volume]) -> list[Structure]:
    """Read an RTSTRUCT on the scan whose series it refers to; on the CT when it refers to none."""
    header = dicom_headers().dcmread(path, stop_before_pixels=True)
    text = str(header.get("ReferencedFrameOfReferenceSequence", ""))
    drawn_on = [image for image in images.values() if (image.metadata.get("series_uid") or "none") in text]
    return read_rtstruct(path, (drawn_on or [images.get("ct", images["pet"])])[0])
