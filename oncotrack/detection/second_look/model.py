"""The calibrated probability of a proposal: logistic regression on its features and on the scores of its detectors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.detection.second_look.features import FEATURES
from oncotrack.errors import WeightsError
from oncotrack.resources import resource

INPUTS = (*FEATURES, "network score", "blob score")
"""What the model reads, in this order; the score of a detector that did not propose the node is 0."""
FILE = "second-look.json"


@dataclass(frozen=True, eq=False)
class SecondLook:
    """A logistic regression.

    Attributes
    ----------
    mean, scale, weights : (len(INPUTS),) ndarray
        Each input is reduced by its mean, divided by its scale and weighted.
    bias : float
        Of the weighted sum.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float

    @classmethod
    def bundled(cls, name: str) -> SecondLook:
        """Load the model of a detector.

        Parameters
        ----------
        name : str
            Name of the detector.

        Raises
        ------
        WeightsError
            The file is missing or damaged, has no model of this name, or was made for other features.
        """
        return cls.load(Path(resource("weights", FILE)), name)

    @classmethod
    def load(cls, path: Path, name: str) -> SecondLook:
        """Load the model of a detector from a file that `models_text` gave.

        Parameters
        ----------
        path : Path
            The file.
        name : str
            Name of the detector.

        Raises
        ------
        WeightsError
            See `bundled`.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            model = content["models"][name]
            inputs = tuple(content["inputs"])
            values = [np.array(model[key], float) for key in ("mean", "scale", "weights")]
            bias = float(model["bias"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{path.name} holds no second look for the detector {name}. Install OncoTrack again, or train it again."
            ) from error
        if inputs != INPUTS or any(len(each) != len(INPUTS) for each in values):
            raise WeightsError(
                f"{path.name} was made for other features than this version of OncoTrack computes. Train it again."
            )
        mean, scale, weights = values
        return cls(mean, scale, weights, bias)

    def probability(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probability that each proposal is a node, (N,).

        Parameters
        ----------
        inputs : (N, len(INPUTS)) ndarray
            In the order of `INPUTS`.
        """
        total = ((inputs - self.mean) / self.scale) @ self.weights + self.bias
        return 1 / (1 + np.exp(-np.clip(total, -30, 30)))


def models_text(models: dict[str, SecondLook], trained_on: str) -> str:
    """Return the text of a file with the models of several detectors.

    Parameters
    ----------
    models : dict of str to SecondLook
        By name of the detector.
    trained_on : str
        A sentence on the data.
    """
    entries = {
        name: {key: [round(float(v), 5) for v in getattr(model, key)] for key in ("mean", "scale", "weights")}
        | {"bias": round(model.bias, 5)}
        for name, model in models.items()
    }
    return json.dumps({"inputs": INPUTS, "trained on": trained_on, "models": entries}, indent=1) + "\n"
