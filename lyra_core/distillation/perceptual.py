# SPDX-License-Identifier: Apache-2.0
"""How different two pictures look: LPIPS where its weights are present, and a stand-in where they are not.

LPIPS (Zhang et al., CVPR 2018, version 0.1 on VGG16) needs weights that are not shipped here; where
`evaluation.lpips` finds them it is computed as published. Without, F-LPIPS takes its place: the same formula on the
first two stages of the embedded depth network, all channels weighted alike. The two are different numbers; every log
and table names the one it holds.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lyra_core.conditioning.depth_net import DepthNet
from lyra_core.evaluation.lpips import Lpips, load_lpips
from lyra_core.weights.manifest import verified
from lyra_core.weights.presets import load_preset
from lyra_core.weights.quantized import load_weights

_EPS = 1e-10


class Perceptual(Protocol):
    """A distance between pictures."""

    name: str
    """For logs and tables."""

    def __call__(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """Distance per picture `[N]` of pictures `[N, H, W, 3]` in [0, 1]; differentiable in the prediction."""


class PublishedLpips(nn.Module):
    """LPIPS 0.1 on VGG16."""

    name = "LPIPS (VGG16, v0.1)"

    def __init__(self, network: Lpips) -> None:
        super().__init__()
        self.network = network

    def forward(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """See `Perceptual`."""
        return self.network(prediction, reference)


class DepthFeatures(nn.Module):
    """F-LPIPS: squared distance of channel-normalised features of the embedded depth network's first two stages."""

    name = "F-LPIPS (embedded depth network)"

    def __init__(self, network: DepthNet) -> None:
        super().__init__()
        self.stem, self.down = network.stem, network.down[0]

    def forward(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """See `Perceptual`: mean over channels and pixels, summed over the two stages."""
        ours, theirs = self._features(prediction), self._features(reference)
        squared = [(_unit(one) - _unit(other)).square() for one, other in zip(ours, theirs, strict=True)]
        return torch.stack([maps.sum(dim=1).mean(dim=(-2, -1)) for maps in squared]).sum(dim=0)

    def _features(self, images: Tensor) -> list[Tensor]:
        """Maps at half and at quarter resolution; a crop has no place in a picture, so all coordinates are 0."""
        maps = 2 * images.movedim(-1, 1) - 1
        padding = (0, -maps.shape[-1] % 4, 0, -maps.shape[-2] % 4)
        maps = functional.pad(maps, padding, mode="replicate") if any(padding) else maps
        inputs = torch.cat((maps, torch.zeros_like(maps[:, :2])), dim=1)
        fine = self.stem(functional.pixel_unshuffle(inputs, 2))
        return [fine, self.down(fine)]


def load_perceptual() -> PublishedLpips | DepthFeatures:
    """LPIPS if its weights are on this machine, else the stand-in on the embedded depth network."""
    network, _ = load_lpips()
    if network is not None:
        return PublishedLpips(network).requires_grad_(False).eval()
    preset = load_preset("mini")
    features = DepthNet()
    features.load_state_dict(load_weights(verified(preset.weights_folder, str(preset.depth.file))))
    return DepthFeatures(features).requires_grad_(False).eval()


def perceptual_loss(distance: Perceptual, prediction: Tensor, reference: Tensor, chunk: int) -> Tensor:
    """Mean distance over pictures `[N, H, W, 3]`, a scalar; features of `chunk` pictures are held at once.

    As published: every chunk is computed again in the backward pass.
    """
    pairs = zip(prediction.split(chunk), reference.split(chunk), strict=True)
    values = [checkpoint(distance, one, other, use_reentrant=False) for one, other in pairs]
    return torch.cat(values).mean()


def _unit(maps: Tensor) -> Tensor:
    """Feature vectors of length 1."""
    return maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + _EPS)
