"""DeepLesion: 16-bit PNG slices and DL_info.csv.

K. Yan et al., "DeepLesion: automated mining of large-scale lesion annotations", J. Med. Imaging 5(3), 2018. A slice
stores HU + 32768. Slice numbers rise towards the feet, columns towards the patient's left, rows towards the back;
the set gives no positions, so RAS (0, 0, 0) is put on the first pixel of the first slice that is read. DL_info.csv
counts pixels from 1; this module and DLS count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from oncotrack.background.isolation import isolated
from oncotrack.datasets.case import Case, annotated_observation, slice_tracklet, truth_list, voxel_box
from oncotrack.datasets.dicom_tree import require_path
from oncotrack.datasets.tables import table_rows
from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Finding, point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, itk_warnings_off

SOURCE = "DeepLesion"
OFFSET = 32768
_AXES = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))
SPLITS = {"train": 1, "valid": 2, "test": 3}
SITES = {
    1: "bone", 2: "abdomen", 3: "mediastinum", 4: "liver", 5: "lung", 6: "kidney", 7: "soft tissue", 8: "pelvis",
}  # fmt: skip


@dataclass(frozen=True)
class AnnotatedLesion:
    """A row of DL_info.csv; positions in pixels of the key slice (x, y, from 0), spacing in mm (x, y, slice)."""

    series: str
    key_slice: int
    recist: tuple[float, ...]
    box: tuple[float, float, float, float]
    diameters_px: tuple[float, float]
    site: str
    noisy: bool
    slices: tuple[int, int]
    spacing: tuple[float, float, float]
    split: int

    @property
    def radius_mm(self) -> float:
        """Half the long diameter, mm."""
        return max(self.diameters_px) / 2 * self.spacing[0]


def read_info(path: str | Path) -> list[AnnotatedLesion]:
    """Read the rows of DL_info.csv.

    Raises
    ------
    InputError
        A column is missing or a row lacks a number (line and column are named).
    """
    lesions = []
    for _line, row in info_rows(path):
        if isinstance(row, InputError):
            raise row
        lesions.append(row)
    return lesions


def info_rows(path: str | Path) -> Iterator[tuple[int, AnnotatedLesion | InputError]]:
    """Yield line number and row of DL_info.csv one by one; for a damaged row the error that describes it."""
    for line, row in table_rows(path, "DeepLesion's DL_info.csv"):
        try:
            yield line, _lesion(row, f"{path}, line {line}")
        except InputError as error:
            yield line, error


def key_slice(images: str | Path, lesion: AnnotatedLesion) -> tuple[Volume, Axis, Axis]:
    """Read the slice on which a lesion was measured, a volume of one slice, and its long and short axis (RAS mm).

    Raises
    ------
    InputError
        The slice is missing or damaged.
    """
    index = lesion.key_slice
    ct = _read_volume(f"{lesion.series}_{index:03d}", Path(images), lesion, [index])
    return ct, *_axes(ct.geometry, lesion, 0)


def _lesion(row: dict[str, str], where: str) -> AnnotatedLesion:
    """Parse a row; `where` names file and line in errors."""

    def numbers(column: str, count: int) -> tuple[float, ...]:
        try:
            values = tuple(float(v) for v in row[column].split(","))
        except (KeyError, ValueError, AttributeError) as error:
            raise InputError(
                f"{where}: the column {column} is missing or holds no numbers. Download it again."
            ) from error
        if len(values) != count or not np.isfinite(values).all():
            raise InputError(f"{where}: the column {column} holds {len(values)} numbers, {count} are needed.")
        return values

    first, last = (int(v) for v in numbers("Slice_range", 2))
    left, top, right, bottom = (v - 1 for v in numbers("Bounding_boxes", 4))
    along_x, along_y, along_z = (abs(v) for v in numbers("Spacing_mm_px_", 3))
    long, short = numbers("Lesion_diameters_Pixel_", 2)
    return AnnotatedLesion(
        series=str(row.get("File_name", "")).rpartition("_")[0],
        key_slice=int(numbers("Key_slice_index", 1)[0]),
        recist=tuple(v - 1 for v in numbers("Measurement_coordinates", 8)),
        box=(left, top, right, bottom),
        diameters_px=(long, short),
        site=SITES.get(int(numbers("Coarse_lesion_type", 1)[0]), ""),
        noisy=bool(numbers("Possibly_noisy", 1)[0]),
        slices=(first, last),
        spacing=(along_x, along_y, along_z),
        split=int(numbers("Train_Val_Test", 1)[0]),
    )


@isolated
def read_slice(path: str | Path) -> np.ndarray:
    """Read a slice as (H, W) int16 HU: a 16-bit PNG (HU + 32768), or an 8-bit JPEG (HU = v / 255 * 4095 - 1024)."""
    try:
        with itk_warnings_off():
            pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise InputError(f"The slice {path} is missing or damaged. Download its DeepLesion archive again.") from error
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[-1] <= 4 else pixels[0]
    if pixels.dtype == np.uint16:
        return (pixels.astype(np.int32) - OFFSET).astype(np.int16)
    if pixels.dtype == np.uint8 and Path(path).suffix.lower() != ".png":
        return np.round(pixels / 255.0 * 4095 - 1024).astype(np.int16)
    raise InputError(f"The slice {path} has {pixels.dtype} pixels; DeepLesion's have 16 bits. Download it again.")


def cases(
    images: str | Path, info: str | Path, split: str | None = None, *, key_slices: bool = False
) -> Iterator[Case]:
    """Yield the sub-volumes of DeepLesion, one case for each slice range of a series, with every lesion in it.

    Parameters
    ----------
    images : path
        ``Images_png`` (folders 000001_01_01 with 109.png), or key slices side by side (000001_01_01_109.png or .jpg).
    info : path
        ``DL_info.csv``.
    split : {"train", "valid", "test"}, optional
        The official split; all when missing.
    key_slices : bool
        Read only the slices that carry a measurement, each as a volume of one slice.

    Raises
    ------
    InputError
        A slice of the range is missing or damaged (it is named); the split is unknown.
    """
    images = require_path(images, "the folder with DeepLesion's slices")
    if split is not None and split not in SPLITS:
        raise InputError(f"DeepLesion has no split {split!r}; choose one of {', '.join(SPLITS)}.")
    groups: dict[tuple, list[AnnotatedLesion]] = {}
    for lesion in read_info(info):
        if split is None or lesion.split == SPLITS[split]:
            shown = (lesion.key_slice, lesion.key_slice) if key_slices else lesion.slices
            groups.setdefault((lesion.series, shown), []).append(lesion)
    for (series, (first, last)), lesions in groups.items():
        name = f"{series}_{first:03d}" if key_slices else f"{series}_{first:03d}-{last:03d}"
        yield _case(name, images, series, range(first, last + 1), lesions)


def _slice_path(images: Path, series: str, index: int) -> Path:
    """Return the file of a slice; InputError when there is none."""
    choices = [images / series / f"{index:03d}.png"]
    choices += [images / f"{series}_{index:03d}{suffix}" for suffix in (".png", ".jpg")]
    for path in choices:
        if path.exists():
            return path
    raise InputError(f"Slice {index} of {series} is missing: there is no {choices[0]}. Download its archive.")


def _read_volume(name: str, images: Path, lesion: AnnotatedLesion, indices: Sequence[int]) -> Volume:
    """Read some slices of a lesion's series as a volume in HU."""
    array = np.stack([read_slice(_slice_path(images, lesion.series, index)) for index in indices])
    depth, height, width = array.shape
    return Volume(array, Geometry((width, height, depth), lesion.spacing, (0, 0, 0), _AXES), name, "CT")


def _axes(geometry: Geometry, lesion: AnnotatedLesion, k: int) -> tuple[Axis, Axis]:
    """Return long and short axis (RAS mm) of a lesion measured on slice `k`."""
    ends = geometry.to_ras([(x, y, k) for x, y in np.reshape(lesion.recist, (4, 2))]).tolist()
    axes = [Axis(point(ends[0]), point(ends[1])), Axis(point(ends[2]), point(ends[3]))]
    return max(axes, key=lambda axis: axis.length_mm), min(axes, key=lambda axis: axis.length_mm)


def _case(name: str, images: Path, series: str, indices: Sequence[int], lesions: Sequence[AnnotatedLesion]) -> Case:
    """Read a range of slices with its lesions."""
    ct = _read_volume(name, images, lesions[0], indices)
    geometry = ct.geometry
    findings = []
    for n, lesion in enumerate(lesions, 1):
        k = lesion.key_slice - indices[0]
        ends = geometry.to_ras([(x, y, k) for x, y in np.reshape(lesion.recist, (4, 2))])
        long, short = _axes(geometry, lesion, k)
        x0, y0, x1, y1 = lesion.box
        observation = annotated_observation(
            SOURCE,
            centre=tuple(ends.mean(0)),
            radius_mm=lesion.radius_mm,
            box=voxel_box(geometry, (x0, y0, k), (x1, y1, k)),
            tracklet=slice_tracklet(geometry, {k: lesion.box}),
            long_axis=long,
            short_axis=short,
        )
        findings.append(Finding(label=f"L {n}", site=lesion.site, observations={"ct": observation}))
    return Case(name, {"ct": ct}, truth_list(name, {"ct": ct}, findings))
