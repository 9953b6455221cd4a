"""``oncotrack mask --batch``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.cli.output import print_message, print_result, print_written, progress_bar
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.datasets.deeplesion import AnnotatedLesion
    from oncotrack.images.geometry import Geometry
    from oncotrack.images.volume import Volume
    from oncotrack.masks.axes import RecistAxes
    from oncotrack.masks.axes_table import AxesRow
    from oncotrack.masks.batch import MaskRequest, MaskResult

_PRINTED = 10  # rows without a mask that are printed one by one


def mask_table(
    image: Path, table: Path, in_3d: bool, method: str, pairs: Path | None, out: Path | None, json: str | None
) -> None:
    """Make a mask for every row of a table, in one scan or in the scans that the rows name."""
    from oncotrack.masks.axes_table import ResultRow, write_table
    from oncotrack.masks.batch import make_masks
    from oncotrack.masks.training_pairs import write_pair

    rows: list[ResultRow] = []
    by_image: dict[str, tuple[Geometry, str, list[MaskResult]]] = {}
    with progress_bar() as progress:
        for mask_result in make_masks(list(_requests(image, table)), in_3d=in_3d, method=method, progress=progress):
            if mask_result.image is None or mask_result.mask is None:
                rows.append(ResultRow(mask_result.label, error=mask_result.error))
                if sum(bool(row.error) for row in rows) <= _PRINTED:
                    print_message(f"{mask_result.label}: {mask_result.error}")
                continue
            name = mask_result.image.name
            rows.append(ResultRow(mask_result.label, mask_result.observation, image=name))
            by_image.setdefault(name, (mask_result.image.geometry, mask_result.image.fingerprint, []))[2].append(
                mask_result
            )
            if pairs is not None:
                write_pair(pairs, mask_result.label, mask_result.image, mask_result.mask)
    if out is not None:
        print_written(write_table(out / "masks.csv", rows))
        for name, (geometry, fingerprint, found) in by_image.items():
            _write(out, name, geometry, fingerprint, found)
        print_message(f"Written: {len(by_image)} segmentations with their findings, in {out.absolute()}")
    if pairs is not None:
        print_message(f"Written: {sum(not row.error for row in rows)} training pairs, in {pairs.absolute()}")
    more = sum(bool(row.error) for row in rows) - _PRINTED
    if more > 0:
        where = "; masks.csv gives the reasons." if out is not None else "."
        print_message(f"{more} more rows have no mask{where}")
    failed = [{"label": row.label, "error": row.error} for row in rows if row.error]
    result = {
        "rows": len(rows),
        "masks": len(rows) - len(failed),
        "failed": failed,
        "findings": [
            {
                "label": row.label,
                "image": row.image,
                "long_axis_mm": row.observation.long_axis and row.observation.long_axis.length_mm,
                "short_axis_mm": row.observation.short_axis and row.observation.short_axis.length_mm,
                "volume_mm3": row.observation.volume_mm3,
            }
            for row in rows
            if row.observation is not None
        ],
    }
    print_result(result, json, {"Rows": str(len(rows)), "Masks": str(result["masks"]), "Not made": str(len(failed))})


def _write(out: Path, name: str, geometry: Geometry, fingerprint: str, found: Sequence[MaskResult]) -> None:
    """Write the masks of one image as a segmentation, and its findings."""
    from oncotrack.findings.finding import TimePoint
    from oncotrack.masks.findings import finding_list
    from oncotrack.masks.label_files import write_labels

    stem = name.split(".")[0]
    write_labels(out / f"{stem}.seg.nrrd", geometry, {made.label: made.mask for made in found if made.mask})
    point = TimePoint("t0", name, fingerprint=fingerprint)
    finding_list(point, {made.label: made.observation for made in found if made.observation}).save(
        out / f"{stem}.findings.json"
    )


def _requests(image: Path, table: Path) -> Iterator[MaskRequest]:
    """Yield what to segment: rows of DeepLesion's DL_info.csv, rows of a CSV of axes, or pairs of lines."""
    return _dl_info_requests(image, table) if _is_dl_info(table) else _axes_requests(image, table)


def _dl_info_requests(image: Path, table: Path) -> Iterator[MaskRequest]:
    from oncotrack.datasets.deeplesion import info_rows, key_slice
    from oncotrack.masks.axes import RecistAxes
    from oncotrack.masks.batch import MaskRequest

    def load(row: AnnotatedLesion | InputError) -> tuple[Volume, RecistAxes]:
        if isinstance(row, InputError):
            raise row
        volume, long, short = key_slice(image, row)
        return volume, RecistAxes.of(long, short)

    counts: dict[str, int] = {}
    for line, row in info_rows(table):
        stem = f"line {line}" if isinstance(row, InputError) else f"{row.series}_{row.key_slice:03d}"
        counts[stem] = counts.get(stem, 0) + 1
        label = f"{stem} {counts[stem]}" if counts[stem] > 1 else stem
        yield MaskRequest(label, lambda row=row: load(row))


def _axes_requests(image: Path, table: Path) -> Iterator[MaskRequest]:
    from oncotrack.images.files import load
    from oncotrack.masks.axes_table import read_table
    from oncotrack.masks.batch import MaskRequest

    load_once = lru_cache(1)(load)

    def load_row(row: AxesRow) -> tuple[Volume, RecistAxes]:
        if row.axes is None:
            raise InputError(row.error)
        return load_once(image / row.image if row.image and image.is_dir() else image), row.axes

    for row in read_table(table):
        yield MaskRequest(row.label, lambda row=row: load_row(row))


def _is_dl_info(table: Path) -> bool:
    if not table.is_file() or table.suffix.lower() != ".csv":
        return False
    with table.open(encoding="utf-8", errors="replace") as file:
        return "Measurement_coordinates" in file.readline()
