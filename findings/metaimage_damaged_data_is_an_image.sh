#!/usr/bin/env bash
# SimpleITK 2.5.7: a MetaImage file whose compressed voxels are damaged is read as an image, without an error.
#
# Where zlib fails, the reader prints "Uncompress failed" on standard error and returns the image with whatever its memory
# held: behind the damaged place the voxels are undefined, and a wrong checksum is never noticed. The same happens to intact
# data when the header lacks CompressedDataSize. A position that is no number becomes 0, in silence, too. Raw data that are
# too short raise an error, as one expects.
#
# Output seen:
#   intact: read, all voxels right
#   one byte changed: read, some voxels wrong
#   cut to half, size corrected: read, some voxels wrong
#   without CompressedDataSize: read, some voxels wrong
#   Offset nan 0 0: read, all voxels right, origin (0.0, 0.0, 0.0)
#   raw data cut to half: error
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "SimpleITK==2.5.7" "numpy==2.2.6"
cd "$folder"
"$folder/env/bin/python" - 2>/dev/null <<'PYTHON'
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

SHAPE = (40, 40, 40)
READ = """
import sys
import numpy as np
import SimpleITK as sitk
try:
    image = sitk.ReadImage(sys.argv[1])
except RuntimeError:
    print("error")
else:
    is_right = np.array_equal(sitk.GetArrayFromImage(image), np.load("truth.npy"))
    origin = f", origin {image.GetOrigin()}" if image.GetOrigin() != (1.0, 2.0, 3.0) else ""
    print(f"read, {'all voxels right' if is_right else 'some voxels wrong'}{origin}")
"""
truth = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype("<i2")
np.save("truth.npy", truth)
packed = zlib.compress(truth.tobytes())
changed = bytearray(packed)
changed[len(packed) // 2] ^= 0x10


def outcome(data, size=0, offset="1 2 3"):
    """Write a file, and read it in a process of its own, whose memory has never held the voxels."""
    fields = {"NDims": 3, "DimSize": "40 40 40", "ElementSpacing": "1 1 1", "Offset": offset, "ElementType": "MET_SHORT"}
    fields |= {"BinaryData": "True", "CompressedData": str(data is not raw and data is not half)}
    fields |= {"CompressedDataSize": size} if size else {}
    head = "".join(f"{name} = {value}\n" for name, value in fields.items()) + "ElementDataFile = LOCAL\n"
    Path("a.mha").write_bytes(head.encode() + data)
    command = [sys.executable, "-c", READ, "a.mha"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


raw = truth.tobytes()
half = raw[: len(raw) // 2]
cut = packed[: len(packed) // 2]
lines = [
    f"intact: {outcome(packed, len(packed))}",
    f"one byte changed: {outcome(bytes(changed), len(changed))}",
    f"cut to half, size corrected: {outcome(cut, len(cut))}",
    f"without CompressedDataSize: {outcome(packed)}",
    f"Offset nan 0 0: {outcome(raw, offset='nan 0 0')}",
    f"raw data cut to half: {outcome(half)}",
]
print(*lines, sep="\n")
expected = [
    "intact: read, all voxels right",
    "one byte changed: read, some voxels wrong",
    "cut to half, size corrected: read, some voxels wrong",
    "without CompressedDataSize: read, some voxels wrong",
    "Offset nan 0 0: read, all voxels right, origin (0.0, 0.0, 0.0)",
    "raw data cut to half: error",
]
assert lines == expected
PYTHON
