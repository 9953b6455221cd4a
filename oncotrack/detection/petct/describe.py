"""What ``oncotrack info petct`` shows: parameters, cost, losses and weights of all stages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from oncotrack.detection.petct.config import STAGE_ONE, STAGE_TWO
from oncotrack.detection.petct.detector import SYSTEMS, weights_path
from oncotrack.detection.petct.flops import cost_of_glnet, cost_of_stage_one, parameters_of_tagger
from oncotrack.networks import weights


def describe(config: str) -> dict[str, Any]:
    """Describe a configuration.

    Parameters
    ----------
    config : str
        "compact" or "paper".

    Returns
    -------
    dict
        Can be written as JSON.

    Raises
    ------
    InputError
        There is no such configuration.
    """
    weights.check_config("The PET/CT detector", config, STAGE_ONE)
    first, second = STAGE_ONE[config], STAGE_TWO[config]
    one, two = cost_of_stage_one(first), cost_of_glnet(second)
    tagger = parameters_of_tagger(second.tagger)
    about: dict[str, Any] = {
        "system": "petct",
        "parameters": one["parameters"] + two["parameters"] + tagger,
        "gflops": one["gflops"],
        "input": {
            "CT, PET, distance": list(first.window), "spacing_mm": first.spacing_mm, "hu": first.hu,
            "candidates": list(second.crop),
        },
        "stage one": one,
        "stage two": two,
        "tagger": {"name": second.tagger, "tags": second.tags, "parameters": tagger},
        "losses": {
            "stage one": "Dice and cross-entropy over each network's own region, summed over the networks",
            "tagger": "cross-entropy of the known tags",
            "stage two": "cross-entropy of the candidates' labels",
        },
    }  # fmt: skip
    for stage in SYSTEMS:
        path = weights_path(stage, config)
        about[f"weights of stage {stage}"] = (
            str(path) if path.is_file() else f"none bundled. To train them: oncotrack train petct --stage {stage}"
        )
        if path.is_file():
            about[f"trained stage {stage}"] = weights.load(path, SYSTEMS[stage]).about
    return about | {"config": {"stage one": asdict(first), "stage two": asdict(second)}}
