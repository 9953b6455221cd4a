"""``oncotrack info``."""

from __future__ import annotations

import platform
from functools import partial
from importlib import metadata
from typing import Annotated, Any

import typer

from oncotrack import __version__
from oncotrack.cli.options import Config, Json
from oncotrack.cli.output import print_result
from oncotrack.errors import InputError

_PACKAGES = ("torch", "SimpleITK", "itk-elastix", "numpy", "scipy", "scikit-image", "slicer-core", "trame-slicer")


def info(
    system: Annotated[
        str | None,
        typer.Argument(
            help="lntracker, mr, petct, or a follow-up method; the installation when missing.", show_default=False
        ),
    ] = None,
    config: Config = "compact",
    json: Json = None,
) -> None:
    """Show what is installed, or describe one method.

    Of a network: parameters, cost, input, weights, and what they were trained on.
    """
    networks = {
        "lntracker": _lntracker,
        "mr": _mr,
        "petct": _petct,
        "dlt": partial(_tracker, "dlt"),
        "tlt": partial(_tracker, "tlt"),
    }
    describe = networks.get(system or "")
    result = describe(config) if describe else _method(system) if system else _installation()
    lines = {name: ", ".join(map(str, v)) if isinstance(v, list) else str(v) for name, v in result.items()}
    print_result(result, json, lines)


def _installation() -> dict[str, Any]:
    from oncotrack.followup.methods import METHODS
    from oncotrack.registration.cache_files import cache_folder

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
        raise InputError(f'LN-Tracker has no config "{name}"; choose {" or ".join(CONFIGS)}.', parameter="config")
    path, config = weights.bundled("lntracker", name), CONFIGS[name]
    known = weights.load(path, "lntracker") if path.is_file() else None
    if known is not None:
        config = known.config_as(LNTrackerConfig)
    about: dict[str, Any] = {
        "system": "lntracker",
        **cost(config),
        "input": {"shape": [1, config.slices, 512, 512], "spacing_mm": SPACING_MM, "hu": HU_WINDOW},
        "weights": str(path) if known else "none bundled. To train them: oncotrack train lntracker",
    }
    if known is not None:
        about["trained"] = known.about
        if config != CONFIGS[name]:
            about["trained today"] = "another network; these weights are of an earlier version"
    return {**about, "config": asdict(config)}


def _mr(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from oncotrack.detection.mr.config import CONFIGS
    from oncotrack.detection.mr.flops import cost
    from oncotrack.networks import weights

    if name not in CONFIGS:
        raise InputError(f'The MR detector has no config "{name}"; choose {" or ".join(CONFIGS)}.', parameter="config")
    config = CONFIGS[name]
    side = config.side if not config.pixel_mm else 384
    pixels = f"{config.pixel_mm:g} mm" if config.pixel_mm else f"longer side / {config.side}"
    about: dict[str, Any] = {
        "system": "mr",
        **cost(config, side, side),
        "input": {"shape": [1, 3, side, side], "pixels": pixels, "slices": config.slices},
    }
    path = weights.bundled("mr", name)
    about["weights"] = str(path) if path.is_file() else "none bundled. To train them: oncotrack train mr"
    if path.is_file():
        about["trained"] = weights.load(path, "mr").about
    return {**about, "config": asdict(config)}


def _petct(name: str) -> dict[str, Any]:
    from oncotrack.detection.petct.describe import describe

    return describe(name)


def _tracker(system: str, name: str) -> dict[str, Any]:
    from dataclasses import asdict
    from importlib import import_module

    from oncotrack.networks import weights

    configs = import_module(f"oncotrack.followup.{system}.config").CONFIGS
    if name not in configs:
        raise InputError(f'{system} has no config "{name}"; choose {" or ".join(configs)}.', parameter="config")
    path = weights.bundled(system, name)
    about = {
        "system": system,
        **import_module(f"oncotrack.followup.{system}.flops").cost(configs[name]),
        "weights": str(path) if path.is_file() else f"none bundled. To train them: oncotrack train {system}",
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

        from oncotrack.followup import selfsim, selfsim_search

        levels = selfsim_search.COARSE, selfsim_search.MIDDLE, selfsim_search.FINE
        about["levels_mm"] = [asdict(level) for level in levels]
        about["not_found_above_cycle_mm"] = selfsim.MAXIMUM_CYCLE_MM
        about["not_found_below_score"] = selfsim.MINIMUM_SCORE
    return about
