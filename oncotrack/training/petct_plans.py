"""The stages of the PET/CT detector's training, the rows of the paper's tables, and the plans of their runs."""

from __future__ import annotations

from typing import Any

from oncotrack.training.plan import Plan

STAGES = ("one", "tagger", "two")
ABLATIONS: dict[str, dict[str, dict[str, object]]] = {
    "one": {
        "full": {},
        "without-stratification": {"stratified": False},
        "se-unet": {"backbone": "se-unet", "stratified": False},
        "ct": {"streams": ("ct",)},
        "fusion": {"streams": ("fusion",)},
    },
    "tagger": {"full": {}},
    "two": {
        "full": {},
        "ct": {"modalities": ("ct",), "tagger": "", "tags": 0},
        "ct-pet": {"tagger": "", "tags": 0},
        "ct-tags": {"modalities": ("ct",)},
        "tags": {"local": False},
    },
}
"""Rows of the paper's tables 1 (first stage) and 2 (second stage), as changes to a configuration."""
EPOCHS = {"one": 50, "two": 10}
"""Of the paper (sec. 4.2)."""
SUB_VOLUMES = 8
"""Of each patient in an epoch of the first stage; the paper does not state how many."""
# the paper states no schedule of the learning rate and no limit of the gradient
_CONSTANT: dict[str, Any] = {"learning_rate": 1e-4, "final_learning_rate": 1e-4, "warmup": 0, "clip": 1e6}
PLANS: dict[str, dict[str, Plan]] = {
    "paper": {
        "one": Plan(steps=EPOCHS["one"] * 84, batch=8, weight_decay=5e-4, workers=8, **_CONSTANT),
        "tagger": Plan(steps=1, **_CONSTANT),
        "two": Plan(steps=1, batch=32, optimiser="adam", weight_decay=0.0, **_CONSTANT),
    },
    "compact": {
        "one": Plan(steps=3000, batch=2, learning_rate=3e-3, warmup=20, weight_decay=5e-4, clip=5.0, average=0.995,
                    optimiser="muon", precision="bf16"),
        "tagger": Plan(steps=3000, batch=32, learning_rate=3e-3, warmup=20, clip=5.0, average=0.995),
        "two": Plan(steps=1500, batch=32, learning_rate=2e-3, warmup=20, clip=5.0, optimiser="adam", weight_decay=0.0, average=0.995),
    },
}  # fmt: skip
"""Steps of the paper's plans follow from its epochs and the number of patients or candidates."""
