"""Two visits of a synthetic patient as DICOM series, with findings on them, in any orientation; for tests of DICOM objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from oncotrack.findings.assessment import Assessment, Judgement
from oncotrack.findings.finding import Kind, Observation, Provenance, Role, Side, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.scans import time_point_of
from oncotrack.findings.uptake import Uptake
from oncotrack.images.dicom import Series, load_study, read
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.findings import observation
from oncotrack.phantom.dicom_series import write_series

AXIAL = np.eye(3)
CORONAL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T
FLIPPED = np.diag([1.0, -1.0, 1.0])
"""Rows run from right to left, columns from front to back reversed: image orientation [1,0,0,0,-1,0] in LPS."""


def oblique() -> np.ndarray:
    """Return the columns of a grid that is turned about two axes."""
    a, b = np.radians(20), np.radians(-15)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return about_x @ about_z


ORIENTATIONS = {"axial": AXIAL, "coronal": CORONAL, "oblique": oblique(), "flipped": FLIPPED}
SIZE = (40, 36, 12)
READER = "Smith^Anna"


@dataclass(frozen=True)
class Visits:
    """Two visits: folder, series and volume of each, and the findings."""

    folders: tuple[Path, ...]
    series: tuple[Series, ...]
    volumes: tuple[Volume, ...]
    findings: FindingList

    @property
    def scans(self) -> dict[str, Series]:
        """The series by time point."""
        return {point.id: each for point, each in zip(self.findings.time_points, self.series, strict=True)}

    @property
    def read(self) -> list[tuple[Volume, Series]]:
        """The scans for an import."""
        return list(zip(self.volumes, self.series, strict=True))


def write_visits(
    folder: Path, directions: np.ndarray = AXIAL, size: Sequence[int] = SIZE, modality: str = "CT"
) -> Visits:
    """Write two visits and mark three lesions: two that overlap, one of which is absent later, and a node with uptake.

    `directions` are the LPS unit vectors of columns, rows and slices of the images.
    """
    folders, series, volumes = [], [], []
    for visit, date in enumerate(("20250101", "20250305")):
        rng = np.random.default_rng(visit)
        about = {"date": date, "patient_id": "P1", "patient_name": "Doe^Jane", "birth_date": "19600101", "sex": "F"}
        geometry = Geometry.from_values(size, (0.8, 0.9, 2.5), (10, -20, 30), np.diag([-1.0, -1, 1]) @ directions)
        image = Volume(rng.normal(0, 20, tuple(size)[::-1]).astype(np.float32), geometry, "chest", modality, about)
        folders.append(write_series(image, folder / f"visit{visit}", patient="P1", visit=visit))
        series.append(load_study(folders[-1]).choose())
        volumes.append(read(series[-1]))
    points = [time_point_of(volumes[0], "t0", "baseline"), time_point_of(volumes[1], "t1", "week 9")]
    findings = FindingList(points)
    for number, (centre, radius) in enumerate((((15, 15, 7), 8.0), ((30, 25, 9), 6.0), ((33, 25, 9), 6.0))):
        first = lesion(volumes[0], centre, radius)
        node = number == 1
        finding = findings.add(
            "t0",
            first,
            kind=Kind.LYMPH_NODE if node else Kind.LESION,
            role=(Role.TARGET, Role.TARGET, Role.NON_TARGET)[number],
            site=("liver", "hilar lymph node", "a site in free text")[number],
            side=(Side.NOT_STATED, Side.LEFT, Side.UNKNOWN)[number],
        )
        findings.update(
            finding.uid, comment="seen on both scans" if node else "", reader="Who^Described" if node else ""
        )
        later = replace(lesion(volumes[1], centre, 0.7 * radius), state=State.EDITED)
        if node:
            uptake = Uptake(suv_max=5.5, suv_peak=4.5, suv_mean=3.5, metabolic_volume_ml=1.5, tlg_ml=5.25)
            later = replace(later, uptake=uptake, assessment=Assessment(sul_peak=3.25, is_larger=True))
        if number == 2:
            later = Observation(
                centre=first.centre,
                state=State.ABSENT,
                provenance=Provenance(reader=READER),
                assessment=Assessment(Judgement.NOT_EVALUABLE),
            )
        findings.observe(finding.uid, "t1", later)
    return Visits(tuple(folders), tuple(series), tuple(volumes), findings)


def lesion(volume: Volume, centre: Sequence[int], radius: float) -> Observation:
    """Return an accepted lesion: an ellipsoid with a corner cut off, so that no mirroring leaves it as it is."""
    k, j, i = np.indices(volume.array.shape)
    away = (np.stack([i, j, k], -1) - centre) * volume.spacing
    inside = np.linalg.norm(away * [1, 0.8, 0.7], axis=-1) < radius
    inside &= ~((away[..., 0] > 0) & (away[..., 1] > 0) & (away[..., 2] > 0))
    mask = Volume(inside.astype(np.uint8), volume.geometry, "lesion")
    return observation(mask, state=State.ACCEPTED, reader=READER)
