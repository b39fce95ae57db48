# SPDX-License-Identifier: Apache-2.0
"""The decoder: video latents, rays and (for the dynamic model) times of all views to Gaussian rows.

Tokens of all views form one sequence, ordered view, latent frame, row, column; there is no positional embedding. The
order of the views matters, because the scans are causal per direction. The state dict has the names of the released
files.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.decoder.anchors import Anchors, anchor_maps, anchor_surface, anchored_rows
from lyra_core.decoder.blocks import ATTENTION_NORM_EPS, AttentionBlock, BidirectionalMamba, MambaBlock, Mlp, joined
from lyra_core.decoder.config import COMPRESSION, OUTPUT_CHANNELS, PATCH, DecoderConfig
from lyra_core.decoder.embeddings import PatchEmbed
from lyra_core.decoder.heads import gaussian_rows
from lyra_core.decoder.initialization import initialize
from lyra_core.decoder.pruning import prune
from lyra_core.errors import LyraError


class GaussianDecoder(nn.Module):
    """Latent 3DGS decoder (Lyra, arXiv 2509.19296) with the anchored variant of the embedded family."""

    def __init__(self, config: DecoderConfig, *, generator: torch.Generator | None = None) -> None:
        """Build the network and draw its weights from `generator` (None: a fresh one with seed 0)."""
        super().__init__()
        self.config = config
        self.chunk: int | None = None
        width, latents = config.width, config.latent_channels
        self.enc_blocks = nn.ModuleList(
            [
                AttentionBlock(config) if (index + 1) % config.attention_every == 0 else MambaBlock(config)
                for index in range(config.depth)
            ]
        )
        self.enc_norm = nn.LayerNorm(width, eps=ATTENTION_NORM_EPS)
        self.patch_embed = PatchEmbed(latents, width)
        self.patch_plucker_embed = PatchEmbed(2 * latents, width)
        self.patch_time_embed = PatchEmbed(latents, width)
        self.patch_time_embed_tgt = PatchEmbed(latents, width)
        if config.depth_anchor:
            self.patch_anchor_embed = PatchEmbed(2 * COMPRESSION**2, width)
        self.deconv = _deconvolution(config)
        initialize(self, generator)

    def forward(
        self,
        latents: Tensor,
        cameras: Cameras,
        *,
        plucker_latents: Tensor,
        time_latents: Tensor | None = None,
        anchors: Anchors | None = None,
    ) -> Tensor:
        """Decode to unpruned Gaussians.

        Args:
            latents: raw tokenizer latents `[B, V, 16, T, h, w]`.
            cameras: `[B, V, F]` with F = 8 (T - 1) + 1 (8: the config's `latent_period`), at the size of the video
                (8 h x 8 w pixels).
            plucker_latents: encoded rays `[B, V, 32, T, h, w]`, see `encode_plucker`.
            time_latents: encoded times `[B, 16, T + 1, h, w]`, see `encode_time`; needed by a dynamic model.
            anchors: known pixels and distances; needed by an anchored model.

        Returns:
            rows `[B, N, 14]`: xyz, opacity, scale, quaternion wxyz, rgb. Order: view, frame, row, column. With
            `input_view_gaussians` the input image's pixels come first (row, column), then the views without their
            key frame 0.
        """
        self._check(latents, cameras, plucker_latents, time_latents, anchors)
        raw = self._raw(self._tokens(latents, plucker_latents, time_latents, anchors), latents)
        if self.config.depth_anchor and anchors is not None:
            with torch.autocast(raw.device.type, enabled=False):  # anchor geometry does not survive bfloat16
                return self._anchored(raw.float(), cameras, anchors)
        return self._along_rays(raw, cameras, anchors).flatten(1, -2)

    def prune(self, rows: Tensor) -> Tensor:
        """The most opaque rows, as the config's `prune_ratio` says; `[B, N, 14]` to `[B, K, 14]`."""
        return prune(rows, self.config.prune_ratio)

    def work_in_chunks(self, tokens: int | None) -> None:
        """Bounds memory: everything but the attention handles at most so many tokens at once (None: all of them).

        The result is the same up to the rounding of sums. The head handles one view at a time.
        """
        self.chunk = tokens
        for module in self.modules():
            if isinstance(module, BidirectionalMamba | Mlp):
                module.chunk = tokens

    def _tokens(
        self, latents: Tensor, plucker_latents: Tensor, time_latents: Tensor | None, anchors: Anchors | None
    ) -> Tensor:
        """Sum of all embeddings `[B, V * T * h/2 * w/2, D]`."""
        views = latents.shape[1]
        tokens = self.patch_embed(latents.flatten(0, 1))
        if self.config.use_time_embedding and time_latents is not None:
            source, target = time_latents[:, :, :-1], time_latents[:, :, -1:]
            times = self.patch_time_embed(source) + self.patch_time_embed_tgt(target.expand_as(source))
            tokens = tokens + times.repeat_interleave(views, dim=0)
        tokens = tokens + self.patch_plucker_embed(plucker_latents.flatten(0, 1))
        if self.config.depth_anchor and anchors is not None:
            tokens = tokens + self.patch_anchor_embed(anchor_maps(anchors, COMPRESSION).flatten(0, 1))
        return tokens.unflatten(0, (-1, views)).flatten(1, 2)

    def _raw(self, tokens: Tensor, latents: Tensor) -> Tensor:
        """Run the blocks and the head: raw outputs `[B, V, frames, rows, columns, 12]`."""
        batch, views, _, frames, height, width = latents.shape
        if not self.config.fuse_views:
            tokens = tokens.unflatten(1, (views, -1)).flatten(0, 1)
        for block in self.enc_blocks:
            tokens = block(tokens)
        grid = (batch * views, frames, height // PATCH[1], width // PATCH[2])
        features = self.enc_norm(tokens).reshape(*grid, -1).movedim(-1, 1)
        features = features[:, :, :: max(self.config.gaussian_stride[0] // self.config.latent_period, 1)]
        raw = joined([self.deconv(part) for part in features.split(1 if self.chunk else len(features))], dim=0)
        return raw.movedim(1, -1).unflatten(0, (batch, views))

    def _along_rays(self, raw: Tensor, cameras: Cameras, anchors: Anchors | None) -> Tensor:
        """The published head: one Gaussian on the ray of every cell's centre."""
        stride = self.config.gaussian_stride
        origins, directions = (
            cameras[..., :: stride[0]]
            .resized(cameras.height // stride[1], cameras.width // stride[2])
            .rays(self.config.ray_torch_dtype)
        )
        pixels = None
        if self.config.color_anchor and anchors is not None:
            cells = anchors.rgb.unflatten(-3, (-1, stride[1])).unflatten(-2, (-1, stride[2]))
            pixels = cells.mean(dim=(-4, -2)).to(raw.dtype)
        return gaussian_rows(raw, origins.to(raw.dtype), directions.to(raw.dtype), self.config, pixels)

    def _anchored(self, raw: Tensor, cameras: Cameras, anchors: Anchors) -> Tensor:
        """The anchored head."""
        frames, rows, columns = self.config.gaussian_stride
        free_color = not self.config.color_anchor
        first = 1 if self.config.input_view_gaussians else 0
        keys = cameras[..., ::frames]
        maps = (anchors.rgb[:, :, first:], anchors.distance[:, :, first:], anchors.known[:, :, first:])
        surface = anchor_surface(*maps, keys[..., first:], (rows, columns))
        fresh = ~surface.known if anchors.fresh is None else anchors.fresh[:, :, first:, ::rows, ::columns].clone()
        if not self.config.input_view_gaussians:
            fresh[:, 0, 0] = True
        video = anchored_rows(raw[:, :, first:], surface, fresh, free_color=free_color).flatten(1, -2)
        if not self.config.input_view_gaussians:
            return video
        return torch.cat((self._input_view(raw[:, 0, 0], anchors), video), dim=1)

    def _input_view(self, raw: Tensor, anchors: Anchors) -> Tensor:
        """One Gaussian per pixel of the input image, from the raw outputs `[B, h, w, 12]` of the first key frame."""
        known = torch.ones_like(anchors.input_distance, dtype=torch.bool)
        surface = anchor_surface(anchors.input_rgb, anchors.input_distance, known, anchors.input_camera, (1, 1))
        enlarged = functional.interpolate(raw.movedim(-1, 1), size=known.shape[-2:], mode="nearest").movedim(1, -1)
        return anchored_rows(enlarged, surface, known).flatten(1, -2)

    def _check(
        self,
        latents: Tensor,
        cameras: Cameras,
        plucker_latents: Tensor,
        time_latents: Tensor | None,
        anchors: Anchors | None,
    ) -> None:
        """Refuse inputs that do not belong together."""
        config = self.config
        if latents.ndim != 6 or latents.shape[2] != config.latent_channels:
            raise LyraError(f"Latents must be [B, V, {config.latent_channels}, T, h, w]; got {list(latents.shape)}.")
        batch, views, channels, frames, height, width = latents.shape
        if height % PATCH[1] or width % PATCH[2]:
            raise LyraError(f"Latents need an even height and width; got {height} x {width}.")
        expected = (batch, views, config.latent_period * (frames - 1) + 1, COMPRESSION * height, COMPRESSION * width)
        if (*cameras.shape, cameras.height, cameras.width) != expected:
            raise LyraError(
                f"Latents {list(latents.shape)} need cameras [B, V, F] x (H, W) = {expected}; got "
                f"{(*cameras.shape, cameras.height, cameras.width)}."
            )
        if plucker_latents.shape != (batch, views, 2 * channels, frames, height, width):
            raise LyraError(f"Pluecker latents {list(plucker_latents.shape)} do not fit latents {list(latents.shape)}.")
        if config.use_time_embedding:
            _check_times(time_latents, (batch, channels, frames + 1, height, width))
        if config.anchored:
            _check_anchors(anchors, (batch, views, frames, COMPRESSION * height, COMPRESSION * width))


def _check_times(time_latents: Tensor | None, expected: tuple[int, ...]) -> None:
    if time_latents is None or time_latents.shape != expected:
        got = None if time_latents is None else list(time_latents.shape)
        raise LyraError(f"A dynamic decoder needs time latents {list(expected)}; got {got}.")


def _check_anchors(anchors: Anchors | None, expected: tuple[int, ...]) -> None:
    if anchors is None:
        raise LyraError("An anchored decoder needs anchors (known pixels and distances of the key frames).")
    if anchors.distance.shape != expected or anchors.known.shape != expected or anchors.rgb.shape != (*expected, 3):
        raise LyraError(
            f"Anchors must be {list(expected)}; got distance {list(anchors.distance.shape)}, known "
            f"{list(anchors.known.shape)}, rgb {list(anchors.rgb.shape)}."
        )
    if anchors.input_rgb.shape != (*anchors.input_distance.shape, 3) or anchors.input_camera.shape != expected[:1]:
        raise LyraError(
            f"Anchors: input_rgb {list(anchors.input_rgb.shape)}, input_distance {list(anchors.input_distance.shape)} "
            f"and input_camera {list(anchors.input_camera.shape)} must describe one image per batch element."
        )
    for name, distance in (("distance", anchors.distance), ("input_distance", anchors.input_distance)):
        if not bool((distance > 0).all()) or not bool(distance.isfinite().all()):
            raise LyraError(f"Anchors: {name} must be positive and finite everywhere; fill the holes first.")


def _deconvolution(config: DecoderConfig) -> nn.ConvTranspose3d:
    """Tokens to Gaussians; in time the kernel overlaps by one frame, so that T latent frames give 8 (T - 1) + 1."""
    full = (config.latent_period * PATCH[0], COMPRESSION * PATCH[1], COMPRESSION * PATCH[2])
    time, rows, columns = (max(size // step, 1) for size, step in zip(full, config.gaussian_stride, strict=True))
    taps = time + 1 if time > 1 else 1
    return nn.ConvTranspose3d(
        config.width, OUTPUT_CHANNELS, (taps, rows, columns), (time, rows, columns), (time // 2, 0, 0)
    )
