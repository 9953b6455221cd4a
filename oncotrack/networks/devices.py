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


def has_bfloat16(on: torch.device) -> bool:
    """Return whether a device computes in bfloat16 itself, which is then faster than float32.

    Parameters
    ----------
    on : torch.device
        A CPU that would only imitate it, and Apple's Metal, count as not.
    """
    import torch

    if on.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return on.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
