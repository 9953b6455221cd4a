"""Connected components of a segmentation, as candidates and as tracks through the slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from oncotrack.detection.tracks import Track


@dataclass(frozen=True, eq=False)
class Component:
    """A connected part of a segmentation.

    Attributes
    ----------
    where : (3,) tuple of slice
        Its bounding box, z, y, x.
    mask : (d, h, w) bool ndarray
        Its voxels in the box.
    """

    where: tuple[slice, slice, slice]
    mask: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """(6,) first voxel z, y, x, then one past the last."""
        return np.array([s.start for s in self.where] + [s.stop for s in self.where], float)


def components(probability: np.ndarray, threshold: float, least_voxels: float = 0.0) -> Iterator[Component]:
    """Yield the connected components (26 neighbours) of the voxels above a threshold.

    Parameters
    ----------
    probability : (D, H, W) ndarray
        0 to 1.
    threshold : float
        Which voxels must exceed.
    least_voxels : float
        Smaller components are left out.

    Yields
    ------
    Component
        In the order of their first voxels.
    """
    labels = np.empty(probability.shape, np.int32)
    ndimage.label(probability > threshold, np.ones((3, 3, 3)), output=labels)
    for number, where in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[where] == number
        if mask.sum() >= least_voxels:
            yield Component(where, mask)


def track_of_component(component: Component, scores: np.ndarray) -> Track:
    """Return a component as a track: on each of its slices the box around its voxels, and a score.

    Parameters
    ----------
    component : Component
        In the voxels of the working slices.
    scores : (d,) ndarray
        For each slice of its box.

    Returns
    -------
    Track
        Boxes in pixels of the working slices.
    """
    track = Track()
    z0, y0, x0 = (axis.start for axis in component.where)
    for z in np.flatnonzero(component.mask.any(axis=(1, 2))):
        rows, columns = np.flatnonzero(component.mask[z].any(1)), np.flatnonzero(component.mask[z].any(0))
        box = (columns[0] + x0, rows[0] + y0, columns[-1] + x0 + 1, rows[-1] + y0 + 1)
        track.boxes[int(z) + z0], track.scores[int(z) + z0] = np.array(box, np.float32), float(scores[z])
    return track
