"""The mask of a lesion, packed into a short text so that a finding can contain it."""

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

_TOLERANCE_MM = 1e-3
LARGEST = 2**30
"""Most voxels of the grid of a mask, more than a CT of the whole body at 1 mm has."""
_DAMAGED = "A mask in the findings is damaged. Make it again from its axes."


@dataclass(frozen=True)
class PackedMask:
    """The voxels of a small grid that lie inside a lesion; immutable, can be written as JSON.

    Attributes
    ----------
    geometry : Geometry
        The grid, cropped to the lesion.
    bits : str
        One bit per voxel in the order of [z, y, x], deflated, as base64.

    Raises
    ------
    InputError
        The grid has more than `LARGEST` voxels, the bits are damaged, or their number does not fit the grid.
    """

    geometry: Geometry
    bits: str

    def __post_init__(self) -> None:
        count = math.prod(self.geometry.size)
        if count > LARGEST:
            raise InputError(
                f"A mask has {count:,} voxels; at most {LARGEST:,} can be kept. Check whether it belongs to this scan, or "
                "draw it on coarser voxels."
            )
        expected, inflate = -(-count // 8), zlib.decompressobj()
        try:
            bits = inflate.decompress(base64.b64decode(self.bits, validate=True), expected + 1)  # no more than that
        except (binascii.Error, zlib.error) as error:
            raise InputError(_DAMAGED) from error
        if len(bits) != expected or not inflate.eof:
            raise InputError(_DAMAGED)

    @property
    def is_in_one_slice(self) -> bool:
        """Whether the lesion is a single voxel deep along one axis of the grid, so that its volume is that of a slice."""
        return min(self.geometry.size) == 1

    @classmethod
    def of(cls, mask: Volume) -> PackedMask:
        """Pack a mask.

        Parameters
        ----------
        mask : Volume
            Not 0 inside the lesion.

        Raises
        ------
        InputError
            All voxels are 0.
        """
        inside = mask.array != 0
        if not inside.any():
            raise InputError("The mask is empty. Draw in it, or draw the axes again.")
        occupied = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in (2, 1, 0)]
        part = mask.cropped([indices[0] for indices in occupied], [indices[-1] + 1 for indices in occupied])
        bits = zlib.compress(np.packbits(part.array != 0).tobytes(), 9)
        return cls(part.geometry, base64.b64encode(bits).decode("ascii"))

    def is_same(self, other: PackedMask) -> bool:
        """Return whether two masks cover the same voxels, up to rounding of their grids.

        Parameters
        ----------
        other : PackedMask
            The second mask.
        """
        return (
            self.bits == other.bits
            and self.geometry.size == other.geometry.size
            and np.allclose(self.geometry.ijk_to_ras, other.geometry.ijk_to_ras, atol=_TOLERANCE_MM, rtol=0)
        )

    def volume(self, name: str = "mask") -> Volume:
        """Unpack the mask to uint8 voxels, 0 and 1.

        Parameters
        ----------
        name : str
            Name of the volume, for messages.
        """
        from oncotrack.images.volume import Volume

        bits = np.frombuffer(zlib.decompress(base64.b64decode(self.bits)), np.uint8)
        array = np.unpackbits(bits, count=math.prod(self.geometry.size)).reshape(self.geometry.shape)
        return Volume(array, self.geometry, name)
