"""``oncotrack mask --batch``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.cli.output import print_message, print_result, print_written, progress_bar
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.datasets.deeplesion import AnnotatedLesion
    from oncotrack.findings.finding import TimePoint
    from oncotrack.images.geometry import Geometry
    from oncotrack.images.volume import Volume
    from oncotrack.masks.axes import RecistAxes
    from oncotrack.masks.axes_table import AxesRow
    from oncotrack.masks.batch import MaskRequest, MaskResult

_PRINTED = 10  # rows without a mask that are printed one by one
_SUFFIX = ".seg.nrrd"


def mask_table(
    image: Path,
    table: Path,
    in_3d: bool,
    method: str,
    pairs: Path | None,
    out: Path | None,
    json: str | None,
    read: Callable[[Path], Volume],
) -> None:
    """Make a mask for every row of a table, in one scan or in the scans that the rows name; `read` reads a scan."""
    from oncotrack.findings.scans import time_point_of
    from oncotrack.masks.axes_table import ResultRow, write_table
    from oncotrack.masks.batch import make_masks
    from oncotrack.masks.training_pairs import write_pair

    requests = list(_requests(image, table, read))
    files = _file_names(image, [request.scan for request in requests])
    names = _pair_names(requests, files)
    rows: list[ResultRow] = []
    by_scan: dict[str, list[MaskResult]] = {}
    scans: dict[str, tuple[Geometry, TimePoint]] = {}
    written_pairs = 0
    with progress_bar() as progress:
        results = make_masks(requests, in_3d=in_3d, method=method, progress=progress)
        for request, pair_name, made in zip(requests, names, results, strict=True):
            if made.label != request.label:
                print_message(f"{request.label} occurs more than once; this one is called {made.label}.")
            if made.image is None or made.mask is None:
                rows.append(ResultRow(made.label, error=made.error, image=made.scan))
                if sum(bool(row.error) for row in rows) <= _PRINTED:
                    print_message(f"{made.label}: {made.error}")
                continue
            about = {"image": made.scan or made.image.name, "segmentation": files[made.scan] + _SUFFIX}
            rows.append(ResultRow(made.label, made.observation, **about))
            scans.setdefault(made.scan, (made.image.geometry, time_point_of(made.image, "t0", made.image.name)))
            by_scan.setdefault(made.scan, []).append(made)
            if pairs is not None:
                try:
                    write_pair(pairs, pair_name, made.image, made.mask)
                    written_pairs += 1
                except InputError as error:
                    print_message(str(error))
    if out is not None:
        print_written(write_table(out / "masks.csv", rows))
        for scan, found in by_scan.items():
            _write(out, files[scan], *scans[scan], found)
        print_message(f"Written: {_count(len(by_scan), 'segmentation')} with findings, in {out.absolute()}")
    if pairs is not None:
        print_message(f"Written: {_count(written_pairs, 'training pair')}, in {pairs.absolute()}")
    more = sum(bool(row.error) for row in rows) - _PRINTED
    if more > 0:
        where = "; masks.csv gives the reasons." if out is not None else "."
        print_message(f"{more} more rows have no mask{where}")
    failed = [{"label": row.label, "image": row.image, "error": row.error} for row in rows if row.error]
    result = {
        "rows": len(rows),
        "masks": len(rows) - len(failed),
        "failed": failed,
        "findings": [
            {
                "label": row.label,
                "image": row.image,
                "segmentation": row.segmentation,
                "long_axis_mm": row.observation.long_axis and row.observation.long_axis.length_mm,
                "short_axis_mm": row.observation.short_axis and row.observation.short_axis.length_mm,
                "volume_mm3": row.observation.volume_mm3,
            }
            for row in rows
            if row.observation is not None
        ],
    }
    print_result(result, json, {"Rows": str(len(rows)), "Masks": str(result["masks"]), "Not made": str(len(failed))})


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _file_names(image: Path, scans: Sequence[str]) -> dict[str, str]:
    """Return the start of the names of each scan's files; no two are equal, not even where case is ignored."""
    from oncotrack.findings.names import file_stems
    from oncotrack.images.files import without_suffix

    once = list(dict.fromkeys(scans))
    return dict(zip(once, file_stems([without_suffix(scan or image.absolute().name) for scan in once]), strict=True))


def _pair_names(requests: Sequence[MaskRequest], files: dict[str, str]) -> list[str]:
    """Return the name of each training pair: its label, behind its scan's name where there are several scans."""
    from oncotrack.findings.names import file_stems
    from oncotrack.masks.batch import unique_labels

    names = []
    for request, label in zip(requests, unique_labels(requests), strict=True):
        is_clear = len(files) == 1 or label.startswith(files[request.scan])
        names.append(label if is_clear else f"{files[request.scan]} {label}")
    return file_stems(names)


def _write(out: Path, stem: str, geometry: Geometry, scan: TimePoint, found: Sequence[MaskResult]) -> None:
    """Write the masks of one scan as a segmentation, and its findings."""
    from oncotrack.masks.findings import finding_list
    from oncotrack.masks.label_files import write_labels

    write_labels(out / f"{stem}{_SUFFIX}", geometry, {made.label: made.mask for made in found if made.mask})
    observations = {made.label: made.observation for made in found if made.observation}
    finding_list(scan, observations).save(out / f"{stem}.findings.json")


def _requests(image: Path, table: Path, read: Callable[[Path], Volume]) -> Iterator[MaskRequest]:
    """Yield what to segment: rows of DeepLesion's DL_info.csv, rows of a CSV of axes, or pairs of lines."""
    return _dl_info_requests(image, table) if _is_dl_info(table) else _axes_requests(image, table, read)


def _dl_info_requests(image: Path, table: Path) -> Iterator[MaskRequest]:
    from oncotrack.datasets.deeplesion import info_rows, key_slice
    from oncotrack.masks.axes import RecistAxes
    from oncotrack.masks.batch import MaskRequest

    def load(row: AnnotatedLesion | InputError) -> tuple[Volume, RecistAxes]:
        if isinstance(row, InputError):
            raise row
        volume, long, short = key_slice(image, row)
        return volume, RecistAxes.of(long, short)

    for line, row in info_rows(table):
        stem = f"line {line}" if isinstance(row, InputError) else f"{row.series}_{row.key_slice:03d}"
        yield MaskRequest(stem, lambda row=row: load(row), stem)


def _axes_requests(image: Path, table: Path, read: Callable[[Path], Volume]) -> Iterator[MaskRequest]:
    from oncotrack.masks.axes_table import read_table
    from oncotrack.masks.batch import MaskRequest

    load_once = lru_cache(1)(read)

    def load_row(row: AxesRow) -> tuple[Volume, RecistAxes]:
        if row.axes is None:
            raise InputError(row.error)
        scan = _scan_of(row, image)
        if scan and not image.is_dir():
            raise InputError(f"This row belongs to the scan {scan}, not to {image}. Choose the folder of the scans.")
        return load_once(image / scan), row.axes

    for row in read_table(table):
        yield MaskRequest(row.label, lambda row=row: load_row(row), _scan_of(row, image))


def _scan_of(row: AxesRow, image: Path) -> str:
    """Return the path of a row's scan in the folder `image`, or "" when it is `image` itself."""
    if not row.image:
        return ""
    scan = Path(os.path.normpath(row.image))
    is_itself = image.absolute().parts[-len(scan.parts) :] == scan.parts and not (image / scan).exists()
    return "" if is_itself else scan.as_posix()


def _is_dl_info(table: Path) -> bool:
    if not table.is_file() or table.suffix.lower() != ".csv":
        return False
    with table.open(encoding="utf-8", errors="replace") as file:
        return "Measurement_coordinates" in file.readline()
