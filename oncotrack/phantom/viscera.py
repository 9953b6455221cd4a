"""Soft organs: their random choices, the heart, the neck, and the muscles of the back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Block, Paint
from oncotrack.phantom.shapes import Waves, ellipsoid, plane, smooth_min, smooth_path, tube
from oncotrack.phantom.skeleton import spine_axis
from oncotrack.phantom.tissues import LABEL
from oncotrack.phantom.trunk import TrunkFields, neck_muscles


def rotation_axes(axis: ArrayLike, degrees: float) -> np.ndarray:
    """Return the axes of a body turned by `degrees` about an axis, (3, 3), one per row."""
    from scipy.spatial.transform import Rotation

    axis = np.asarray(axis, float)
    return Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix().T


@dataclass(frozen=True, eq=False)
class Viscera:
    """Everything random about one patient's organs."""

    ripple: Waves
    lobules: Waves
    folds: Waves
    liver_size: float
    liver_left: float
    spleen: np.ndarray
    kidneys: np.ndarray
    heart: float
    stomach: np.ndarray
    stomach_gas: float
    stomach_tissue: str
    loops: list[tuple[np.ndarray, np.ndarray, str]]
    colon: tuple[np.ndarray, np.ndarray]
    mesentery: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator) -> Viscera:
        """Draw plausible organs."""
        fill = rng.uniform(0.75, 1.2)
        stomach = np.array([(-56, 0, -112, 20), (-58, 6, -130, 29), (-64, 22, -152, 31), (-58, 42, -178, 27),
                (-36, 56, -200, 22),
                            (-8, 58, -206, 19), (16, 50, -198, 15), (28, 42, -194, 11)], float)  # fmt: skip
        stomach[:, 3] *= fill
        stomach[1:, :3] += rng.normal(size=(7, 3)) * 3
        content = "oral contrast" if rng.random() < 0.35 else "stomach content"
        loops = _small_bowel(rng)
        colon = np.array([(92, 4, -290, 24), (94, 8, -250, 23), (84, 34, -232, 22), (66, 62, -240, 20),
                (34, 82, -246, 19), (-4, 84, -244, 19),
                          (-44, 78, -232, 18), (-82, 54, -210, 18), (-106, 16, -182, 19), (-110, -10, -196, 17),
                                  (-108, -14, -240, 16),
                          (-104, -8, -300, 16)], float)  # fmt: skip
        colon[:, :3] += rng.normal(size=(len(colon), 3)) * 4
        colon[:, 3] *= rng.uniform(0.75, 1.1) * rng.uniform(0.85, 1.15, len(colon))
        path = smooth_path(colon, 7.0)
        path[:, 3] *= 1 + 0.12 * np.sin(np.arange(len(path)) * 2 * np.pi / 4.3)
        return cls(
            Waves.random(rng, (60, 60, 60), 6),
            Waves.random(rng, (13, 13, 13), 7),
            Waves.random(rng, (22, 22, 22), 6),
            float(rng.uniform(0.93, 1.07)),
            float(rng.uniform(-78, -28)),
            np.array([-100, -36, -142, 42, 60, 56]) * rng.uniform(0.92, 1.1, 6),
            rng.normal(size=(2, 3)) * (3, 3, 8),
            float(rng.uniform(0.95, 1.12)),
            smooth_path(stomach, 9.0),
            float(rng.uniform(10, 34)),
            content,
            loops,
            (path[:, :3], path[:, 3]),
            rng.uniform((-70, 10, -300), (70, 84, -215), (420, 3)),
        )


def _small_bowel(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Draw loops of small bowel: points (K, 3), radii (K,) and content."""
    loops = [(smooth_path([(26, 42, -194, 11), (40, 28, -200, 12), (44, 14, -224, 12), (34, 10, -246, 12),
            (6, 19, -252, 11),
                           (-22, 24, -240, 11), (-30, 30, -212, 11)], 7.0), "bowel content")]  # fmt: skip
    centres = [(x + rng.normal() * 4, y + rng.normal() * 4, z + rng.normal() * 4)
               for z in (-218, -246, -274, -302) for y in (38, 66) for x in (-72, -40, -8, 26, 56)
               if not (z > -230 and x > -30)]  # fmt: skip
    for centre in centres:
        turn = rng.uniform(0, 2 * np.pi)
        angles = turn + np.linspace(0, rng.uniform(0.9, 1.7) * np.pi, 7)
        tilt = rng.normal(size=2) * 0.6
        ring = np.stack([np.cos(angles), np.sin(angles), tilt[0] * np.cos(angles) + tilt[1] * np.sin(angles)], 1)
        points = np.asarray(centre) + ring * rng.uniform(11, 19)
        radii = rng.uniform(8.5, 13) * (1 + 0.1 * rng.normal(size=7))
        content = rng.choice(
            ["bowel content", "bowel content", "bowel wall", "oral contrast", "gas"], p=[0.35, 0.3, 0.2, 0.1, 0.05]
        )
        loops.append((smooth_path(np.concatenate([points, radii[:, None]], 1), 7.0), str(content)))
    return [(path[:, :3], path[:, 3], content) for path, content in loops]


Heart = tuple[Block, Tensor, dict[str, Tensor], Tensor]


def heart_outline(canvas: Canvas, viscera: Viscera) -> Heart | None:
    """Return the heart: its nodes, and the signed distances of the whole, its chambers and the planes of its grooves."""
    at = canvas.within((-105, -40, -150), (75, 105, 0))
    if at is None:
        return None
    p = canvas.template_points[(slice(None), *at)]
    h = viscera.heart
    axis = rotation_axes((0, 0, 1), -38) @ rotation_axes((1, 0, 0), 0)
    axis = rotation_axes((0.3, 1, 0), 14) @ axis
    ripple = viscera.folds(p) * 1.2
    left = ellipsoid(p, (-44, 34, -84), np.array((33, 46, 36)) * h, axis)
    right = ellipsoid(p, (-10, 58, -82), np.array((29, 42, 34)) * h, rotation_axes((0, 0, 1), -62))
    ra = ellipsoid(p, (28, 28, -72), np.array((22, 25, 31)) * h) + ripple
    la = ellipsoid(p, (-5, 0, -54), np.array((33, 18, 22)) * h) + ripple * 0.6
    outflow = tube(p, [(-10, 62, -70), (-20, 48, -42)], [20, 14])
    ventricles = smooth_min(smooth_min(left, right, 10), outflow, 10)
    whole = smooth_min(smooth_min(ventricles, ra, 8), la, 8)
    cavity = ellipsoid(p, (-42, 33, -83), np.array((22, 35, 25)) * h, axis)
    chambers = {
        "left ventricle": torch.maximum(cavity, plane(p, (-20, 10, -70), (0.7, -0.7, 0))) + ripple,
        "right ventricle": torch.maximum(smooth_min(right, outflow, 8) + 4.0, -(left - 1.0)) + ripple,
        "right atrium": ra + 2.2,
        "left atrium": la + 2.2,
    }  # fmt: skip
    between = torch.minimum((ventricles - ra).abs(), (ventricles - la).abs() + 1.0)
    grooves = torch.minimum(between, (left - right).abs() + 2.0) * 0.5
    return at, whole, chambers, grooves


def paint_heart(outline: Heart, gated: float) -> Iterator[Paint]:
    """Yield myocardium, blood of the chambers, fat and vessels of the grooves; `gated` blurs the moving walls (mm)."""
    at, whole, chambers, grooves = outline
    yield Paint("myocardium", whole, at, LABEL["heart"], soft=gated)
    for name, sdf in chambers.items():
        blood = "right heart blood" if name.startswith("right") else "heart blood"
        yield Paint(blood, sdf, at, LABEL["heart"], soft=gated)
    depth = whole + 9.0
    wedge = torch.maximum(torch.maximum(grooves - 0.5 - 0.32 * depth, -depth), whole - 1.0)
    yield Paint("visceral fat", wedge, at, LABEL["visceral fat"], soft=gated)
    coronary = torch.maximum(grooves - 1.5, (whole + 2.0).abs() - 1.4)
    yield Paint("artery", coronary, at, soft=gated)


def paint_neck(canvas: Canvas, fields: TrunkFields, viscera: Viscera) -> Iterator[Paint]:
    """Yield the fat of the neck, its muscles, larynx, thyroid and salivary glands."""
    at = canvas.within((-75, -85, 50), (75, 90, 250))
    if at is None:
        return
    p = canvas.template_points[(slice(None), *at)]
    bed = tube(p, [(0, 30, 64), (0, 24, 100), (0, 18, 160), (0, 16, 240)], [34, 44, 46, 46], flat=0.75)
    folds, lobules = viscera.folds(p), viscera.lobules(p)
    yield Paint("visceral fat", bed + folds, at, LABEL["visceral fat"])
    mirrored = torch.stack([p[0].abs(), p[1], p[2]])
    skin = fields.skin[at] + 4.5
    for points, radii, flat in neck_muscles(fields.trunk):
        each = torch.maximum(tube(mirrored, points, radii, flat=flat) + 0.5 * folds, skin)
        yield Paint("fat plane", each - 1.2, at)
        yield Paint("muscle", each, at, LABEL["muscle"])
    cuff = tube(p, [(0, 22, 165), (0, 22, 205), (0, 22, 240)], [17, 19, 20], flat=0.8)
    yield Paint("muscle", cuff, at, LABEL["muscle"])
    yield Paint(
        "airway", tube(p, [(0, 26, 150), (0, 24, 200), (0, 24, 240)], [6.5, 8, 9], flat=0.6), at, LABEL["airway"]
    )
    shield = torch.maximum(
        (tube(p, [(0, 30, 128), (0, 30, 158)], [15, 17]).abs() - 1.8), plane(p, (0, 20, 0), (0, -1, 0))
    )
    yield Paint("cartilage", shield, at, LABEL["cartilage"])
    lobes = ellipsoid(mirrored, (19, 22, 106), (9, 11, 24)) + lobules * 0.6
    isthmus = tube(mirrored, [(0, 32, 100), (14, 26, 102)], [4.5, 5])
    yield Paint("thyroid", smooth_min(lobes, isthmus, 4), at, LABEL["thyroid"])
    glands = ellipsoid(mirrored, (36, 26, 186), (11, 14, 15)) + lobules * 0.8
    yield Paint("gland", glands, at, LABEL["gland"])


def paint_back(canvas: Canvas, viscera: Viscera, muscular: float = 1.0) -> Iterator[Paint]:
    """Yield erector spinae, psoas and quadratus lumborum of both sides."""
    at = canvas.within((-85, -115, -480), (85, 30, 120))
    if at is None:
        return
    p = canvas.template_points[(slice(None), *at)]
    mirrored = torch.stack([p[0].abs(), p[1], p[2]])
    heights = np.array([110, 60, 0, -60, -120, -180, -240, -320, -400], float)
    middle = np.array([18, 22, 25, 27, 29, 31, 32, 32, 30], float)
    wide = np.array([13, 15, 17, 18, 21, 25, 28, 29, 26], float) * muscular
    deep = np.array([36, 38, 40, 41, 42, 42, 42, 42, 40], float)
    spine = np.stack([middle, spine_axis(heights) - deep, heights], 1)
    folds = viscera.folds(p)
    erector = tube(mirrored, spine, wide, flat=0.72) + 0.8 * folds
    yield Paint("fat plane", erector - 0.6, at)
    yield Paint("muscle", erector, at, LABEL["muscle"])
    yield Paint(
        "fat plane",
        erector + 2,
        at,
        sheet=(mirrored[0] - 26 - 0.08 * (p[1] + 80) + 4 * viscera.ripple(p)),
        thickness=1.2,
    )
    yield Paint("fat plane", erector + 3, at, sheet=folds * 6 + viscera.lobules(p) * 1.2, thickness=0.6)
    psoas_z = np.array([-185, -215, -250, -300, -380], float)
    psoas = np.stack([np.array([22, 29, 34, 38, 42]), spine_axis(psoas_z) + np.array([2, 2, 2, 4, 14]), psoas_z], 1)
    yield Paint("muscle", tube(mirrored, psoas, np.array([5, 10, 14, 18, 19]) * muscular), at, LABEL["muscle"])
    quadratus_z = np.array([-190, -240, -320], float)
    quadratus = np.stack([np.array([48, 58, 64]), spine_axis(quadratus_z) - 24, quadratus_z], 1)
    yield Paint("muscle", tube(mirrored, quadratus, [7, 10, 10], flat=0.6), at, LABEL["muscle"])
