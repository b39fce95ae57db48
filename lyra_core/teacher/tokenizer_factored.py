# SPDX-License-Identifier: Apache-2.0
"""Exact rewrites of the tokenizer class: faster forward paths, and its two ends in principal-component coordinates.

`AutoencoderKLCosmos` cuts a video into blocks of p x p x p pixels (p = `patch_size`, the first frame repeated p times)
and turns each into Haar coefficients. That is a linear map of the block, so it can be any other one as well:

* `accelerate` replaces the chain of grouped 3-D convolutions by one matrix product with the same Haar matrix;
* `factored_network` replaces it by P principal components of the blocks. The widest layers of the class then shrink
  from 3 p^3 to P channels, and the temporal convolution behind the last one, an identity, is gone. `folded` multiplies
  the components into the class's own weights: the same function, as plain `AutoencoderKLCosmos`.

Both leave every other module of the class in place and keep its names and weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_cosmos import (
    AutoencoderKLCosmos,
    CosmosCausalConv3d,
    CosmosPatchEmbed3d,
    CosmosUnpatcher3d,
)
from torch import Tensor, nn

MINI_CONFIG: dict[str, Any] = {
    "encoder_block_out_channels": (128, 128),
    "decode_block_out_channels": (128, 128),
    "num_layers": 1,
    "patch_size": 8,
    "attention_resolutions": (1,),
    "resolution": 128,
    "latent_channels": 16,
    "latents_mean": None,
    "latents_std": None,
}
"""Constructor options of the embedded tokenizer: everything works on the latent grid, attention only in the middle."""

Components = tuple[Tensor, Tensor, Tensor]
"""(directions [P, D] orthonormal rows, deviations [P], mean [D]) of blocks of D = 3 p^3 pixels, (t, c, y, x) order."""


class BlockAnalysis(nn.Module):
    """Video to one vector per block: coefficients = weight @ block, the first frame standing for p equal ones."""

    weight: Tensor

    def __init__(self, weight: Tensor, patch_size: int) -> None:
        """weight: [P, 3 p^3], block pixels in (t, c, y, x) order."""
        super().__init__()
        self.patch_size = patch_size
        self.register_buffer("weight", weight)

    def forward(self, video: Tensor) -> Tensor:
        """[B, 3, 1 + p k, H, W] -> [B, P, 1 + k, H/p, W/p]."""
        p = self.patch_size
        pixels = F.pixel_unshuffle(video.transpose(1, 2), p)  # [B, F, 3 p p, h, w]
        still = self.weight.unflatten(1, (p, -1)).sum(1)
        first = F.conv2d(pixels[:, 0], still[:, :, None, None])[:, None]
        if video.shape[2] == 1:
            return first.transpose(1, 2)
        blocks = pixels[:, 1:].unflatten(1, (-1, p)).flatten(2, 3)
        rest = F.conv2d(blocks.flatten(0, 1), self.weight[:, :, None, None]).unflatten(0, blocks.shape[:2])
        return torch.cat([first, rest], 1).transpose(1, 2)


class BlockSynthesis(nn.Module):
    """One vector per block to video: block = weight @ coefficients + bias; of the first block only its last frame."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, patch_size: int) -> None:
        """weight: [3 p^3, P], bias: [3 p^3], block pixels in (t, c, y, x) order."""
        super().__init__()
        self.patch_size = patch_size
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, coefficients: Tensor) -> Tensor:
        """[B, P, 1 + k, h, w] -> [B, 3, 1 + p k, p h, p w]."""
        p, frames = self.patch_size, coefficients.transpose(1, 2)
        last = slice(-(self.bias.numel() // p), None)
        pixels = F.conv2d(frames[:, 0], self.weight[last, :, None, None], self.bias[last])[:, None]
        if frames.shape[1] > 1:
            blocks = F.conv2d(frames[:, 1:].flatten(0, 1), self.weight[:, :, None, None], self.bias)
            blocks = blocks.unflatten(1, (p, -1)).unflatten(0, (len(frames), -1)).flatten(1, 2)
            pixels = torch.cat([pixels, blocks], 1)
        return F.pixel_shuffle(pixels, p).transpose(1, 2)


class FramewiseCausalConv3d(CosmosCausalConv3d):
    """The class's convolution as 2-D ones with frames in the batch: about 3x faster on a CPU, same parameters.

    Kernels [1, k, k] see one frame at a time. Kernels [k, 1, 1] are one matrix product over the stacked last k frames,
    or over the summed kernel where the video has a single frame, because the class repeats the first one.
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[B, C, T, H, W] -> [B, C', T, H, W], laid out frame by frame."""
        batch, taps = len(hidden_states), self.kernel_size[0]
        frames, weight = hidden_states.transpose(1, 2), self.weight
        if taps > 1 and frames.shape[1] == 1:
            weight = weight.sum(2, keepdim=True)
        elif taps > 1:
            padded = torch.cat([frames[:, :1].expand(-1, taps - 1, -1, -1, -1), frames], 1)
            frames = torch.cat([padded[:, k : k + frames.shape[1]] for k in range(taps)], 2)
            weight = weight.transpose(1, 2).flatten(1, 2)[:, :, None]
        out = F.conv2d(frames.flatten(0, 1), weight[:, :, 0], self.bias, padding=self.spatial_pad[0])
        return out.unflatten(0, (batch, -1)).transpose(1, 2)


def accelerate(network: AutoencoderKLCosmos) -> AutoencoderKLCosmos:
    """Rewrites `network` in place for speed and returns it; equal to the plain class up to rounding (about 1e-6)."""
    size, haar = network.config["patch_size"], haar_matrix(network)
    network.set_submodule("encoder.patch_embed", BlockAnalysis(haar, size))
    inverse = BlockSynthesis(torch.linalg.inv(haar), haar.new_zeros(len(haar)), size)
    network.set_submodule("decoder.unpatch_embed", inverse)
    return _framewise(network)


def factored_network(config: Mapping[str, Any], components: Components) -> AutoencoderKLCosmos:
    """The class with its ends in component coordinates; all other weights are left unset (NaN) for the caller to fill.

    Args:
        config: constructor options of `AutoencoderKLCosmos`.
        components: of the blocks; analysis gives coordinates divided by their deviations, synthesis multiplies again.
    """
    directions, deviations, mean = components
    count, size = len(directions), config["patch_size"]
    with torch.device("meta"):
        network = AutoencoderKLCosmos(**config)
        first = CosmosCausalConv3d(count, config["encoder_block_out_channels"][0], (1, 3, 3))
        last = CosmosCausalConv3d(config["decode_block_out_channels"][0], count, (1, 3, 3))
        network.set_submodule("encoder.conv_in.conv_s", first)
        network.set_submodule("decoder.conv_out.conv_s", last)
        network.set_submodule("decoder.conv_out.conv_t", nn.Identity())
    network.to_empty(device="cpu")
    for parameter in network.parameters():
        nn.init.constant_(parameter, float("nan"))
    synthesis = BlockSynthesis((directions * deviations[:, None]).T.contiguous(), mean, size)
    network.set_submodule("encoder.patch_embed", BlockAnalysis(directions / deviations[:, None], size))
    network.set_submodule("decoder.unpatch_embed", synthesis)
    return _framewise(network)


def ends(network: AutoencoderKLCosmos) -> tuple[BlockAnalysis, nn.Conv3d, nn.Conv3d, BlockSynthesis]:
    """What a `factored_network` has in component coordinates: analysis, first layer, last layer, synthesis."""
    paths = ("encoder.patch_embed", "encoder.conv_in.conv_s", "decoder.conv_out.conv_s", "decoder.unpatch_embed")
    analysis, first, last, synthesis = map(network.get_submodule, paths)
    return cast(BlockAnalysis, analysis), cast(nn.Conv3d, first), cast(nn.Conv3d, last), cast(BlockSynthesis, synthesis)


def bias_of(convolution: nn.Conv3d) -> nn.Parameter:
    """The bias of a convolution of the class; all of them have one."""
    return cast(nn.Parameter, convolution.bias)


def empty_network(config: Mapping[str, Any]) -> AutoencoderKLCosmos:
    """The plain class with unset weights, without the time and the random numbers of its default start."""
    with torch.device("meta"):
        network = AutoencoderKLCosmos.from_config(dict(config))
    network.to_empty(device="cpu")
    size, kind = network.config["patch_size"], network.config["patch_type"]
    network.encoder.patch_embed = CosmosPatchEmbed3d(size, kind)  # their fixed buffers are no weights
    network.decoder.unpatch_embed = CosmosUnpatcher3d(size, kind)
    return network


@torch.no_grad()
def folded(network: AutoencoderKLCosmos) -> AutoencoderKLCosmos:
    """The plain class computing the same function as a `factored_network`: components multiplied into its weights."""
    plain = empty_network(network.config)
    haar = haar_matrix(plain)
    analysis, first, last, synthesis = ends(network)
    to_components, to_haar = analysis.weight @ torch.linalg.inv(haar), haar @ synthesis.weight
    width = len(haar)
    state = {name: value for name, value in network.state_dict().items() if "patch_embed" not in name}
    state |= {
        "encoder.conv_in.conv_s.weight": torch.einsum("eptyx,pc->ectyx", first.weight, to_components),
        "decoder.conv_out.conv_s.weight": torch.einsum("cp,pdtyx->cdtyx", to_haar, last.weight),
        "decoder.conv_out.conv_s.bias": haar @ synthesis.bias + to_haar @ bias_of(last),
        "decoder.conv_out.conv_t.weight": delta_kernel(width, width, 3),
        "decoder.conv_out.conv_t.bias": haar.new_zeros(width),
    }
    plain.load_state_dict(state)
    return plain.eval()


@torch.no_grad()
def haar_matrix(network: AutoencoderKLCosmos) -> Tensor:
    """[3 p^3, 3 p^3]: the class's patch embedding as a matrix on blocks in (t, c, y, x) order, read off unit blocks."""
    p = network.config["patch_size"]
    size = 3 * p**3
    unit = torch.eye(size, device=network.device).view(size, p, 3, p, p).transpose(1, 2)
    video = torch.cat([torch.zeros_like(unit[:, :, :1]), unit], 2)
    return network.encoder.patch_embed(video)[:, :, 1, 0, 0].T.contiguous()


def delta_kernel(out_channels: int, in_channels: int, taps: int) -> Tensor:
    """[out, in, taps, 1, 1]: passes the present frame of each channel on unchanged."""
    kernel = torch.zeros(out_channels, in_channels, taps, 1, 1)
    kernel[:, :, -1, 0, 0] = torch.eye(out_channels, in_channels)
    return kernel


def _framewise(network: AutoencoderKLCosmos) -> AutoencoderKLCosmos:
    for module in network.modules():
        spatial = isinstance(module, CosmosCausalConv3d) and module.kernel_size[0] == 1
        temporal = isinstance(module, CosmosCausalConv3d) and module.kernel_size[1:] == (1, 1)
        if (spatial or temporal) and module.stride == (1, 1, 1):
            module.__class__ = FramewiseCausalConv3d  # same parameters and attributes, another forward
    return network
