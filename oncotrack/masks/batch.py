"""Masks for many pairs of axes; what is wrong with one of them stays with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import Cancelled, OncoTrackError
from oncotrack.findings.finding import Observation
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.carry import carry
from oncotrack.masks.findings import observation
from oncotrack.masks.pseudo_mask import pseudo_mask


@dataclass(frozen=True, eq=False)
class Wanted:
    """A mask to make: `load` gives its image and axes, or raises the sentence that says why there are none."""

    label: str
    load: Callable[[], tuple[Volume, RecistAxes]]


@dataclass(frozen=True, eq=False)
class Made:
    """A mask, its finding and the image that it lies in; or the sentence that says why there is none."""

    label: str
    image: Volume | None = None
    axes: RecistAxes | None = None
    mask: Volume | None = None
    seen: Observation | None = None
    error: str = ""


def make_masks(
    wanted: Sequence[Wanted], *, in_3d: bool = False, method: str = "bounded", progress: Progress = silent
) -> Iterator[Made]:
    """Make one mask after the other.

    Parameters
    ----------
    wanted : sequence of Wanted
    in_3d : bool
        Carry every mask to the slices above and below.
    method : {"bounded", "paper"}
    progress : Progress

    Raises
    ------
    Cancelled
        The reader stopped it.
    """
    for n, each in enumerate(wanted):
        progress(n / len(wanted), each.label)
        try:
            image, axes = each.load()
            mask = carry(image, axes, method=method) if in_3d else pseudo_mask(image, axes, method)
            yield Made(each.label, image, axes, mask, observation(mask, axes))
        except Cancelled:
            raise
        except OncoTrackError as error:
            yield Made(each.label, error=str(error))
