"""The arms beyond the shoulders: raised next to the head, or lowered next to the belly and the hips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Beads
from oncotrack.phantom.shapes import smooth_min, tube
from oncotrack.phantom.skeleton import rod
from oncotrack.phantom.tissues import LABEL
from oncotrack.phantom.trunk import Trunk, TrunkFields

_UP = np.array([(182, 0, 230, 40), (190, 8, 370, 36), (120, 40, 470, 28)], float)
_DOWN = np.array([(205, -16, -160, 38), (216, -20, -235, 35), (222, -6, -320, 31), (222, 10, -455, 22),
                  (216, 16, -540, 24)], float)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Arms:
    """Both arms: (K, 4) `path` of the right one's middle and radius (mm), and its bones."""

    path: np.ndarray
    bones: Beads
    marrow: Beads

    @classmethod
    def of(cls, trunk: Trunk) -> Arms:
        """Return the arms of a trunk, raised or lowered according to `Trunk.arms_up`."""
        shafts = [[(174, -10, 170), (188, 6, 360)]] if trunk.arms_up else [
            [(194, -20, -76), (214, -20, -225)], [(206, -14, -236), (214, 2, -455)], [(222, -24, -230), (230, 4, -455)],
        ]  # fmt: skip
        bones = Beads.join(
            rod(np.array(points) * (side, 1, 1), [(10.5 - 4 * (n > 0),) * 2] * 2, up=(0, 1, 0))
            for n, points in enumerate(shafts)
            for side in (1, -1)
        )
        return cls(_UP if trunk.arms_up else _DOWN, bones, bones.shrink("yellow marrow", 3.0, LABEL["bone"]))

    def shape(self, fields: TrunkFields, canvas: Canvas) -> None:
        """Extend the arms of the trunk in `fields`."""
        points, radii = self.path[:, :3], self.path[:, 3]
        reach = np.abs(points).max(0) + 60
        low, high = points[:, 2].min() - 40, points[:, 2].max() + 40
        at = canvas.within((-reach[0], -reach[1], low), (reach[0], reach[1], high))
        if at is None:
            return
        p = canvas.template_points[(slice(None), *at)]
        arm = tube(torch.stack([p[0].abs(), p[1], p[2]]), points, radii)
        fields.skin[at] = smooth_min(fields.skin[at], arm - 2.0, 4)
        fields.muscle[at] = smooth_min(fields.muscle[at], arm + 5 + 0.4 * fields.trunk.fat_mm, 4)
