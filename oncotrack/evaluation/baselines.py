"""What a lesion tracker must beat and nobody would choose: no tracker of the product, only of its measurements."""

from __future__ import annotations

from collections.abc import Sequence

from oncotrack.findings import point
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, OUTSIDE, Match, ScanPair
from oncotrack.jobs import Progress, silent


class CentreCopy:
    """Takes the clicked place over as it is, in the scanner's coordinates."""

    name = "copy"

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """The same RAS place (mm) in the follow-up."""
        place = point(pair.check_click(at))
        inside = bool(pair.followup.geometry.contains(place))
        return Match(inside, place, place, radius_mm, 0.0, None, (), "" if inside else OUTSIDE, self.name)
