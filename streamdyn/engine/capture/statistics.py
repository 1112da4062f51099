"""What group norm needs to know of a whole map."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupStatistics(nn.Module):
    """Scale and shift per channel, (1, C, 1, 1) each, that normalise the groups of a map."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self, channels: int, groups: int, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> None:
        super().__init__()
        self.groups = groups
        self.epsilon = epsilon
        shape = (1, channels, 1, 1)
        self.register_buffer("weight", torch.ones(shape) if weight is None else weight.view(shape))
        self.register_buffer("bias", torch.zeros(shape) if bias is None else bias.view(shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        grouped = x.float().reshape(self.groups, -1)
        variance, mean = torch.var_mean(grouped, dim=1, correction=0)
        share = x.shape[1] // self.groups
        scale = (variance + self.epsilon).rsqrt().repeat_interleave(share).view(self.weight.shape)
        mean = mean.repeat_interleave(share).view(self.weight.shape)
        scale = scale * self.weight
        return scale, self.bias - mean * scale
