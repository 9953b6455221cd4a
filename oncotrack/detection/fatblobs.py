"""Detector without training: soft-tissue blobs of 3 to 40 mm in the fat where lymph nodes lie.

Differences of Gaussians at several scales (Lowe, Int J Comput Vis 2004) in millimetres, so that thick slices are allowed
for, find bright blobs; the second derivatives at the blob's scale (Frangi et al., MICCAI 1998) leave out tubes. Each blob is
segmented, and must lie in fat, not touch bone or lung, and have the attenuation of tissue in the phase of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.ct_node_mask import NodePatch, continuation
from oncotrack.detection.ct_slices import LNSlices, check_ct
from oncotrack.detection.midline import Midline
from oncotrack.detection.track_findings import findings_from_tracks
from oncotrack.detection.tracks import Track
from oncotrack.findings.finding import Finding, Provenance
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

SCALES_MM = (1.2, 1.8, 2.7, 4.0, 6.0, 9.0)
"""Standard deviations of the Gaussians; a ball answers most at its radius divided by the square root of 3."""
_SPACING_MM = 1.6, 1.6, 2.0
_RATIO = 1.6  # of the two Gaussians of a difference
_CLIP_HU = -120.0, 130.0
_GAS_HU, _GAS_AS_HU = (
    -250.0,
    40.0,
)  # gas counts as tissue, so that a border with lung or bowel gas is no border with fat
_LEAST_RESPONSE_HU = 10.0
_LEAST_ROUNDNESS = 0.1  # least second derivative as a share of the greatest; 1 in a ball, 0 in a tube
_MOST = 120
_FAT_HU, _BONE_HU, _AIR_HU = -30.0, 250.0, -300.0
_LEAST_FAT, _MOST_BONE, _MOST_GAS = 0.3, 0.08, 0.12
_NEAR_REACH, _MOST_NEAR_REACH = 1.2, 0.25  # of the ellipsoid that bounds the mask
_TUBE = 0.75  # soft tissue beyond both ends
_LOWEST_HU, _ABOVE_BLOOD_HU = -20.0, 40.0
_SIZE_MM = 3.0, 40.0
_FULL_RESPONSE_HU = 40.0
_SAME_IOU = 0.1


@dataclass(frozen=True)
class Blob:
    """A bright blob: position (RAS mm), radius (mm), and response of the difference of Gaussians (HU)."""

    centre: np.ndarray
    radius_mm: float
    response: float


class FatBlobDetector:
    """The detector; it has no weights and needs no PyTorch."""

    name = "fatblobs"

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """Return the proposed nodes of a CT, see `NodeDetector.detect`.

        Parameters
        ----------
        volume : Volume
            CT in HU.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.
        """
        check_ct(volume)
        slices = LNSlices(volume)
        progress(0.0, "Finding the anatomy")
        midline = Midline.of(volume)
        return self.propose(slices, Anatomy.of(slices, midline), progress, time_point, midline)

    def propose(
        self,
        slices: LNSlices,
        anatomy: Anatomy,
        progress: Progress = silent,
        time_point: str = "t0",
        midline: Midline | None = None,
    ) -> list[Finding]:
        """Return the proposed nodes of a CT whose anatomy is known, see `detect`.

        Parameters
        ----------
        slices : LNSlices
            The CT.
        anatomy : Anatomy
            Of the same scan.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.
        midline : Midline, optional
            Of the scan; found when missing.
        """
        tracks = self.tracks(slices, anatomy, progress)
        return findings_from_tracks(tracks, slices, time_point, Provenance(method=self.name), midline)

    def tracks(self, slices: LNSlices, anatomy: Anatomy, progress: Progress = silent) -> list[Track]:
        """Return the blobs of a CT as tracks, best first.

        Parameters
        ----------
        slices : LNSlices
            The CT.
        anatomy : Anatomy
            Of the same scan.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        """
        tracks = []
        found = blobs(slices, anatomy, progress)
        for n, blob in enumerate(found):
            if n % 10 == 0:
                progress(0.6 + 0.4 * n / len(found), f"Blob {n + 1} of {len(found)}")
            track = track_of_blob(slices, anatomy, blob)
            if track is not None:
                tracks.append(track)
        kept: list[Track] = []
        for track in sorted(tracks, key=lambda track: -track.score):
            if not any(_is_same(track, other) for other in kept):
                kept.append(track)
        return kept


def blobs(slices: LNSlices, anatomy: Anatomy, progress: Progress = silent) -> list[Blob]:
    """Return the round bright blobs in deep fat, strongest first.

    Parameters
    ----------
    slices : LNSlices
        The CT.
    anatomy : Anatomy
        Of the same scan.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.
    """
    grid = slices.geometry.with_spacing(_SPACING_MM)
    hu = slices.volume.resampled(grid, fill=-1000.0).array
    hu = np.clip(np.where(hu < _GAS_HU, _GAS_AS_HU, hu), *_CLIP_HU).astype(np.float32)
    found: list[Blob] = []
    for n, scale in enumerate(SCALES_MM):
        progress(0.1 + 0.5 * n / len(SCALES_MM), f"Blobs of {3.5 * scale:.0f} mm")
        part, values = (grid, hu) if scale < 3 else _halved(grid, hu)
        found += _blobs_of_scale(part, values, scale, anatomy)
    found.sort(key=lambda blob: -blob.response)
    chosen: list[Blob] = []
    for blob in found:
        if all(
            np.linalg.norm(blob.centre - each.centre) > 0.6 * max(blob.radius_mm, each.radius_mm) for each in chosen
        ):
            chosen.append(blob)
        if len(chosen) == _MOST:
            break
    return chosen


def _halved(grid: Geometry, hu: np.ndarray) -> tuple[Geometry, np.ndarray]:
    """Return a grid of twice the spacing within the slice, and the means of its voxels."""
    rows, columns = (n // 2 * 2 for n in hu.shape[1:])
    half = hu[:, :rows, :columns].reshape(len(hu), rows // 2, 2, columns // 2, 2).mean((2, 4))
    spacing = (2 * grid.spacing[0], 2 * grid.spacing[1], grid.spacing[2])
    size = (columns // 2, rows // 2, len(hu))
    return Geometry(size, spacing, tuple(grid.to_ras((0.5, 0.5, 0.0))), grid.direction), half


def _blobs_of_scale(grid: Geometry, hu: np.ndarray, scale: float, anatomy: Anatomy) -> list[Blob]:
    spacing = np.asarray(grid.spacing)[::-1]
    narrow = ndimage.gaussian_filter(hu, scale / spacing, truncate=3.0)
    wide = ndimage.gaussian_filter(hu, _RATIO * scale / spacing, truncate=3.0)
    response = narrow - wide
    highest = ndimage.maximum_filter(response, 3)
    at = np.argwhere((response == highest) & (response > _LEAST_RESPONSE_HU))
    if not len(at):
        return []
    at = at[(at >= 1).all(1) & (at < np.array(hu.shape) - 1).all(1)]
    ras = grid.to_ras(at[:, ::-1])
    coarse = np.round(anatomy.grid.to_ijk(ras))[:, ::-1].astype(int).clip(0, np.array(anatomy.grid.size[::-1]) - 1)
    where = tuple(coarse.T)
    tissues = anatomy.tissues
    allowed = tissues.deep[where] & ~tissues.bone[where] & ~anatomy.inside_lungs[where]
    allowed &= _roundness(narrow, at, np.maximum(np.round(scale / spacing), 1).astype(int)) > _LEAST_ROUNDNESS
    return [
        Blob(point, float(scale * 3**0.5), float(response[tuple(index)]))
        for point, index in zip(ras[allowed], at[allowed], strict=True)
    ]


def _roundness(smooth: np.ndarray, at: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the least second derivative of each of (N, 3) positions as a share of the greatest; 0 or less if not a maximum."""
    last = np.array(smooth.shape) - 1

    def value(*shift: int) -> np.ndarray:
        return smooth[tuple((at + np.array(shift) * step).clip(0, last).T)]

    hessian = np.empty((len(at), 3, 3))
    unit = np.eye(3, dtype=int)
    for a in range(3):
        hessian[:, a, a] = value(*unit[a]) - 2 * value(0, 0, 0) + value(*-unit[a])
        for b in range(a):
            plus, minus = unit[a] + unit[b], unit[a] - unit[b]
            hessian[:, a, b] = hessian[:, b, a] = (value(*plus) + value(*-plus) - value(*minus) - value(*-minus)) / 4
    values = np.linalg.eigvalsh(hessian)  # ascending: the most negative is the sharpest direction
    return np.where(values[:, 0] < 0, values[:, 2] / np.minimum(values[:, 0], -1e-6), 0.0)


def track_of_blob(slices: LNSlices, anatomy: Anatomy, blob: Blob) -> Track | None:
    """Return the slice boxes of a blob that is a node by its attenuation, size and surroundings; None otherwise.

    Parameters
    ----------
    slices : LNSlices
        The CT.
    anatomy : Anatomy
        Of the same scan.
    blob : Blob
        Where to look.
    """
    reach = 1.25 * blob.radius_mm
    patch = NodePatch.of(slices.volume, blob.centre - reach, blob.centre + reach, margin_mm=6.0)
    mask, hu, spacing = patch.mask, patch.volume.array, np.asarray(patch.volume.spacing[::-1])
    blood = max(anatomy.tissues.blood_hu, 80.0)
    if mask.any() and (patch.inside[mask] > _NEAR_REACH).mean() > _MOST_NEAR_REACH:
        return None  # a part of something larger
    if not mask.any() or not _LOWEST_HU < patch.median_hu < blood + _ABOVE_BLOOD_HU:
        return None
    points = patch.volume.geometry.to_ras(np.argwhere(mask)[:, ::-1])
    long_mm = float(np.ptp(points[:, :2], axis=0).max()) + spacing[1]
    if not _SIZE_MM[0] <= long_mm <= _SIZE_MM[1]:
        return None
    away = np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing))
    shell = hu[(away > 0.8 * spacing[1]) & (away <= max(3.0, 1.6 * spacing[1]))]
    fat, gas, bone = ((shell < _FAT_HU) & (shell > _AIR_HU)).mean(), (shell < _AIR_HU).mean(), (shell > _BONE_HU).mean()
    if fat < _LEAST_FAT or bone > _MOST_BONE or gas > _MOST_GAS or min(continuation(mask, hu, spacing[0])) > _TUBE:
        return None
    return _boxed(points, spacing, slices, float(fat * min(blob.response / _FULL_RESPONSE_HU, 1.0)))


def _boxed(points: np.ndarray, spacing: np.ndarray, slices: LNSlices, score: float) -> Track:
    """Return the boxes round the voxels of a mask, (N, 3) RAS mm, on the working slices that the voxels lie on."""
    grid = slices.geometry
    ijk = grid.to_ijk(points)
    half = spacing[1] / grid.spacing[0] / 2
    levels = np.round(ijk[:, 2]).astype(int).clip(0, len(slices) - 1)
    track = Track()
    for level in np.unique(levels):
        low, high = ijk[levels == level, :2].min(0) - half + 0.5, ijk[levels == level, :2].max(0) + half + 0.5
        track.boxes[int(level)] = np.array([*low, *high], np.float32)
        track.scores[int(level)] = score
    if len(track.scores) < 3:  # thick slices: the score of a node is the mean over three slices
        middle = next(iter(track.boxes))
        for level in range(max(middle - 1, 0), min(middle + 2, len(slices))):
            track.boxes.setdefault(level, track.boxes[middle])
            track.scores.setdefault(level, score)
    return track


def _is_same(track: Track, other: Track) -> bool:
    """Return whether two tracks overlap, or the middle of one lies in the other, as boxes round all their slices."""
    (low, high), (start, end) = _bounds(track), _bounds(other)
    both = float(np.prod(np.maximum(np.minimum(high, end) - np.maximum(low, start), 0)))
    overlap = both / (float(np.prod(high - low)) + float(np.prod(end - start)) - both)
    middle, centre = (low + high) / 2, (start + end) / 2
    contains = bool(((low <= centre) & (centre <= high)).all() or ((start <= middle) & (middle <= end)).all())
    return overlap > _SAME_IOU or contains


def _bounds(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the box round all slices of a track, (3,) pixels and slices."""
    boxes = np.array(list(track.boxes.values()), float)
    return np.array([*boxes[:, :2].min(0), min(track.boxes)]), np.array([*boxes[:, 2:].max(0), max(track.boxes) + 1.0])
