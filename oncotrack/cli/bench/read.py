"""``oncotrack bench read``."""

from __future__ import annotations

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar


def read(json: Json = None) -> None:
    """Time opening a DICOM series and listing a study folder.

    Next to the series reader of SimpleITK and a loop of pydicom over all headers.
    """
    from oncotrack.bench.read import bench_read

    with progress_bar() as progress:
        result = bench_read(progress=progress)
    lines = {
        f"Opening {result['slices']} slices": f"{result['open_seconds']:.2f} s; "
        f"through the helper process {result['helper_seconds']:.2f} s "
        f"({result['helper_seconds'] / result['open_seconds']:.2f} times), the first one "
        f"{result['helper_first_seconds']:.2f} s; SimpleITK {result['simpleitk_seconds']:.2f} s",
        f"Listing {result['files']} files": f"{result['list_seconds']:.2f} s; pydicom {result['pydicom_seconds']:.2f} s",
    }
    if "memory_mib" in result:
        lines["Memory"] = f"{result['memory_mib']:.0f} MiB, {result['memory_per_volume']:.2f} of the volume as float32"
    print_result(result, json, lines)
