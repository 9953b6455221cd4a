#!/usr/bin/env bash
# pynrrd 1.1.3: a header in UTF-8 is read as ASCII without its other characters, so that "µm" becomes "m".
#
# `nrrd.read` decodes each line with decode("ascii", "ignore") and neither warns nor fails. A voxel of 2 µm is then 2 m, a
# million times larger, with a unit that is valid; Slicer's segments "Läsion" and "肝臓" are called "Lsion" and "". The same
# lines given to `nrrd.read_header` as text keep every character. A `byte skip` before compressed voxels is applied twice,
# once to the compressed bytes and once to the others, so that a file that follows the format cannot be read.
#
# Output seen:
#   space units ['m', 'm', 'm'], names 'Lsion' and ''
#   as text: space units ['µm', 'µm', 'µm'], names 'Läsion' and '肝臓'
#   gzip: byte skip 0 read, byte skip 4 error: incorrect header check
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "pynrrd==1.1.3" "numpy==2.2.6"
cd "$folder"
PYTHONUTF8=1 "$folder/env/bin/python" - <<'PYTHON'
import gzip
from pathlib import Path

import nrrd

FIELDS = "NRRD0005\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspace: LPS\nspace directions: (2,0,0) (0,2,0) (0,0,2)\n"
UNITS_AND_NAMES = 'space units: "µm" "µm" "µm"\nSegment0_Name:=Läsion\nSegment1_Name:=肝臓\n'
VOXELS = bytes(range(8))


def described(header):
    return f"space units {header['space units']}, names {header['Segment0_Name']!r} and {header['Segment1_Name']!r}"


def outcome(skip):
    """Read gzip with bytes to skip before the voxels; they count after decompression."""
    head = f"{FIELDS}encoding: gzip\nbyte skip: {skip}\n\n"
    Path("skip.nrrd").write_bytes(head.encode() + gzip.compress(b"skip"[:skip] + VOXELS))
    try:
        return "read" if nrrd.read("skip.nrrd")[0].tobytes("F") == VOXELS else "wrong voxels"
    except Exception as error:
        return f"error: {str(error).rpartition(': ')[2]}"


text = f"{FIELDS}encoding: raw\n{UNITS_AND_NAMES}\n"
Path("units.nrrd").write_bytes(text.encode() + VOXELS)
lines = [
    described(nrrd.read("units.nrrd")[1]),
    f"as text: {described(nrrd.read_header(text.splitlines()))}",
    f"gzip: byte skip 0 {outcome(0)}, byte skip 4 {outcome(4)}",
]
print(*lines, sep="\n")
expected = [
    "space units ['m', 'm', 'm'], names 'Lsion' and ''",
    "as text: space units ['µm', 'µm', 'µm'], names 'Läsion' and '肝臓'",
    "gzip: byte skip 0 read, byte skip 4 error: incorrect header check",
]
assert lines == expected
PYTHON
