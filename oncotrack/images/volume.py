"""The image of the engine: an array indexed [z, y, x] on a grid in RAS millimetres, and its conversion to SimpleITK.

The LPS coordinates of DICOM, NIfTI readers and SimpleITK are converted to RAS here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike

from oncotrack.background.work_process import Kept
from oncotrack.errors import InputError
from oncotrack.images import hounsfield
from oncotrack.images.geometry import Geometry

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Volume(Kept):
    """A three-dimensional image.

    Parameters
    ----------
    array : (D, H, W) ndarray
        Intensities indexed [z, y, x]: HU for CT, SUV or Bq/ml for PET, arbitrary for MR.
    geometry : Geometry
        The grid, RAS mm.
    name : str
        Name in messages.
    modality : str
        DICOM modality ("CT", "MR", "PT"), or "" when it is unknown.
    metadata : dict
        Other information from the file, as text. From DICOM, where known: ``path``, ``series_uid``, ``study_uid``,
        ``frame_of_reference``, ``date`` (YYYYMMDD), ``time``, ``description``, ``series_number``, ``part``,
        ``patient_id``, ``patient_name``, ``birth_date``, ``sex``, ``thickness`` (mm), ``kernel``, ``contrast``,
        ``image_type``, ``units`` (HU, BQML) and ``deviation_mm``, the largest distance of a slice from the grid. Sentences
        for the reader: ``chosen`` (which series of several), ``notice`` (what is doubtful in the file), ``resampled``
        (what was done to an irregular one) and ``single_slice`` (what is taken as its thickness).
    """

    array: np.ndarray
    geometry: Geometry
    name: str = "image"
    modality: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise InputError(
                f"{self.name}: an array of shape {self.array.shape} does not fit a grid of {self.geometry.shape}."
            )

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Spacing along i, j, k in mm."""
        return self.geometry.spacing

    @property
    def origin(self) -> tuple[float, float, float]:
        """RAS mm of the centre of voxel (0, 0, 0)."""
        return self.geometry.origin

    @property
    def direction(self) -> tuple[tuple[float, float, float], ...]:
        """Rows of the matrix whose columns are the RAS unit vectors of i, j, k."""
        return self.geometry.direction

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """(4, 4) matrix from voxel indices (i, j, k) to RAS mm."""
        return self.geometry.ijk_to_ras

    @property
    def unit(self) -> str:
        """Unit of the intensities: "HU", "SUV", "Bq/ml", or "" where it is arbitrary or unknown."""
        if self.metadata.get("suv"):
            return "SUV"
        if self.modality == "PT":
            return "Bq/ml" if self.metadata.get("units") == "BQML" else ""
        return "HU" if self.is_ct else ""

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest intensity; NaN where a voxel is NaN."""
        return float(self.array.min()), float(self.array.max())

    @cached_property
    def is_ct(self) -> bool:
        """Whether the intensities are read as Hounsfield units; see `hounsfield.are_hounsfield_units`."""
        return hounsfield.are_hounsfield_units(self.modality, self.array, self.spacing)

    @cached_property
    def hounsfield_problem(self) -> str:
        """Why the intensities cannot be Hounsfield units, to follow the image's name in a sentence; "" when they can be."""
        return hounsfield.problem(self.array, self.spacing)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the voxels and of their grid; it does not depend on the file's name."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(np.round(self.geometry.ijk_to_ras, 5).tobytes())
        digest.update(f"{self.array.shape}{self.array.dtype}".encode())
        digest.update(np.ascontiguousarray(self.array).data)
        return digest.hexdigest()

    def checked(self, minimum_slices: int = 1) -> Volume:
        """Return the volume itself when it can be used.

        Parameters
        ----------
        minimum_slices : int
            Least number of voxels along each axis.

        Raises
        ------
        InputError
            The image is empty, constant or too thin, or some voxels are NaN or infinite.
        """
        if self.array.size == 0:
            raise InputError(f"{self.name} is empty: it has no voxels. Choose another image.")
        low, high = self.ends
        if not np.isfinite([low, high]).all():
            bad = int((~np.isfinite(self.array)).sum())
            raise InputError(
                f"{self.name} has {bad} invalid voxel value{'s' if bad > 1 else ''} (NaN or infinite). Export it "
                "again, or replace these values."
            )
        if low == high:
            raise InputError(
                f"{self.name} is constant: every voxel is {low:g}. It was probably exported empty; export it again."
            )
        if min(self.array.shape) < minimum_slices:
            raise InputError(
                f"The smallest dimension of {self.name} is {min(self.array.shape)}; at least {minimum_slices} slices "
                "are needed. Open the whole series, not a single slice."
            )
        return self

    def windowed(self, low: float, high: float) -> np.ndarray:
        """Return the intensities scaled from a window to 0 ... 1 and clipped, (D, H, W) float32.

        Parameters
        ----------
        low, high : float
            The window's ends, which become 0 and 1 (HU for CT).

        Raises
        ------
        InputError
            The window is empty.
        """
        if not low < high:
            raise InputError(
                f"The window from {low:g} to {high:g} is empty; its lower end must be below its upper end."
            )
        return (np.clip(self.array, low, high).astype(np.float32) - low) / np.float32(high - low)

    def cropped(self, start_ijk: ArrayLike, stop_ijk: ArrayLike) -> Volume:
        """Return a part of the image, clipped to it.

        Parameters
        ----------
        start_ijk : (3,) array_like
            First voxel (i, j, k).
        stop_ijk : (3,) array_like
            The voxel after the last one.
        """
        start = np.clip(np.floor(start_ijk).astype(int), 0, np.asarray(self.geometry.size) - 1)
        stop = np.clip(np.ceil(stop_ijk).astype(int), start + 1, self.geometry.size)
        array = self.array[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]]
        geometry = Geometry.from_values(stop - start, self.spacing, self.geometry.to_ras(start), self.direction)
        return replace(self, array=array, geometry=geometry)

    def resampled(
        self, geometry: Geometry, mapping: np.ndarray | None = None, *, fill: float | None = None, nearest: bool = False
    ) -> Volume:
        """Return the image on another grid, averaged first where that grid is coarser.

        Parameters
        ----------
        geometry : Geometry
            The target grid.
        mapping : (4, 4) ndarray, optional
            Affine from RAS of `geometry` to RAS of this image (a registration); identity when missing.
        fill : float, optional
            Value outside the image; its minimum when missing.
        nearest : bool
            For label maps: no averaging, no interpolation.
        """
        fill = float(self.array.min()) if fill is None else float(fill)
        pull = self.geometry.ras_to_ijk @ (np.eye(4) if mapping is None else mapping) @ geometry.ijk_to_ras
        # crop to the part that the target grid covers
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in geometry.size], indexing="ij"), -1).reshape(-1, 3)
        covered = corners @ pull[:3, :3].T + pull[:3, 3]
        # source voxels per target voxel, along each source axis
        step = np.abs(pull[:3, :3]).max(axis=1)
        margin = 2 + 2 * step
        if (covered.max(0) < -margin).any() or (covered.min(0) > np.asarray(self.geometry.size) - 1 + margin).any():
            array = np.full(geometry.shape, fill, self.array.dtype if nearest else np.float32)
            return replace(self, array=array, geometry=geometry)
        part = self.cropped(covered.min(0) - margin, covered.max(0) + margin + 1)
        image = sitk.GetImageFromArray(np.ascontiguousarray(part.array, None if nearest else np.float32))
        matrix = np.linalg.inv(part.geometry.ijk_to_ras) @ self.geometry.ijk_to_ras @ pull
        if not nearest:
            # SimpleITK moves the origin by half a bin, so that the frame of the voxel indices stays the same
            bins = np.maximum(np.floor(step + 1e-6), 1).astype(int)
            bins = np.minimum(bins, part.geometry.size)
            if bins.max() > 1:
                image = sitk.BinShrink(image, [int(b) for b in bins])
            rest = np.sqrt(np.maximum((step / bins) ** 2 - 1, 0)) / 2 * bins
            for axis in np.flatnonzero((rest > 0.4 * bins) & (np.asarray(image.GetSize()) >= 4)):
                image = sitk.RecursiveGaussian(
                    image, float(rest[axis]), False, sitk.RecursiveGaussianImageFilter.ZeroOrder, int(axis)
                )
        transform = sitk.AffineTransform(3)
        transform.SetMatrix(matrix[:3, :3].ravel())
        transform.SetTranslation(matrix[:3, 3])
        result = sitk.Resample(
            image,
            list(geometry.size),
            transform,
            sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear,
            [0.0] * 3,
            [1.0] * 3,
            np.eye(3).ravel().tolist(),
            fill,
        )
        return replace(self, array=sitk.GetArrayFromImage(result), geometry=geometry)

    def sample(self, points_ras: ArrayLike, fill: float | None = None) -> np.ndarray:
        """Return trilinear intensities at points, (N,) float32.

        Parameters
        ----------
        points_ras : (N, 3) array_like
            RAS mm.
        fill : float, optional
            Value outside the image; its minimum when missing.
        """
        from scipy.ndimage import map_coordinates

        points = np.atleast_2d(np.asarray(points_ras, float))
        kji = np.round(self.geometry.to_ijk(points)[:, ::-1].T, 6)  # a point on the first slice is not outside
        fill = float(self.array.min()) if fill is None else fill
        return map_coordinates(self.array, kji, order=1, mode="constant", cval=fill, output=np.float32)


def to_sitk(volume: Volume) -> sitk.Image:
    """Convert a volume to a SimpleITK image, which is in LPS.

    Parameters
    ----------
    volume : Volume
        The image, in RAS.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array))
    image.SetSpacing(volume.spacing)
    image.SetOrigin((_LPS_TO_RAS @ volume.origin).tolist())
    image.SetDirection((_LPS_TO_RAS @ np.asarray(volume.direction)).ravel().tolist())
    return image


def notices(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the reader of a scan must know: what was done to the image, and what is doubtful in its file.

    Parameters
    ----------
    metadata : mapping of str to str
        Of a `Volume`.
    """
    texts = (metadata.get(key) or "" for key in ("resampled", "notice", "single_slice"))
    return tuple(line for text in texts for line in text.splitlines() if line)


def lps_to_ras(points: ArrayLike) -> np.ndarray:
    """Convert points from LPS to RAS, or from RAS to LPS.

    Parameters
    ----------
    points : (..., 3) array_like
        The points.
    """
    return np.asarray(points, float) @ _LPS_TO_RAS


@contextmanager
def itk_warnings_off() -> Iterator[None]:
    """Switch ITK's warnings on standard error off inside the block; OncoTrack reports problems itself."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
