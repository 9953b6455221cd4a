"""Images in and out of the engine.

This is the file border: everything inside OncoTrack is RAS millimetres and arrays indexed [z, y, x];
the LPS of DICOM, NIfTI readers and SimpleITK is turned here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import SimpleITK as sitk

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
_AIR_HU = -200.0  # lung and the air around a patient lie below it; no MR, PET or label map reaches there


def are_hounsfield_units(modality: str, lowest: float) -> bool:
    """Tell whether intensities are Hounsfield units, for the whole of OncoTrack.

    Parameters
    ----------
    modality : str
        DICOM modality, or "" when it is unknown; a known modality decides.
    lowest : float
        The lowest intensity of the image; without a modality, air decides.
    """
    return modality == "CT" if modality else lowest <= _AIR_HU


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional image.

    Parameters
    ----------
    array : (D, H, W) ndarray
        Intensities indexed [z, y, x]: HU for CT, SUV or Bq/ml for PET, arbitrary for MR.
    geometry : Geometry
        Where the voxels lie (RAS mm).
    name : str
        What to call it in messages.
    modality : str
        DICOM modality ("CT", "MR", "PT") or "" when the file does not tell.
    metadata : dict
        What the file told beside it: ``date``, ``series_uid``, ``path``.
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
        """Millimetres along i, j, k."""
        return self.geometry.spacing

    @property
    def origin(self) -> tuple[float, float, float]:
        """RAS mm of voxel (0, 0, 0)."""
        return self.geometry.origin

    @property
    def direction(self) -> tuple[tuple[float, float, float], ...]:
        """Columns are the RAS unit vectors of i, j, k."""
        return self.geometry.direction

    @cached_property
    def is_ct(self) -> bool:
        """Whether the intensities are Hounsfield units; see `are_hounsfield_units`."""
        return are_hounsfield_units(self.modality, float(self.array.min()))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the voxels and of where they lie; the same for the same image whatever its file is called."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(np.round(self.geometry.ijk_to_ras, 5).tobytes())
        digest.update(f"{self.array.shape}{self.array.dtype}".encode())
        digest.update(np.ascontiguousarray(self.array).data)
        return digest.hexdigest()

    def checked(self, minimum_slices: int = 1) -> Volume:
        """Return itself, or raise InputError with a sentence when no job can be done on it."""
        if self.array.size == 0:
            raise InputError(f"{self.name} is empty: it holds no voxels. Choose another image.")
        if self.array.dtype.kind == "f" and not np.isfinite(self.array).all():
            bad = int((~np.isfinite(self.array)).sum())
            raise InputError(
                f"{self.name} holds {bad} voxels that are not numbers (NaN or infinite). Export it again or fill them."
            )
        if self.array.min() == self.array.max():
            raise InputError(
                f"{self.name} is constant: every voxel is {self.array.flat[0]:g}. "
                "It was probably exported empty; export it again."
            )
        if min(self.array.shape) < minimum_slices:
            raise InputError(
                f"{self.name} has {min(self.array.shape)} slice(s) along one axis and at least {minimum_slices} are "
                "needed. Open the whole series, not a single slice."
            )
        return self

    def windowed(self, low: float, high: float) -> np.ndarray:
        """(D, H, W) float32 in [0, 1]: `low` and below is 0, `high` and above is 1 (HU for CT)."""
        if not low < high:
            raise InputError(
                f"The window from {low:g} to {high:g} is empty; its lower end must be below its upper end."
            )
        return (np.clip(self.array, low, high).astype(np.float32) - low) / np.float32(high - low)

    def cropped(self, start_ijk, stop_ijk) -> Volume:
        """The voxels from `start_ijk` up to and without `stop_ijk`, clipped to the image."""
        start = np.clip(np.floor(start_ijk).astype(int), 0, np.asarray(self.geometry.size) - 1)
        stop = np.clip(np.ceil(stop_ijk).astype(int), start + 1, self.geometry.size)
        array = self.array[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]]
        geometry = Geometry(
            tuple(stop - start), self.spacing, tuple(self.geometry.to_ras(start)), self.geometry.direction
        )
        return replace(self, array=array, geometry=geometry)

    def resampled(
        self, geometry: Geometry, mapping: np.ndarray | None = None, *, fill: float | None = None, nearest: bool = False
    ) -> Volume:
        """Intensities on another grid, averaged first where that grid is coarser.

        Parameters
        ----------
        geometry : Geometry
            The wanted grid.
        mapping : (4, 4) ndarray, optional
            Affine from RAS of `geometry` to RAS of this image (a registration); identity when missing.
        fill : float, optional
            Value outside the image; its minimum when missing.
        nearest : bool
            For label maps: no averaging, no interpolation.
        """
        fill = float(self.array.min()) if fill is None else float(fill)
        pull = self.geometry.ras_to_ijk @ (np.eye(4) if mapping is None else mapping) @ geometry.ijk_to_ras
        # crop to what the wanted grid sees
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in geometry.size], indexing="ij"), -1).reshape(-1, 3)
        seen = corners @ pull[:3, :3].T + pull[:3, 3]
        # how many source voxels one wanted voxel covers, along each source axis
        step = np.abs(pull[:3, :3]).max(axis=1)
        margin = 2 + 2 * step
        if (seen.max(0) < -margin).any() or (seen.min(0) > np.asarray(self.geometry.size) - 1 + margin).any():
            array = np.full(geometry.shape, fill, self.array.dtype if nearest else np.float32)
            return replace(self, array=array, geometry=geometry)
        part = self.cropped(seen.min(0) - margin, seen.max(0) + margin + 1)
        image = sitk.GetImageFromArray(np.ascontiguousarray(part.array, None if nearest else np.float32))
        matrix = np.linalg.inv(part.geometry.ijk_to_ras) @ self.geometry.ijk_to_ras @ pull
        if not nearest:
            # bins keep the physical frame of the voxel indices: origin moves by half a bin
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

    def sample(self, points_ras, fill: float | None = None) -> np.ndarray:
        """Trilinear intensities at (N, 3) RAS points; `fill` (the minimum when missing) outside."""
        from scipy.ndimage import map_coordinates

        points = np.atleast_2d(np.asarray(points_ras, float))
        kji = self.geometry.to_ijk(points)[:, ::-1].T
        fill = float(self.array.min()) if fill is None else fill
        return map_coordinates(self.array, kji, order=1, mode="constant", cval=fill, output=np.float32)


def to_sitk(volume: Volume) -> sitk.Image:
    """A SimpleITK image in LPS."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array))
    image.SetSpacing(volume.spacing)
    image.SetOrigin((_LPS_TO_RAS @ volume.origin).tolist())
    image.SetDirection((_LPS_TO_RAS @ np.asarray(volume.direction)).ravel().tolist())
    return image


def from_sitk(image: sitk.Image, name: str = "image", modality: str = "", metadata: dict | None = None) -> Volume:
    """A Volume from a three-dimensional scalar SimpleITK image in LPS.

    Raises
    ------
    InputError
        When the image is not three-dimensional or has several components a voxel.
    """
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        kind = (
            "a flat picture"
            if image.GetDimension() == 2
            else f"{image.GetSize()[-1]} volumes (time points, phases or b-values)"
        )
        raise InputError(
            f"{name} has {image.GetDimension()} dimensions: it holds {kind}. "
            "OncoTrack reads one three-dimensional scan; open the series, or split the file first."
        )
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"{name} has {image.GetNumberOfComponentsPerPixel()} values a voxel (colour or vectors). "
            "Open the original greyscale scan instead."
        )
    array = sitk.GetArrayFromImage(image)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    geometry = Geometry(
        image.GetSize(),
        image.GetSpacing(),
        tuple(_LPS_TO_RAS @ image.GetOrigin()),
        _LPS_TO_RAS @ np.asarray(image.GetDirection()).reshape(3, 3),
    )
    return Volume(array, geometry, name, modality, dict(metadata or {}))


def lps_to_ras(points) -> np.ndarray:
    """Turn (..., 3) points from LPS to RAS, or back: it is its own inverse."""
    return np.asarray(points, float) @ _LPS_TO_RAS


@contextmanager
def itk_warnings_off() -> Iterator[None]:
    """Silence ITK's warnings on standard error: what matters is reported in OncoTrack's own sentences."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
