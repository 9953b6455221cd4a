"""Draw docs/architecture.svg: the layers of the package with the imports between them, both read from the project.

Run `python docs/draw_architecture.py` after a package was added or moved: a test compares the picture with the code.
The layers come from the layers contract of pyproject.toml, the imports from the graph of import-linter.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

import grimp

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
TITLES = {
    "cli": "command line",
    "web": "viewer in the browser",
    "bench": "speed next to alternatives",
    "training": "training of networks",
    "evaluation": "metrics of the papers",
    "datasets": "readers of public data sets",
    "archive": "index of all patients",
    "phantom": "synthetic patients",
    "report": "HTML reports with pictures",
    "scene": "findings as MRML nodes",
    "detection": "lymph nodes: LN-Tracker, MR",
    "dicom_objects": "DICOM reports, segmentations",
    "followup": "lesions: DLT, TLT, self-similarity",
    "masks": "RECIST diameters and masks",
    "pacs": "DICOMweb, DIMSE, outbox",
    "response": "RECIST 1.1, iRECIST",
    "networks": "boxes, weights, devices",
    "registration": "elastix, with a cache",
    "settings": "what a reader chose, kept",
    "findings": "list of findings, with undo",
    "background": "tasks, progress, cancelling",
    "images": "volumes, DICOM, files",
    "packages": "what Slicer installs",
    "samples": "public sample scans",
    "atomic": "atomic writing of files",
    "resources": "weights, icon, lists",
    "errors": "exceptions with messages",
    "json_text": "JSON with limits",
}
MODULES = ("LNTracker", "LesionFollowUp", "RECISTPseudoMask")
WIDTH, BOX, HEIGHT, GAP = 1180, 250, 46, 34


def layers() -> list[list[str]]:
    """Return the packages of each layer, highest first, from the layers contract."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    contract = next(c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == ["oncotrack"])
    return [[name.strip() for name in layer.split("|")] for layer in contract]


def imports() -> set[tuple[str, str]]:
    """Return which package imports which."""
    graph = grimp.build_graph("oncotrack", include_external_packages=False, cache_dir=None)
    pairs = set()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            above, below = ([*name.split("."), ""][1] for name in (importer, imported))
            if above and below and above != below and above != "__main__":
                pairs.add((above, below))
    return pairs


def essential(pairs: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the imports that no chain of other imports implies: the others would only hide them in the picture."""
    below: dict[str, set[str]] = {}
    for above, under in pairs:
        below.setdefault(above, set()).add(under)

    def reaches(start: str, goal: str) -> bool:
        return goal in below.get(start, ()) or any(reaches(step, goal) for step in below.get(start, ()))

    return sorted((a, b) for a, b in pairs if not any(reaches(step, b) for step in below[a] - {b}))


def svg() -> str:
    """Return the picture as text."""
    rows = [list(MODULES), *layers()]
    place = {}
    for r, names in enumerate(rows):
        left = (WIDTH - len(names) * BOX - (len(names) - 1) * GAP) / 2
        for c, name in enumerate(names):
            place[name] = (left + c * (BOX + GAP), 20 + r * (HEIGHT + GAP))
    lines, boxes = [], []
    drawn = [*((module, "scene") for module in MODULES), *essential(imports())]
    for above, below in drawn:
        (x1, y1), (x2, y2) = place[above], place[below]
        down = sorted((b for a, b in drawn if a == above), key=lambda name: place[name][0])
        up = sorted((a for a, b in drawn if b == below), key=lambda name: place[name][0])
        left = x1 + BOX * (down.index(below) + 1) / (len(down) + 1)
        right = x2 + BOX * (up.index(above) + 1) / (len(up) + 1)
        bend = (y2 - y1 - HEIGHT) / 2
        lines.append(
            f'<path d="M{left:.0f} {y1 + HEIGHT:.0f} C{left:.0f} {y1 + HEIGHT + bend:.0f} {right:.0f} {y2 - bend:.0f} '
            f'{right:.0f} {y2 - 6:.0f}" marker-end="url(#arrow)"/>'
        )
    for name, (x, y) in place.items():
        title = "Slicer module (Qt)" if name in MODULES else TITLES[name]
        kind = "desktop" if name in MODULES else "face" if name in ("web", "cli", "scene") else "engine"
        boxes.append(
            f'<g><title>{escape(name)}: {escape(title)}</title><rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" height="{HEIGHT}" rx="6" '
            f'class="{kind}"/><text x="{x + BOX / 2:.0f}" y="{y + 20:.0f}" class="name">{escape(name)}</text>'
            f'<text x="{x + BOX / 2:.0f}" y="{y + 37:.0f}" class="title">{escape(title)}</text></g>'
        )
    height = 20 + len(rows) * (HEIGHT + GAP)
    style = (
        "rect{stroke:#444;fill:#eef3fa}.desktop{fill:#e6f4e6}.face{fill:#fdf1dc}text{font-family:sans-serif;text-anchor:middle;"
        "fill:#111}.name{font-size:15px;font-weight:bold}.title{font-size:12px}path{fill:none;stroke:#66758c;stroke-width:1.4}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="The packages of OncoTrack, layer by layer; every arrow is an import and goes down">\n<style>{style}</style>\n<defs><marker id="arrow" '
        'viewBox="0 0 6 6" refX="3" refY="3" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 6 3 0 6z" '
        'style="fill:#66758c;stroke:none"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>\n<g>\n'
        + "\n".join(lines)
        + "\n</g>\n"
        + "\n".join(boxes)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
    sys.stdout.write(f"{PICTURE} was written.\n")
