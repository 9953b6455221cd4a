"""Kill OncoTrack with -9 at random moments while findings are edited; every acknowledged edit must be there afterwards.

``engine`` kills the code that keeps the findings on disk, several times a second: a process edits a list, saves and keeps it
automatically as the viewer does, and acknowledges every edit when the call has returned. ``server`` kills the whole viewer,
edited in a real browser: an edit counts as acknowledged when the page shows it. The next process continues from the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from oncotrack.findings.finding import Observation, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.visit_table import description
from oncotrack.web.autosave import NAME
from oncotrack.web.results import FINDINGS, Results

_LONGEST_S = 0.25  # time that a process of `engine` lives after its first edit
_MOST_FINDINGS = 12
_MOST_EDITS = 20  # of a reader between two starts of the viewer
_TYPED = ("label", "label", "site")


@dataclass
class Outcome:
    """What happened to how many edits."""

    kills: int = 0
    edits: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return it for printing."""
        return {
            "kills": self.kills,
            "acknowledged_edits": self.edits,
            "lost": len(self.lost),
            "first_lost": self.lost[:3],
            "seconds": round(self.seconds, 1),
        }


def on_disk(folder: Path) -> FindingList:
    """Return the findings as the next session finds them: the unsaved ones, else the saved ones."""
    for name in (NAME, FINDINGS):
        if (folder / name).is_file():
            return FindingList.open(folder / name)
    return FindingList([TimePoint("t0", "baseline")])


def whole(findings: FindingList) -> dict[str, str]:
    """Return everything about every finding as text, by UID."""
    return {finding.uid: repr(finding) for finding in findings}


def rows(findings: FindingList) -> dict[str, str]:
    """Return what the page's table shows of every finding that the reader can type, by UID."""
    return {finding.uid: f"{finding.label}, {description(finding)}" for finding in findings}


def kill_engine(folder: Path, kills: int, seconds: float, seed: int) -> Outcome:
    """Kill so many processes, or for so long, while they edit the findings in a folder."""
    rng, outcome, started = random.Random(seed), Outcome(), time.monotonic()
    example = FindingList([TimePoint("t0", "baseline")])
    _random_edit(example, rng)
    FindingList.from_json(example.to_json())  # prepares what every process would otherwise prepare by itself
    while outcome.kills < kills and time.monotonic() - started < seconds:
        reading, writing = os.pipe()
        child_seed = rng.randrange(2**32)
        child = os.fork()
        if child == 0:
            os.close(reading)
            _edit(folder, writing, child_seed)
        os.close(writing)
        with os.fdopen(reading, "rb") as acknowledged:
            first = acknowledged.readline()
            time.sleep(rng.uniform(0, _LONGEST_S))
            os.kill(child, signal.SIGKILL)
            lines = [first, *acknowledged.read().splitlines(keepends=True)]
        _pid, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            raise AssertionError(f"the process ended by itself with code {os.WEXITSTATUS(status)}")
        _check(outcome, [json.loads(line) for line in lines if line.endswith(b"\n")], whole(on_disk(folder)))
    outcome.seconds = time.monotonic() - started
    return outcome


def _edit(folder: Path, writing: int, seed: int) -> None:
    """Edit, save and acknowledge without end, in a process of its own."""
    try:
        rng = random.Random(seed)
        results = Results(folder)
        findings, autosave = FindingList([TimePoint("t0", "baseline")]), results.autosave
        if autosave.is_offered:
            findings.load_json(autosave.restore())
            autosave.keep(findings)
        elif (text := results.earlier_findings()[0]) != "":
            findings.load_json(text)
            findings.mark_saved()
        while True:
            _random_edit(findings, rng)
            autosave.keep(findings)
            if rng.random() < 0.15:
                results.add_saved([findings.save(results.folder / FINDINGS)])
                findings.mark_saved()
                autosave.keep(findings)
            os.write(writing, json.dumps(whole(findings)).encode() + b"\n")
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def _random_edit(findings: FindingList, rng: random.Random) -> None:
    """Add, rename, move or delete a finding, or undo."""
    known = findings.findings
    what = rng.random()
    if not known or (what < 0.35 and len(known) < _MOST_FINDINGS):
        centre = tuple(rng.uniform(-100, 100) for _ in range(3))
        findings.add("t0", Observation(centre=centre, state=State.ACCEPTED))
        return
    finding = rng.choice(known)
    if what < 0.7:
        findings.rename(finding.uid, f"{finding.label.split('.')[0]}.{rng.getrandbits(64)}")
    elif what < 0.85:
        findings.move(finding.uid, "t0", tuple(rng.uniform(-100, 100) for _ in range(3)))
    elif what < 0.93 and findings.can_undo and findings.undo_text != "load findings":
        findings.undo()
    else:
        findings.remove_everywhere(finding.uid)


def _check(outcome: Outcome, acknowledged: list[dict[str, str]], found: dict[str, str]) -> None:
    """Compare the disk with the last acknowledged state. One later edit may be there too: it was written, but not announced."""
    outcome.kills += 1
    outcome.edits += len(acknowledged)
    if not acknowledged:
        return
    last = acknowledged[-1]
    changed = [uid for uid in {*last, *found} if last.get(uid) != found.get(uid)]
    if len(changed) > 1:
        outcome.lost.append(f"after kill {outcome.kills}: acknowledged {last}, found {found}")


def kill_server(folder: Path, kills: int, seconds: float, seed: int) -> Outcome:
    """Kill so many viewers, or for so long, while a reader renames and describes findings in a browser."""
    from viewer_in_browser import Session, small_scan

    rng, outcome, started, out = random.Random(seed), Outcome(), time.monotonic(), folder / "out"
    findings = FindingList([TimePoint("t0", "Baseline")])
    for _ in range(_MOST_FINDINGS):
        findings.add("t0", Observation(centre=tuple(rng.uniform(-20, 20) for _ in range(3)), state=State.ACCEPTED))
    out.mkdir()
    findings.save(out / NAME)
    with Session(folder, [small_scan(folder)]) as session:
        while outcome.kills < kills and time.monotonic() - started < seconds:
            page = session.start()
            page.locator("[data-autosave='restore']").click()
            page.wait_for_function("trame.state.get('findings').length")
            shown = [_shown(page)]
            for _ in range(rng.randint(1, _MOST_EDITS)):
                uid, text = rng.choice(list(shown[-1])), f"{rng.getrandbits(64)}"
                _edit_on_page(page, uid, rng.choice(_TYPED), text)
                page.wait_for_function(
                    "([uid, text]) => { const row = trame.state.get('findings').find(row => row.uid === uid);"
                    " return row.label === text || row.about.includes(text); }",
                    arg=[uid, text],
                )
                shown.append(_shown(page))
            # the kill may come before the last one is done
            _edit_on_page(page, rng.choice(list(shown[-1])), rng.choice(_TYPED), f"{rng.getrandbits(64)}")
            time.sleep(rng.uniform(0, 0.2))
            session.kill()
            _check(outcome, shown, rows(on_disk(folder / "out")))
    outcome.seconds = time.monotonic() - started
    return outcome


def _shown(page) -> dict[str, str]:
    """Return what the page's table shows of every finding that the reader can type, by UID."""
    return page.evaluate(
        "Object.fromEntries(trame.state.get('findings').map(row => [row.uid, `${row.label}, ${row.about}`]))"
    )


def _edit_on_page(page, uid: str, what: str, text: str) -> None:
    """Rename a finding, or change its organ or station."""
    command = ["rename", uid, text] if what == "label" else ["describe", uid, what, text]
    page.evaluate("command => { trame.trigger('oncotrack.command', command); }", command)


def main() -> int:
    """Run from the command line; print the outcome as JSON and return 1 when an edit was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("engine", "server"))
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oncotrack-kill-") as name:
        run = kill_engine if chosen.what == "engine" else kill_server
        folder = Path(name) / "out" if chosen.what == "engine" else Path(name)
        outcome = run(folder, chosen.kills, chosen.seconds, chosen.seed)
    print(json.dumps({"what": f"kill {chosen.what}", "seed": chosen.seed, **outcome.as_dict()}))
    return 1 if outcome.lost else 0


if __name__ == "__main__":
    sys.exit(main())
