"""``oncotrack bench view``."""

from __future__ import annotations

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar


def view(json: Json = None) -> None:
    """Time the browser viewer: first page, new slice, click to match.

    Also work in lists of 8 and 80 findings, and the memory of its server.
    """
    from oncotrack.bench.view import bench_view

    with progress_bar() as progress:
        result = bench_view(progress)
    lines = {
        "Page ready": f"{result['usable_seconds']:.1f} s after the command",
        "A new slice": f"{result['scroll_seconds']:.2f} s (median), {result['scroll_seconds_three']:.2f} s with three visits",
        "A click to its match": f"{result['click_seconds']:.2f} s (median), once the pair is registered",
        **{
            f"{title} in a list": " and ".join(
                f"{result[f'{action}_seconds_{count}']:.2f} s with {count}" for count in (8, 80)
            )
            for action, title in (("next", "Next"), ("accept", "Accept"), ("filter", "Filter"))
        },
        "Server": f"{result['server_mib']:.0f} MiB",
    }
    print_result(result, json, lines)
