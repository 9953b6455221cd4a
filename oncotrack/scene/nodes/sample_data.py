"""OncoTrack's public samples in Slicer's Sample Data module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oncotrack.samples import catalogue


def sources(category: str, thumbnail: Path, scans: int = 2) -> list[dict[str, Any]]:
    """Return the arguments of ``SampleDataLogic.registerCustomSampleDataSource`` for each sample.

    Parameters
    ----------
    category : str
        The heading in the Sample Data module.
    thumbnail : Path
        The sample's picture.
    scans : int
        2 for baseline and follow-up, 1 for the baseline alone. Downloads are checked by hash.
    """
    result = []
    for sample in catalogue():
        files = (sample.baseline, sample.followup)[:scans]
        result.append(
            {
                "category": category,
                "sampleName": sample.name,
                "uris": [sample.base_url + file for file in files],
                "fileNames": list(files),
                "nodeNames": [Path(file).stem for file in files],
                "checksums": [f"SHA256:{sample.sha256[file]}" for file in files],
                "thumbnailFileName": str(thumbnail),
            }
        )
    return result
