"""Functions that make a stack of slices in a helper process."""

from __future__ import annotations

import numpy as np

from oncotrack.background import arrays
from oncotrack.errors import InputError


def counted(shape: tuple[int, ...], refused: int = -1, stored: str = "f4", slope: float = 1.0) -> np.ndarray:
    """Return a stack whose slices hold their numbers, those with odd ones read in place; one slice may be refused."""

    def read(number: int, room: np.ndarray) -> arrays.Stored:
        if number == refused:
            raise InputError(f"Slice {number} is damaged. Copy it again.")
        values = np.full(shape[1:], number, stored)
        if number % 2 and values.itemsize <= 4:
            room = room[: values.nbytes].view(stored).reshape(shape[1:])
            room[...] = values
            values = room
        return arrays.Stored(values, slope, 0.25 if slope != 1 else 0.0)

    return arrays.stacked(shape, read)


def dropped(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a stack."""
    return counted(shape).shape


def looked_at(shape: tuple[int, ...]) -> float:
    """Return the first value of a stack."""
    return float(counted(shape)[0, 0, 0])
