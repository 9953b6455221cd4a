"""Public sample scans: read from a folder, otherwise downloaded once and checked by SHA-256."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.resources import resource

FOLDER_VARIABLE = "ONCOTRACK_SAMPLES"


@dataclass(frozen=True)
class Sample:
    """One public data set: two scans and corresponding landmarks.

    `folder` is its name inside ``ONCOTRACK_SAMPLES``; `sha256` lists every file that it needs.
    """

    name: str
    title: str
    licence: str
    origin: str
    folder: str
    base_url: str
    baseline: str
    followup: str
    baseline_points: str
    followup_points: str
    sha256: Mapping[str, str]

    def local_folder(self) -> Path | None:
        """Return the folder with all its files unchanged, without downloading, or None when there is none.

        ``ONCOTRACK_SAMPLES`` is searched first (the folder itself, then `folder` inside it), then the cache.
        """
        return next((folder for folder in self._folders() if self._is_complete(folder)), None)

    def fetch(self) -> Path:
        """Return the folder with all its files, after downloading the missing ones.

        Raises
        ------
        OncoTrackError
            There is no network, or a file does not have the SHA-256 of the catalogue.
        """
        if (folder := self.local_folder()) is not None:
            return folder
        import pooch

        downloader = pooch.create(path=cache_folder() / self.name, base_url=self.base_url, registry=dict(self.sha256))
        try:
            for file in self.sha256:
                downloader.fetch(file)
        except (OSError, ValueError) as error:
            raise OncoTrackError(
                f"The sample {self.name} could not be downloaded. Check the network, or put its files in a folder and "
                f"name that folder in {FOLDER_VARIABLE}."
            ) from error
        return Path(downloader.path)

    def _folders(self) -> list[Path]:
        named = os.environ.get(FOLDER_VARIABLE)
        chosen = [Path(named), Path(named) / self.folder] if named else []
        return [*chosen, cache_folder() / self.name]

    def _is_complete(self, folder: Path) -> bool:
        from pooch import file_hash

        return all(
            (folder / file).is_file() and file_hash(folder / file) == value for file, value in self.sha256.items()
        )


def catalogue() -> tuple[Sample, ...]:
    """Return all samples that OncoTrack offers.

    Raises
    ------
    OncoTrackError
        Their list is missing from the installation.
    """
    try:
        entries = json.loads(resource("samples.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise OncoTrackError(
            f"The list of samples {resource('samples.json')} is missing. Install OncoTrack again."
        ) from error
    return tuple(Sample(name=name, **fields) for name, fields in entries.items())


def sample(name: str) -> Sample:
    """Return a sample.

    Parameters
    ----------
    name : str
        Its name in the catalogue.

    Raises
    ------
    InputError
        There is no sample of this name; the message lists the names.
    """
    known = {entry.name: entry for entry in catalogue()}
    if name not in known:
        raise InputError(f'There is no sample "{name}". Choose one of: {", ".join(known)}.')
    return known[name]


def cache_folder() -> Path:
    """Return the folder of the downloaded samples."""
    from platformdirs import user_cache_path  # pooch brings it, and takes ten times as long to import

    return user_cache_path("oncotrack") / "samples"
