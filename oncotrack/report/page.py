"""The parts of all reports: the page itself, and axial pictures with marks."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from oncotrack import __version__
from oncotrack.atomic import write_text
from oncotrack.findings.finding import Observation, State
from oncotrack.findings.visit_table import state
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.images.windows import LUNG, SOFT_TISSUE

MARKS = (
    "Ring: the lesion, dashed while it is only proposed. Diamond: expected position of a lesion that the program did not "
    "find. Yellow cross: the reader says that it is absent, or rejected it."
)
"""The shapes of `mark_finding` in words."""
HALF_MM = 70.0
PIXEL_MM = 0.5
BACKGROUND = "#14171a"
BOX = {"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0}
_LUNG_BELOW_HU = -400.0


def write_page(path: str | Path, title: str, note: str, table: str, key: str, sections: Sequence[str]) -> Path:
    """Write a page that needs no other file and no network.

    `table` and `sections` are HTML; `title`, `note` and `key` (the legend) are plain text.
    """
    page = _PAGE.format(
        title=html.escape(title),
        note=html.escape(note),
        version=__version__,
        table=table,
        key=html.escape(key),
        sections="\n".join(sections),
    )
    return write_text(path, page)


@contextmanager
def labels_as_written() -> Iterator[None]:
    """Return a context in which matplotlib draws "$" in labels as "$" instead of reading a formula; also a decorator."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):
        yield


def png(figure) -> str:
    """Return a matplotlib figure as PNG in base64."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, facecolor=figure.get_facecolor())
    return base64.b64encode(buffer.getvalue()).decode()


def plane(centre, pixel_mm: float, half_mm: float = HALF_MM) -> Geometry:
    """Return the grid of a RAS-aligned axial slice around a point (RAS mm)."""
    half = int(half_mm / pixel_mm)
    origin = (centre[0] - half * pixel_mm, centre[1] - half * pixel_mm, centre[2])
    return Geometry((2 * half + 1, 2 * half + 1, 1), (pixel_mm, pixel_mm, 1.0), origin)


def draw_slice(axes, volume: Volume, centre, window: tuple[float, float], title: str, half_mm: float = HALF_MM) -> None:
    """Draw an axial slice around a point in radiological orientation: patient's right on the left, anterior on top."""
    array = volume.resampled(plane(centre, PIXEL_MM, half_mm)).array[0]
    extent = (-half_mm, half_mm, -half_mm, half_mm)
    axes.imshow(array, extent=extent, origin="lower", cmap="gray", vmin=window[0], vmax=window[1])
    axes.set_xlim(half_mm, -half_mm)
    axes.set_ylim(-half_mm, half_mm)
    axes.set_title(title, color="#e8eaed", fontsize=11)
    axes.axis("off")
    for x, y, letter in ((0.02, 0.5, "R"), (0.96, 0.5, "L"), (0.49, 0.95, "A"), (0.49, 0.02, "P")):
        axes.text(x, y, letter, color="#e8eaed", fontsize=9, transform=axes.transAxes, bbox=BOX)


def mark(axes, at, shape: str, colour: str, text: str) -> None:
    """Draw a mark with a dark rim, visible on bright and on dark tissue; without a shape, its text alone."""
    if shape:
        hollow = "none" if shape in "osD" else colour
        size = {"o": 16, "D": 11, "s": 9, "x": 9, "*": 11}[shape]
        axes.plot(*at, shape, mfc="none", mec="black", ms=size, mew=3.5)
        axes.plot(*at, shape, mfc=hollow, mec=colour, ms=size, mew=1.6)
    if text:
        axes.annotate(text, at, (10, 9), textcoords="offset points", color=colour, fontsize=9, bbox=BOX)


def mark_finding(axes, label: str, observation: Observation) -> None:
    """Draw the mark of a finding in the middle of a picture; shape and words tell its states apart, see `MARKS`."""
    words = "" if observation.state is State.ACCEPTED else state(observation)
    text, colour = f"{label} {words}".strip(), "#ffd24d"
    if observation.state is State.PROPOSED:
        axes.plot(0, 0, "o", mfc="none", mec="black", ms=16, mew=3.5)
        axes.scatter(0, 0, 256, facecolors="none", edgecolors=colour, linewidths=1.6, linestyles="dashed", zorder=3)
        mark(axes, (0, 0), "", colour, text)
    else:
        mark(axes, (0, 0), {State.NOT_FOUND: "D", State.ABSENT: "x", State.REJECTED: "x"}.get(observation.state, "o"),
             colour, text)  # fmt: skip


def choose_window(volume: Volume, centre) -> tuple[float, float]:
    """Return the lung or the soft-tissue window of a CT by the tissue at a point; for others the range of intensities."""
    around = volume.resampled(plane(centre, 2.0)).array
    if not volume.is_ct:
        low, high = np.percentile(around, (1, 99.5))
        return float(low), float(max(high, low + 1e-3))
    middle = slice(around.shape[1] // 2 - 12, around.shape[1] // 2 + 13)
    return (LUNG if np.median(around[0, middle, middle]) < _LUNG_BELOW_HU else SOFT_TISSUE).range


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ background: #14171a; color: #e8eaed; font: 15px/1.5 system-ui, sans-serif; max-width: 1100px;
  margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; width: 100%; }}
th, td {{ border-bottom: 1px solid #3c4043; padding: .3rem .6rem; text-align: left; font-variant-numeric: tabular-nums; }}
section {{ margin: 2rem 0; }}
img {{ width: 100%; border-radius: 4px; }}
.key, footer {{ color: #bdc1c6; }}
.note {{ white-space: pre-line; }}
</style></head><body>
<h1>{title}</h1>
<p class="note">{note}</p>
<table>{table}</table>
<p class="key">{key}</p>
{sections}
<footer>OncoTrack {version}. Research use only; not a medical device.</footer>
</body></html>
"""
