"""``oncotrack train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oncotrack.cli.output import progress_bar, say


def lntracker(
    out: Path, config: str, ablation: str, part: str, crop: int | None, sources: dict[str, object],
    plan: dict[str, float | str | None], start: Path | None, backbone: Path | None, device: str, max_minutes: float | None,
) -> None:  # fmt: skip
    """Train LN-Tracker, or go on where it stopped."""
    from oncotrack.training.lntracker import PLANS, train
    from oncotrack.training.node_sources import NodeSources

    asked = {name: value for name, value in plan.items() if value is not None}
    chosen = replace(PLANS[config], **asked) if config in PLANS else None
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

    asked = {name: value for name, value in plan.items() if value is not None}
    chosen = replace(PLANS[config], **asked) if config in PLANS else None
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

    chosen = replace(PLAN, **{name: value for name, value in plan.items() if value is not None})
    with progress_bar() as progress:
        written = train(
            out,
            NodeSources(**sources),
            plan=chosen,
            start=start,
            device=device,
            max_minutes=max_minutes,
            progress=progress,
        )
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
    asked = {name: value for name, value in plan.items() if value is not None}
    chosen = replace(trained.plans[config], **asked) if config in trained.plans else None
    with progress_bar() as progress:
        written = train(
            trained, out, config, VisitSources(**sources), visits=visits, plan=chosen, start=start, device=device,
            max_minutes=max_minutes, progress=progress,
        )  # fmt: skip
    say(f"Written: {written}")
