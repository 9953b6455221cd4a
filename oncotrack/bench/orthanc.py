"""A real archive for measurements and tests: Orthanc on this machine, with DICOMweb and DIMSE on free ports."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from oncotrack.errors import OncoTrackError

PLUGINS = Path("/usr/share/orthanc/plugins")
MISSING = "needs Debian's orthanc and orthanc-dicomweb (make peers)"
USER, PASSWORD = "reader", "a password"


def program() -> str | None:
    """Return the program, or None."""
    return shutil.which("Orthanc", path="/usr/sbin:/usr/bin") if PLUGINS.exists() else None


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Orthanc:
    """A running Orthanc, empty at first."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.http, self.dicom, self.own = free_port(), free_port(), free_port()
        settings = {
            "Name": "Test", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http, "DicomPort": self.dicom, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}, "Plugins": [str(PLUGINS)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}, "DicomCheckCalledAet": False,
            "DicomAlwaysAllowEcho": True, "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True, "DicomAlwaysAllowMove": True, "OverwriteInstances": False,
            "DicomModalities": {"oncotrack": ["ONCOTRACK", "127.0.0.1", self.own]}, "SyncStorageArea": False,
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.process: subprocess.Popen | None = None
        self.start()

    @property
    def url(self) -> str:
        """Root of its DICOMweb services."""
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log.txt").open("w") as log:
            self.process = subprocess.Popen(
                [program() or "Orthanc", str(self.folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
            )
        for _ in range(200):
            try:
                self.ask("/system")
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise OncoTrackError(f"Orthanc did not start: {(self.folder / 'log.txt').read_text()[-500:]}")

    def stop(self) -> None:
        """Stop it; what it holds stays."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def ask(self, path: str, data: bytes | None = None, method: str | None = None) -> Any:
        """Return the answer of its own interface."""
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, f"http://127.0.0.1:{self.http}", USER, PASSWORD)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data, method=method)
        with opener.open(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def upload(self, folder: Path) -> None:
        """Store all files of a folder."""
        for path in sorted(folder.rglob("*.dcm")):
            self.ask("/instances", path.read_bytes(), "POST")

    def instances(self) -> list[str]:
        """Return the SOP Instance UIDs that it holds."""
        return [each["MainDicomTags"]["SOPInstanceUID"] for each in self.ask("/instances?expand")]

    def clear(self) -> None:
        """Delete everything."""
        for patient in self.ask("/patients"):
            self.ask(f"/patients/{patient}", method="DELETE")

    def settings(self, kind: str = "dicomweb", **changes) -> dict[str, Any]:
        """Return the settings of this archive."""
        web = {"kind": "dicomweb", "url": self.url, "user": USER}
        dimse = {"kind": "dimse", "host": "127.0.0.1", "port": self.dicom, "called_ae": "ORTHANC", "own_port": self.own}
        return {**(web if kind == "dicomweb" else dimse), "timeout_s": 5.0, **changes}
