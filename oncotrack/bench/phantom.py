"""Comparison of the phantom with real scans: HU by tissue, noise and its spectrum, node sizes, and a picture.

The values of real scans were measured with the functions of this file (`measured_hu`, `homogeneous_noise`) on
LIDC-IDRI-0314, CRLM-CT-1004 and Lung-PET-CT-Dx A0001; node percentiles are those of `statistics.NODES`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter, uniform_filter

from oncotrack.background.jobs import Progress, silent
from oncotrack.images.volume import Volume
from oncotrack.images.windows import SOFT_TISSUE
from oncotrack.phantom.node_survey import measured_nodes
from oncotrack.phantom.patient import Patient, make_patient
from oncotrack.phantom.scanner import KERNELS, Scanner
from oncotrack.phantom.statistics import NODES, PERCENTILES
from oncotrack.phantom.tissues import LABEL

REAL_HU: dict[str, dict[str, float]] = {
    "portal": {"fat": -104, "muscle": 69, "liver": 114, "spleen": 107, "artery": 152, "lung": -900},
    "none": {"fat": -108, "muscle": 48, "heart": 45, "artery": 40, "lung": -900},
}
"""Medians (HU) of regions of real scans: CRLM-CT-1004 (portal), Lung-PET-CT-Dx A0001 and LIDC-IDRI-0314 (none)."""
REAL_NOISE: dict[str, tuple[str, float, float]] = {
    "soft": ("Lung-PET-CT-Dx A0001 and CRLM-CT-1004, 5 mm", 8.7, 0.319),
    "sharp": ("LIDC-IDRI-0314, 1 mm", 23.5, 0.394),
}
"""By kernel: similar real scans, standard deviation (HU) in their homogeneous soft tissue, mean frequency (1/mm)."""
_REGIONS = {
    "fat": "fat",
    "muscle": "muscle",
    "liver": "liver",
    "spleen": "spleen",
    "heart": "heart",
    "artery": "artery",
    "lung": "lung",
}


def bench(
    patients: int = 16,
    seed: int = 0,
    *,
    picture: str | Path | None = None,
    real: Sequence[Volume] = (),
    progress: Progress = silent,
) -> dict[str, list[dict]]:
    """Simulate patients and compare them with the values of real scans.

    Parameters
    ----------
    patients : int
        Number of bodies for the node sizes (`node_survey.DISEASES` draws of nodes in each).
    seed : int
        Seed of the first patient.
    picture : path, optional
        A PNG to write, with slices of the phantom and of the `real` volumes.
    real : sequence of Volume
        Real CTs whose noise is measured.
    progress : Progress
        Called before each part.

    Returns
    -------
    dict of tables, each a list of rows:
        ``hu``: tissue, phase, phantom, real, difference. ``noise``: kernel or scan, std_hu and mean_per_mm of
        the phantom and of real scans, difference_percent; a row for each of the `real` volumes.
        ``nodes``: region, measure, percentile, phantom, real, difference_percent. ``seconds``: what, seconds.
    """
    tables: dict[str, list[dict]] = {"hu": [], "noise": [], "nodes": [], "seconds": []}
    for n, phase in enumerate(("portal", "none")):
        progress(0.1 * n, "Drawing a patient")
        start = time.perf_counter()
        patient = make_patient(seed, visits=1, phase=phase)
        tables["seconds"].append(
            {"what": "256x256x128 CT, one visit", "seconds": round(time.perf_counter() - start, 2)}
        )
        for tissue, value in measured_hu(patient).items():
            if tissue in REAL_HU[phase]:
                real_value = REAL_HU[phase][tissue]
                tables["hu"].append({"tissue": tissue, "phase": phase, "phantom": round(value, 1), "real": real_value,
                                     "difference": round(value - real_value, 1)})  # fmt: skip
    progress(0.2, "Measuring noise")
    tables["noise"] += noise_table()
    for volume in real:
        std, mean = homogeneous_noise(volume)
        if np.isfinite(std):
            row = {"kernel": f"scan: {volume.name}", "std_hu_real": round(std, 1), "mean_per_mm_real": round(mean, 3)}
            tables["noise"].append(row)
    tables["nodes"] = node_table(patients, seed, lambda done, text: progress(0.3 + 0.55 * done, text))
    if picture is not None:
        progress(0.85, "Drawing the picture")
        draw_picture(make_patient(seed, visits=1, size=(512, 512, 110), phase="portal"), real, Path(picture))
    return tables


def measured_hu(patient: Patient) -> dict[str, float]:
    """Compute the median HU inside each organ of the first visit."""
    visit = patient.visits[0]
    found = {}
    for name, organ in _REGIONS.items():
        inside = np.asarray(binary_erosion(visit.truth.organs.array == LABEL[organ]), bool)
        if inside.sum() > 50:
            found[name] = float(np.median(visit.image.array[inside]))
    return found


def homogeneous_noise(volume: Volume) -> tuple[float, float]:
    """Measure a scan's noise in its most homogeneous soft tissue.

    Returns
    -------
    float, float
        Standard deviation (HU) of squares of 32 x 32 pixels, and mean frequency of their power spectrum (1/mm); NaN
        without soft tissue.
    """
    array = volume.array.astype(np.float32)
    deviations, spectra = [], []
    for k in range(2, len(array) - 2, max(len(array) // 40, 1)):
        mean = uniform_filter(array[k], 33)[16:-16:8, 16:-16:8]
        square = np.sqrt(np.maximum(uniform_filter(array[k] ** 2, 33)[16:-16:8, 16:-16:8] - mean**2, 0))
        soft = (mean > 30) & (mean < 180)
        if not soft.any():
            continue
        for j, i in np.argwhere(soft & (square <= np.percentile(square[soft], 15))):
            part = array[k, 8 * j : 8 * j + 32, 8 * i : 8 * i + 32]
            part = part - gaussian_filter(part, 4)
            deviations.append(float(part.std()))
            spectra.append(np.abs(np.fft.fft2(part * np.outer(np.hanning(32), np.hanning(32)))) ** 2)
    if not deviations:
        return float("nan"), float("nan")
    best = np.argsort(deviations)[: max(len(deviations) // 3, 1)]
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32, volume.spacing[0]), np.fft.fftfreq(32, volume.spacing[1])))
    mean = np.mean([spectra[n] for n in best], 0)
    inside = frequency < 0.5 / volume.spacing[0]
    centroid = (frequency * mean)[inside].sum() / mean[inside].sum()
    return float(np.median([deviations[n] for n in best])), float(centroid)


def noise_table(seed: int = 1) -> list[dict]:
    """Compare the noise of each kernel, on a slab of the liver, with that of real scans."""
    rows = []
    for kernel, noise in zip(KERNELS, (9.5, 14.0, 26.0), strict=True):
        patient = make_patient(seed, visits=1, size=(448, 448, 24), spacing=(0.8, 0.8, 2.0), phase="portal",
                               scanner=Scanner(kernel, noise, 1.0), nodes=False, lesions=False)  # fmt: skip
        std, mean = homogeneous_noise(patient.visits[0].image)
        row = {"kernel": kernel, "std_hu": round(std, 1), "mean_per_mm": round(mean, 3)}
        if kernel in REAL_NOISE:
            scans, real_std, real_mean = REAL_NOISE[kernel]
            row |= {"std_hu_real": real_std, "mean_per_mm_real": real_mean,
                    "std_difference_percent": round(100 * (std / real_std - 1), 1),
                    "mean_difference_percent": round(100 * (mean / real_mean - 1), 1), "real": scans}  # fmt: skip
        rows.append(row)
    return rows


def node_table(patients: int, seed: int, progress: Progress = silent) -> list[dict]:
    """Compare percentiles of enlarged nodes' sizes (mm, mm3) and numbers, measured on masks, with the real ones."""
    found = measured_nodes(patients, seed, progress)
    rows = []
    for region, table in NODES.items():
        for measure, real in table.items():
            if measure in found[region]:
                drawn = np.percentile(found[region][measure], PERCENTILES)
                rows += [
                    {"region": region, "measure": measure, "percentile": p, "phantom": round(float(a), 2), "real": b,
                     "difference_percent": round(100 * (float(a) / b - 1), 1)}
                    for p, a, b in zip(PERCENTILES, drawn, real, strict=True)
                ]  # fmt: skip
    return rows


def draw_picture(patient: Patient, real: Sequence[Volume], path: Path) -> Path:
    """Draw a PNG of axial slices, the phantom in the upper rows, the real volumes below, in the soft-tissue window."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    rows = [
        (patient.visits[0].image, [0.78, 0.66, 0.55, 0.45, 0.36]),
        (patient.visits[0].image, [0.3, 0.24, 0.18, 0.12, 0.05]),
    ]
    rows += [(volume, [0.85, 0.68, 0.5, 0.32, 0.15]) for volume in real]
    figure = Figure(figsize=(20, 4 * len(rows)), facecolor="black")
    for r, (volume, shares) in enumerate(rows):
        for c, share in enumerate(shares):
            axis = figure.add_axes((c / 5, 1 - (r + 1) / len(rows), 1 / 5, 1 / len(rows)))
            axis.imshow(volume.array[int(share * (len(volume.array) - 1))], cmap="gray", vmin=SOFT_TISSUE.range[0], vmax=SOFT_TISSUE.range[1],
                        aspect=volume.spacing[1] / volume.spacing[0])  # fmt: skip
            axis.set_axis_off()
            axis.text(
                0.02, 0.02, "phantom" if r < 2 else volume.name, color="0.6", fontsize=8, transform=axis.transAxes
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    return path
