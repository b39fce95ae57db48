# SPDX-License-Identifier: Apache-2.0
"""A model's stages in full size without its weights: on the meta device for their memory, on a GPU for the real thing.

Weights are whatever memory holds, inputs are zeros: neither memory nor time depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lyra_core.cameras import Cameras
from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.memory.peak import PeakMemory
from lyra_core.memory.plan import CHUNKS, DECODER_CHUNK, TILE_FRAMES, TILES, Plan
from lyra_core.memory.sizes import tokenizer_config
from lyra_core.teacher.tiling import decode_in_tiles, encode_in_tiles
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.tokenizer_factored import accelerate, empty_network
from lyra_core.teacher.transformer import VideoTransformer
from lyra_core.weights.components import diffusion_config
from lyra_core.weights.presets import Preset

META = torch.device("meta")


class Rehearsal:
    """The networks of one model, with random weights or none, and inputs of the right size.

    Args:
        preset: the model.
        device: "meta" for sizes only.
        precision: of weights and inputs; None for the preset's.
    """

    def __init__(self, preset: Preset, device: torch.device = META, precision: torch.dtype | None = None) -> None:
        self.preset = preset
        self.device = device
        self.precision = precision or getattr(torch, preset.precision)

    def tokenizer(self) -> Tokenizer:
        """The video tokenizer."""
        network: nn.Module = accelerate(empty_network(tokenizer_config(self.preset)))
        return Tokenizer(self._placed(network))

    def transformer(self) -> VideoTransformer:
        """The diffusion transformer. Raises LyraError for a wrong config."""
        with META:
            return self._placed(VideoTransformer(diffusion_config(self.preset).transformer))

    def decoder(self) -> GaussianDecoder:
        """The 3DGS decoder."""
        with META:
            return self._placed(GaussianDecoder(DecoderConfig.from_dict(self.preset.decoder.config)))

    def stage(self, name: str, plan: Plan) -> Callable[[], Any]:
        """What a stage of a plan's estimate does, ready to be run.

        Args:
            name: "tokenizer encode", "tokenizer decode", "transformer" or "decoder".
            plan: the measures that concern the work itself count; where weights are does not.
        """
        if name == "transformer":
            return self._transformer_step()
        if name == "decoder":
            return self._decoding(plan)
        return self._coding(name, plan)

    @torch.no_grad()
    def peak(self, name: str, plan: Plan) -> int:
        """Bytes of all intermediates of a stage at most, without weights and inputs; tensor by tensor."""
        work = self.stage(name, plan)
        with PeakMemory() as memory:
            work()
        return memory.peak

    def zeros(self, *shape: int) -> Tensor:
        """An input."""
        return torch.zeros(shape, device=self.device, dtype=self.precision)

    def cameras(self) -> Cameras:
        """Cameras `[1, V, F]` at the origin."""
        height, width = self.preset.video_size
        poses = torch.eye(4, device=self.device).expand(1, len(self.preset.paths), self.preset.frames, 4, 4)
        lens = torch.tensor((width, width, width / 2, height / 2), device=self.device)
        return Cameras(poses, lens, width, height)

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns of one video."""
        height, width = self.preset.video_size
        return 1 + (self.preset.frames - 1) // 8, height // 8, width // 8

    def _transformer_step(self) -> Callable[[], Any]:
        transformer = self.transformer()
        config = transformer.config
        channels = (config.latent_channels, 1, config.guidance_channels)
        latents, mask, guidance = (self.zeros(1, count, *self.latent_size) for count in channels)
        text, code = self.zeros(1, 512, config.text_dim), self.zeros(1)
        return lambda: transformer(latents, code, mask, guidance, text)

    def _decoding(self, plan: Plan) -> Callable[[], Any]:
        decoder, cameras = self.decoder(), self.cameras()
        decoder.work_in_chunks(DECODER_CHUNK if CHUNKS in plan else None)
        channels, views = decoder.config.latent_channels, len(self.preset.paths)
        latents, rays = (self.zeros(1, views, count, *self.latent_size) for count in (channels, 2 * channels))
        return lambda: decoder.prune(decoder(latents, cameras, plucker_latents=rays))

    def _coding(self, name: str, plan: Plan) -> Callable[[], Any]:
        """Tiles go as soon as they are there, as in a plan, where they are taken to main memory."""
        tokenizer = self.tokenizer()
        network = tokenizer.network
        if name == "tokenizer encode":
            clip = self.zeros(1, 3, self.preset.frames, *self.preset.video_size)
            if TILES not in plan:
                return lambda: network.encode(clip)
            factor = tokenizer.temporal_factor
            return lambda: [None for _ in encode_in_tiles(network, clip, TILE_FRAMES, factor)]
        latents = self.zeros(1, tokenizer.config["latent_channels"], *self.latent_size)
        if TILES not in plan:
            return lambda: network.decode(latents)
        return lambda: [None for _ in decode_in_tiles(network, latents, TILE_FRAMES)]

    def _placed(self, network: Any) -> Any:
        network = network.to(META).to(self.precision).eval()
        return network if self.device == META else _filled(network.to_empty(device=self.device))


@torch.no_grad()
def _filled(network: Any) -> Any:
    """Small random weights, so that no value is lost in infinities or zeros."""
    for parameter in network.parameters():
        parameter.normal_(std=0.02)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.normal_(std=0.02)
    return network
