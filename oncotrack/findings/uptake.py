"""The uptake of a finding in PET, and its place relative to the primary tumour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Uptake:
    """Measurements of a finding in PET.

    Attributes
    ----------
    suv_max : float
        Highest SUV of the PET's voxels that contain voxels of the finding's mask.
    suv_peak : float
        Highest mean SUV of a sphere of 1 ml whose centre is that of one of those voxels.
    suv_mean : float
        Mean SUV of the mask.
    metabolic_volume_ml : float
        Volume of the part of the mask whose SUV reaches 41 % of the highest.
    tlg_ml : float
        Total lesion glycolysis: that volume times its mean SUV.
    distance_mm : float, optional
        Signed distance of the centre from the border of the primary tumour; negative inside.
    is_proximal : bool, optional
        Whether that distance is at most 70 mm.
    kind : str
        What the uptake is related to, a key of `oncotrack.images.body_size.KINDS`.
    """

    suv_max: float
    suv_peak: float
    suv_mean: float
    metabolic_volume_ml: float
    tlg_ml: float
    distance_mm: float | None = None
    is_proximal: bool | None = None
    kind: str = "BW"
