"""LesaNet's network, for users who have its published weights: 171 tags of a lesion in CT.

K. Yan et al., "Holistic and comprehensive annotation of clinically significant findings on diverse CT images: learning from
radiology reports and label ontology", CVPR 2019. Its weights are not part of OncoTrack. The layers have the names of the
published checkpoint. Written after the paper and the published interface: VGG-16 with batch norm on three CT slices 2 mm
apart, 120 x 120 pixels of 1 mm, -1024 to 3071 HU scaled to 0-255 less 50, divided by 255; ROI pooling to 5 x 5 of the
lesion's box after the first three blocks and of the whole patch after the others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.petct.study import WorkingStudy
from oncotrack.errors import WeightsError
from oncotrack.images.geometry import Geometry
from oncotrack.networks.devices import device as chosen_device
from oncotrack.networks.foreign_weights import load_foreign

TAGS = 171
PATCH = 120
SLICE_MM = 2.0
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_CELLS, _FEATURES, _EMBEDDING = 5, 256, 256
_HU, _PIXEL_MEAN = (-1024.0, 3071.0), 50.0


class LesaNet(nn.Module):
    """The network; layer names as in the published checkpoint.

    Parameters
    ----------
    blocks : tuple of tuple of int
        Channels of the convolutions; VGG-16's.
    """

    def __init__(self, blocks: tuple[tuple[int, ...], ...] = _BLOCKS) -> None:
        super().__init__()
        self.blocks, before = blocks, 3
        for b, widths in enumerate(blocks, 1):
            for n, width in enumerate(widths, 1):
                self.add_module(f"conv{b}_{n}", nn.Conv2d(before, width, 3, padding=1))
                self.add_module(f"bn{b}_{n}", nn.BatchNorm2d(width))
                before = width
            self.add_module(f"fc_pool{b}", nn.Linear(_CELLS**2 * before, _FEATURES))
        width = _FEATURES * len(blocks)
        self.fc_emb = nn.Linear(width, _EMBEDDING)
        self.class_scores1 = nn.Linear(width, TAGS)
        self.class_scores2 = nn.Linear(TAGS, TAGS)

    def forward(self, patches: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        """Compute the tags' probabilities after score propagation.

        Parameters
        ----------
        patches : (N, 3, H, W) Tensor
            Normalised slices.
        boxes : (N, 4) Tensor
            Lesion boxes x0, y0, x1, y1 in pixels of the patch.

        Returns
        -------
        (N, 171) Tensor
            0 to 1.
        """
        whole = boxes.new_tensor([0.0, 0.0, patches.shape[3], patches.shape[2]]).expand_as(boxes)
        layers, parts, x = dict(self.named_children()), [], patches
        for b, widths in enumerate(self.blocks, 1):
            if b > 1:
                x = F.max_pool2d(x, 2)
            for n in range(1, len(widths) + 1):
                x = F.relu(layers[f"bn{b}_{n}"](layers[f"conv{b}_{n}"](x)))
            pooled = roi_max_pool(x, boxes if b <= 3 else whole, 0.5 ** (b - 1), _CELLS)
            parts.append(layers[f"fc_pool{b}"](pooled.flatten(1)))
        return self.class_scores2(self.class_scores1(torch.cat(parts, 1))).sigmoid()


def roi_max_pool(features: torch.Tensor, boxes: torch.Tensor, scale: float, cells: int) -> torch.Tensor:
    """Pool the maximum of each cell of a box, rounded to whole pixels (R. Girshick, Fast R-CNN, ICCV 2015).

    Parameters
    ----------
    features : (N, C, H, W) Tensor
        One box belongs to each.
    boxes : (N, 4) Tensor
        x0, y0, x1, y1 in pixels of the input.
    scale : float
        Pixels of the features for each pixel of the input.
    cells : int
        Along each side.

    Returns
    -------
    (N, C, cells, cells) Tensor
        Maximum of each cell.
    """
    height, width = features.shape[2:]
    pooled = []
    for each, box in zip(features, (boxes * scale).round().int().tolist(), strict=True):
        x0, y0 = min(max(box[0], 0), width - 1), min(max(box[1], 0), height - 1)
        x1, y1 = max(min(box[2], width - 1), x0), max(min(box[3], height - 1), y0)
        pooled.append(F.adaptive_max_pool2d(each[:, y0 : y1 + 1, x0 : x1 + 1], cells))
    return torch.stack(pooled)


class LesaNetTagger:
    """LesaNet with the weights that a user has.

    Parameters
    ----------
    path : path
        The published checkpoint, or its tensors as .pth or .safetensors.
    device : str
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    WeightsError
        The file is missing or damaged, or its layers are not LesaNet's.
    """

    name = "lesanet"
    count = TAGS

    def __init__(self, path: str | Path, device: str = "auto") -> None:
        state = {name.removeprefix("module."): value for name, value in load_foreign(path).items()}
        self.network = LesaNet()
        known = self.network.state_dict()
        missing = [name for name in known if name not in state and not name.endswith("num_batches_tracked")]
        other = [name for name in known if name in state and state[name].shape != known[name].shape]
        if missing or other:
            raise WeightsError(
                f"{path} holds no weights of LesaNet: {(missing or other)[0]} is missing or of another size. Choose the file "
                "that LesaNet's authors published."
            )
        self.network.load_state_dict({name: state.get(name, value) for name, value in known.items()})
        self.device = chosen_device(device)
        self.network.to(self.device).eval()

    @torch.inference_mode()
    def describe(self, study: WorkingStudy, boxes: np.ndarray) -> torch.Tensor:
        """Return the tag vectors of candidates, see `tagger.Tagger`.

        Parameters
        ----------
        study : WorkingStudy
            The study, whose CT is read.
        boxes : (N, 6) ndarray
            First voxel z, y, x, then one past the last.

        Returns
        -------
        (N, 171) Tensor
            0 to 1, on the CPU.
        """
        found = []
        for box in boxes:
            patch, rectangle = lesanet_input(study, box)
            found.append(self.network(patch[None].to(self.device), rectangle[None].to(self.device))[0].cpu())
        return torch.stack(found) if found else torch.zeros(0, TAGS)


def lesanet_input(study: WorkingStudy, box: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the patch of 120 x 120 mm around a candidate, and the candidate's box in it.

    Parameters
    ----------
    study : WorkingStudy
        The study, whose CT is read.
    box : (6,) ndarray
        First voxel z, y, x, then one past the last.

    Returns
    -------
    patch : (3, 120, 120) Tensor
        As LesaNet reads it.
    box : (4,) Tensor
        x0, y0, x1, y1 in pixels.
    """
    grid = study.geometry
    centre_ijk = ((box[:3] + box[3:] - 1) / 2)[::-1]
    spacing = np.array(grid.spacing)
    wanted = np.array([1.0, 1.0, SLICE_MM])
    first = centre_ijk - np.array([PATCH / 2, PATCH / 2, 1.0]) * wanted / spacing
    patch_grid = Geometry((PATCH, PATCH, 3), tuple(wanted), tuple(grid.to_ras(first)), grid.direction)
    array = np.clip(study.volume.resampled(patch_grid, fill=_HU[0]).array, *_HU)
    scaled = ((array - _HU[0]) / (_HU[1] - _HU[0]) * 255 - _PIXEL_MEAN) / 255
    half = (box[3:] - box[:3])[::-1][:2] * spacing[:2] / 2
    rectangle = np.concatenate([PATCH / 2 - half, PATCH / 2 + half]).clip(0, PATCH - 1)
    return torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(rectangle.astype(np.float32))
