"""The order in which a cine shows the slices of a scan."""

from __future__ import annotations

from dataclasses import dataclass

SLOWEST, FASTEST, USUAL = 1, 30, 10
"""Speeds in slices per second."""


@dataclass
class CineOrder:
    """Runs through the slices and, at an end, back again (`bounces`) or on from the other end.

    Attributes
    ----------
    bounces : bool
        Whether the direction changes at the ends.
    step : int
        1 towards higher slice numbers, -1 towards lower ones.
    """

    bounces: bool = False
    step: int = 1

    def after(self, number: int, count: int) -> int:
        """Return the number of the slice after this one, from 0, of `count` slices."""
        if count < 2:
            return 0
        following = number + self.step
        if 0 <= following < count:
            return following
        if not self.bounces:
            return following % count
        self.step = -self.step
        return min(max(number + self.step, 0), count - 1)
