"""NIH CT Lymph Nodes (TCIA): DICOM scans of 90 mediastinal and 86 abdominal patients, masks as NIfTI.

H. Roth et al., "A new 2.5D representation for lymph node detection using random sets of deep convolutional neural
network observations", MICCAI 2014; masks by A. Seff et al., MICCAI 2015. A mask has the voxels of its scan in the
same patient directions, but its header's origin is not the scan's: only its axis directions are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from oncotrack.datasets.case import Case, label_case, load_mask
from oncotrack.datasets.dicom_tree import find_series, require_path
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind
from oncotrack.images.dicom import read
from oncotrack.images.volume import Volume

SOURCE = "NIH CT Lymph Nodes"
PATIENTS = {"MED": 90, "ABD": 86}


def cases(scans: str | Path, masks: str | Path, region: str | None = None) -> Iterator[Case]:
    """Yield one case per patient; every node is a finding, numbered by its mask value.

    Parameters
    ----------
    scans : path
        ``CT Lymph Nodes``: one folder per patient (ABD_LYMPH_001) with its DICOM series somewhere below.
    masks : path
        ``MED_ABD_LYMPH_MASKS``: ABD_LYMPH_001/ABD_LYMPH_001_mask.nii.gz.
    region : {"MED", "ABD"}, optional
        Mediastinum or abdomen only.

    Raises
    ------
    InputError
        A scan has no mask, a patient no or several series, or the mask has other voxels than the scan.
    """
    scans = require_path(scans, "the DICOM folders of NIH CT Lymph Nodes")
    masks = require_path(masks, "the masks MED_ABD_LYMPH_MASKS")
    patients = sorted(path for path in scans.iterdir() if path.is_dir() and path.name[:3] in PATIENTS)
    if not patients:
        raise InputError(f'{scans} holds no patient folders such as MED_LYMPH_001. Choose the folder "CT Lymph Nodes".')
    for patient in patients:
        if region is None or patient.name.startswith(region):
            yield _case(patient, masks)


def _case(patient: Path, masks: Path) -> Case:
    """Read a patient's scan and mask."""
    name = patient.name
    series = [found for found in find_series(patient) if found.modality == "CT"]
    if len(series) != 1:
        raise InputError(f"{patient} holds {len(series)} CT series; exactly one is needed. Download the patient again.")
    ct = read(series[0])
    mask = load_mask(require_path(masks / name / f"{name}_mask.nii.gz", f"the mask of {name}"))
    return label_case(name, {"ct": ct}, _map_to_scan(mask, ct), "ct", SOURCE, Kind.LYMPH_NODE)


def _map_to_scan(mask: Volume, ct: Volume) -> Volume:
    """Return the mask on the scan's grid: axes permuted and flipped by the two directions, origins ignored."""
    between = np.asarray(ct.geometry.direction).T @ np.asarray(mask.geometry.direction)
    axes = np.abs(between).argmax(axis=1)
    if sorted(axes) != [0, 1, 2]:
        raise InputError(f"{mask.name} is oblique to its scan. Download the masks again.")
    array = mask.array.transpose([2 - axes[2 - n] for n in range(3)])
    turned = tuple(n for n in range(3) if between[2 - n, axes[2 - n]] < 0)
    array = np.flip(array, turned)
    if array.shape != ct.array.shape:
        raise InputError(f"{mask.name} has {array.shape} voxels, its scan {ct.array.shape}. Download both again.")
    return replace(mask, array=np.ascontiguousarray(array), geometry=ct.geometry)
