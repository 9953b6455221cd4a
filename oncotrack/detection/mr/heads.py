"""Second stage: class, box and mask of a region (K. He et al., Mask R-CNN, 2017)."""

from __future__ import annotations

import torch
from torch import nn

from oncotrack.detection.mr.config import MRConfig


class BoxHead(nn.Module):
    """Class and box of a region.

    Parameters
    ----------
    config : MRConfig
        Widths and cells of a region.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width * config.box_size**2, config.box_width)
        self.fc2 = nn.Linear(config.box_width, config.box_width)
        self.classes = nn.Linear(config.box_width, 2)
        self.boxes = nn.Linear(config.box_width, 4)
        for module, std in ((self.classes, 0.01), (self.boxes, 0.001)):
            nn.init.normal_(module.weight, std=std)
            nn.init.zeros_(module.bias)

    def forward(self, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Classify regions and refine their boxes.

        Parameters
        ----------
        cells : (N, C, k, k) tensor
            Features of the regions.

        Returns
        -------
        logits : (N, 2) tensor
            Background, node.
        steps : (N, 4) tensor
            See `box_code.encode`.
        """
        x = torch.relu(self.fc1(cells.flatten(1)))
        x = torch.relu(self.fc2(x))
        return self.classes(x).float(), self.boxes(x).float()


class MRMaskHead(nn.Module):
    """Mask of a region.

    Parameters
    ----------
    config : MRConfig
        Width and number of layers.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(config.mask_layers):
            layers += [nn.Conv2d(config.width, config.width, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.larger = nn.ConvTranspose2d(config.width, config.width, 2, 2)
        self.mask = nn.Conv2d(config.width, 1, 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]
        nn.init.normal_(self.mask.weight, std=0.01)

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """Predict masks.

        Parameters
        ----------
        cells : (N, C, k, k) tensor
            Features of the regions.

        Returns
        -------
        (N, 2 k, 2 k) tensor
            Logits.
        """
        return self.mask(torch.relu(self.larger(self.layers(cells))))[:, 0].float()
