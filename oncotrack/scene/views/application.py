"""A scene with the module logics that the Slicer application would provide, for tests, the command line and the browser."""

from __future__ import annotations

import tempfile
import weakref
from dataclasses import dataclass, field

import slicer

from oncotrack.scene.nodes.time_points import leave_study

_MODULE_LOGICS = {
    "Units": "vtkSlicerUnitsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Data": "vtkSlicerDataModuleLogic",
}


@dataclass(frozen=True)
class Application:
    """A scene, its application logic, and the objects that must live as long as they do.

    Markups leave the scene when this object is deleted: if they were destroyed together with its selection node, Slicer
    would print a warning for each of their measurements.
    """

    scene: slicer.vtkMRMLScene
    logic: slicer.vtkSlicerApplicationLogic
    kept: tuple = field(default=(), repr=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, _remove_markups, self.scene)


def new_scene() -> Application:
    """Return an empty scene that can hold, show, save and read all of OncoTrack's nodes; the Slicer application has its own."""
    scene = slicer.vtkMRMLScene()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    colors = logic.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    logic.SetModuleLogic("Colors", colors)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    return Application(scene, logic, (colors, *add_module_logics(scene, logic)))


def add_module_logics(scene: slicer.vtkMRMLScene, logic: slicer.vtkSlicerApplicationLogic) -> tuple:
    """Add the module logics that a scene needs to hold, save and read OncoTrack's nodes; keep the returned objects alive."""
    kept = []
    for name, class_name in _MODULE_LOGICS.items():
        if logic.GetModuleLogic(name):
            continue
        module_logic = getattr(slicer, class_name)()
        module_logic.SetMRMLApplicationLogic(logic)
        module_logic.SetMRMLScene(scene)
        logic.SetModuleLogic(name, module_logic)
        kept.append(module_logic)
    slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # the legend of a PET
    return (*kept, *_bundle_reader(scene, logic))


def _remove_markups(scene: slicer.vtkMRMLScene) -> None:
    scene.StartState(slicer.vtkMRMLScene.CloseState)
    nodes = scene.GetNodesByClass("vtkMRMLMarkupsNode")
    nodes.UnRegister(None)
    for node in [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]:
        leave_study(node)
        scene.RemoveNode(node)
    scene.EndState(slicer.vtkMRMLScene.CloseState)


def _bundle_reader(scene: slicer.vtkMRMLScene, logic: slicer.vtkSlicerApplicationLogic) -> tuple:
    """Return what `ReadFromMRB` needs: a remote reader with a cache folder, and its manager."""
    cache = tempfile.TemporaryDirectory(prefix="oncotrack-cache-")
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(logic)
    remote.GetCacheManager().SetRemoteCacheDirectory(cache.name)
    manager = slicer.vtkDataIOManagerLogic()
    manager.SetMRMLScene(scene)
    manager.SetMRMLApplicationLogic(logic)
    manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    return cache, remote, manager
