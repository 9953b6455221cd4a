"""Random commands on the scene behind both user interfaces, and scenes opened and closed, with the memory watched; see `monkey`."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from kept_memory import kept

_WARM_UP = 0.2  # part of the commands after which the first memory is taken: caches and libraries fill until then
_CYCLES_WARM_UP = 10
MOST_FINDINGS = 30


def monkey_scene(folder: Path, commands: int, cycles: int, seconds: float, seed: int) -> dict[str, Any]:
    """Run random commands, then open and close scenes; stop after the time."""
    from oncotrack.errors import OncoTrackError
    from oncotrack.findings.finding import Observation, State
    from oncotrack.images.geometry import Geometry
    from oncotrack.images.volume import Volume
    from oncotrack.scene.files.storage import open_scene, save_scene
    from oncotrack.scene.followup.follow_up import FollowUpScene
    from oncotrack.scene.nodes.volumes import add_volume
    from oncotrack.scene.views.application import new_scene

    rng, started = random.Random(seed), time.monotonic()
    geometry = Geometry((48, 48, 24), (4.0, 4.0, 6.0), (-94.0, -94.0, -70.0))
    voxels = np.random.default_rng(seed).normal(0, 50, geometry.shape).astype(np.int16)
    application = new_scene()
    session = FollowUpScene(application.scene)
    scans = [add_volume(application.scene, Volume(voxels, geometry, name, "CT")) for name in ("baseline", "followup")]
    session.set_scans(*scans)
    findings = session.findings

    def place() -> tuple[float, ...]:
        return tuple(rng.uniform(-60, 60) for _ in range(3))

    def uid() -> str:
        return rng.choice(findings.findings).uid if len(findings) else "none"

    def add() -> None:
        if len(findings) < MOST_FINDINGS:
            session.name_time_points()
            scan = rng.choice((session.baseline_id, session.followup_id))
            findings.add(scan, Observation(centre=place(), state=State.PROPOSED))

    possible = (
        add,
        add,
        lambda: session.go_to(uid()),
        lambda: session.accept(uid()),
        lambda: session.reject(uid()),
        lambda: session.rename(f"L {rng.getrandbits(40)}", uid()),
        lambda: session.describe(uid(), comment="=1+1 $x$ <b>"),
        lambda: findings.move(uid(), session.baseline_id, place()),
        lambda: findings.observe(uid(), session.followup_id, Observation(centre=place(), state=State.EDITED)),
        lambda: findings.remove_from_scan(uid(), session.followup_id),
        lambda: findings.remove_everywhere(uid()),
        session.undo,
        session.redo,
        session.next,
        session.previous,
        lambda: session.set_scans(session.followup, session.baseline),
    )
    first, refused, done = kept().resident, 0, 0
    for done in range(1, commands + 1):
        try:
            rng.choice(possible)()
        except OncoTrackError:
            refused += 1  # a sentence is an answer
        if done == int(_WARM_UP * commands):
            first = kept().resident
        if time.monotonic() - started > seconds:
            break
    findings.load_json(type(findings)(findings.time_points).to_json())
    commands_mib = kept().resident - first
    path = save_scene(application.scene, folder / "scene.mrb")
    opened = 0
    for opened in range(1, cycles + 1):
        open_scene(application.scene, path)
        if opened == min(_CYCLES_WARM_UP, max(1, cycles // 3)):
            first = kept().resident
        if time.monotonic() - started > seconds:
            break
    cycles_mib = kept().resident - first
    session.close()
    return {
        "commands": done,
        "refused_with_a_sentence": refused,
        "commands_grow_mib": round(commands_mib, 1),
        "open_close_cycles": opened,
        "cycles_grow_mib": round(cycles_mib, 1),
        "seconds": round(time.monotonic() - started, 1),
    }
