"""The uptake of the findings of a PET/CT, measured again whenever finding, PET or tumour change."""

from __future__ import annotations

import numpy as np

from oncotrack.detection.petct.distance import distance_from
from oncotrack.detection.petct.uptake import measure_uptake
from oncotrack.errors import InputError
from oncotrack.findings.ellipses import label_map
from oncotrack.findings.finding import Finding, Observation
from oncotrack.findings.uptake import Uptake
from oncotrack.images.volume import Volume
from oncotrack.scene.detection.pet_image import PETImage
from oncotrack.scene.detection.primary_tumour import PrimaryTumour
from oncotrack.scene.session.single_scan_selection import SingleScanSelection


class Uptakes:
    """Measures findings in the PET that belongs to the scan.

    Parameters
    ----------
    scan : SingleScanSelection
    pet : PETImage
    tumour : PrimaryTumour
    """

    def __init__(self, scan: SingleScanSelection, pet: PETImage, tumour: PrimaryTumour) -> None:
        self._scan, self._pet, self._tumour = scan, pet, tumour
        self._known: dict[str, tuple[Observation, Uptake | None]] = {}
        self._of: tuple = ()
        self._mask: Volume | None = None

    def of(self, finding: Finding) -> Uptake | None:
        """Return the uptake of a finding on the scan.

        It is measured in its mask, or in the ellipses of its slice boxes; without a PET it is what a detector measured. None
        where there is neither.
        """
        seen = finding.at(self._scan.time_point)
        if seen is None or self._pet.volume is None:
            return seen.uptake if seen else None
        self._forget_others()
        known = self._known.get(finding.uid)
        if known is None or known[0] is not seen:
            self._known[finding.uid] = known = seen, self._measure(seen)
        return known[1]

    def _forget_others(self) -> None:
        """Forget what was measured in another PET or with another tumour."""
        tumour = self._tumour.finding
        mask = tumour.observation(self._scan.time_point).mask if tumour else None
        now = self._pet.image(), mask
        if len(self._of) != 2 or self._of[0] is not now[0] or self._of[1] != mask:
            self._of, self._known, self._mask = now, {}, self._tumour.mask

    def _measure(self, seen: Observation) -> Uptake | None:
        try:
            mask = seen.mask.volume() if seen.mask else self._drawn(seen)
            if mask is None:
                return None
            middle = mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1]).mean(0)
            distance = distance_from(self._mask, middle) if self._mask is not None else None
            return measure_uptake(self._pet.image(), mask, distance)
        except InputError:  # the finding lies outside the PET
            return None

    def _drawn(self, seen: Observation) -> Volume | None:
        """Return the ellipses in the slice boxes of an observation, or None."""
        if seen.tracklet is None:
            return None
        image = self._scan.image()
        corners = image.geometry.to_ijk(np.array(seen.tracklet.bounds()))
        part = image.cropped(corners.min(0) - 1, corners.max(0) + 2)
        mask = label_map(part.geometry, [seen.tracklet])
        return mask if mask.array.any() else None
