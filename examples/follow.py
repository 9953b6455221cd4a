"""Find a baseline lesion in a follow-up scan.

    python examples/follow.py                              a synthetic patient
    python examples/follow.py BASELINE FOLLOWUP R A S      two scans and the lesion's position in the first, RAS mm

A scan is a DICOM folder, or a NIfTI, NRRD or MetaImage file.
"""

import sys
from math import dist

from oncotrack.followup.methods import tracker
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, ScanPair
from oncotrack.images.files import load
from oncotrack.phantom import make_patient


def synthetic_pair():
    """Return two scans of a synthetic patient and a lesion: position, radius, true position in the follow-up."""
    patient = make_patient(7, visits=2, size=(64, 64, 40))
    baseline, followup = (visit.image for visit in patient.visits)
    for finding in patient.findings:
        before, after = finding.at("t0"), finding.at("t1")
        if before and after and after.is_there and before.radius_mm and before.radius_mm > 8:
            return baseline, followup, before.centre, before.radius_mm, after.centre
    raise RuntimeError("The synthetic patient has no large lesion that is present in both scans.")


arguments = sys.argv[1:]
if arguments:
    baseline, followup = load(arguments[0]), load(arguments[1])
    position, radius, truth = tuple(map(float, arguments[2:5])), DEFAULT_RADIUS_MM, None
else:
    baseline, followup, position, radius, truth = synthetic_pair()

# A pair is registered once, when the first lesion is matched; further lesions of the pair need no registration.
pair = ScanPair(baseline, followup, cache=False)
match = tracker("selfsim").match(pair, position, radius)

print("Lesion in the baseline:      R {:.1f}  A {:.1f}  S {:.1f} mm".format(*position))
print("Position by registration:    R {:.1f}  A {:.1f}  S {:.1f} mm".format(*match.registration_guess))
print("Position in the follow-up:   R {:.1f}  A {:.1f}  S {:.1f} mm".format(*match.position))
print("Found:                      ", "yes" if match.found else f"no. {match.reason}")
if match.cycle_error_mm is not None:
    print(f"Cycle error:                 {match.cycle_error_mm:.1f} mm (return match; good below 5 mm)")
if truth is not None:
    print(f"Distance to true position:   {dist(match.position, truth):.1f} mm")
