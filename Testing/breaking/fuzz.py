"""Search for inputs that raise anything but a sentence, guided by the code that they reach; it needs the package atheris.

    pip install atheris
    python Testing/breaking/fuzz.py nrrd -max_total_time=300

What it finds in OncoTrack is described in a test in words and mended; an input that ends another program is not kept.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["oncotrack"]):
    from breaking.valid_files import axes_of, findings, image, labels, make, table

    from oncotrack.errors import OncoTrackError

TARGETS: dict[str, tuple[str, Callable]] = {
    "findings": ("findings.json", findings),
    "axes": ("axes.json", axes_of),
    "lines": ("lines.mrk.json", axes_of),
    "csv": ("axes.csv", table),
    "nifti": ("image.nii", image),
    "nrrd": ("raw.nrrd", image),
    "metaimage": ("raw.mha", image),
    "segmentation": ("masks.seg.nrrd", labels),
    "dicom": ("dicom/IM0002.dcm", image),
}


def main() -> None:
    """Run until an input raises something else, or the time is up."""
    name, read = TARGETS[sys.argv[1]]
    folder = Path(tempfile.mkdtemp(prefix="oncotrack-fuzz-"))
    make(folder / "valid", has_scene=False)
    seeds, path = folder / "seeds", folder / "try" / Path(name).name
    seeds.mkdir()
    path.parent.mkdir()
    (seeds / "valid").write_bytes((folder / "valid" / name).read_bytes()[:20_000])

    def once(content: bytes) -> None:
        path.write_bytes(content)
        with contextlib.suppress(OncoTrackError):
            read(path)

    atheris.Setup([sys.argv[0], str(seeds), *sys.argv[2:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
