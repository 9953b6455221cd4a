"""The abdominal organs, cut against one another: liver, spleen, stomach, pancreas, kidneys, adrenals, bowel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Block, Paint
from oncotrack.phantom.shapes import ellipsoid, plane, smooth_max, smooth_min, tube
from oncotrack.phantom.tissues import LABEL
from oncotrack.phantom.trunk import TrunkFields
from oncotrack.phantom.viscera import Viscera, rotation_axes


class Abdomen:
    """Signed distances of the abdominal organs that others are cut against; nothing where the canvas shows none."""

    def __init__(self, canvas: Canvas, fields: TrunkFields, viscera: Viscera) -> None:
        self.canvas, self.fields, self.viscera = canvas, fields, viscera
        found = canvas.within((-142, -95, -340), (142, 122, -70))
        self.visible = found is not None
        if found is None:
            return
        at = self.at = found
        p = self.p = canvas.template_points[(slice(None), *at)]
        self.folds, self.lobules = viscera.folds(p), viscera.lobules(p)
        self.mirrored = torch.stack([p[0].abs(), p[1], p[2]])
        self.belly = fields.belly[at]
        ripple = viscera.ripple(p)
        s = viscera.liver_size
        main = ellipsoid(p, (66, 6, -158), np.array((80, 92, 84)) * s)
        lateral = ellipsoid(
            p, (viscera.liver_left + 46, 52, -134), np.array((66, 42, 40)) * s, rotation_axes((0, 1, 0), -12)
        )
        liver = smooth_min(main, lateral, 16)
        visceral = plane(p, (28, 12, -176), (-0.62, -0.42, -0.66)) - 12 * ellipsoid(
            p, (70, -30, -150), (70, 60, 60)
        ).clamp(-1, 1)
        liver = smooth_max(liver, visceral - 8 * ripple, 16)
        liver = smooth_max(liver, plane(p, (0, 88, -190), (-0.15, 0.45, -0.88)), 12)
        self.liver = smooth_max(liver + 1.5 * ripple, self.belly, 4)
        kx, ky, kz = viscera.kidneys.T
        self.kidneys, self.sinus = [], []
        for n, (side, height) in enumerate(((1, -214), (-1, -198))):
            centre = (side * (60 + kx[n]), -39 + ky[n], height + kz[n])
            turn = rotation_axes((0, 0, 1), side * 32) @ rotation_axes((0, 1, 0), side * -12)
            body = ellipsoid(p, centre, (25, 29, 54), turn) + 0.8 * ripple
            hilum = ellipsoid(p, np.add(centre, (-side * 20, 14, 0)), (17, 14, 20), turn)
            self.kidneys.append(smooth_max(body, -hilum, 6))
            self.sinus.append(ellipsoid(p, np.add(centre, (-side * 8, 6, 0)), (10, 11, 28), turn) + 3.5 * self.folds)
        kidney = torch.minimum(*self.kidneys)
        spleen = ellipsoid(p, viscera.spleen[:3], viscera.spleen[3:], rotation_axes((0, 0, 1), 28)) + 2.0 * ripple
        stomach = tube(p, viscera.stomach[:, :3], viscera.stomach[:, 3])
        self.stomach = torch.maximum(smooth_max(stomach + 1.5 * self.folds, self.belly + 1.0, 4), -(self.liver - 1.5))
        spleen = smooth_max(spleen, self.belly + 0.5, 5)
        self.spleen = torch.maximum(torch.maximum(spleen, -(self.stomach - 2)), -(kidney - 4))
        self.liver = torch.maximum(self.liver, -(kidney - 3))

    def paint(self) -> Iterator[Paint]:
        """Yield all abdominal organs, back to front."""
        if not self.visible:
            return
        p, at = self.p, self.at
        yield Paint(
            "septum",
            torch.maximum(self.belly + 4, 10 - self.stomach),
            at,
            sheet=self.folds * 3.2 + self.lobules,
            thickness=0.8,
        )
        yield from self._bowel()
        yield from self._kidneys()
        yield from self._adrenals()
        pancreas = tube(p, [(30, 24, -212), (26, 32, -196), (8, 37, -188), (-14, 29, -180), (-40, 14, -172),
                (-76, -10, -162)],
                        [13, 13.5, 9, 9.5, 10, 8.5])  # fmt: skip
        yield Paint("visceral fat", pancreas - 2, at)
        yield Paint("pancreas", pancreas + self.lobules * 2.0, at, LABEL["pancreas"], soft=0.8)
        yield Paint("spleen", self.spleen, at, LABEL["spleen"])
        yield from self._stomach()
        yield Paint("liver", self.liver, at, LABEL["liver"])
        cleft = torch.maximum(torch.maximum(self.liver - 1, -22 - self.liver), plane(p, (0, 10, -166), (0, -0.1, 1)))
        yield Paint("visceral fat", cleft, at, sheet=p[0] + 12 + 0.25 * (p[1] - 40) + 2.5 * self.folds, thickness=1.6)
        bladder = ellipsoid(p, (52, 44, -204), (13, 17, 27), rotation_axes((1, 0, 0), 22))
        yield Paint("liver portal", bladder - 1.5, at)
        yield Paint("bile", bladder, at, LABEL["gallbladder"])

    def _stomach(self) -> Iterator[Paint]:
        """Yield the stomach: wall, content and gas."""
        p, at, v = self.p, self.at, self.viscera
        yield Paint("visceral fat", self.stomach - 1.2, at)
        yield Paint("stomach wall", self.stomach, at, LABEL["stomach"])
        inside = self.stomach + 4.2 + 0.7 * self.lobules
        yield Paint(v.stomach_tissue, inside, at, LABEL["stomach"])
        yield Paint("gas", torch.maximum(inside, plane(p, (0, v.stomach_gas, 0), (0, -1, 0.02))), at, LABEL["stomach"])

    def _kidneys(self) -> Iterator[Paint]:
        """Yield both kidneys: cortex, medulla, renal pelvis and the fat around them."""
        at, lobules = self.at, self.lobules
        for body, sinus in zip(self.kidneys, self.sinus, strict=True):
            yield Paint("visceral fat", body - 7, at)
            yield Paint("kidney cortex", body, at, LABEL["kidney"])
            pyramids = torch.maximum(body + 6.5 + 1.5 * lobules, -(lobules * 4 + 6))
            yield Paint("kidney medulla", pyramids, at, LABEL["kidney"], soft=1.0)
            yield Paint("visceral fat", torch.maximum(sinus, body - 1), at, soft=1.0)
            yield Paint("renal pelvis", sinus + 5.5 + 1.5 * lobules, at, soft=1.0)

    def _adrenals(self) -> Iterator[Paint]:
        """Yield both adrenal glands as one layer."""
        at = self.canvas.within((-55, -50, -190), (50, 20, -135))
        if at is None:
            return
        p = self.canvas.template_points[(slice(None), *at)]
        right = tube(p, [(27, -6, -146), (30, -14, -158), (38, -30, -170)], [2.4, 2.8, 2.2])
        right = torch.minimum(right, tube(p, [(29, -12, -156), (28, -30, -168)], [2.6, 2.0]))
        left = tube(p, [(-28, 0, -152), (-30, -8, -162), (-42, -24, -174)], [2.6, 3.0, 2.2])
        left = torch.minimum(left, tube(p, [(-30, -8, -160), (-26, -26, -174)], [2.8, 2.1]))
        yield Paint("adrenal", torch.minimum(right, left), at, LABEL["adrenal"])

    def _bowel(self) -> Iterator[Paint]:
        """Yield the loops of small bowel and the colon, cut against the solid organs."""
        v = self.viscera
        solid = torch.minimum(torch.minimum(self.liver, self.stomach), torch.minimum(*self.kidneys))
        for points, radii, content in v.loops:
            patch = self._patch(points, radii)
            if patch is None:
                continue
            at, p, keep = patch
            room = torch.maximum(keep, 2.0 - solid[_inner(at, self.at)])
            lumen = tube(p, points, radii)
            wall = smooth_max(lumen, room, 4)
            folds = v.lobules(p)
            yield Paint("visceral fat", wall - 1.2, at)
            yield Paint("bowel wall", wall, at, LABEL["bowel"])
            inside = wall + 2.6 + 1.1 * folds
            yield Paint("bowel content" if content == "gas" else content, inside, at, LABEL["bowel"], soft=1.0)
            if content == "gas":
                level = float(points[:, 1].mean())
                yield Paint("gas", torch.maximum(inside, level - p[1]), at)
        points, radii = v.colon
        patch = self._patch(points, radii)
        if patch is not None:
            at, p, keep = patch
            room = torch.maximum(keep, 2.5 - solid[_inner(at, self.at)])
            wall = smooth_max(tube(p, points, radii) + 1.2 * v.folds(p), room, 4)
            yield Paint("visceral fat", wall - 1.5, at)
            yield Paint("bowel wall", wall, at, LABEL["bowel"])
            yield Paint("stool", wall + 2.4, at, LABEL["bowel"], soft=0.5)
            gas = torch.maximum(wall + 2.8, smooth_max(12 - p[1] + 18 * v.ripple(p), v.lobules(p) * 4 - 3, 5))
            yield Paint("gas", gas, at)

    def _patch(self, points: np.ndarray, radii: np.ndarray) -> tuple[Block, Tensor, Tensor] | None:
        """Return the nodes round a tube, their template points, and the distance that keeps it inside the belly."""
        reach = float(radii.max()) + 8
        at = self.canvas.within(points.min(0) - reach, points.max(0) + reach)
        if at is None:
            return None
        k, j, i = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(at, self.at, strict=True))
        if any(s.stop - s.start < 2 for s in (k, j, i)):
            return None
        at = (k, j, i)
        return at, self.canvas.template_points[(slice(None), *at)], self.fields.belly[at] + 3


def _inner(at: Block, within: Block) -> tuple[slice, ...]:
    """Return the nodes `at` as indices into the block `within`."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(at, within, strict=True))
