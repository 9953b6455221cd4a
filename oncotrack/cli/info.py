"""``oncotrack info``."""

from __future__ import annotations

import platform
from functools import partial
from importlib import metadata
from typing import Any

from oncotrack import __version__
from oncotrack.cli.output import give
from oncotrack.errors import InputError

_PACKAGES = ("torch", "SimpleITK", "itk-elastix", "numpy", "scipy", "scikit-image", "slicer-core", "trame-slicer")


def run(system: str | None, config: str, json: str | None) -> None:
    """Print versions, or what one system is made of."""
    networks = {"lntracker": _lntracker, "mr": _mr, "dlt": partial(_tracker, "dlt"), "tlt": partial(_tracker, "tlt")}
    describe = networks.get(system or "")
    result = describe(config) if describe else _method(system) if system else _installation()
    give(result, json, {name: ", ".join(map(str, v)) if isinstance(v, list) else str(v) for name, v in result.items()})


def _installation() -> dict[str, Any]:
    from oncotrack.followup.methods import METHODS
    from oncotrack.registration.registration import cache_folder

    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "oncotrack": __version__,
        "python": platform.python_version(),
        **versions,
        "follow-up methods": list(METHODS),
        "registrations kept in": str(cache_folder()),
    }


def _lntracker(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from oncotrack.detection.ct_slices import HU_WINDOW, SPACING_MM
    from oncotrack.detection.lntracker.config import CONFIGS, LNTrackerConfig
    from oncotrack.detection.lntracker.flops import cost
    from oncotrack.networks import weights

    if name not in CONFIGS:
        raise InputError(f'LN-Tracker has no config "{name}"; choose {" or ".join(CONFIGS)}.')
    path, config = weights.bundled("lntracker", name), CONFIGS[name]
    known = weights.load(path, "lntracker") if path.is_file() else None
    if known is not None:
        config = known.config_as(LNTrackerConfig)
    about: dict[str, Any] = {
        "system": "lntracker",
        **cost(config),
        "input": {"shape": [1, config.slices, 512, 512], "spacing_mm": SPACING_MM, "hu": HU_WINDOW},
        "weights": str(path) if known else "none bundled; train them with: oncotrack train lntracker",
    }
    if known is not None:
        about["trained"] = known.about
        if config != CONFIGS[name]:
            about["trained today"] = "another network; these weights are of an earlier one"
    return {**about, "config": asdict(config)}


def _mr(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from oncotrack.detection.mr.config import CONFIGS
    from oncotrack.detection.mr.flops import cost
    from oncotrack.networks import weights

    if name not in CONFIGS:
        raise InputError(f'The MR detector has no config "{name}"; choose {" or ".join(CONFIGS)}.')
    config = CONFIGS[name]
    side = config.side if not config.pixel_mm else 384
    pixels = f"{config.pixel_mm:g} mm" if config.pixel_mm else f"longer side / {config.side}"
    about: dict[str, Any] = {
        "system": "mr",
        **cost(config, side, side),
        "input": {"shape": [1, 3, side, side], "pixels": pixels, "slices": config.slices},
    }
    path = weights.bundled("mr", name)
    about["weights"] = str(path) if path.is_file() else "none bundled; train them with: oncotrack train mr"
    if path.is_file():
        about["trained"] = weights.load(path, "mr").about
    return {**about, "config": asdict(config)}


def _tracker(system: str, name: str) -> dict[str, Any]:
    from dataclasses import asdict
    from importlib import import_module

    from oncotrack.networks import weights

    configs = import_module(f"oncotrack.followup.{system}.config").CONFIGS
    if name not in configs:
        raise InputError(f'{system} has no config "{name}"; choose {" or ".join(configs)}.')
    path = weights.bundled(system, name)
    about = {
        "system": system,
        **import_module(f"oncotrack.followup.{system}.flops").cost(configs[name]),
        "weights": str(path) if path.is_file() else f"none bundled; train them with: oncotrack train {system}",
    }
    if path.is_file():
        about["trained"] = weights.load(path, system).about
    return {**about, "config": asdict(configs[name])}


def _method(name: str) -> dict[str, Any]:
    from oncotrack.followup.methods import tracker

    chosen = tracker(name)
    about: dict[str, Any] = {"method": chosen.name, "parameters": 0, "weights": "none"}
    if name == "selfsim":
        from dataclasses import asdict

        from oncotrack.followup import selfsim

        about["levels_mm"] = [asdict(level) for level in (selfsim.COARSE, selfsim.MIDDLE, selfsim.FINE)]
        about["not_found_above_cycle_mm"] = selfsim.MAXIMUM_CYCLE_MM
        about["not_found_below_score"] = selfsim.MINIMUM_SCORE
    return about
