"""The images of a DICOM series that findings lie on: their headers, and places as pixels of an image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from pydicom import dcmread
from pydicom.dataset import Dataset

from oncotrack.errors import InputError
from oncotrack.images.dicom import Series
from oncotrack.images.dicom.frames import Frame
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import lps_to_ras

OFF_PLANE_MM = 0.05
"""Largest difference between the distances of points from an image that still counts as one plane."""
_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate")
_EMPTY += ("StudyTime", "ReferringPhysicianName")


@dataclass(frozen=True)
class Plane:
    """One image in space.

    Attributes
    ----------
    header : Dataset
        Header of the file it is in, without pixels.
    frame : int or None
        Number of the frame, from 1; None where the file is one image.
    matrix : (4, 4) ndarray
        Maps (column, row, distance along the normal in mm) of pixel centres to RAS mm.
    size : (2,) int
        Columns and rows.
    """

    header: Dataset
    frame: int | None
    matrix: np.ndarray
    size: tuple[int, int]

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(self.matrix)

    def distances(self, points_ras: ArrayLike) -> np.ndarray:
        """Return the signed distances of points from the image, (N,) mm.

        Parameters
        ----------
        points_ras : (N, 3) array_like
            RAS mm.
        """
        return (np.atleast_2d(points_ras) @ self._inverse[:3, :3].T + self._inverse[:3, 3])[:, 2]

    def pixels(self, points_ras: ArrayLike) -> np.ndarray:
        """Return points as image coordinates of DICOM, (N, 2): column and row, 0 at the outer corner of the first pixel.

        Parameters
        ----------
        points_ras : (N, 3) array_like
            RAS mm; they are projected onto the image.
        """
        # PS3.3, C.18.6.1.1: the centre of the first pixel is (0.5, 0.5)
        return (np.atleast_2d(points_ras) @ self._inverse[:3, :3].T + self._inverse[:3, 3])[:, :2] + 0.5

    def points(self, pixels: ArrayLike) -> np.ndarray:
        """Return image coordinates as points, (N, 3) RAS mm.

        Parameters
        ----------
        pixels : (N, 2) array_like
            As `pixels` returns them.
        """
        flat = np.atleast_2d(np.asarray(pixels, float)) - 0.5
        return flat @ self.matrix[:3, :2].T + self.matrix[:3, 3]

    def grid(self, thickness_mm: float) -> Geometry:
        """Return the image as a grid of one slice.

        Parameters
        ----------
        thickness_mm : float
            Its thickness.
        """
        matrix = self.matrix.copy()
        matrix[:3, 2] *= thickness_mm
        return Geometry.from_matrix((*self.size, 1), matrix)


@dataclass(frozen=True)
class SourceImages:
    """The images of one series, in the order of its slices.

    Attributes
    ----------
    series : Series
        The series.
    headers : tuple of Dataset
        The headers of its files, in the order of the slices; attributes that reports copy are present, though empty.
    planes : tuple of Plane
        Its images.
    """

    series: Series
    headers: tuple[Dataset, ...]
    planes: tuple[Plane, ...]

    @classmethod
    def of(cls, series: Series) -> SourceImages:
        """Read the headers of a series.

        Parameters
        ----------
        series : Series
            A series of `oncotrack.images.dicom.load_study`, of images.

        Raises
        ------
        InputError
            It has no images with a place in space.
        """
        headers: dict[str, Dataset] = {}
        planes = []
        for frame in series.frames:
            key = str(frame.file.path)
            if key not in headers:
                headers[key] = _header(frame)
            matrix = _matrix(frame)
            if matrix is None:
                raise InputError(
                    f"{series.path}: {frame.name} does not say where it lies, so that nothing can be placed on it. "
                    "Choose the original series of the scanner."
                )
            number = None if frame.index < 0 else frame.index + 1
            planes.append(Plane(headers[key], number, matrix, (frame.size[1], frame.size[0])))
        if not planes:
            raise InputError(f"{series.path}: {series.problem or 'This series has no images.'}")
        return cls(series, tuple(headers.values()), tuple(planes))

    @property
    def first(self) -> Dataset:
        """The header of the first file."""
        return self.headers[0]

    @cached_property
    def spacing_mm(self) -> float:
        """Median distance between neighbouring images along their normal, mm; the slice thickness of a single one."""
        if len(self.planes) > 1:
            steps = [abs(float(b.distances(a.matrix[:3, 3])[0])) for a, b in zip(self.planes, self.planes[1:])]  # noqa: B905
            return float(np.median(steps)) or 1.0
        return self.series.spacing[2] if self.series.spacing and self.series.spacing[2] else 1.0

    @cached_property
    def by_uid(self) -> dict[tuple[str, int], Plane]:
        """The images by SOP Instance UID and frame number, 1 for a single image."""
        return {(str(plane.header.SOPInstanceUID), plane.frame or 1): plane for plane in self.planes}

    def plane_of(self, points_ras: ArrayLike) -> Plane | None:
        """Return the image that all points lie on, at most half a slice apart; None where they lie across images.

        Parameters
        ----------
        points_ras : (N, 3) array_like
            RAS mm.
        """
        points = np.atleast_2d(points_ras)
        middle = points.mean(0)
        plane = min(self.planes, key=lambda each: abs(float(each.distances(middle)[0])))
        off = plane.distances(points)
        return plane if np.ptp(off) <= OFF_PLANE_MM and abs(off).max() <= self.spacing_mm / 2 + OFF_PLANE_MM else None


def _header(frame: Frame) -> Dataset:
    header = dcmread(frame.file.path, stop_before_pixels=True, force=True)
    for keyword in _EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _matrix(frame: Frame) -> np.ndarray | None:
    if not (frame.position and frame.orientation and frame.pixel_spacing):
        return None
    across, down = np.asarray(frame.orientation[:3]), np.asarray(frame.orientation[3:])
    between_rows, between_columns = frame.pixel_spacing
    columns = across * between_columns, down * between_rows, np.cross(across, down), np.asarray(frame.position)
    matrix = np.eye(4)
    matrix[:3] = np.stack([lps_to_ras(column) for column in columns], axis=1)
    return matrix
