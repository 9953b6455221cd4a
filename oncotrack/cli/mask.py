"""``oncotrack mask``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from oncotrack.cli.output import give, progress_bar, say
from oncotrack.errors import InputError

_TOLD = 10  # rows without a mask that are told one by one


def run(
    image: Path, axes: Path, more: Sequence[Path], in_3d: bool, method: str, pairs: Path | None, out: Path | None,
    json: str | None,
) -> None:  # fmt: skip
    """A mask from two diameters, in their slice or in 3D."""
    from oncotrack.images.files import load
    from oncotrack.masks.axes_files import read_axes
    from oncotrack.masks.findings import observation
    from oncotrack.masks.label_files import write_labels
    from oncotrack.masks.propagate import propagate_to_3d
    from oncotrack.masks.pseudo_mask import pseudo_mask
    from oncotrack.masks.training_pairs import write_pair

    drawn, others, volume = read_axes(axes), [read_axes(path) for path in more], load(image)
    with progress_bar() as progress:
        if in_3d or others:
            mask = propagate_to_3d(volume, drawn, others, method=method, progress=progress)
        else:
            mask = pseudo_mask(volume, drawn, method)
    seen = observation(mask, drawn)
    warnings = [sentence for each in (drawn, *others) for sentence in each.warnings()]
    for sentence in warnings:
        say(sentence)
    label = axes.name.split(".")[0]
    if out is not None:
        say(f"Written: {write_labels(out, volume.geometry, {label: mask})}")
    if pairs is not None:
        say(f"Written: {write_pair(pairs, label, volume, mask)}")
    voxels = int(np.count_nonzero(mask.array))
    slices = len(seen.tracklet.boxes)
    result = {
        "voxels": voxels,
        "slices": slices,
        "volume_mm3": seen.volume_mm3,
        "center_ras": list(seen.centre),
        "box_ras": [list(seen.box.low), list(seen.box.high)],
        "long_axis_mm": drawn.long.length_mm,
        "short_axis_mm": drawn.short.length_mm,
        "method": method,
        "warnings": warnings,
    }
    lines = {
        "Axes": f"{drawn.long.length_mm:.1f} x {drawn.short.length_mm:.1f} mm",
        "Mask": f"{voxels} voxels, {seen.volume_mm3:.0f} mm3, in {slices} slice{'s' if slices > 1 else ''}",
    }
    give(result, json, lines)


def batch(
    image: Path, table: Path, in_3d: bool, method: str, pairs: Path | None, out: Path | None, json: str | None
) -> None:
    """Masks for all rows of a table, in one scan or in the scans that the rows name."""
    from oncotrack.masks.axes_table import ResultRow, write_table
    from oncotrack.masks.batch import make_masks
    from oncotrack.masks.training_pairs import write_pair

    requests = list(_requests(image, table))
    rows, by_image = [], {}
    with progress_bar() as progress:
        for made in make_masks(requests, in_3d=in_3d, method=method, progress=progress):
            if made.image is None:
                rows.append(ResultRow(made.label, error=made.error))
                if sum(bool(row.error) for row in rows) <= _TOLD:
                    say(f"{made.label}: {made.error}")
                continue
            name = made.image.name
            rows.append(ResultRow(made.label, made.observation, image=name))
            by_image.setdefault(name, (made.image.geometry, made.image.fingerprint, []))[2].append(made)
            if pairs is not None:
                write_pair(pairs, made.label, made.image, made.mask)
    if out is not None:
        say(f"Written: {write_table(out / 'masks.csv', rows)}")
        for name, (geometry, fingerprint, found) in by_image.items():
            _write(out, name, geometry, fingerprint, found)
        say(f"Written: {len(by_image)} segmentations with their findings, in {out.absolute()}")
    if pairs is not None:
        say(f"Written: {sum(not row.error for row in rows)} training pairs, in {pairs.absolute()}")
    more = sum(bool(row.error) for row in rows) - _TOLD
    if more > 0:
        say(f"{more} more rows have no mask either" + ("; masks.csv tells why." if out is not None else "."))
    failed = [{"label": row.label, "error": row.error} for row in rows if row.error]
    result = {
        "rows": len(rows),
        "masks": len(rows) - len(failed),
        "failed": failed,
        "findings": [
            {"label": row.label, "image": row.image, "long_axis_mm": row.observation.long_axis.length_mm,
             "short_axis_mm": row.observation.short_axis.length_mm, "volume_mm3": row.observation.volume_mm3}
            for row in rows if row.observation is not None
        ],
    }  # fmt: skip
    give(result, json, {"Rows": str(len(rows)), "Masks": str(result["masks"]), "Not made": str(len(failed))})


def _write(out: Path, name: str, geometry, fingerprint: str, found: Sequence) -> None:
    """One image's masks as a segmentation, and its findings."""
    from oncotrack.findings.finding import TimePoint
    from oncotrack.masks.findings import finding_list
    from oncotrack.masks.label_files import write_labels

    stem = name.split(".")[0]
    write_labels(out / f"{stem}.seg.nrrd", geometry, {made.label: made.mask for made in found})
    point = TimePoint("t0", name, fingerprint=fingerprint)
    finding_list(point, {made.label: made.observation for made in found}).save(out / f"{stem}.findings.json")


def _requests(image: Path, table: Path) -> Iterator:
    """What a table asks for: rows of DeepLesion's DL_info.csv, of a CSV of axes, or pairs of lines."""
    from oncotrack.images.files import load
    from oncotrack.masks.axes import RecistAxes
    from oncotrack.masks.axes_table import AxesRow, read_table
    from oncotrack.masks.batch import MaskRequest

    if _is_dl_info(table):
        from oncotrack.datasets.deeplesion import info_rows, key_slice

        def measured(row):
            if isinstance(row, InputError):
                raise row
            volume, long, short = key_slice(image, row)
            return volume, RecistAxes.of(long, short)

        seen: dict[str, int] = {}
        for line, row in info_rows(table):
            stem = f"line {line}" if isinstance(row, InputError) else f"{row.series}_{row.key_slice:03d}"
            seen[stem] = seen.get(stem, 0) + 1
            label = f"{stem} {seen[stem]}" if seen[stem] > 1 else stem
            yield MaskRequest(label, lambda row=row: measured(row))
        return
    loaded: Callable = lru_cache(1)(load)

    def drawn(row: AxesRow):
        if row.axes is None:
            raise InputError(row.error)
        return loaded(image / row.image if row.image and image.is_dir() else image), row.axes

    for row in read_table(table):
        yield MaskRequest(row.label, lambda row=row: drawn(row))


def _is_dl_info(table: Path) -> bool:
    if not table.is_file() or table.suffix.lower() != ".csv":
        return False
    with table.open(encoding="utf-8", errors="replace") as file:
        return "Measurement_coordinates" in file.readline()
