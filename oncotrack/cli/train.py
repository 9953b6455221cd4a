"""``oncotrack train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from oncotrack.cli.output import progress_bar, say


def lntracker(
    out: Path, config: str, ablation: str, phantoms: int, insert: Sequence[Path], insertions: int,
    nih: tuple[Path, Path] | None, folder: Path | None, steps: int | None, batch: int | None, learning_rate: float | None, seed: int, device: str,
    max_minutes: float | None,
) -> None:  # fmt: skip
    """Train LN-Tracker, or go on where it stopped."""
    from oncotrack.training.lntracker import PLANS, NodeSources, train

    plan = PLANS.get(config)
    if plan is not None:
        asked = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "seed": seed}
        plan = replace(plan, **{name: value for name, value in asked.items() if value is not None})
    with progress_bar() as progress:
        written = train(
            out, config, NodeSources(phantoms, insert, insertions, nih, folder), ablation=ablation, plan=plan, device=device,
            max_minutes=max_minutes, progress=progress,
        )  # fmt: skip
    say(f"Written: {written}")
