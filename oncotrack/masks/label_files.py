"""Writing of masks into one file: a segmentation that 3D Slicer opens, or a label map of numbers only."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from oncotrack.atomic import replacing
from oncotrack.errors import OutputError
from oncotrack.findings.finding import Kind
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, to_sitk

SEGMENTATION = ".seg.nrrd"
_COLOURS = ("1 0.76 0.03", "0.16 0.71 0.96", "0.93 0.35 0.16", "0.45 0.83 0.35", "0.8 0.47 0.95", "0.98 0.98 0.98")
_TYPES = {
    Kind.LESION: "SCT^49755003^Morphologically Altered Structure~SCT^52988006^Lesion",
    Kind.LYMPH_NODE: "SCT^123037004^Anatomical Structure~SCT^59441001^Lymph node",
    Kind.OTHER: "SCT^49755003^Morphologically Altered Structure~SCT^49755003^Morphologically abnormal structure",
}
_LISTS = "Segmentation category and type - 3D Slicer General Anatomy list", "Anatomic codes - DICOM master list"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Segment:
    """A mask in the file: its name, its value, the layer that holds it, and its first and last voxel (i, j, k)."""

    name: str
    value: int
    layer: int
    extent: tuple[tuple[int, int], ...]


def write_labels(path: str | Path, image: Geometry, masks: Mapping[str, Volume], kind: Kind = Kind.LESION) -> Path:
    """Write masks on the image's grid: the n-th one (from 1) has the value n.

    Parameters
    ----------
    path : path
        ``.seg.nrrd`` also holds the names, colours and SNOMED types from which Slicer creates segments (and from them
        DICOM SEG), and masks that overlap in several layers; ``.nii.gz``, ``.nii``, ``.nrrd`` and ``.mha`` hold one
        number for each voxel.
    image : Geometry
        Grid of the file.
    masks : mapping of str to Volume
        By the finding's label; inside where not 0, on any grid. A warning is logged for a mask without any voxel on the
        image's grid and, where a file holds one number for each voxel, for two that overlap: the later one is written.
    kind : Kind
        What the findings are.

    Raises
    ------
    OutputError
        The suffix is not known, or the file cannot be written.
    """
    path = Path(path)
    has_layers = path.name.lower().endswith(SEGMENTATION)
    layers, segments = _draw(path.name, image, masks, has_layers)
    volumes = [Volume(layer, image, path.name) for layer in layers]
    if not has_layers:
        return save(volumes[0], path)
    written = to_sitk(volumes[0]) if len(volumes) == 1 else sitk.Compose([to_sitk(volume) for volume in volumes])
    for key, text in _header(segments, kind).items():
        written.SetMetaData(key, text)
    with replacing(path, is_durable=True) as temporary:
        try:
            sitk.WriteImage(written, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OutputError(f"{path} could not be written. Check free disk space and permissions.") from error
    return path


def _draw(
    file: str, image: Geometry, masks: Mapping[str, Volume], has_layers: bool
) -> tuple[list[np.ndarray], list[_Segment]]:
    """Return the file's label maps, each (D, H, W), and where each mask lies."""
    layers = [np.zeros(image.shape, np.uint8 if len(masks) < 256 else np.uint16)]
    names, segments = list(masks), []
    for value, (name, mask) in enumerate(masks.items(), 1):
        where, inside = _on_grid(mask, image)
        kji = np.argwhere(inside)
        if not len(kji):
            _log.warning("%s: %s has no voxel on the grid of the image.", file, name)
            segments.append(_Segment(name, value, 0, ((0, -1),) * 3))
            continue
        layer = 0
        if has_layers:
            layer = next((n for n, each in enumerate(layers) if not each[where][inside].any()), len(layers))
            if layer == len(layers):
                layers.append(np.zeros_like(layers[0]))
        else:
            covered, counts = np.unique(layers[0][where][inside], return_counts=True)
            for other, count in zip(covered.tolist(), counts.tolist(), strict=True):
                if other:
                    words = file, names[other - 1], name, count, name, SEGMENTATION
                    _log.warning(
                        "%s: %s and %s share %d voxels, written as %s. A file ending in %s holds both.", *words
                    )
        layers[layer][where][inside] = value
        starts = np.array([part.start for part in where])
        ends = zip((kji.min(0) + starts)[::-1].tolist(), (kji.max(0) + starts)[::-1].tolist(), strict=True)
        segments.append(_Segment(name, value, layer, tuple(ends)))
    return layers, segments


def _on_grid(mask: Volume, image: Geometry) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return which part of an image, as slices of k, j, i, holds a mask, and the mask on that part."""
    kji = np.argwhere(mask.array != 0)
    if not len(kji):
        return (slice(0, 1),) * 3, np.zeros((1, 1, 1), bool)
    ijk = image.to_ijk(mask.geometry.to_ras(kji[:, ::-1]))
    start = np.clip(np.floor(ijk.min(0)).astype(int) - 1, 0, np.asarray(image.size) - 1)
    stop = np.clip(np.ceil(ijk.max(0)).astype(int) + 2, start + 1, image.size)
    part = Geometry.from_values(stop - start, image.spacing, image.to_ras(start), image.direction)
    inside = mask.resampled(part, fill=0, nearest=True).array != 0
    return tuple(slice(low, high) for low, high in zip(start[::-1], stop[::-1], strict=True)), inside


def _header(segments: list[_Segment], kind: Kind) -> dict[str, str]:
    """Return the header fields of a Slicer segmentation file."""
    category, anatomy = _LISTS
    entry = f"{category}~{_TYPES[kind]}~^^~{anatomy}~^^~^^"
    fields = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for n, segment in enumerate(segments):
        fields |= {
            f"Segment{n}_ID": f"Segment_{n + 1}",
            f"Segment{n}_Name": segment.name,
            f"Segment{n}_NameAutoGenerated": "0",
            f"Segment{n}_Color": _COLOURS[n % len(_COLOURS)],
            f"Segment{n}_ColorAutoGenerated": "0",
            f"Segment{n}_Extent": " ".join(f"{low} {high}" for low, high in segment.extent),
            f"Segment{n}_LabelValue": str(segment.value),
            f"Segment{n}_Layer": str(segment.layer),
            f"Segment{n}_Tags": f"Segmentation.Status:completed|TerminologyEntry:{entry}|",
        }
    return fields
