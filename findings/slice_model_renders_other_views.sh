#!/usr/bin/env bash
# slicer-core 5.11.0.6 with trame-slicer 2.0.0: scrolling one slice view asks every other slice view to render.
#
# Each slice logic keeps a model of its plane for the 3D views, hidden by default and never shown in 2D. When the axial
# slice moves by one step, the model-slice displayable manager of the sagittal view still requests a render, four times
# a step, although its picture cannot have changed: in a layout of six views, five render for nothing at each turn of the
# wheel. The requests stop when the model of the plane is told to send no modified events; its own view goes on as before.
#
# Output seen:
#   model of the axial plane: visible 0, in 2D 0
#   five steps of the axial slice: requests axial > 0 True, sagittal 20
#   with its modified events off: requests axial > 0 True, sagittal 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "trame-slicer[standalone]==2.0.0" "slicer-core==5.11.0.6"
export VTK_DEFAULT_OPENGL_WINDOW=vtkOSOpenGLRenderWindow
"$folder/env/bin/python" - 2>/dev/null <<'PYTHON'
import numpy as np
import slicer
from trame_slicer.core import SlicerApp
from trame_slicer.views import SliceView
from trame_slicer.views.render_scheduler import NoScheduleRendering
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData

app = SlicerApp()
image = vtkImageData()
image.SetDimensions(32, 32, 32)
image.GetPointData().SetScalars(numpy_to_vtk(np.arange(32**3, dtype=np.float32), deep=True))
volume = slicer.vtkMRMLScalarVolumeNode()
app.scene.AddNode(volume)
volume.SetAndObserveImageData(image)
volume.CreateDefaultDisplayNodes()
requests = {"Axial": 0, "Sagittal": 0}


class Counting(NoScheduleRendering):
    """Counts a view's requests to be rendered instead of rendering."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def schedule_render(self):
        requests[self.name] += 1


views = {name: SliceView(app.scene, app.app_logic, name, Counting(name)) for name in requests}
for name, view in views.items():
    view.set_orientation(name)
    view.set_background_volume_id(volume.GetID())
    view.fit_view_to_content()
    view.render()


def scroll(start):
    """Move the axial slice five times and return the requests of both views meanwhile."""
    requests.update(Axial=0, Sagittal=0)
    for step in range(5):
        views["Axial"].set_slice_value(start + step)
    return f"requests axial > 0 {requests['Axial'] > 0}, sagittal {requests['Sagittal']}"


plane = app.app_logic.GetSliceLogic(views["Axial"].get_view_node()).GetSliceModelNode()
display = plane.GetDisplayNode()
lines = [f"model of the axial plane: visible {display.GetVisibility()}, in 2D {display.GetVisibility2D()}"]
lines.append(f"five steps of the axial slice: {scroll(5.0)}")
plane.DisableModifiedEventOn()
lines.append(f"with its modified events off: {scroll(15.0)}")
print(*lines, sep="\n")
expected = [
    "model of the axial plane: visible 0, in 2D 0",
    "five steps of the axial slice: requests axial > 0 True, sagittal 20",
    "with its modified events off: requests axial > 0 True, sagittal 0",
]
assert lines == expected
PYTHON
