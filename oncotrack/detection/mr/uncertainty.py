"""Multi-task uncertainty loss (MR, eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import nn


class UncertaintyLoss(nn.Module):
    """``sum_k L_k / sigma_k^2 + sum_k log sigma_k - log 2``, the last line of eq. 6, with one learned sigma for each task.

    The parameters are ``s_k = log sigma_k^2``, so that no sigma can become zero: ``exp(-s_k) L_k + s_k / 2``. For the two
    regressions this sigma is sqrt(2) times that of eq. 3, hence the ``- log 2``. All sigmas start at 1.

    Parameters
    ----------
    tasks : int
        Number of losses.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(tasks))

    @property
    def sigmas(self) -> torch.Tensor:
        """Learned sigmas, (tasks,)."""
        return (self.log_variance / 2).exp()

    def forward(self, losses: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the weighted sum.

        Parameters
        ----------
        losses : sequence of scalar tensors
            In the order of the tasks.

        Returns
        -------
        scalar tensor
            The loss to minimise.
        """
        each = torch.stack(list(losses))
        return ((-self.log_variance).exp() * each + self.log_variance / 2).sum() - log(2)


class FixedWeights(nn.Module):
    """``sum_k lambda_k L_k``, which the paper compares with (table 3).

    Parameters
    ----------
    weights : sequence of float
        lambda of each task.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self._weights = tuple(weights)

    def forward(self, losses: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the weighted sum.

        Parameters
        ----------
        losses : sequence of scalar tensors
            In the order of the tasks.

        Returns
        -------
        scalar tensor
            The loss to minimise.
        """
        total = torch.zeros((), device=losses[0].device)
        for weight, loss in zip(self._weights, losses, strict=True):
            total = total + weight * loss
        return total
