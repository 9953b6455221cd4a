"""Weights that another program wrote, such as torchvision's ImageNet weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncotrack.errors import WeightsError

if TYPE_CHECKING:
    import torch


def load_foreign(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a file that another program wrote.

    Parameters
    ----------
    path : path
        A state dict as .safetensors or as torch's .pth, or a checkpoint that contains one as "state_dict".

    Raises
    ------
    WeightsError
        The file is missing, damaged, or contains something else.
    """
    import torch
    from safetensors.torch import load_file

    path = Path(path)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load_pickled(path)
    except Exception as error:  # torch.load raises many kinds of error on a file that is no pickle
        raise WeightsError(
            f"{path} could not be read as weights. Give a .safetensors or .pth file of tensors."
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no weights. Give a .safetensors or .pth file of tensors by name.")
    return state


def _load_pickled(path: Path) -> Any:
    """Read a file of torch without running code from it; settings of the package easydict beside the tensors are read."""
    from collections import OrderedDict

    import torch

    with torch.serialization.safe_globals([(OrderedDict, "easydict.EasyDict")]):  # pyright: ignore[reportArgumentType]
        return torch.load(path, "cpu", weights_only=True)
