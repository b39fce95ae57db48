# SPDX-License-Identifier: Apache-2.0
"""Video tokenizer: 8 x 8 pixels x 8 frames to 16 numbers and back (`AutoencoderKLCosmos`, released or embedded).

A clip of F = 1 + 8 k frames becomes T = 1 + k latent frames, causally: the first depends on the first frame only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_cosmos import AutoencoderKLCosmos
from torch import Tensor, nn

from lyra_core.errors import LyraError
from lyra_core.teacher.tiling import decode_in_tiles, encode_in_tiles
from lyra_core.teacher.tokenizer_factored import accelerate, ends, factored_network, folded
from lyra_core.weights.quantized import Storage, StorageRule, load_weights, read_metadata, save_weights

_KIND = "factored-tokenizer"
_COMPONENTS = ("components.directions", "components.deviations", "components.mean")


class Tokenizer(nn.Module):
    """`AutoencoderKLCosmos` with tensors in and tensors out, one clip at a time to bound memory.

    Attributes:
        tile_frames: latent frames that are worked on at once (see `tiling`); None for the whole clip.
    """

    def __init__(self, network: AutoencoderKLCosmos) -> None:
        """network: the class itself, `accelerate`d, or a `factored_network`."""
        super().__init__()
        self.network = network.eval()
        self.tile_frames: int | None = None

    @classmethod
    def load(cls, path: Path | str) -> Tokenizer:
        """Reads a folder in diffusers' layout (config.json and safetensors) or a compact file of `save`.

        Raises LyraError when `path` is neither.
        """
        path = Path(path)
        if path.is_dir():
            return cls(accelerate(_from_folder(path)))
        return cls._from_compact(path)

    def save(
        self, path: Path | str, storage: Storage | StorageRule = "int8", metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Writes the compact file of a factored tokenizer: components once, no identity layers, no Haar.

        metadata: whatever should travel along, e.g. metrics; it comes back from `read_metadata(path)["about"]`.
        """
        state = {name: value for name, value in self.network.state_dict().items() if "patch_embed" not in name}
        analysis, _, _, synthesis = ends(self.network)
        deviations = synthesis.weight.norm(dim=0)
        state |= zip(_COMPONENTS, (analysis.weight * deviations[:, None], deviations, synthesis.bias), strict=True)
        config = {name: value for name, value in self.network.config.items() if not name.startswith("_")}
        save_weights(path, state, storage, {"kind": _KIND, "config": config, "about": dict(metadata or {})})

    @classmethod
    def _from_compact(cls, path: Path) -> Tokenizer:
        state, metadata = load_weights(path), read_metadata(path)
        if metadata.get("kind") != _KIND:
            raise LyraError(f"{path} is no tokenizer file. Give a compact tokenizer file or a diffusers folder.")
        directions, deviations, mean = (state.pop(name) for name in _COMPONENTS)
        network = factored_network(metadata["config"], (directions, deviations, mean))
        missing, unexpected = network.load_state_dict(state, strict=False)
        if unexpected or any("patch_embed" not in name for name in missing):
            raise LyraError(f"{path} does not hold the weights its own config asks for. Fetch or train it again.")
        return cls(network)

    def folded(self) -> AutoencoderKLCosmos:
        """A factored tokenizer as plain `AutoencoderKLCosmos`, e.g. for `save_pretrained`."""
        return folded(self.network)

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Mode of the posterior, not normalised.

        Args:
            video: [B, 3, F, H, W] in [-1, 1]; F = 1 + 8 k, H and W multiples of 8.

        Returns:
            Latents [B, 16, 1 + k, H/8, W/8], float32 at least. Raises LyraError for other sizes.
        """
        self._require_blocks(video)
        return torch.cat([self._encode(clip) for clip in video.split(1)])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, 16, T, h, w], not normalised, to video [B, 3, 1 + 8 (T - 1), 8 h, 8 w] near [-1, 1]."""
        return torch.cat([self._decode(clip) for clip in latents.split(1)])

    def _encode(self, clip: Tensor) -> Tensor:
        """Latents of one clip."""
        clip = clip.to(self.dtype)
        if self.tile_frames is None:
            return self._exact(self.network.encode(clip).latent_dist.mode())
        tiles = encode_in_tiles(self.network, clip, self.tile_frames, self.temporal_factor)
        return torch.cat([self._exact(tile) for tile in tiles], dim=2)

    def _decode(self, latents: Tensor) -> Tensor:
        """Video of one clip."""
        latents = latents.to(self.dtype)
        if self.tile_frames is None:
            return self._exact(self.network.decode(latents).sample)
        return torch.cat(
            [self._exact(tile) for tile in decode_in_tiles(self.network, latents, self.tile_frames)], dim=2
        )

    def _exact(self, result: Tensor) -> Tensor:
        """A result in float32 at least: the sampler's state and the statistics do not survive bfloat16."""
        return result.to(torch.promote_types(self.dtype, torch.float32))

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; whatever goes in is cast to it."""
        return next(self.network.parameters()).dtype

    @property
    def config(self) -> Mapping[str, Any]:
        """Constructor options of the class, with `latents_mean` and `latents_std` as flat lists (None: 0 and 1)."""
        return self.network.config

    @property
    def spatial_factor(self) -> int:
        """Pixels per latent along x and y."""
        return self.config["spatial_compression_ratio"]

    @property
    def temporal_factor(self) -> int:
        """Frames per latent frame after the first."""
        return self.config["temporal_compression_ratio"]

    @property
    def latents_mean(self) -> Tensor:
        """[16, n] mean of the latents per channel; n = 1 for all latent frames, or one column per latent frame."""
        return self._statistic("latents_mean", 0.0)

    @property
    def latents_std(self) -> Tensor:
        """[16, n] standard deviation of the latents, laid out as `latents_mean`."""
        return self._statistic("latents_std", 1.0)

    def normalize(self, latents: Tensor) -> Tensor:
        """(latents - mean) / std for latents [B, 16, T, h, w]."""
        return (latents - self._aligned(self.latents_mean, latents)) / self._aligned(self.latents_std, latents)

    def denormalize(self, latents: Tensor) -> Tensor:
        """Inverse of `normalize`."""
        return latents * self._aligned(self.latents_std, latents) + self._aligned(self.latents_mean, latents)

    def _statistic(self, name: str, default: float) -> Tensor:
        channels = self.config["latent_channels"]
        return torch.tensor(self.config[name] or [default] * channels, dtype=torch.float32).view(channels, -1)

    @staticmethod
    def _aligned(statistic: Tensor, latents: Tensor) -> Tensor:
        return statistic[None, :, : latents.shape[2], None, None].to(latents)

    def _require_blocks(self, video: Tensor) -> None:
        _, channels, frames, height, width = video.shape
        space, time = self.spatial_factor, self.temporal_factor
        if channels != 3 or frames % time != 1 or height % space or width % space:
            raise LyraError(
                f"a video of shape {tuple(video.shape)} cannot be tokenized: it needs 3 channels, 1 + {time} k frames, "
                f"height and width in multiples of {space}. Resize or trim it first."
            )


def _from_folder(path: Path) -> AutoencoderKLCosmos:
    try:
        return AutoencoderKLCosmos.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise LyraError(f"{path} holds no AutoencoderKLCosmos ({reason}). Give its config.json and weights.") from error
