"""PROSTATEx: T2 MR as DICOM, findings as points in ProstateX-Findings-Train.csv, lesion masks by Cuocolo et al.

G. Litjens et al., "Computer-aided detection of prostate cancer in MRI", IEEE TMI 33(5), 2014; masks: R. Cuocolo
et al., "Quality control and whole-gland, zonal and lesion annotations for the PROSTATEx challenge", Eur. J.
Radiology 138, 2021 (ProstateX-0000-Finding1-t2_tse_tra0_ROI.nii.gz).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.datasets.case import Case, annotated_observation, load_mask, observe_labels, truth_list
from oncotrack.datasets.dicom_tree import find_series, require_path
from oncotrack.datasets.tables import table_rows
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding
from oncotrack.images.dicom import Series, read
from oncotrack.images.volume import Volume, lps_to_ras

SOURCE = "PROSTATEx"


@dataclass(frozen=True)
class Point:
    """A row of ProstateX-Findings-Train.csv; `position` is RAS mm."""

    patient: str
    number: int
    position: tuple[float, ...]
    zone: str
    significant: bool | None


def read_findings(path: str | Path) -> list[Point]:
    """Read the findings file: ProxID, fid, pos ("x y z", scanner mm), zone, ClinSig (absent in the test set).

    Raises
    ------
    InputError
        A column is missing or a position is no point; the line is named.
    """
    points = []
    for line, row in table_rows(path, "ProstateX-Findings-Train.csv"):
        try:
            position = lps_to_ras([float(v) for v in row["pos"].split()])
            significant = {"TRUE": True, "FALSE": False}.get((row.get("ClinSig") or "").strip().upper())
            points.append(Point(row["ProxID"], int(row["fid"]), tuple(position), row["zone"].strip(), significant))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}, line {line}: ProxID, fid, pos and zone are needed. Download it again."
            ) from error
    return points


def cases(root: str | Path, findings: str | Path, masks: str | Path | None = None) -> Iterator[Case]:
    """Yield one case per patient: the axial T2 series (the last one where it was repeated), its findings, their masks.

    Parameters
    ----------
    root : path
        Folder of patients (ProstateX-0000) with their DICOM series below.
    findings : path
        ``ProstateX-Findings-Train.csv``.
    masks : path, optional
        Folder, searched downwards, with the T2 lesion masks of Cuocolo et al. A finding without a mask is a point.

    Raises
    ------
    InputError
        A patient's folder or its T2 series is missing; a finding lies outside its scan.
    """
    root = require_path(root, "the DICOM folders of PROSTATEx")
    files = sorted(require_path(masks, "the PROSTATEx lesion masks").rglob("*.nii*")) if masks is not None else []
    by_patient: dict[str, list[Point]] = {}
    for point in read_findings(findings):
        by_patient.setdefault(point.patient, []).append(point)
    for patient, points in by_patient.items():
        folder = require_path(root / patient, f"the series of {patient}")
        t2 = [series for series in find_series(folder) if _is_axial_t2(series)]
        if not t2:
            raise InputError(f"{folder} holds no axial T2 series (t2_tse_tra). Download the patient again.")
        image = read(max(t2, key=lambda series: series.number or 0))
        yield _case(patient, image, points, files)


def _is_axial_t2(series: Series) -> bool:
    """Return whether a series is the axial T2 (t2_tse_tra)."""
    return series.modality == "MR" and series.description.lower().replace("_", "").startswith("t2tsetra")


def _case(patient: str, image: Volume, points: list[Point], files: list[Path]) -> Case:
    """Return a patient with its findings, drawn or as points."""
    labels = np.zeros(image.array.shape, np.uint16)
    for n, point in enumerate(points, 1):
        if not image.geometry.contains(point.position):
            raise InputError(f"Finding {point.number} of {patient} lies outside its T2 series. Download both again.")
        start = f"{patient}-Finding{point.number}-t2".lower()
        for path in files:
            if path.name.lower().startswith(start):
                labels[load_mask(path).resampled(image.geometry, fill=0, nearest=True).array > 0] = n
    mask = Volume(labels, image.geometry, f"lesions of {patient}")
    drawn = observe_labels(mask, SOURCE)
    findings = []
    for n, point in enumerate(points, 1):
        observation = drawn.get(n) or annotated_observation(SOURCE, centre=point.position)
        certainty = {True: " significant", False: " not significant", None: ""}[point.significant]
        findings.append(
            Finding(label=f"L {n}", site=f"prostate {point.zone}{certainty}", observations={"t2": observation})
        )
    images = {"t2": image}
    return Case(patient, images, truth_list(patient, images, findings), {"t2": mask} if drawn else {})
