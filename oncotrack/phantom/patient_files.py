"""Writing a synthetic patient: images, masks, findings and the ground truth."""

from __future__ import annotations

import json
from pathlib import Path

from oncotrack.atomic import write_text
from oncotrack.images.files import save
from oncotrack.phantom.dicom_series import write_series
from oncotrack.phantom.patient import Patient
from oncotrack.phantom.tissues import ORGANS


def write_patient(patient: Patient, folder: str | Path, *, dicom: bool = False) -> Path:
    """Write a patient's images, masks, findings and ground truth.

    Files: ``t<n>_<modality>.nii.gz``, ``t<n>_masks.nii.gz`` (instances), ``t<n>_organs.nii.gz``,
    ``t<n>_tumour.nii.gz``, ``findings.json`` (a FindingList) and ``truth.json`` (sites, fates, organ names, and where
    the findings' centres lie at the other visits); with `dicom`, also a folder ``t<n>_<modality>_dicom`` each.

    Parameters
    ----------
    patient : Patient
    folder : path
        Where to write; it is created.
    dicom : bool
        Write each image as a DICOM series too.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    folder = Path(folder)
    for n, visit in enumerate(patient.visits):
        for modality, volume in visit.images.items():
            save(volume, folder / f"t{n}_{modality}.nii.gz")
            if dicom:
                write_series(volume, folder / f"t{n}_{modality}_dicom", patient=f"PHANTOM-{patient.seed}", visit=n)
        save(visit.truth.masks, folder / f"t{n}_masks.nii.gz")
        save(visit.truth.organs, folder / f"t{n}_organs.nii.gz")
        save(visit.truth.tumour, folder / f"t{n}_tumour.nii.gz")
    patient.findings.save(folder / "findings.json")
    write_text(folder / "truth.json", json.dumps(truth_document(patient), indent=1))
    return folder


_PLAIN = ("number", "mask_number", "site", "region", "fate", "hot", "primary", "small", "parent", "volume_mm3")


def truth_document(patient: Patient) -> dict:
    """Return the content of ``truth.json``."""
    truth = patient.truth
    visits = []
    for n, visit in enumerate(patient.visits):
        instances = []
        for i in visit.truth.instances:
            entry = {name: getattr(i, name) for name in _PLAIN} | {
                "kind": i.kind.value,
                "position_ras": list(i.centre),
                "center_ras": list(i.centre),
                "box_ras": [list(i.box.low), list(i.box.high)],
                "long_axis_ras": [list(i.long_axis.start), list(i.long_axis.end)],
                "short_axis_ras": [list(i.short_axis.start), list(i.short_axis.end)],
            }
            entry["corresponding_ras"] = {
                f"t{m}": truth.correspond(i.centre, n, m).tolist() for m in range(len(patient.visits)) if m != n
            }
            instances.append(entry)
        visits.append({"id": f"t{n}", "date": visit.date, "phase": visit.phase.value, "kernel": visit.scanner.kernel,
                       "noise_hu": visit.scanner.noise_hu, "instances": instances})  # fmt: skip
    return {
        "schema": "oncotrack-phantom-truth",
        "version": 1,
        "seed": patient.seed,
        "organs": list(ORGANS),
        "visits": visits,
    }
