"""PET/CT of autoPET, QIN-HEADNECK and similar sets: SUV from DICOM tags, masks as SEG or RTSTRUCT, or autoPET's NIfTI.

S. Gatidis et al., "A whole-body FDG-PET/CT dataset with manually annotated tumor lesions", Scientific Data 9, 2022;
R. Beichel et al., QIN-HEADNECK, TCIA 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from oncotrack.datasets.case import Case, label_case, label_components, load_mask
from oncotrack.datasets.dicom_tree import dicom_headers, find_series, require_path
from oncotrack.dicom_objects.mask_objects import Structure, label_map, read_rtstruct, read_seg
from oncotrack.errors import InputError
from oncotrack.images.dicom import Series, header, read
from oncotrack.images.files import load
from oncotrack.images.suv import to_suv
from oncotrack.images.volume import Volume

SOURCE = "PET/CT"


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
    images = {"pet": to_suv(read(pet_series), header(pet_series))}
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
