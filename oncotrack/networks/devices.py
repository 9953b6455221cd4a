"""Where networks run: the processor or an accelerator, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncotrack.errors import InputError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, then Apple's Metal, then the CPU.

    Raises
    ------
    InputError
        An unknown name, or a device that this machine does not have.
    """
    import torch

    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(choice for choice in ("cuda", "mps", "cpu") if here[choice])
    kind = name.split(":")[0]
    if kind not in here:
        raise InputError(f'There is no device "{name}". Choose one of {", ".join(DEVICES)}.', parameter="device")
    if not here[kind]:
        raise InputError(
            f'This computer has no {kind} device that PyTorch can use. Choose the device "cpu" or "auto".',
            parameter="device",
        )
    return torch.device(name)
