"""Detect the lymph nodes of a CT or an MR.

    python examples/detect.py            a synthetic CT
    python examples/detect.py IMAGE      a DICOM folder, or a NIfTI, NRRD or MetaImage file

The bundled networks were trained on synthetic scans and on real CTs with inserted nodes, never on annotated patients:
check every detection, and look for missed nodes.
"""

import sys

from oncotrack.detection.detector import detector, detector_for
from oncotrack.findings.sizes import axes_text
from oncotrack.images.files import load
from oncotrack.phantom import make_patient

if sys.argv[1:]:
    image = load(sys.argv[1])
else:  # a small part of the chest, so that this takes seconds; a whole CT takes about a minute on two CPU cores
    image = make_patient(3, visits=1, size=(96, 96, 16), spacing=(1.6, 1.6, 2.5)).visits[0].image

name = detector_for(image)  # "mr" for a DICOM series of MR, else "lntracker"
findings = detector(name, device="cpu").detect(image)

print(f"{len(findings)} candidates found by {name} in {image.name}; the ten with the highest score:")
for finding in findings[:10]:
    observation = finding.at("t0")  # the observation at the only time point
    print(
        "{}: R {:.1f}  A {:.1f}  S {:.1f} mm".format(finding.label, *observation.centre),
        axes_text(observation),
        f"on {len(observation.tracklet.boxes)} slices",
        f"score {observation.score:.2f}",
        sep=", ",
    )
