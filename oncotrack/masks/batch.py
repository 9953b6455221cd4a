"""Masks for many lesions in one run; an error in one of them does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import Cancelled, OncoTrackError
from oncotrack.findings.finding import Observation
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.findings import observation
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask


@dataclass(frozen=True, eq=False)
class MaskRequest:
    """A mask to make: `load` returns its image and axes, or raises an `OncoTrackError` with the reason."""

    label: str
    load: Callable[[], tuple[Volume, RecistAxes]]


@dataclass(frozen=True, eq=False)
class MaskResult:
    """A mask with its image, axes and observation; or, without a mask, the error message."""

    label: str
    image: Volume | None = None
    axes: RecistAxes | None = None
    mask: Volume | None = None
    observation: Observation | None = None
    error: str = ""


def make_masks(
    requests: Sequence[MaskRequest], *, in_3d: bool = False, method: str = "bounded", progress: Progress = silent
) -> Iterator[MaskResult]:
    """Make one mask after the other.

    Parameters
    ----------
    requests : sequence of MaskRequest
        The masks to make, in order.
    in_3d : bool
        Propagate every mask to the slices above and below.
    method : {"bounded", "paper"}
        See `pseudo_mask`.
    progress : Progress
        Called before each mask with the share done and its label.

    Raises
    ------
    Cancelled
        The reader stopped it.
    """
    for n, request in enumerate(requests):
        progress(n / len(requests), request.label)
        try:
            image, axes = request.load()
            mask = propagate_to_3d(image, axes, method=method) if in_3d else pseudo_mask(image, axes, method)
            yield MaskResult(request.label, image, axes, mask, observation(mask, axes))
        except Cancelled:
            raise
        except OncoTrackError as error:
            yield MaskResult(request.label, error=str(error))
