"""Headers and small series of PET for tests: 74 kg, 370 MBq of F-18, injected an hour before the scan."""

from __future__ import annotations

import numpy as np
import small_dicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

F18 = 6586.2
DOSE, WEIGHT = 370e6, 74.0
AN_HOUR = 1000 * WEIGHT / (DOSE * 2 ** (-3600 / F18))
"""The factor of `header` without changes: 74 kg, 370 MBq injected an hour before the scan."""
PHILIPS = ("CNTS", "Philips PET Private Group")


def header(tracer=None, **changes):
    """Return the header of one slice: 370 MBq of F-18 injected at 11:00, decay-corrected to the series time, 12:00."""
    data, item = Dataset(), Dataset()
    injected = {"RadionuclideTotalDose": DOSE, "RadionuclideHalfLife": F18, "RadiopharmaceuticalStartTime": "110000"}
    stated = {
        "Units": "BQML", "CorrectedImage": ["ATTN", "DECY", "SCAT"], "DecayCorrection": "START", "PatientWeight": WEIGHT,
        "PatientSize": 1.75, "PatientSex": "M", "SeriesDate": "20200102", "SeriesTime": "120000",
        "AcquisitionDate": "20200102", "AcquisitionTime": "121500",
    }  # fmt: skip
    with disable_value_validation():
        for target, values in ((item, injected | (tracer or {})), (data, stated | changes)):
            for name, value in values.items():
                if value is not None:
                    setattr(target, name, value)
    data.RadiopharmaceuticalInformationSequence = [item]
    return data


def private(data, group, creator, **elements):
    """Add private tags: their number in hexadecimal, after an x, and their value."""
    block = data.private_block(group, creator, create=True)
    for number, value in elements.items():
        block.add_new(int(number[1:], 16), "DS" if group == 0x7053 else "DT", value)
    return data


def after(seconds, dose=DOSE, half_life=F18):
    """Return the factor for a scan so many seconds after the injection."""
    return 1000 * WEIGHT / (dose * 2 ** (-seconds / half_life))


def write_pet(folder, times=("121500",) * 3, **changes):
    """Write a PET of three slices of 5000 Bq/ml, the slopes differ; the files are named from the head down."""
    slices = small_dicom.series(
        np.zeros((3, 4, 4)), RescaleIntercept=0, Modality="PT", SOPClassUID=PositronEmissionTomographyImageStorage
    )
    for each, time, slope in zip(slices, times, (1, 2, 5), strict=True):
        small_dicom.set_stored(each, np.diag([0, *[5000 // slope] * 3]))
        each.update(header(AcquisitionTime=time, RescaleSlope=slope, **changes))
    return small_dicom.write(slices[::-1], folder)
