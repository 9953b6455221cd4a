"""Volumes in the scene: voxels and geometry are kept, also oblique and under a transform."""

from __future__ import annotations

import numpy as np
import pytest
import vtk

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.scene.nodes.volumes import SOFT_TISSUE, add_volume, ijk_to_world, stamp, to_volume, to_vtk


@pytest.fixture
def oblique() -> Volume:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    geometry = Geometry((7, 5, 4), (0.7, 1.3, 2.5), (10.0, -20.0, 30.0), turn)
    return Volume(np.arange(140, dtype=np.int16).reshape(4, 5, 7), geometry, "oblique", "CT", {"date": "20260102"})


def test_an_oblique_volume_round_trips(scene, oblique):
    node = add_volume(scene, oblique)
    back = to_volume(node)
    assert np.array_equal(back.array, oblique.array)
    assert np.allclose(back.geometry.ijk_to_ras, oblique.geometry.ijk_to_ras)
    assert (back.name, back.modality, back.metadata["date"]) == ("oblique", "CT", "20260102")


def test_a_ct_is_shown_in_a_soft_tissue_window(scene, oblique):
    display = add_volume(scene, oblique).GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == SOFT_TISSUE


def test_nested_linear_transforms_are_applied(scene, oblique):
    node = add_volume(scene, oblique)
    first, second = (scene.AddNewNodeByClass("vtkMRMLLinearTransformNode") for _ in range(2))
    turn, shift = np.eye(4), np.eye(4)
    turn[:2, :2] = (0, -1), (1, 0)
    shift[:3, 3] = 5, 6, 7
    first.SetMatrixTransformToParent(to_vtk(turn))
    second.SetMatrixTransformToParent(to_vtk(shift))
    first.SetAndObserveTransformNodeID(second.GetID())
    node.SetAndObserveTransformNodeID(first.GetID())
    assert np.allclose(to_volume(node).geometry.ijk_to_ras, shift @ turn @ oblique.geometry.ijk_to_ras)


def test_a_non_linear_transform_is_refused_with_a_message(scene, oblique):
    node = add_volume(scene, oblique)
    bend = vtk.vtkThinPlateSplineTransform()
    bend.SetBasisToR()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for place in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9)):
        source.InsertNextPoint(place)
        target.InsertNextPoint(place[0] + place[1] ** 2 / 50, place[1], place[2])
    bend.SetSourceLandmarks(source)
    bend.SetTargetLandmarks(target)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Breathing")
    transform.SetAndObserveTransformToParent(bend)
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="oblique lies under Breathing"):
        to_volume(node)


def test_a_node_without_voxels_is_refused_with_a_message(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    with pytest.raises(InputError, match="Empty holds no image"):
        to_volume(node)


def test_the_array_is_not_copied_and_cannot_be_written(scene, oblique):
    volume = to_volume(add_volume(scene, oblique))
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


def test_a_stamp_changes_with_the_voxels_and_their_position(scene, oblique):
    node = add_volume(scene, oblique)
    stamps = [stamp(node)]
    assert stamp(node) == stamps[0]
    node.GetImageData().GetPointData().GetScalars().Modified()
    stamps.append(stamp(node))
    node.SetOrigin(0, 0, 0)
    stamps.append(stamp(node))
    assert len(set(stamps)) == 3
    assert np.allclose(ijk_to_world(node)[:3, 3], 0)


@pytest.mark.parametrize("kind", [bool, np.int64, np.float16, np.uint16, np.float64])
def test_every_data_type_can_be_shown(scene, kind):
    volume = Volume(np.ones((3, 4, 5), kind), Geometry((5, 4, 3)))
    assert to_volume(add_volume(scene, volume)).array.sum() == 60
