"""``oncotrack bench mask``."""

from __future__ import annotations

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar

_TITLES = {
    "pseudo_mask": "Pseudo-mask",
    "paper": "The paper's GrabCut",
    "threshold": "Threshold, -30 to 200 HU",
    "region_growing": "Region growing",
    "carried": "Extended to 3D",
}


def mask(json: Json = None) -> None:
    """Time masks from two diameters next to threshold and region growing.

    Also their Dice, on nodes of synthetic CTs.
    """
    from oncotrack.bench.mask import bench_mask

    with progress_bar() as progress:
        result = bench_mask(progress=progress)
    lines = {"Lesions": f"{result['nodes']} nodes of synthetic CTs"}
    for name, title in _TITLES.items():
        lines[title] = "{milliseconds:.0f} ms per lesion, Dice {Dice:.1f} %".format(**result[name])
    lines["Measuring a 512x512 slice"] = ", ".join(
        f"{name}: {milliseconds:.0f} ms" for name, milliseconds in result["measuring_milliseconds"].items()
    )
    print_result(result, json, lines)
