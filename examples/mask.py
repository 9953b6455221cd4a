"""Make a mask from the two RECIST diameters of a lesion, in their slice and in 3D.

    python examples/mask.py                  a lesion of a synthetic CT
    python examples/mask.py IMAGE AXES       AXES is a JSON file, or a .mrk.json of 3D Slicer with two lines

The JSON file: {"coordinates": "RAS", "long": [[R, A, S], [R, A, S]], "short": [[R, A, S], [R, A, S]]}, in mm.
"""

import sys

from oncotrack.images.files import load
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.axes_files import read_axes
from oncotrack.masks.findings import observation
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.phantom import make_patient

if sys.argv[1:]:
    image, axes, truth = load(sys.argv[1]), read_axes(sys.argv[2]), None
else:
    visit = make_patient(7, visits=1, size=(128, 128, 40)).visits[0]
    lesion = max(visit.truth.instances, key=lambda instance: instance.volume_mm3)
    image, axes, truth = visit.image, RecistAxes.of(lesion.long_axis, lesion.short_axis), lesion.volume_mm3

print(f"Diameters: {axes.long.length_mm:.1f} x {axes.short.length_mm:.1f} mm")
for title, mask in (("in the slice", pseudo_mask(image, axes)), ("in 3D", propagate_to_3d(image, axes))):
    measured = observation(mask, axes)
    print(
        f"Mask {title}: {(mask.array > 0).sum()} voxels on {len(measured.tracklet.boxes)} slices,",
        f"{measured.volume_mm3 / 1000:.1f} ml",
    )
if truth is not None:
    print(f"True volume: {truth / 1000:.1f} ml")
