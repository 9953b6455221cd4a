"""The common form of every data set: images and their ground truth."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from oncotrack.errors import InputError
from oncotrack.findings.finding import Box, Finding, Kind, Observation, Provenance, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.files import read_image
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume


@dataclass(frozen=True, eq=False)
class Case:
    """One patient of a data set.

    Parameters
    ----------
    name : str
        The data set's own name of the patient, series or pair.
    images : dict of str to Volume
        The scans; a key is the `TimePoint.id` that findings are observed at ("ct", "pet", "baseline", ...).
    truth : FindingList
        The annotated findings, in RAS mm.
    masks : dict of str to Volume
        Label maps on the grid of the image of the same key: voxel value n belongs to the n-th finding of `truth`
        (counted from 1), 0 is background. Data sets without masks leave it empty.
    is_complete : bool
        Whether `truth` holds all findings of the scans; a real CT with inserted nodes also has its own.
    """

    name: str
    images: dict[str, Volume]
    truth: FindingList
    masks: dict[str, Volume] = field(default_factory=dict)
    is_complete: bool = True

    def __post_init__(self) -> None:
        for key, mask in self.masks.items():
            if key in self.images and mask.geometry != self.images[key].geometry:
                raise InputError(f"{self.name}: the mask of {key} does not lie on the grid of its image. Resample it.")


def truth_list(
    case: str, images: Mapping[str, Volume], findings: Sequence[Finding], labels: Mapping[str, str] | None = None
) -> FindingList:
    """Return the findings of a case over the time points `images`, with tracking UIDs that are the same on every read.

    Parameters
    ----------
    case : str
        Name of the case; it becomes part of the UIDs.
    images : mapping of str to Volume
        One time point per image.
    findings : sequence of Finding
        The annotated findings.
    labels : mapping of str to str, optional
        Displayed name of a time point; its key when missing.
    """
    points = [
        TimePoint(key, (labels or {}).get(key, key), image.name, image.metadata.get("date", ""))
        for key, image in images.items()
    ]
    named = [replace(finding, uid=stable_uid(case, n, finding.label)) for n, finding in enumerate(findings, 1)]
    return FindingList(points, named)


def stable_uid(*parts: object) -> str:
    """Return a DICOM UID (PS3.5, B.2) that depends on `parts` only, so that two reads of a data set agree."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(map(str, parts))).int}"


def annotated_observation(source: str, **fields: Any) -> Observation:
    """Return an accepted observation with the data set `source` as its provenance."""
    return Observation(state=State.ACCEPTED, provenance=Provenance(method=source, when=""), **fields)


def voxel_box(geometry: Geometry, low: ArrayLike, high: ArrayLike) -> Box:
    """Return the RAS box of the voxels `low` to `high` (i, j, k, both included), whole voxels, any orientation."""
    ends = np.stack([np.asarray(low, float) - 0.5, np.asarray(high, float) + 0.5])
    corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), -1).reshape(-1, 3)
    ras = geometry.to_ras(corners)
    return Box(tuple(ras.min(0)), tuple(ras.max(0)))


def slice_tracklet(geometry: Geometry, boxes: Mapping[int, Sequence[float]]) -> Tracklet:
    """Return a tracklet on the image's own slices.

    Parameters
    ----------
    geometry : Geometry
        The image's grid.
    boxes : mapping of int to (4,) float
        For slice k: lowest i, lowest j, highest i, highest j of the pixels inside, both included.
    """
    along_i, along_j, _ = geometry.spacing
    return Tracklet.on(
        geometry,
        [
            SliceBox(k, ((i0 - 0.5) * along_i, (j0 - 0.5) * along_j), ((i1 + 0.5) * along_i, (j1 + 0.5) * along_j))
            for k, (i0, j0, i1, j1) in boxes.items()
        ],
    )


def observe_labels(labels: Volume, source: str) -> dict[int, Observation]:
    """Compute an observation of every label of a map: centre, box, tracklet, volume and equivalent radius.

    Parameters
    ----------
    labels : Volume
        Integer label map, (D, H, W); 0 is background.
    source : str
        The data set, for the provenance.

    Returns
    -------
    dict of int to Observation
        Keyed by label value; centre in RAS mm, volume in mm^3; `radius_mm` is that of the sphere of equal volume.
    """
    result: dict[int, Observation] = {}
    geometry = labels.geometry
    half = (np.abs(np.asarray(geometry.direction)) @ geometry.spacing) / 2
    for value, where in enumerate(ndimage.find_objects(labels.array.astype(np.int32)), 1):
        if where is None:
            continue
        start = np.array([part.start for part in where])
        kji = np.argwhere(labels.array[where] == value) + start
        ras = geometry.to_ras(kji[:, ::-1])
        volume = len(kji) * geometry.voxel_mm3
        slices = {}
        for k in np.unique(kji[:, 0]):
            pixels = kji[kji[:, 0] == k][:, :0:-1]
            slices[int(k)] = (*pixels.min(0), *pixels.max(0))
        result[value] = annotated_observation(
            source,
            centre=tuple(ras.mean(0)),
            box=Box(tuple(ras.min(0) - half), tuple(ras.max(0) + half)),
            tracklet=slice_tracklet(geometry, slices),
            volume_mm3=volume,
            radius_mm=(3 * volume / (4 * pi)) ** (1 / 3),
        )
    return result


def load_mask(path: str | Path) -> Volume:
    """Read a mask file; unlike a scan it may be empty (a patient without disease)."""
    return read_image(Path(path))


def label_components(mask: Volume) -> Volume:
    """Return a binary mask with its connected components (26 neighbours) numbered 1, 2, ..."""
    labels = np.empty(mask.array.shape, np.int32)
    ndimage.label(mask.array > 0, np.ones((3, 3, 3)), output=labels)
    return replace(mask, array=labels.astype(np.uint16))


def renumber(labels: Volume) -> Volume:
    """Return a label map with its values renumbered 1, 2, ... without gaps, in their order."""
    values = np.unique(labels.array)
    values = values[values != 0]
    array = np.zeros(labels.array.shape, np.uint16)
    for n, value in enumerate(values, 1):
        array[labels.array == value] = n
    return replace(labels, array=array)


def label_case(
    name: str,
    images: dict[str, Volume],
    labels: Volume,
    on: str,
    source: str,
    kind: Kind = Kind.LESION,
    names: Mapping[int, tuple[str, Kind, str]] | None = None,
) -> Case:
    """Return a case whose truth is one label map on the grid of the image `on`.

    Parameters
    ----------
    name : str
        Name of the case.
    images : dict of str to Volume
        The scans.
    labels : Volume
        Label map, 0 is background; its values are renumbered without gaps.
    on : str
        Key of the image that `labels` belongs to.
    source : str
        The data set, for the provenance.
    kind : Kind
        Kind of the findings without an entry in `names`.
    names : mapping of int to (label, kind, site), optional
        By value of `labels`; findings without an entry are called "L 1", "L 2", ..., or "LN 1", ... for nodes.
    """
    values = np.unique(labels.array)
    names = {n: names[value] for n, value in enumerate(values[values != 0].tolist(), 1)} if names else {}
    labels = renumber(labels)
    prefix = "LN" if kind is Kind.LYMPH_NODE else "L"
    findings = []
    for value, observation in observe_labels(labels, source).items():
        label, what, site = names.get(value, (f"{prefix} {value}", kind, ""))
        findings.append(Finding(label=label, kind=what, site=site, observations={on: observation}))
    return Case(name, images, truth_list(name, images, findings), {on: labels})
