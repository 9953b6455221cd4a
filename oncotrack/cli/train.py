"""``oncotrack train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.cli.output import progress_bar, say

if TYPE_CHECKING:
    from oncotrack.training.plan import Plan


def lntracker(
    out: Path, config: str, ablation: str, part: str, crop: int | None, sources: dict[str, object],
    plan: dict[str, float | str | None], start: Path | None, backbone: Path | None, device: str, max_minutes: float | None,
) -> None:  # fmt: skip
    """Train LN-Tracker, or go on where it stopped."""
    from oncotrack.training.lntracker import PLANS, train
    from oncotrack.training.node_sources import NodeSources

    chosen = _planned(PLANS.get(config), plan)
    with progress_bar() as progress:
        written = train(
            out, config, NodeSources(**sources), ablation=ablation, part=part, crop=crop, plan=chosen, start=start,
            backbone=backbone, device=device, max_minutes=max_minutes, progress=progress,
        )  # fmt: skip
    say(f"Written: {written}")


def mr(
    out: Path, config: str, ablation: str, phantoms: int, scans: Path | None, plan: dict[str, float | None], device: str,
    max_minutes: float | None,
) -> None:  # fmt: skip
    """Train the MR detector, or go on where it stopped."""
    from oncotrack.training.mr import PLANS, train

    chosen = _planned(PLANS.get(config), plan)
    with progress_bar() as progress:
        written = train(
            out, config, phantoms, ablation=ablation, plan=chosen, scans=scans, device=device, max_minutes=max_minutes,
            progress=progress,
        )  # fmt: skip
    say(f"Written: {written}")


def unet(
    out: Path, sources: dict[str, object], plan: dict[str, float | None], start: Path | None, device: str,
    max_minutes: float | None,
) -> None:  # fmt: skip
    """Train the U-Net baseline, or go on where it stopped."""
    from oncotrack.training.node_sources import NodeSources
    from oncotrack.training.unet import PLAN, train

    chosen = _planned(PLAN, plan)
    with progress_bar() as progress:
        written = train(
            out, NodeSources(**sources), plan=chosen, start=start, device=device, max_minutes=max_minutes,
            progress=progress,
        )  # fmt: skip
    say(f"Written: {written}")


def lesion_tracker(
    system: str, out: Path, config: str, sources: dict[str, object], visits: Path | None, plan: dict[str, float | None],
    start: Path | None, device: str, max_minutes: float | None,
) -> None:  # fmt: skip
    """Train DLT or TLT, or go on where it stopped."""
    from importlib import import_module

    from oncotrack.training.lesion_tracker import train
    from oncotrack.training.visit_sources import VisitSources

    trained = import_module(f"oncotrack.training.{system}").SYSTEM
    chosen = _planned(trained.plans.get(config), plan)
    with progress_bar() as progress:
        written = train(
            trained, out, config, VisitSources(**sources), visits=visits, plan=chosen, start=start, device=device,
            max_minutes=max_minutes, progress=progress,
        )  # fmt: skip
    say(f"Written: {written}")


def _planned(plan: Plan | None, asked: dict[str, float | str | None]) -> Plan | None:
    """A plan with what the command line says otherwise; None where there is no such plan, which training tells."""
    return plan and replace(plan, **{name: value for name, value in asked.items() if value is not None})
