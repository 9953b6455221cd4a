"""Time, memory and size of writing findings as DICOM, and time of retrieving a series from an archive."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.bench import orthanc
from oncotrack.bench.read import _write
from oncotrack.dicom_objects.source_images import SourceImages
from oncotrack.errors import OncoTrackError
from oncotrack.findings.finding import Role, State, TimePoint, new_uid
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.dicom import Series, load_study
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, lps_to_ras
from oncotrack.masks.findings import observation

_SIDE = 512
_WRITER = """
import json, re, sys, time
from pathlib import Path
from oncotrack.dicom_objects.export import export, save
from oncotrack.dicom_objects.importing import import_objects
from oncotrack.dicom_objects.library import highdicom
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.dicom import load_study

def peak():
    status = Path("/proc/self/status")
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text()).group(1)) if status.exists() else 0

highdicom()
findings, series = FindingList.open(sys.argv[1]), load_study(sys.argv[2]).choose()
started, cpu = time.perf_counter(), time.process_time()
files = save(export(findings.time_points, findings.findings, {"t0": series}).objects, sys.argv[3])
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
size = sum(path.stat().st_size for path in files if path.name.startswith("seg-"))
print(json.dumps({"write_seconds": seconds, "write_cpu_seconds": cpu, "seg_bytes": size, "memory_mib": peak() / 2**20}))
"""


def bench_dicom(slices: int = 275, lesions: int = 80, sample: int = 8, progress: Progress = silent) -> dict[str, Any]:
    """Measure the writing of findings on a CT of 512 x 512 pixels, and the retrieve of that CT.

    Parameters
    ----------
    slices, lesions : int
        Slices of the CT, and findings, each with a mask.
    sample : int
        Segments that highdicom writes one by one; its time is scaled to all of them.
    progress : Progress
        Called before each part.

    Returns
    -------
    dict
        ``write_seconds`` for reports and segmentation, ``write_cpu_seconds`` of the processor (the same on a busy machine), ``memory_mib`` (the peak of that process), ``seg_bytes``,
        ``naive_bytes`` (every slice for every segment, one bit a pixel), ``highdicom_seconds`` (one object for each
        segment, scaled from a sample), ``read_seconds`` (all objects read again), and where Orthanc and DCMTK are installed
        ``retrieve_seconds`` and ``getscu_seconds``, the best of three in turn.
    """
    with tempfile.TemporaryDirectory(prefix="oncotrack-bench-") as name:
        folder = Path(name)
        progress(0.0, "Writing a CT")
        _write(folder / "ct", slices, 1, _SIDE)
        ct = folder / "ct" / "000"
        series = load_study(ct).choose()
        findings = _findings(series, lesions)
        findings.save(folder / "findings.json")
        result: dict[str, Any] = {"slices": slices, "lesions": lesions}
        result["naive_bytes"] = lesions * slices * _SIDE * _SIDE // 8
        progress(0.2, "Writing its findings")
        result |= _write_in_process(folder / "findings.json", ct, folder / "out")
        progress(0.4, "Writing one object for each segment with highdicom")
        seconds, cpu = _once_a_segment(findings, series, folder / "single", sample)
        result["highdicom_seconds"], result["highdicom_cpu_seconds"] = (
            each * lesions / sample for each in (seconds, cpu)
        )
        progress(0.7, "Reading the objects")
        result["read_seconds"] = _read_again(folder / "out", series)
        progress(0.8, "Retrieving the CT")
        result |= _retrieve(ct, folder)
    progress(1.0, "Measured")
    return result


def _findings(series: Series, count: int) -> FindingList:
    """Return accepted ellipsoids of 8 to 24 mm on the grid of the scan, at random places."""
    rng = np.random.default_rng(3)
    assert series.grid is not None and series.size is not None and series.spacing is not None
    direction = lps_to_ras(series.grid.axes.T).T
    grid = Geometry.from_values(series.size, series.spacing, lps_to_ras(series.grid.origin), direction)
    findings = FindingList([TimePoint("t0", "baseline", date="20260115", series_uid=series.uid)])
    for _ in range(count):
        radii = rng.uniform(4, 12, 3)
        half = np.ceil(radii).astype(int) + 1
        middle = np.array([rng.integers(h, n - h) for h, n in zip(half, series.size, strict=True)])
        part = Geometry.from_values(2 * half + 1, grid.spacing, grid.to_ras(middle - half), grid.direction)
        k, j, i = np.indices(part.shape)
        inside = (((np.stack([i, j, k], -1) - half) / radii) ** 2).sum(-1) <= 1
        seen = observation(Volume(inside.astype(np.uint8), part, "lesion"), state=State.ACCEPTED, reader="Reader^One")
        findings.add("t0", seen, role=Role.NONE)
    return findings


def _write_in_process(findings: Path, ct: Path, out: Path) -> dict[str, float]:
    """Write in a process of its own, so that nothing before it counts."""
    command = [sys.executable, "-c", _WRITER, str(findings), str(ct), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OncoTrackError(f"The measurement stopped: {done.stderr[-300:]}")
    return json.loads(done.stdout)


def _once_a_segment(findings: FindingList, series: Series, folder: Path, sample: int) -> tuple[float, float]:
    """Return the seconds, and those of the processor, in which highdicom writes some masks, one object each, as its users' guide shows."""
    import highdicom
    import highdicom.seg

    folder.mkdir()
    chosen = findings.findings[:: max(len(findings) // sample, 1)][:sample]
    images = SourceImages.of(series)
    grid = Geometry.from_matrix((*images.planes[0].size, len(images.planes)), images.planes[0].matrix)
    started, cpu = time.perf_counter(), time.process_time()
    for finding in chosen:
        observed = finding.at("t0")
        assert observed is not None and observed.mask is not None
        mask = observed.mask.volume().resampled(grid, fill=0, nearest=True).array
        about = highdicom.seg.SegmentDescription(
            1,
            finding.label,
            highdicom.sr.CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure"),
            highdicom.sr.CodedConcept("52988006", "SCT", "Lesion"),
            "MANUAL",
        )
        seg = highdicom.seg.Segmentation(
            list(images.headers), mask, "BINARY", [about], new_uid(), 1, new_uid(), 1, "Maker", "Model", "1", "1"
        )
        seg.save_as(folder / f"{finding.uid}.dcm")
    return time.perf_counter() - started, time.process_time() - cpu


def _read_again(folder: Path, series: Series) -> float:
    """Return the seconds in which all objects are read as findings."""
    from oncotrack.dicom_objects.importing import import_objects
    from oncotrack.images.dicom import read

    volume = read(series)
    started = time.perf_counter()
    import_objects([folder], [(volume, series)])
    return time.perf_counter() - started


def _retrieve(ct: Path, folder: Path) -> dict[str, float]:
    """Return the best of three retrieves over DICOMweb, and with DCMTK; nothing where one of them is missing."""
    from oncotrack.pacs.archives import ArchiveSettings, secret_name
    from oncotrack.pacs.connect import connect
    from oncotrack.pacs.retrieve import retrieve_series

    getscu = shutil.which("getscu")
    if orthanc.program() is None or getscu is None:
        return {}
    server = orthanc.Orthanc(folder / "orthanc")
    os.environ[secret_name("bench", "PASSWORD")] = orthanc.PASSWORD
    best = {"retrieve_seconds": float("inf"), "getscu_seconds": float("inf")}
    try:
        server.upload(ct)
        archive = connect("bench", ArchiveSettings(**server.settings(timeout_s=120.0)))
        study = str(load_study(ct).series[0].study_uid)
        (series,) = archive.find_series(study)
        for number in range(3):
            started = time.perf_counter()
            retrieve_series(archive, series, folder / f"web{number}")
            best["retrieve_seconds"] = min(best["retrieve_seconds"], time.perf_counter() - started)
            out = folder / f"getscu{number}"
            out.mkdir()
            keys = ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={study}", f"SeriesInstanceUID={series.uid}"]
            words = [word for key in keys for word in ("-k", key)]
            started = time.perf_counter()
            subprocess.run(
                [getscu, "-S", "-od", out, "-aec", "ORTHANC", *words, "127.0.0.1", str(server.dicom)], check=True
            )
            best["getscu_seconds"] = min(best["getscu_seconds"], time.perf_counter() - started)
            if len(list(out.iterdir())) != series.instances:
                raise OncoTrackError("getscu did not retrieve all images.")
            shutil.rmtree(out)
            shutil.rmtree(folder / f"web{number}")
    finally:
        server.stop()
    return best
