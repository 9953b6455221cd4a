"""The mask of a lesion as a value that a finding can hold: its voxels packed into a short text."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry

if TYPE_CHECKING:
    from oncotrack.images.volume import Volume

_NEAR_MM = 1e-3
_DAMAGED = "A mask in the findings is damaged. Make it again from its axes."


@dataclass(frozen=True)
class PackedMask:
    """Which voxels of a small grid lie inside a lesion. Immutable, fit for JSON.

    Attributes
    ----------
    geometry : Geometry
        The grid, cropped to the lesion.
    bits : str
        One bit a voxel in the order of [z, y, x], deflated, as base64.

    Raises
    ------
    InputError
        The bits are damaged, or are not those of such a grid.
    """

    geometry: Geometry
    bits: str

    def __post_init__(self) -> None:
        try:
            bits = zlib.decompress(base64.b64decode(self.bits, validate=True))
        except (binascii.Error, zlib.error) as error:
            raise InputError(_DAMAGED) from error
        if len(bits) != -(-math.prod(self.geometry.size) // 8):
            raise InputError(_DAMAGED)

    @classmethod
    def of(cls, mask: Volume) -> PackedMask:
        """Pack what is not 0; InputError when nothing is."""
        inside = mask.array != 0
        if not inside.any():
            raise InputError("The mask is empty. Draw in it, or draw the axes again.")
        found = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in (2, 1, 0)]
        part = mask.cropped([each[0] for each in found], [each[-1] + 1 for each in found])
        bits = zlib.compress(np.packbits(part.array != 0).tobytes(), 9)
        return cls(part.geometry, base64.b64encode(bits).decode("ascii"))

    def is_same(self, other: PackedMask) -> bool:
        """Whether both hold the same places, whatever the last digits of their grids."""
        mine, its = self.geometry, other.geometry
        return (
            self.bits == other.bits
            and mine.size == its.size
            and np.allclose(mine.ijk_to_ras, its.ijk_to_ras, atol=_NEAR_MM, rtol=0)
        )

    def volume(self, name: str = "mask") -> Volume:
        """The mask as uint8 voxels, 0 and 1."""
        from oncotrack.images.volume import Volume

        bits = np.frombuffer(zlib.decompress(base64.b64decode(self.bits)), np.uint8)
        array = np.unpackbits(bits, count=math.prod(self.geometry.size)).reshape(self.geometry.shape)
        return Volume(array, self.geometry, name)
