"""Devices on which networks run: the CPU or an accelerator, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncotrack.errors import InputError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        One of `DEVICES`, or "cuda:1" and the like; "auto" is CUDA, otherwise Apple's Metal, otherwise the CPU.

    Raises
    ------
    InputError
        The name is unknown, or this computer does not have the device.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(choice for choice in ("cuda", "mps", "cpu") if available[choice])
    kind = name.split(":")[0]
    if kind not in available:
        raise InputError(f'There is no device "{name}". Choose one of {", ".join(DEVICES)}.', parameter="device")
    if not available[kind]:
        raise InputError(
            f'This computer has no {kind} device that PyTorch can use. Choose the device "cpu" or "auto".',
            parameter="device",
        )
    return torch.device(name)
