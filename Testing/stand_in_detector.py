"""A detector with known results, which replaces the trained detectors in the tests of scene and browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oncotrack.findings.finding import Finding, Kind, Observation, Provenance, Side
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import SliceBox, Tracklet

SCORES = (0.9, 0.75, 0.6, 0.35)


class KnownNodes:
    """Detector that proposes round nodes at known positions, best score first; following a box adds two slices each way.

    Parameters
    ----------
    places : sequence of (centre RAS mm, radius mm)
    on_slice : callable, optional
        Called with the number of each slice during detection, for example to make detection slow.
    """

    name = "known"

    def __init__(self, places, on_slice=lambda _index: None) -> None:
        self.places, self._on_slice = list(places), on_slice

    def detect(self, volume, progress, *, time_point="t0"):
        count = volume.array.shape[0]
        for index in range(count):
            progress(index / count, f"Slice {index + 1} of {count}")
            self._on_slice(index)
        method = Provenance(method="known", weights_sha256="0" * 64)
        found = []
        for number, ((centre, radius), score) in enumerate(zip(self.places, SCORES, strict=False), 1):
            seen = Observation(centre=centre, score=score, provenance=method).with_tracklet(
                ball(volume, centre, radius)
            )
            found.append(
                Finding(label=f"LN {number}", kind=Kind.LYMPH_NODE, side=Side.RIGHT, observations={time_point: seen})
            )
        return found

    def retrack(self, volume, tracklet, slice_index, progress, *, up=True, down=True):
        box = tracklet.at(slice_index)
        kept = [
            each
            for each in tracklet.boxes
            if each.slice_index == slice_index
            or (each.slice_index > slice_index and not up)
            or (each.slice_index < slice_index and not down)
        ]
        ways = [n for n in (1, 2) if up] + [-n for n in (1, 2) if down]
        progress(0.5, "Following")
        return replace(tracklet, boxes=(*kept, *(replace(box, slice_index=slice_index + n, score=0.5) for n in ways)))


class KnownPETNodes(KnownNodes):
    """The same for PET/CT; `read` holds the PET and the mask of the tumour that it was given last."""

    read: tuple = ()

    def detect(self, volume, pet, tumour, progress, *, time_point="t0"):
        self.read = pet, tumour
        return super().detect(volume, progress, time_point=time_point)


def ball(volume, centre, radius) -> Tracklet:
    """Return the slice boxes of a ball on the slices of a scan."""
    grid = Tracklet.on(volume.geometry, [SliceBox(0, (0, 0), (0, 0))])
    u, v, middle = grid.flat(centre)
    boxes = []
    for index in range(volume.geometry.size[2]):
        away = abs(index - middle) * volume.spacing[2]
        if away < radius:
            half = (radius**2 - away**2) ** 0.5
            boxes.append(SliceBox(index, (u - half, v - half), (u + half, v + half), 0.9))
    return replace(grid, boxes=tuple(boxes))


def boxes_of(path: Path, label: str) -> int:
    """Return the number of slice boxes of a finding in a findings.json."""
    finding = next(each for each in FindingList.open(path) if each.label == label)
    return len(next(iter(finding.observations.values())).tracklet.boxes)
