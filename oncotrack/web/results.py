"""The folder that a session writes to: one for each patient and study, used by one OncoTrack at a time."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import filelock
import numpy as np

from oncotrack.atomic import EarlierFiles
from oncotrack.errors import InputError, OutputError
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.patient import Patient
from oncotrack.images.volume import Volume
from oncotrack.web.autosave import Autosave, changed_on

NAME = "oncotrack-results"
FINDINGS = "findings.json"
_LOCK = ".oncotrack.lock"
_NO_SCAN = "without-scan"
_SAMPLED = 65536  # voxels that tell one scan from another


class Results:
    """Where results and the autosave of a session are written.

    Files that an earlier session wrote are renamed before they would be replaced. While another OncoTrack uses the folder,
    this one takes the next free "FOLDER-2", "FOLDER-3" and so on.

    Parameters
    ----------
    folder : Path, optional
        The folder; it is taken at once. Without it every patient and study has a folder of its own in `NAME` of the
        current folder.

    Attributes
    ----------
    autosave : Autosave
        Of the folder.
    saved : dict of str to Path
        The files that this session wrote and the page may download, by name, newest last.

    Raises
    ------
    OutputError
        The folder cannot be made or written to.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._is_given = folder is not None
        self.base = Path(folder or NAME).expanduser().absolute()
        self.saved: dict[str, Path] = {}
        self._said: list[str] = []
        self._lock: filelock.BaseFileLock | None = None
        self._earlier: EarlierFiles | None = None
        self._wanted: Path | None = None
        self._is_entered = False
        self._folder = self.base
        if self._is_given:
            self._enter(self.base)

    @property
    def folder(self) -> Path:
        """The folder that is written to now; made and locked by the first use."""
        if not self._is_entered:
            self._enter(self.base / _NO_SCAN)
        return self._folder

    @property
    def autosave(self) -> Autosave:
        """The autosave in `folder`."""
        _folder = self.folder
        return self._autosave

    @property
    def is_entered(self) -> bool:
        """Whether a folder is in use."""
        return self._is_entered

    def choose_for(self, baseline: Volume) -> None:
        """Write to the folder of a patient and study from now on, unless a folder was given.

        Parameters
        ----------
        baseline : Volume
            The scan that the folder is named after.

        Raises
        ------
        OutputError
            The folder cannot be made or written to.
        """
        if not self._is_given and (wanted := self.base / folder_name(baseline)) != self._wanted:
            self._enter(wanted)

    def use(self, folder: Path) -> None:
        """Write to a folder from now on, whichever scans are opened.

        Parameters
        ----------
        folder : Path
            The folder; made where it is missing.

        Raises
        ------
        OutputError
            The folder cannot be made or written to.
        """
        self._is_given = True
        if folder != self._wanted:
            self._enter(folder)

    def earlier_findings(self) -> tuple[str, str]:
        """Return the findings that an earlier session saved in the folder, as JSON, and when; ("", "") for none.

        A file that cannot be read counts as none; it is kept when this session saves its own.
        """
        path = self.folder / FINDINGS
        if FINDINGS in self.saved or not path.is_file():
            return "", ""
        try:
            return FindingList.open(path).to_json(), changed_on(path)
        except InputError:
            return "", ""

    def add_saved(self, paths: Iterable[Path]) -> list[str]:
        """Enter files that this session wrote, for download; return sentences on earlier files that were renamed."""
        said = []
        for path in paths:
            self.saved.pop(path.name, None)
            self.saved[path.name] = path
            if self._earlier and (kept := self._earlier.kept.pop(path.name, "")):
                said.append(f"The earlier {path.name} was kept as {kept}.")
        return said

    def news(self, *, keep: bool = False) -> str:
        """Return sentences about the folder that the page has not shown yet; "" for none. With `keep` they stay."""
        said = " ".join(self._said)
        if not keep:
            self._said = []
        return said

    def close(self) -> None:
        """Let other sessions use the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._earlier is not None:
            self._earlier.close()
            self._earlier = None
        self._is_entered = False

    def _enter(self, wanted: Path) -> None:
        for number in itertools.count(1):
            folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
            if self._take(folder):
                break
        if folder != wanted:
            self._said.append(f"Another OncoTrack is using {wanted}, so this one saves in {folder}.")
        self._folder, self._wanted, self._is_entered = folder, wanted, True
        self._earlier = EarlierFiles(folder)
        self.saved = {}
        self._autosave = Autosave(folder)
        if self._autosave.problem:
            self._said.append(self._autosave.problem)

    def _take(self, folder: Path) -> bool:
        """Lock a folder instead of the present one; return False when another OncoTrack uses it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(folder / _LOCK, mode=0o600, thread_local=False)
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        except NotImplementedError:
            lock = None
            self._said.append(f"{folder} lies on a disk that cannot lock files. Use it from one OncoTrack at a time.")
        except OSError as error:
            raise OutputError(
                f"{folder} cannot be written to: {error.strerror or error}. Choose another folder for the results."
            ) from error
        self.close()
        self._lock = lock
        return True


def folder_name(baseline: Volume) -> Path:
    """Return the folder of a patient and study, by the baseline: PATIENT-CHECKSUM/DATE.

    A scan without patient ID has one level, its name and a checksum of its voxels. The checksums keep apart patients of
    the same ID and scans of the same name. A scan has the same folder when it is opened from a saved scene.
    """
    about = baseline.metadata
    patient = Patient.of(about)
    if not patient.id:
        voxels = baseline.array.reshape(-1)
        sample = voxels[:: max(1, len(voxels) // _SAMPLED)]
        return Path(f"{_plain(baseline.name)}-{_checksum(baseline.geometry.size, sample.astype(np.float32).tobytes())}")
    date = re.sub(r"\D", "", about.get("date") or "") or "undated"
    return Path(f"{_plain(patient.id)}-{_checksum(patient)}") / date


def _plain(name: str) -> str:
    """Return a name as it can be used on every file system."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:40] or "scan"


def _checksum(*values: object) -> str:
    digest = hashlib.blake2b(digest_size=4)
    for value in values:
        digest.update(value if isinstance(value, bytes) else repr(value).encode())
    return digest.hexdigest()
