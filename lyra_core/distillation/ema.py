# SPDX-License-Identifier: Apache-2.0
"""The exponential moving average of a network's weights: what is evaluated and shipped."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average of a module's trainable parameters, with a short memory at the start.

    The averages are float32 whatever the parameters are: in bfloat16 a step of 0.001 would be rounded away. A decay of
    0 makes the average the last parameters themselves (the published recipe, which has none).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.shadow = {name: p.detach().float().clone() for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the parameters in."""
        self.steps += 1
        weight = 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        parameters = dict(model.named_parameters())
        for name, average in self.shadow.items():
            average.lerp_(parameters[name].detach().to(average.dtype), weight)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's parameters with the averages (call twice to undo)."""
        parameters = dict(model.named_parameters())
        for name, average in self.shadow.items():
            held = average.clone()
            average.copy_(parameters[name].data)
            parameters[name].data.copy_(held)

    def load(self, shadow: dict[str, Tensor], steps: int) -> None:
        """Continue from stored averages; their names must be the model's own."""
        if set(shadow) != set(self.shadow):
            raise ValueError(f"averages of {len(shadow)} tensors for a network of {len(self.shadow)}")
        for name, average in self.shadow.items():
            average.copy_(_placed_like(shadow[name], average))
        self.steps = steps


def _placed_like(tensor: Tensor, target: Tensor) -> Tensor:
    """A whole tensor as the same shards that `target` has (FSDP); any other as it is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(target, DTensor):
        return tensor
    return distribute_tensor(tensor.to(target.device), target.device_mesh, target.placements)
