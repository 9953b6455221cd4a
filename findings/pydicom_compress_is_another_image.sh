#!/usr/bin/env bash
# pydicom 3.0.2: Dataset.compress() of a lossless transfer syntax gives the image a new SOP Instance UID.
#
# The pixels are the same after decompression, and DICOM lets a losslessly compressed copy keep its UID. With the default arguments
# the copy is another instance, though: reports and segmentations that refer to the image do not find it any more, an archive
# keeps both, and the two copies in one folder are two slices at one position. Nothing is logged. `generate_instance_uid=False`
# keeps the UID. Dataset.decompress() changes it in the same way.
#
# Output seen:
#   pixels equal: True
#   UID kept by compress(): False
#   UID kept by decompress(): False
#   UID kept with generate_instance_uid=False: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "pydicom==3.0.2" "numpy==2.2.6"
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

pixels = np.arange(64, dtype=np.int16).reshape(8, 8)


def image():
    """Return a small CT image."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.Rows, made.Columns, made.SamplesPerPixel, made.PhotometricInterpretation = 8, 8, 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    made.PixelData = pixels.tobytes()
    return made


first, second = image(), image()
before = first.SOPInstanceUID
first.compress(RLELossless)
equal = np.array_equal(first.pixel_array, pixels)
compressed = first.SOPInstanceUID
first.decompress()
kept = second.SOPInstanceUID
second.compress(RLELossless, generate_instance_uid=False)
seen = [equal, compressed == before, first.SOPInstanceUID == compressed, second.SOPInstanceUID == kept]
for name, value in zip(
    ("pixels equal", "UID kept by compress()", "UID kept by decompress()", "UID kept with generate_instance_uid=False"), seen
):
    print(f"{name}: {value}")
raise SystemExit(seen != [True, False, False, True])
PYTHON
