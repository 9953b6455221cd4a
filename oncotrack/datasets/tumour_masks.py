"""Reading of the mask of a primary tumour: a label map, a segmentation, a DICOM SEG or an RTSTRUCT."""

from __future__ import annotations

from pathlib import Path

from oncotrack.errors import InputError
from oncotrack.images.files import is_image_file
from oncotrack.images.volume import Volume

_PRIMARY = ("primary", "tumor", "tumour", "gtv", "neoplasm")


def read_tumour_mask(path: Path, ct: Volume) -> Volume:
    """Read the mask of the primary tumour.

    Parameters
    ----------
    path : path
        The file. Where it holds several masks, the only one whose name is that of a primary tumour is taken.
    ct : Volume
        An RTSTRUCT is filled on its grid.

    Returns
    -------
    Volume
        Not 0 inside.

    Raises
    ------
    InputError
        The file holds no mask, or several and it is not clear which.
    """
    if is_image_file(path):
        from oncotrack.masks.label_reader import read_labels

        return _chosen(read_labels(path), path)
    from oncotrack.dicom_objects.mask_objects import read_rtstruct, read_seg
    from oncotrack.dicom_objects.object_files import modality_of

    try:
        modality = modality_of(path)
    except InputError as error:
        raise InputError(
            f"{path} holds no mask that can be read. Give a label map, a DICOM SEG or an RTSTRUCT of the primary tumour.",
            parameter="tumour",
        ) from error
    structures = read_rtstruct(path, ct) if modality == "RTSTRUCT" else read_seg(path)
    return _chosen({each.name: each.mask for each in structures}, path)


def _chosen(masks: dict[str, Volume], path: Path) -> Volume:
    """Return the only mask, or the only one whose name is that of a primary tumour."""
    named = {name: mask for name, mask in masks.items() if any(word in name.lower() for word in _PRIMARY)}
    usable = named if len(named) == 1 else masks
    if len(usable) != 1:
        raise InputError(
            f"{path} holds {len(masks)} masks ({', '.join(masks)}), and it is not clear which is the primary tumour. Give a "
            "file with that mask alone.",
            parameter="tumour",
        )
    return next(iter(usable.values()))
