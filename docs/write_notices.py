"""Write the third-party notices: the packages that are installed with OncoTrack, with versions and licences."""

from __future__ import annotations

import argparse
import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

_EXTRAS = ("cli", "web", "slicer")  # what a reader installs; packages for tests and research are left out
_CLASSIFIER = "License :: "


def installed_with(name: str, extras: tuple[str, ...]) -> dict[str, metadata.Distribution]:
    """Return the distributions that a package needs, and those that they need, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(name, extras)]
    done = set()
    while waiting:
        wanted, chosen = waiting.pop()
        if (wanted, chosen) in done:
            continue
        done.add((wanted, chosen))
        try:
            distribution = metadata.distribution(wanted)
        except metadata.PackageNotFoundError:
            continue  # needed on another system only
        found[normal(wanted)] = distribution
        for line in distribution.requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*chosen, "")):
                waiting.append((requirement.name, tuple(sorted(requirement.extras))))
    return found


def normal(name: str) -> str:
    """Return a package's name as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(distribution: metadata.Distribution) -> str:
    """Return the licence as the package states it: an SPDX expression, a classifier, or the first line of its text."""
    about = distribution.metadata
    if expression := about.get("License-Expression"):
        return expression
    named = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith(_CLASSIFIER)]
    named = [name for name in named if name != "OSI Approved"]
    stated = next((line.strip() for line in (about.get("License") or "").splitlines() if line.strip()), "")
    return ", ".join(named) or stated[:80] or "see its licence file"


def notices(name: str = "oncotrack", extras: tuple[str, ...] = _EXTRAS) -> str:
    """Return the notices as Markdown."""
    found = installed_with(name, extras)
    found.pop(normal(name), None)
    rows = [
        f"| {about.metadata['Name']} | {about.version} | {licence(about)} |" for _key, about in sorted(found.items())
    ]
    return "\n".join(
        [
            "# Third-party notices",
            "",
            "Packages that are installed with OncoTrack (extras cli, web and slicer), written by `make notices` from the",
            "environment. Each package's own files hold the text of its licence.",
            "",
            "| package | version | licence |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Write the file that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path("THIRD_PARTY_NOTICES.md"))
    parser.parse_args().file.write_text(notices(), encoding="utf-8")


if __name__ == "__main__":
    main()
