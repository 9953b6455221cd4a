"""``oncotrack evaluate detector --method mr``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oncotrack.cli.comparisons import comparison_text
from oncotrack.cli.output import give, progress_bar, say
from oncotrack.errors import InputError


def run(
    cases: int, data: str, named: Sequence[str], validation: bool, device: str, json: str | None, out: Path | None
) -> None:
    """The MR detector, one or several, on held-out synthetic scans: the paper's table 1."""
    from oncotrack.atomic import write_text
    from oncotrack.datasets.node_scans import HELD_OUT, TEST, held_out_mr
    from oncotrack.detection.mr.detector import MRDetector
    from oncotrack.evaluation.mr_detectors import SETS, evaluate_mr

    if data != "phantom":
        raise InputError("The MR detector is evaluated on synthetic scans; leave --data out.")
    files = dict(entry.split("=", 1) if "=" in entry else (Path(entry).stem, entry) for entry in named)
    detectors = {
        name: MRDetector(device, weights=file, threshold=0.0) for name, file in (files or {"mr": None}).items()
    }
    with progress_bar() as progress:
        result = evaluate_mr(detectors, held_out_mr(cases, HELD_OUT if validation else TEST), progress)
    if out is not None:
        from json import dumps

        say(f"Written: {write_text(out / 'metrics.json', dumps(result, indent=2))}")
    lines = {}
    for name in detectors:
        for each in SETS:
            told = result[name][each]
            for kind in ("box", "mask"):
                if told[kind] and told["objects"]:
                    lines[f"{name}, {told['objects']} nodes in {told['images']} {each}, {kind}"] = (
                        "AP25 {AP25:.1f}, AP50 {AP50:.1f}, SEN25 {SEN25:.1f} ({SEN25 interval[0]:.1f} to "
                        "{SEN25 interval[1]:.1f}), SEN50 {SEN50:.1f}".format(**told[kind])
                    )
    for name, over in result.get("SEN25 over", {}).items():
        lines[f"SEN25 (box, slices) over {name}"] = comparison_text(over)
    give(result, json, lines)
