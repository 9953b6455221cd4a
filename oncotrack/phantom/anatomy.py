"""One patient's anatomy: every random choice made once, ready to be painted on any canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, find_objects

from oncotrack.images.geometry import Geometry
from oncotrack.phantom.abdomen import Abdomen
from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.draw import paint_labels
from oncotrack.phantom.head import Head
from oncotrack.phantom.layers import Beads, Lump, Step
from oncotrack.phantom.limbs import Arms
from oncotrack.phantom.motion import Identity
from oncotrack.phantom.pelvis import Pelvis
from oncotrack.phantom.shapes import Waves
from oncotrack.phantom.skeleton import Skeleton, build_skeleton, frames_along, paint_spine
from oncotrack.phantom.tissues import LABEL, TISSUES
from oncotrack.phantom.trunk import Trunk, TrunkFields, paint_chest, paint_wall
from oncotrack.phantom.vessels import AIRWAY, GreatVessels, Vessel, branch_beads, grow_tree, named_vessels, path_beads
from oncotrack.phantom.viscera import Heart, Viscera, heart_outline, paint_back, paint_heart, paint_neck

SPINE_ENDS = (-378.0, 196.0)
"""Lowest and highest S (mm) of the column of vertebral bodies: sacrum and dens go on from there."""
TEMPLATE = Geometry((96, 72, 126), (4.5, 4.5, 4.5), (-213.75, -150.0, -345.0))
"""The grid on which organs are looked up when trees grow and nodes are placed."""


@dataclass(frozen=True, eq=False)
class Ends:
    """The parts beyond the trunk."""

    head: Head
    pelvis: Pelvis
    arms: Arms

    @classmethod
    def random(cls, rng: np.random.Generator, trunk: Trunk) -> Ends:
        """Draw ends that fit a trunk."""
        return cls(Head.random(rng), Pelvis.random(rng, trunk.breasts_mm > 0), Arms.of(trunk))


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Organs, bones and vessels of one patient in template coordinates; `gated` blurs the beating heart (mm)."""

    trunk: Trunk
    viscera: Viscera
    vessels: dict[str, Vessel]
    skeleton: Skeleton
    fissures: Waves
    mottle: Waves
    gated: float
    trees: tuple[Beads, ...] = ()
    organs: np.ndarray = field(default_factory=lambda: np.zeros(TEMPLATE.shape, np.int16))
    ends: Ends | None = None
    _rooms: dict = field(default_factory=dict)

    @classmethod
    def random(cls, rng: np.random.Generator) -> Anatomy:
        """Draw a patient: organs first, then the vessel trees that fill them.

        Head, pelvis and arms have a random stream of their own, so that they change neither nodes nor trees.
        """
        trunk, viscera, vessels = Trunk.random(rng), Viscera.random(rng), named_vessels(rng)
        fissures, mottle = Waves.random(rng, (90, 90, 90), 4), Waves.random(rng, (14, 14, 18), 8)
        skeleton = build_skeleton(rng, trunk)
        bare = cls(trunk, viscera, vessels, skeleton, fissures, mottle, float(rng.uniform(0.5, 3)))
        organs = bare.label_map(TEMPLATE)
        trees = tuple(_trees(rng, organs, vessels))
        return replace(bare, trees=trees, organs=organs, ends=Ends.random(rng.spawn(1)[0], trunk), _rooms={})

    @property
    def urine_suv(self) -> float:
        """SUV of the urine in the bladder; that of the tissue table without a pelvis."""
        return TISSUES["urine"].suv if self.ends is None else self.ends.pelvis.urine_suv

    def room(self, *organs: str) -> np.ndarray:
        """Return the distance (mm) from the border of some organs, inside them, (D, H, W) on the template grid."""
        if organs not in self._rooms:
            inside = np.isin(self.organs, [LABEL[organ] for organ in organs])
            self._rooms[organs] = _depth(inside).astype(np.float32) * TEMPLATE.spacing[0]
        return self._rooms[organs]

    def label_map(self, geometry: Geometry) -> np.ndarray:
        """Return (D, H, W) int16 organ labels in template coordinates."""
        canvas = Canvas(geometry, Identity())
        return paint_labels(canvas, self.steps(canvas)).numpy()

    def steps(self, canvas: Canvas, deep: tuple[Lump, ...] = (), top: tuple[Lump, ...] = ()) -> Iterator[Step]:
        """Yield what to paint, in order; `deep` (nodes) lies under large vessels and bones, `top` (lesions) over all."""
        great = GreatVessels(canvas, self.vessels)
        heart = heart_outline(canvas, self.viscera)
        fields = TrunkFields(self.trunk, canvas, mediastinum(canvas, great, heart))
        ends = self.ends
        if ends is not None:
            for part in (ends.head, ends.pelvis, ends.arms):
                part.shape(fields, canvas)
        yield from paint_wall(fields, canvas)
        yield from paint_chest(fields, canvas, self.fissures)
        yield from paint_neck(canvas, fields, self.viscera)
        yield from paint_back(canvas, self.viscera)
        if ends is not None:
            yield from ends.head.paint(canvas, fields)
            yield from ends.pelvis.paint(canvas, fields)
        yield from Abdomen(canvas, fields, self.viscera).paint()
        if heart is not None:
            yield from paint_heart(heart, self.gated)
        yield from great.paint()
        yield from deep
        yield from great.paint_tubes(6.5)
        yield self.skeleton.cartilage
        yield self.skeleton.cartilage.shrink("cartilage", 2.0)
        yield self.skeleton.rib_cortex
        yield self.skeleton.rib_marrow
        yield from paint_spine(canvas, None if ends is None else SPINE_ENDS)
        yield self.skeleton.plate_cortex
        yield self.skeleton.plate_marrow
        yield self.skeleton.cortex
        yield self.skeleton.marrow
        if ends is not None:
            yield from ends.pelvis.paint_bones(canvas)
            yield from (ends.arms.bones, ends.arms.marrow)
        yield from self.trees
        yield from top


def _depth(inside: np.ndarray) -> np.ndarray:
    """Return the distance (voxels, float64) of every voxel from the nearest one outside; 0 outside.

    Only the box round `inside`, one voxel larger, is searched: no voxel beyond it is nearer than those on its faces.
    """
    depth = np.zeros(inside.shape)
    (box,) = find_objects(inside.astype(np.uint8)) or [None]
    if box is None:
        return depth
    inner = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    if inside[inner].all():
        return np.asarray(distance_transform_edt(inside))
    nearest = np.asarray(distance_transform_edt(inside[inner], return_distances=False, return_indices=True))
    squared = np.zeros(nearest.shape[1:], nearest.dtype)
    for outside, index in zip(nearest, np.ogrid[tuple(slice(n) for n in squared.shape)], strict=True):
        squared += np.square(outside - index)
    depth[inner] = np.sqrt(squared)
    return depth


def mediastinum(canvas: Canvas, great: GreatVessels, heart: Heart | None) -> torch.Tensor:
    """Return the signed distance of everything between the lungs, thickened by fat and rounded."""
    p = canvas.template_points
    pads = {"aorta": 1.5, "superior vena cava": 1.5, "inferior vena cava": 1.0, "oesophagus": 3.0, "airway 0": 5.0,
            "airway 1": 3.0, "airway 2": 3.0, "right superior pulmonary vein": 1.0, "left superior pulmonary vein": 1.0,
            "right inferior pulmonary vein": 1.0, "left inferior pulmonary vein": 1.0}  # fmt: skip
    total = great.union(pads, 2.0)
    if heart is not None:
        at, whole, *_ = heart
        total[at] = torch.minimum(total[at], whole - 3.5)
    x, y, z = p
    spine = torch.sqrt((x / 17.0).square() + ((y + 38) / 21.0).square())
    spine = (spine - 1) * 18
    front = x.abs() - 2.5 - (y - 48).clamp(0, 60) * 0.22 - ((z - 40) / 14).clamp(0, 3) * 6
    septum = torch.maximum(front, 12 - y)
    inlet = (((x / 40).square() + ((y - 16) / 38).square() + ((z - 84) / 44).square()).sqrt() - 1) * 36
    fatpad = (((x + 6) / 50).square() + ((y - 80) / 22).square() + ((z + 112) / 18).square()).sqrt().sub(1) * 20
    for each in (spine, septum, inlet, fatpad):
        total = torch.minimum(total, each) - (9 - (total - each).abs()).clamp_min_(0).square_().div_(36)
    return total


def _cloud(
    rng: np.random.Generator, organs: np.ndarray, label: str, count: int, keep: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Draw up to `count` points of an organ, (N, 3) RAS mm, for which `keep` is true."""
    index = np.argwhere(organs == LABEL[label])[:, ::-1]
    if not len(index):
        return np.zeros((0, 3))
    points = TEMPLATE.to_ras(index[rng.integers(len(index), size=3 * count)] + rng.uniform(-0.5, 0.5, (3 * count, 3)))
    return points[keep(points)][:count]


def _keep_inside_lung(beads: Beads, organs: np.ndarray) -> Beads:
    """Return the beads of lung trees that lie in the lung, or in fat and vessels near its root."""
    index = np.round(TEMPLATE.to_ijk(beads.centres)).astype(int)
    label = organs[tuple(np.clip(index[:, ::-1], 0, np.array(organs.shape) - 1).T)]
    root = np.isin(label, [LABEL[n] for n in ("visceral fat", "artery", "vein", "airway", "lung vessel")])
    root &= (np.abs(beads.centres[:, 0]) < 70) & (beads.centres[:, 2] > -75)
    keep = root | (label == LABEL["lung"])
    return Beads(beads.tissue, beads.centres[keep], beads.frames[keep], beads.radii[keep], beads.label, beads.cylinder)


def _trees(rng: np.random.Generator, organs: np.ndarray, vessels: dict[str, Vessel]) -> Iterator[Beads]:
    """Grow plaque, thin vessels and the vessel and airway trees of the organs, in the order of the random stream."""
    aorta = vessels["aorta"]
    count = rng.poisson(rng.choice([0, 5, 16]))
    if count:
        at = rng.integers(2, len(aorta.points) - 1, count)
        out = rng.normal(size=(count, 3)) * (1, 1, 0.2)
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        size = np.stack([rng.uniform(1.5, 4, count), rng.uniform(1.5, 5, count), rng.uniform(0.7, 1.3, count)], 1)
        centres = aorta.points[at] + out * (aorta.radii[at] - 0.8)[:, None]
        yield Beads("plaque", centres, frames_along(out), size, LABEL["artery"])
    for vessel in vessels.values():
        if vessel.thin:
            yield path_beads(vessel.points, vessel.radii, vessel.tissue, LABEL[vessel.label])
    airways, blood = [], []
    roots = {
        1: ("right pulmonary artery", ("right superior pulmonary vein", "right inferior pulmonary vein"), 1),
        -1: ("left pulmonary artery", ("left superior pulmonary vein", "left inferior pulmonary vein"), 2),
    }
    for side, (artery, veins, airway) in roots.items():

        def on_side(p, side=side):
            return p[:, 0] * side > 0

        cloud = _cloud(rng, organs, "lung", 1900, on_side)
        jobs = [(vessels[artery].points, float(vessels[artery].radii[-1]), cloud, "lung vessel")]
        for n, name in enumerate(veins):
            part = _cloud(rng, organs, "lung", 1700, on_side)
            low = part @ (0, 0.35, 1) < -40
            jobs.append(
                (vessels[name].points, float(vessels[name].radii[-1]), part[~low if n == 0 else low], "lung vessel")
            )
        for points, radius, points_cloud, tissue in jobs:
            heading = points[-1] - points[-2]
            tree = grow_tree(
                rng, points[-1], heading / np.linalg.norm(heading), points_cloud, radius, thinnest=0.4, power=2.8
            )
            blood.append(branch_beads(*tree, tissue, LABEL["lung vessel"]))
        trunk = AIRWAY[airway]
        heading = trunk[-1, :3] - trunk[-2, :3]
        cloud = _cloud(rng, organs, "lung", 300, on_side)
        tree = grow_tree(
            rng, trunk[-1, :3], heading / np.linalg.norm(heading), cloud, float(trunk[-1, 3]), thinnest=1.1
        )
        airways.append(branch_beads(*tree, "airway wall", 0))
    yield _keep_inside_lung(Beads.join(blood), organs)
    walls = _keep_inside_lung(Beads.join(airways), organs)
    outer = Beads("airway wall", walls.centres, walls.frames, walls.radii + 0.4 + 0.1 * walls.radii, 0, True)
    yield outer
    yield Beads("airway", walls.centres, walls.frames, walls.radii, LABEL["airway"], True)
    portal, hepatic = [], []
    liver = _cloud(rng, organs, "liver", 420, lambda p: p[:, 0] > -200)
    if len(liver):
        root = vessels["portal vein"].points[-1]
        portal.append(
            branch_beads(*grow_tree(rng, root, np.array([0.7, -0.1, 0.5]), liver, 6.2, thinnest=0.9), "liver portal", 0)
        )
        liver = _cloud(rng, organs, "liver", 330, lambda p: p[:, 0] > -200)
        groups = np.digitize(liver @ (1.0, -0.7, 0.0), np.quantile(liver @ (1.0, -0.7, 0.0), [0.3, 0.62]))
        for n in range(3):
            part = liver[groups == n]
            hepatic.append(
                branch_beads(
                    *grow_tree(
                        rng, np.array([25, 10, -104]), np.array([0.2, 0.3, -0.5]), part, 5.0, thinnest=0.9, reach=0.36
                    ),
                    "liver vein",
                    0,
                )
            )
        yield Beads.join(portal)
        yield Beads.join(hepatic)
    mesentery = _cloud(
        rng, organs, "visceral fat", 500, lambda p: (p[:, 2] < -205) & (p[:, 1] > 5) & (np.abs(p[:, 0]) < 95)
    )
    if len(mesentery) > 20:
        root = vessels["superior mesenteric artery"].points
        for start, radius in ((root[len(root) // 2], 3.0), (vessels["superior mesenteric vein"].points[2], 3.6)):
            tree = grow_tree(rng, start, np.array([0, 0.8, -0.6]), mesentery, radius, thinnest=0.55)
            yield branch_beads(*tree, "small vessel", LABEL["vein"])
    omentum = _cloud(rng, organs, "visceral fat", 160, lambda p: (p[:, 2] < -150) & (p[:, 1] > 30))
    if len(omentum) > 20:
        yield branch_beads(
            *grow_tree(rng, np.array([-10.0, 62, -190]), np.array([0, 1.0, 0]), omentum, 2.4, thinnest=0.5),
            "small vessel",
            LABEL["vein"],
        )
    subcutaneous = _cloud(rng, organs, "fat", 260, lambda p: p[:, 2] > -1e3)
    for side in (1, -1):
        part = subcutaneous[subcutaneous[:, 0] * side > 0]
        start = np.array([side * 118.0, 0, 60])
        if len(part) > 10:
            yield branch_beads(
                *grow_tree(rng, start, np.array([side, 0, -0.5]), part, 2.2, thinnest=0.55, reach=0.3),
                "small vessel",
                0,
            )
