"""Writing of a scene file from the command line: scans, registrations and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from oncotrack.findings.finding_list import FindingList
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration
from oncotrack.scene.files.storage import save_scene
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.application import new_scene


def write_scene(
    path: Path,
    visits: Sequence[Volume],
    findings: FindingList,
    registrations: Mapping[tuple[int, int], Registration],
) -> Path:
    """Write an .mrb that Slicer and the browser viewer open on the first two visits.

    Parameters
    ----------
    path : path ending in .mrb
    visits : sequence of Volume
        Earliest first.
    findings : FindingList
        On the time points "t0" (the first visit), "t1" and so on.
    registrations : mapping of (earlier, later) visit, counted from 0, to Registration
        From the earlier to the later visit; only the known ones.
    """
    application = new_scene()
    session = FollowUpScene(application.scene)
    try:
        nodes = [add_volume(application.scene, volume) for volume in visits]
        session.set_visits(nodes)
        known = {(nodes[a], nodes[b]): registration for (a, b), registration in registrations.items()}
        session.load_findings(findings, known)
        return save_scene(application.scene, path)
    finally:
        session.close()
