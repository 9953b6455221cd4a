"""Functions that make a stack of slices in a helper process."""

from __future__ import annotations

import numpy as np

from oncotrack.background import arrays
from oncotrack.errors import InputError


def counted(shape: tuple[int, ...], refused: int = -1) -> np.ndarray:
    """Return a stack whose parts hold their numbers; one part may be refused."""

    def fill(number: int, part: np.ndarray) -> None:
        if number == refused:
            raise InputError(f"Slice {number} is damaged. Copy it again.")
        part[...] = number

    return arrays.stacked(shape, np.float32, fill)


def dropped(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a stack."""
    return counted(shape).shape


def looked_at(shape: tuple[int, ...]) -> float:
    """Return the first value of a stack."""
    return float(counted(shape)[0, 0, 0])
