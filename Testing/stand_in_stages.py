"""Quick stages for tests of runs over an archive; workers load this file with Dask's option preload.

The detector proposes every bright ball, the tracker finds a lesion where it was, and scans are registered already. What is
computed is written to the file named by ONCOTRACK_TEST_LOG, and takes ONCOTRACK_TEST_SECONDS.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import scipy.ndimage
import small_dicom

STEP = (2.0, 2.0, 2.0)
SIZE = (20, 48, 48)


def write_cohort(root: Path, patients: int, visits: int = 2) -> Path:
    """Write patients as DICOM series: a body with two bright balls, which grow by a fifth from visit to visit."""
    for patient in range(patients):
        rng = np.random.default_rng(patient)
        for visit in range(visits):
            z, y, x = np.indices(SIZE)
            values = np.where((y - 24) ** 2 + (x - 24) ** 2 < 22**2, 0.0, -1000.0) + rng.normal(0, 8, SIZE)
            for number, place in enumerate(((8, 18, 18), (12, 30, 30))):
                radius = (4.0 + number) * 1.2**visit
                values[(z - place[0]) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2 < radius**2] = 160
            study = {"PatientID": f"P{patient:03d}", "PatientName": f"Doe^{patient}", "PixelSpacing": [2.0, 2.0],
                     "StudyDate": f"2026010{visit + 1}", "AcquisitionDate": f"2026010{visit + 1}"}  # fmt: skip
            small_dicom.write(small_dicom.series(values, step=2.0, **study), root / f"P{patient:03d}" / f"v{visit}")
    return root


def note(text: str) -> None:
    """Write what is computed, and take some time."""
    if path := os.environ.get("ONCOTRACK_TEST_LOG"):
        with Path(path).open("a") as file:
            file.write(f"{text}\n")
    time.sleep(float(os.environ.get("ONCOTRACK_TEST_SECONDS", 0)))


class BrightBalls:
    """Detector that proposes every bright ball, the largest first."""

    name = "bright"

    def detect(self, volume, progress, *, time_point="t0"):
        from stand_in_detector import KnownNodes

        note(f"detect {volume.fingerprint}")
        marked, count = scipy.ndimage.label(volume.array > 100)
        places = []
        for number in range(1, count + 1):
            kji = np.argwhere(marked == number)
            radius = 2.0 * (3 * len(kji) / (4 * np.pi)) ** (1 / 3)
            places.append((tuple(volume.geometry.to_ras(kji.mean(0)[::-1]).tolist()), radius))
        progress(1.0, "")
        return KnownNodes(sorted(places, key=lambda place: -place[1])).detect(volume, progress, time_point=time_point)


class SamePlace:
    """Tracker that finds every lesion where it was."""

    name = "same"

    def match(self, pair, at, radius_mm=10.0, progress=None):
        from oncotrack.findings.finding import point
        from oncotrack.followup.tracker import Match

        note(f"follow {pair.baseline.fingerprint} {pair.followup.fingerprint}")
        return Match(True, point(at), point(at), radius_mm, 0.9, 0.5, (), "", self.name)


def install(replace=setattr) -> None:
    """Use them instead of the trained detectors and trackers in this process."""
    from oncotrack.archive import compute
    from oncotrack.followup import tracker
    from oncotrack.registration.registration import Registration

    replace(compute, "the_detector", lambda _name, _device: BrightBalls())
    replace(compute, "the_tracker", lambda _name: SamePlace())
    replace(tracker, "register", lambda *_scans, **_options: Registration(np.eye(4)))


def dask_setup(_worker) -> None:
    """Called by Dask when a worker starts."""
    install()
