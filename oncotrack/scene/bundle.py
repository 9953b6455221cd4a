"""A scene file written without any interface: two scans, their registration, and the findings."""

from __future__ import annotations

from pathlib import Path

from oncotrack.findings import FindingList
from oncotrack.followup.tracker import ScanPair
from oncotrack.scene.application import new_scene
from oncotrack.scene.follow_up import FollowUpScene
from oncotrack.scene.storage import save_scene
from oncotrack.scene.volumes import add_volume


def write_scene(path: Path, pair: ScanPair, findings: FindingList) -> Path:
    """Write an .mrb that Slicer and the browser viewer open.

    Parameters
    ----------
    path : path ending in .mrb
    pair : ScanPair
        Registered here when it is not yet.
    findings : FindingList
        On the time points "t0" (baseline) and "t1" (follow-up).
    """
    application = new_scene()
    session = FollowUpScene(application.scene)
    try:
        session.set_scans(*(add_volume(application.scene, volume) for volume in (pair.baseline, pair.followup)))
        session.take_up(findings, pair.register())
        return save_scene(application.scene, path)
    finally:
        session.close()
