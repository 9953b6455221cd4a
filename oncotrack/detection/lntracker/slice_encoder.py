"""The slices of one scan through the first part of LN-Tracker; on a CPU several at once, ahead of the tracking."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from threading import Lock

import numpy as np
import torch

from oncotrack.detection.lntracker.backbone import Stem
from oncotrack.detection.lntracker.proposer import EncodedSlice, Proposer
from oncotrack.networks.devices import has_bfloat16
from oncotrack.networks.threads import map_ahead

_MOST_AT_ONCE = 4


class StemMaps:
    """Maps of the stem that the slices of one scan share: an image of slice n is one of slices n - 3 and n + 3, too.

    Only those in reach of the last slices are kept. Several threads may read at once.
    """

    def __init__(self) -> None:
        self._maps: dict[int, torch.Tensor] = {}
        self._lock = Lock()

    def read(self, index: int, images: torch.Tensor, stem: Stem) -> torch.Tensor:
        """Return the maps of a slice's images; only those that no other slice had are computed.

        Parameters
        ----------
        index : int
            Slice index.
        images : (n, 3, H, W) tensor
            The slice in the centre of the middle image, and its neighbours.
        stem : callable
            Computes the maps of images.

        Returns
        -------
        (n, C, h, w) tensor
            The maps.
        """
        reach = 3 * (len(images) // 2)
        centres = range(index - reach, index + reach + 1, 3)
        with self._lock:
            for centre, image in zip(centres, images.split(1), strict=True):
                if centre not in self._maps:
                    self._maps[centre] = stem(image)
            maps = torch.cat([self._maps[centre] for centre in centres])
            near = reach + _MOST_AT_ONCE
            self._maps = {centre: each for centre, each in self._maps.items() if abs(centre - index) <= near}
        return maps


class SliceEncoder:
    """Encodes the slices of one scan.

    Parameters
    ----------
    network : LNTracker
        In evaluation mode.
    """

    def __init__(self, network: Proposer) -> None:
        self._network, self._stems = network, StemMaps()

    @torch.inference_mode()
    def encode(self, index: int, stack: np.ndarray) -> EncodedSlice:
        """Encode one slice.

        Parameters
        ----------
        index : int
            Slice index.
        stack : (9, H, W) float32 ndarray
            The slice between its neighbours, 0 to 1.

        Returns
        -------
        EncodedSlice
            In float32; on a CPU that computes in bfloat16 it was computed in that, in half of the time.
        """
        device = next(self._network.parameters()).device
        is_mixed = device.type == "cpu" and has_bfloat16(device)
        images = torch.from_numpy(stack)[None].to(device)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            return self._network.encode(images, lambda *read: self._stems.read(index, *read)).float()

    def ahead(self, stacks: Iterable[tuple[int, np.ndarray]]) -> Generator[tuple[int, EncodedSlice], None, None]:
        """Encode slices on a CPU, several at once while the caller works on those before, see `map_ahead`.

        Parameters
        ----------
        stacks : iterable of (int, (9, H, W) float32 ndarray)
            As for `encode`.

        Yields
        ------
        index : int
            Slice index, in the order of `stacks`.
        encoded : EncodedSlice
            See `encode`.
        """
        return map_ahead(lambda slice_: (slice_[0], self.encode(*slice_)), stacks, _MOST_AT_ONCE)
