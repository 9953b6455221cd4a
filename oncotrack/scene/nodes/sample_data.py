"""OncoTrack's public samples in Slicer's Sample Data module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oncotrack.samples import catalogue


def sources(thumbnail: Path) -> list[dict[str, Any]]:
    """Return the arguments of ``SampleDataLogic.registerCustomSampleDataSource`` for each sample: both scans, checked by hash."""
    return [
        {
            "category": "OncoTrack",
            "sampleName": sample.name,
            "uris": [sample.base_url + file for file in (sample.baseline, sample.followup)],
            "fileNames": [sample.baseline, sample.followup],
            "nodeNames": [Path(file).stem for file in (sample.baseline, sample.followup)],
            "checksums": [f"SHA256:{sample.sha256[file]}" for file in (sample.baseline, sample.followup)],
            "thumbnailFileName": str(thumbnail),
        }
        for sample in catalogue()
    ]
