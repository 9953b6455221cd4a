"""Random work for a given time, with the memory watched: no error in the log, no command that is not understood, no leak.

``scene`` runs random commands on the scene behind both user interfaces, and opens and closes scenes. ``browser`` clicks, drags,
types and runs random commands on the viewer's page.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

_WARM_UP = 0.2  # part of the commands after which the first memory is taken: caches and libraries fill until then
_CYCLES_WARM_UP = 10
_EVERY = 250  # actions of the browser between two looks at the memory
_SHOWN = 2000  # characters of the first traceback
_KEYS = [
    "a",
    "r",
    "n",
    "p",
    "u",
    "y",
    "g",
    "k",
    "z",
    "Delete",
    "Escape",
    "ArrowDown",
    "ArrowUp",
    "Home",
    "Control+z",
    "Control+Shift+z",
    "1",
    "2",
    "3",
    "+",
]
_ANSWERS = ("yes", "no")
_UNSAFE_TABS = ("Files",)  # saving and opening is tested by kill.py; here it would only wait for the disk


def memory_mib(process: str = "self") -> float:
    """Return the memory that a process uses now."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024


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
        if len(findings) < 30:
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
    first, refused, done = memory_mib(), 0, 0
    for done in range(1, commands + 1):
        try:
            rng.choice(possible)()
        except OncoTrackError:
            refused += 1  # a sentence is an answer
        if done == int(_WARM_UP * commands):
            gc.collect()
            first = memory_mib()
        if time.monotonic() - started > seconds:
            break
    findings.load_json(type(findings)(findings.time_points).to_json())
    gc.collect()
    commands_mib = memory_mib() - first
    path = save_scene(application.scene, folder / "scene.mrb")
    opened = 0
    for opened in range(1, cycles + 1):
        open_scene(application.scene, path)
        if opened == min(_CYCLES_WARM_UP, max(1, cycles // 3)):
            gc.collect()
            first = memory_mib()
        if time.monotonic() - started > seconds:
            break
    gc.collect()
    cycles_mib = memory_mib() - first
    session.close()
    return {
        "commands": done,
        "refused_with_a_sentence": refused,
        "commands_grow_mib": round(commands_mib, 1),
        "open_close_cycles": opened,
        "cycles_grow_mib": round(cycles_mib, 1),
        "seconds": round(time.monotonic() - started, 1),
    }


def monkey_browser(folder: Path, commands: int, seconds: float, seed: int) -> dict[str, Any]:
    """Click, drag, press keys and run commands on the page for the time; return what happened and the growth of memory."""
    from viewer_in_browser import REGISTERED, Session, scans

    rng, started, done = random.Random(seed), time.monotonic(), 0
    said: set[str] = set()
    with Session(folder, scans(folder)) as session:
        page = session.start()
        page.wait_for_function(REGISTERED)
        page.on("dialog", lambda dialog: dialog.accept())
        first, course = session.memory_mib, []
        while done < commands and time.monotonic() - started < seconds:
            _act(page, rng)
            done += 1
            if done == int(_WARM_UP * commands) or done == 50:
                first = session.memory_mib
            if done % _EVERY == 0:
                course.append(round(session.memory_mib))
            message = page.evaluate("trame.state.get('message').text")
            if message:
                said.add(message)
            if session.viewer.exit_code is not None:
                break
        page.wait_for_timeout(1000)
        is_alive = session.viewer.exit_code is None and page.evaluate("!!document.querySelector('[data-view]')")
        grown = session.memory_mib - first if is_alive else 0.0
        log = session.log.read_text()
    return {
        "actions": done,
        "is_alive": bool(is_alive),
        "grow_mib": round(grown, 1),
        "memory_mib": course,
        "tracebacks": log.count("Traceback (most recent call last)"),
        "first_traceback": log[max(log.find("Traceback (most recent"), 0) :][:_SHOWN] if "Traceback" in log else "",
        "unexpected": sum("error in OncoTrack" in text for text in said),
        "seconds": round(time.monotonic() - started, 1),
    }


def _act(page: Any, rng: random.Random) -> None:
    """Do one random thing on the page."""
    answer = page.locator(f"[data-answer='{rng.choice(_ANSWERS)}']")
    if answer.count() and answer.first.is_enabled():
        answer.first.click()
        return
    x, y = rng.uniform(5, 1360), rng.uniform(5, 760)
    what = rng.random()
    if what < 0.3:
        page.mouse.click(x, y)
    elif what < 0.4:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + rng.uniform(-80, 80), y + rng.uniform(-80, 80), steps=3)
        page.mouse.up()
    elif what < 0.55:
        page.mouse.move(x, y)
        page.mouse.wheel(0, rng.choice((-100, 100)))
    elif what < 0.8:
        page.keyboard.press(rng.choice(_KEYS))
    else:
        name = rng.choice(page.evaluate("trame.state.get('enabled')") or ["undo"])
        if name not in ("open", "list_folder", "hang") and not name.startswith(("save", "export", "import")):
            page.evaluate("name => { trame.trigger('oncotrack.command', [name]); }", name)
    page.wait_for_timeout(rng.uniform(0, 60))


def main() -> int:
    """Run from the command line; print the outcome as JSON and return 1 after an error or a growth above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("scene", "browser"))
    parser.add_argument("--commands", type=int, default=5000)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-mib", type=float, default=20.0, help="Largest growth of memory.")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oncotrack-monkey-") as name:
        if chosen.what == "scene":
            outcome = monkey_scene(Path(name), chosen.commands, chosen.cycles, chosen.seconds, chosen.seed)
            is_good = max(outcome["commands_grow_mib"], outcome["cycles_grow_mib"]) <= chosen.most_mib
        else:
            outcome = monkey_browser(Path(name), chosen.commands, chosen.seconds, chosen.seed)
            is_good = outcome["is_alive"] and not outcome["tracebacks"] and not outcome["unexpected"]
    print(json.dumps({"what": f"monkey {chosen.what}", "seed": chosen.seed, **outcome}))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
