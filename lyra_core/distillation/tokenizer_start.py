# SPDX-License-Identifier: Apache-2.0
"""A start for the tokenizer that cannot collapse: at step 0 it IS the linear principal-component autoencoder.

From its default start the class loses all but one direction of the code within tens of steps and stays there. Here
every part begins as an identity on a code of 16 working directions:

* the first layer takes the 16 leading components as +/- pairs of channels, because silu(x) - silu(-x) = x, the
  following components singly, and a few constant "ruler" channels, so that a group norm over a frame keeps its level
  and contrast;
* temporal convolutions pass the present frame on, residual branches and attention add zero;
* norm gains equal the deviation they divide by (`calibrate`), so a norm is an identity on average;
* the last layer writes the pairs back as components; its free channels point at the next-best ones.

`fit_lapped_decoder` then solves the 3 x 3 taps of the last layer by least squares, which removes the blockiness.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_cosmos import (
    AutoencoderKLCosmos,
    CosmosCausalAttention,
    CosmosCausalConv3d,
    CosmosCausalGroupNorm,
    CosmosResnetBlock3d,
)
from torch import Tensor, nn

from lyra_core.teacher.tokenizer_factored import Components, bias_of, delta_kernel, ends

RULERS = 4
"""Constant channels per network, alternately +RULER_LEVEL and -RULER_LEVEL."""
RULER_LEVEL = 10.0
WHITENING_FLOOR = 0.02
"""Deviations are raised to this share of the largest, so that rare components are not blown up."""


def block_components(blocks: Tensor, count: int) -> Components:
    """Leading principal components of `blocks` [N, D]: directions [count, D], floored deviations [count], mean [D]."""
    samples = blocks.double()
    mean = samples.mean(0)
    centred = samples - mean
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(samples))
    leading = variances.argsort(descending=True)[:count]
    deviations = variances[leading].clamp_min(0).sqrt()
    floored = deviations.clamp_min(float(deviations[0]) * WHITENING_FLOOR)
    return directions[:, leading].T.float().contiguous(), floored.float(), mean.float()


@torch.no_grad()
def start_as_components(network: AutoencoderKLCosmos, generator: torch.Generator) -> None:
    """Sets all weights of a `factored_network` in place, as described above. `calibrate` must follow."""
    for module in network.modules():
        if isinstance(module, CosmosCausalConv3d):
            _start_convolution(module, generator)
        elif isinstance(module, CosmosCausalGroupNorm):
            nn.init.ones_(module.get_parameter("norm.weight"))
            nn.init.zeros_(module.get_parameter("norm.bias"))
    for module in network.modules():
        if isinstance(module, CosmosResnetBlock3d):
            nn.init.zeros_(module.conv2.conv_s.weight)
        elif isinstance(module, CosmosCausalAttention):
            for conv in (module.to_q, module.to_k, module.to_v):
                nn.init.normal_(conv.weight, std=math.sqrt(1 / (3 * conv.in_channels)), generator=generator)
            nn.init.zeros_(module.get_parameter("to_out.0.weight"))
    _start_encoder_ends(network)
    _start_decoder_ends(network)


@torch.no_grad()
def calibrate(network: AutoencoderKLCosmos, video: Tensor) -> None:
    """Sets each norm's gains to the deviation it divides by on `video` [B, 3, F, H, W]; ruler channels become +-1."""

    def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        deviation = inputs[0].transpose(1, 2).flatten(2).std(-1).mean()
        gains = module.get_parameter("norm.weight")
        gains.fill_(deviation)
        gains[-RULERS:] = deviation / RULER_LEVEL

    norms = [module for module in network.modules() if isinstance(module, CosmosCausalGroupNorm)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    network.decode(network.encode(video).latent_dist.mode())
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def fit_lapped_decoder(network: AutoencoderKLCosmos, video: Tensor, ridge: float = 1e-3) -> None:
    """Solves the last layer on `video` [B, 3, F, H, W]: each block from the 3 x 3 codes around it.

    Only valid right after the start, while the decoder hands the code through unchanged.
    """
    code = network.encode(video).latent_dist.mode().transpose(1, 2).flatten(0, 1)
    analysis, _, last, synthesis = ends(network)
    target = analysis(video).transpose(1, 2).flatten(0, 1).flatten(2).transpose(1, 2).flatten(0, 1)
    channels, mean = code.shape[1], analysis.weight @ synthesis.bias
    taps = F.unfold(code, 3, padding=1).transpose(1, 2).flatten(0, 1)
    design = F.pad(taps, (0, 1), value=1.0).double()
    damping = ridge * len(design) * torch.eye(design.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(design.T @ design + damping, design.T @ (target - mean).double()).float()
    kernel = solution[:-1].T.reshape(-1, channels, 3, 3)
    last.weight[:, :channels, 0] = kernel
    last.weight[:, channels : 2 * channels, 0] = -kernel
    bias_of(last).copy_(solution[-1])


def _start_convolution(conv: CosmosCausalConv3d, generator: torch.Generator) -> None:
    if conv.kernel_size[0] > 1:
        conv.weight.copy_(delta_kernel(conv.out_channels, conv.in_channels, conv.kernel_size[0]))
    else:
        fan_in = conv.weight[0].numel()
        nn.init.normal_(conv.weight, std=math.sqrt(2 / fan_in), generator=generator)
    nn.init.zeros_(bias_of(conv))


def _start_encoder_ends(network: AutoencoderKLCosmos) -> None:
    code = network.config["latent_channels"]
    analysis, first, _, synthesis = ends(network)
    singles = min(first.out_channels - RULERS - 2 * code, first.in_channels - code)
    centre = torch.zeros(first.out_channels, first.in_channels)
    centre[: 2 * code, :code] = _pairs(code)
    centre[2 * code : 2 * code + singles, code : code + singles] = torch.eye(singles)
    _set_centre(first, centre)
    bias_of(first).copy_(-centre @ (analysis.weight @ synthesis.bias))
    bias_of(first)[-RULERS:] = _rulers()
    last = network.encoder.conv_out.conv_s
    _set_centre(last, F.pad(_pairs(code).T, (0, last.in_channels - 2 * code)))
    _set_centre(network.quant_conv, torch.eye(code))


def _start_decoder_ends(network: AutoencoderKLCosmos) -> None:
    code, first = network.config["latent_channels"], network.decoder.conv_in.conv_s
    last = ends(network)[2]
    _set_centre(network.post_quant_conv, torch.eye(code))
    _set_centre(first, F.pad(_pairs(code), (0, 0, 0, first.out_channels - 2 * code)))
    bias_of(first)[-RULERS:] = _rulers()
    spare = min((last.in_channels - RULERS - 2 * code) // 2, last.out_channels - code)
    centre = torch.zeros(last.out_channels, last.in_channels)
    centre[:code, : 2 * code] = _pairs(code).T
    centre[code : code + spare, 2 * code : 2 * (code + spare)] = _pairs(spare).T
    _set_centre(last, centre)


def _pairs(count: int) -> Tensor:
    """[2 count, count]: each input once as it is, once negated."""
    return torch.cat([torch.eye(count), -torch.eye(count)])


def _rulers() -> Tensor:
    return torch.tensor([1.0, -1.0]).repeat(RULERS)[:RULERS] * RULER_LEVEL


def _set_centre(conv: nn.Conv3d, centre: Tensor) -> None:
    """Makes `conv` (kernel [1, k, k]) the pointwise map `centre` [out, in]."""
    conv.weight.zero_()
    middle = conv.kernel_size[1] // 2
    conv.weight[:, :, 0, middle, middle] = centre
