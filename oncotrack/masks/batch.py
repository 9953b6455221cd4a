"""Masks for many lesions in one run; an error in one of them does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import Cancelled, OncoTrackError
from oncotrack.findings.finding import Observation
from oncotrack.findings.names import numbered
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.findings import observation
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask


@dataclass(frozen=True, eq=False)
class MaskRequest:
    """A mask to make: `load` returns its image and axes, or raises an `OncoTrackError` with the reason.

    Labels of requests of the same `scan` (its path, or "" where there is only one) are made unique.
    """

    label: str
    load: Callable[[], tuple[Volume, RecistAxes]]
    scan: str = ""


@dataclass(frozen=True, eq=False)
class MaskResult:
    """A mask with its image, axes and observation; or, without a mask, the error message."""

    label: str
    scan: str = ""
    image: Volume | None = None
    axes: RecistAxes | None = None
    mask: Volume | None = None
    observation: Observation | None = None
    error: str = ""


def make_masks(
    requests: Sequence[MaskRequest], *, in_3d: bool = False, method: str = "bounded", progress: Progress = silent
) -> Iterator[MaskResult]:
    """Make one mask after the other; of several with the same label in a scan, the second one becomes "label (2)".

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
    for n, (request, label) in enumerate(zip(requests, unique_labels(requests), strict=True)):
        progress(n / len(requests), label)
        try:
            image, axes = request.load()
            mask = propagate_to_3d(image, axes, method=method) if in_3d else pseudo_mask(image, axes, method)
            yield MaskResult(label, request.scan, image, axes, mask, observation(mask, axes))
        except Cancelled:
            raise
        except OncoTrackError as error:
            yield MaskResult(label, request.scan, error=str(error))


def unique_labels(requests: Sequence[MaskRequest]) -> list[str]:
    """Return the labels that `make_masks` gives to its results.

    Parameters
    ----------
    requests : sequence of MaskRequest
        The masks to make, in order.
    """
    labels = [""] * len(requests)
    for scan in dict.fromkeys(request.scan for request in requests):
        where = [n for n, request in enumerate(requests) if request.scan == scan]
        for n, label in zip(where, numbered([requests[n].label for n in where]), strict=True):
            labels[n] = label
    return labels
