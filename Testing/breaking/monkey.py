"""Random work for a given time, with the memory watched: no error in the log, no command that is not understood, no leak.

``scene`` runs random commands on the scene behind both user interfaces, and opens and closes scenes. ``viewer`` clicks and runs
random commands on the viewer's server alone, ``browser`` clicks, drags, types and runs random commands on its page. Memory counts
from when every command has run once, because tools load their libraries and networks when they are used for the first time. What
counts is memory in use: pages that hold a few blocks among free space are reported beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kept_memory import count_small_objects
from monkey_scene import MOST_FINDINGS, monkey_scene

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
_LEFT_OUT = re.compile("(save|export|import).*|open|list_folder|hang")  # they ask for a file or wait for the disk
_LAST = re.compile("remove|delete|undo|redo|reject|clear")  # the other commands need what these take away


def monkey_viewer(folder: Path, commands: int, seconds: float, seed: int) -> dict[str, Any]:
    """Click and run commands on the viewer's server without a browser; return what happened and the growth of memory."""
    from kept_memory import kept
    from viewer_alone import ViewerAlone, beside_viewer
    from viewer_in_browser import scans

    rng, started = random.Random(seed), time.monotonic()

    def act(alone: ViewerAlone) -> None:
        names = [name for name in alone.enabled() if not _LEFT_OUT.fullmatch(name)]
        if rng.random() < 0.2 and len(alone.viewer.session.findings) < MOST_FINDINGS:
            alone.follow(tuple(rng.uniform(-50, 50) for _ in range(3)))
        elif rng.random() < 0.3:
            view, at = rng.choice(alone.viewer.views.slices()), (rng.randrange(380), rng.randrange(330))
            alone.call(lambda: alone.click(view, *at))
            alone.rest()
        else:
            alone.run(rng.choice(names))

    def work(alone: ViewerAlone) -> dict[str, Any]:
        for at in ((20.0, 10.0, 5.0), (-20.0, 5.0, -10.0)):
            alone.follow(at)
        is_warm = _each_command_once(alone.enabled, alone.run, started + seconds / 2)
        alone.forget()
        first, course, done = kept(), [], 0
        while done < commands and time.monotonic() - started < seconds:
            act(alone)
            done += 1
            if done % _EVERY == 0:
                alone.forget()
                course.append(kept().grown_since(first))
        alone.forget()
        return {
            "actions": done,
            "is_warm": is_warm,
            "first": first._asdict(),
            "course": course,
            **kept().grown_since(first),
        }

    outcome = beside_viewer(scans(folder), folder, work)
    return {**outcome, "seconds": round(time.monotonic() - started, 1)}


def _each_command_once(enabled: Callable[[], list[str]], run: Callable[[str], None], latest: float) -> bool:
    """Run every command that is, or becomes, possible; return whether that was done before a time."""
    done: set[str] = set()

    def left() -> list[str]:
        names = [name for name in enabled() if name not in done and not _LEFT_OUT.fullmatch(name)]
        return sorted(names, key=lambda name: bool(_LAST.search(name)))

    while names := left():
        if time.monotonic() > latest:
            return False
        done.add(names[0])
        run(names[0])
    return True


def monkey_browser(folder: Path, commands: int, seconds: float, seed: int) -> dict[str, Any]:
    """Click, drag, press keys and run commands on the page for the time; return what happened and the growth of memory."""
    from viewer_in_browser import IDLE, REGISTERED, Session, scans

    rng, started, done = random.Random(seed), time.monotonic(), 0
    said: set[str] = set()
    with Session(folder, scans(folder)) as session:
        page = session.start()
        page.wait_for_function(REGISTERED)
        page.on("dialog", lambda dialog: dialog.accept())

        def run(*command: str) -> None:
            page.evaluate("command => trame.trigger('oncotrack.command', command)", command)
            page.wait_for_function(IDLE)

        def forget() -> None:
            for finding in page.evaluate("trame.state.get('findings').map(each => each.uid)"):
                run("remove_everywhere", finding)

        is_warm = _each_command_once(
            lambda: page.evaluate("trame.state.get('enabled')"), run, time.monotonic() + seconds / 2
        )
        forget()
        first, course = session.kept(), []
        while done < commands and time.monotonic() - started < seconds:
            _act(page, rng)
            done += 1
            if done % _EVERY == 0:
                course.append(session.kept().grown_since(first))
            message = page.evaluate("trame.state.get('message').text")
            if message:
                said.add(message)
            if session.viewer.exit_code is not None:
                break
        page.wait_for_timeout(1000)
        is_alive = session.viewer.exit_code is None and page.evaluate("!!document.querySelector('[data-view]')")
        if is_alive:
            page.wait_for_function(IDLE)
            forget()
        grown = (session.kept() if is_alive else first).grown_since(first)
        log = session.log.read_text()
    return {
        "actions": done,
        "is_alive": bool(is_alive),
        "is_warm": is_warm,
        "first": first._asdict(),
        "course": course,
        **grown,
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
        if not _LEFT_OUT.fullmatch(name):
            page.evaluate("name => { trame.trigger('oncotrack.command', [name]); }", name)
    page.wait_for_timeout(rng.uniform(0, 60))


def main() -> int:
    """Run from the command line; print the outcome as JSON and return 1 after an error or a growth above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("scene", "viewer", "browser"))
    parser.add_argument("--commands", type=int, default=5000)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-mib", type=float, default=20.0, help="Largest growth of memory.")
    chosen = parser.parse_args()
    if chosen.what != "scene":
        count_small_objects()
    with tempfile.TemporaryDirectory(prefix="oncotrack-monkey-") as name:
        if chosen.what == "scene":
            outcome = monkey_scene(Path(name), chosen.commands, chosen.cycles, chosen.seconds, chosen.seed)
            is_good = max(outcome["commands_grow_mib"], outcome["cycles_grow_mib"]) <= chosen.most_mib
        else:
            run = monkey_viewer if chosen.what == "viewer" else monkey_browser
            outcome = run(Path(name), chosen.commands, chosen.seconds, chosen.seed)
            is_good = outcome["allocated_grow_mib"] <= chosen.most_mib or not outcome["is_warm"]
            if chosen.what == "browser":
                is_good &= outcome["is_alive"] and not outcome["tracebacks"] and not outcome["unexpected"]
    print(json.dumps({"what": f"monkey {chosen.what}", "seed": chosen.seed, **outcome}))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
