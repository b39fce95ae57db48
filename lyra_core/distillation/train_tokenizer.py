# SPDX-License-Identifier: Apache-2.0
"""Trains the embedded video tokenizer on the procedural stills and clips of `generate`.

Recipe: the class with patch size 8, started as the linear principal-component autoencoder (`tokenizer_start`), its two
ends trained in component coordinates. Loss on [-1, 1]: squared error + 0.05 absolute error + 1e-5 squared code.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_cosmos import AutoencoderKLCosmos
from torch import Tensor

from lyra_core.distillation.run_folder import STATE_NAME, JsonLog, open_run
from lyra_core.distillation.tokenizer_start import block_components, calibrate, fit_lapped_decoder, start_as_components
from lyra_core.distillation.trainer import LegConfig, train_leg
from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.tokenizer_factored import MINI_CONFIG, ends, factored_network
from lyra_core.weights.quantized import Storage

WEIGHTS_NAME = "tokenizer.safetensors"
METRICS_NAME = "tokenizer.json"


@dataclass(frozen=True)
class TokenizerTraining:
    """Settings of the recipe.

    Attributes:
        components: principal components that both ends work in.
        crop: height and width of a training crop [px], multiples of 8.
        stills: crops in a batch of stills; a batch of clips holds as many latent frames.
        clip_share: share of steps on clips.
        clip_frames: lengths drawn for clip batches.
        learning_rate: peak rate of Adam; the two ends take `end_rate` of it.
        end_rate: rate of the layers in component coordinates, relative to the others.
        absolute_weight: of the absolute error in the loss.
        code_weight: of the squared code in the loss.
        start_pixels: pixels of stills (and as many of clips) that the components are computed from.
    """

    components: int = 384
    crop: tuple[int, int] = (96, 96)
    stills: int = 6
    clip_share: float = 0.75
    clip_frames: tuple[int, ...] = (9, 17)
    learning_rate: float = 1e-3
    end_rate: float = 0.2
    absolute_weight: float = 0.05
    code_weight: float = 1e-5
    start_pixels: int = 12_000_000


class VideoShards:
    """Stills and clips of a `generate` folder, held in memory as uint8 [N, H, W, 3] and [N, F, H, W, 3]."""

    def __init__(self, folder: Path) -> None:
        """Raises LyraError where the folder holds no stills or no clips."""
        self.stills = np.concatenate(_arrays(folder / "scenes"))
        self.clips = np.stack(_arrays(folder / "clips"))

    def draw(self, rng: np.random.Generator, count: int, frames: int, crop: tuple[int, int]) -> Tensor:
        """Random crops, mirrored or played backwards at random: [count, 3, frames, *crop] in [-1, 1]."""
        source = self.stills[:, None] if frames == 1 else self.clips
        height, width = (min(size, limit) for size, limit in zip(crop, source.shape[2:4], strict=True))
        crops = []
        for _ in range(count):
            top, left = rng.integers(source.shape[2] - height + 1), rng.integers(source.shape[3] - width + 1)
            first = rng.integers(source.shape[1] - frames + 1)
            clip = source[rng.integers(len(source)), first : first + frames]
            clip = clip[:, top : top + height, left : left + width]
            clip = clip[:, :, ::-1] if rng.random() < 0.5 else clip
            crops.append(clip[::-1] if rng.random() < 0.5 else clip)
        return to_video(np.stack(crops))


def to_video(frames: np.ndarray) -> Tensor:
    """uint8 [B, F, H, W, 3] to float [B, 3, F, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 4, 1, 2, 3))).float() / 127.5 - 1


def train_tokenizer(
    shards_dir: Path | str,
    out_dir: Path | str,
    *,
    minutes: float,
    seed: int = 0,
    threads: int = 1,
    resume: bool = True,
    settings: TokenizerTraining | None = None,
    storage: Storage = "int8",
) -> dict[str, Any]:
    """Trains for one leg and writes `tokenizer.safetensors` (EMA weights) and `tokenizer.json` (metrics).

    Args:
        shards_dir: folder written by `generate`: scenes/, clips/ and the same below heldout/.
        out_dir: receives the two files, `state.pt` (to resume from) and `log.jsonl`.
        minutes: length of the leg [min]; the learning rate falls to zero at its end.
        seed: of the start and of the data order.
        threads: CPU threads.
        resume: go on from `state.pt`, or from the weights alone where only they are left; False starts anew.
        settings: of the recipe.
        storage: of the weights in the file.

    Returns:
        The metrics, also in `tokenizer.json`: held-out PSNR [dB] of stills and clips before and after storage, chroma
        explained, rank of the code. Raises LyraError when the data or the state cannot be used.
    """
    settings, out = settings or TokenizerTraining(), open_run(out_dir, threads=threads, resume=resume)
    data, heldout = VideoShards(Path(shards_dir)), VideoShards(Path(shards_dir) / "heldout")
    network, start = _starting_point(data, heldout, out, settings, seed, resume)

    leg = LegConfig(minutes=minutes, learning_rate=settings.learning_rate, ema_decay=0.998, clip_norm=0.0, seed=seed)
    _, first, last, _ = ends(network)
    outer = [*first.parameters(), *last.parameters()]
    inner = [p for p in network.parameters() if all(p is not end for end in outer)]
    groups: list[dict[str, Any]] = [{"params": outer, "rate_scale": settings.end_rate}, {"params": inner}]
    optimizer = torch.optim.Adam(groups, lr=settings.learning_rate, betas=(0.9, 0.99), eps=1e-10, fused=True)

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return reconstruction_loss(network, _batch(data, rng, settings), settings)

    result = train_leg(network, optimizer, loss, lambda: measure(Tokenizer(network), heldout), out, leg)
    _set_latent_statistics(network, data, np.random.default_rng([seed, 0]), settings)
    return _write(network, heldout, out, storage, {"seed": seed, "start": start, "trained": result})


@torch.no_grad()
def measure(tokenizer: Tokenizer, heldout: VideoShards) -> dict[str, float]:
    """Held-out quality on whole frames and whole clips.

    Returns:
        stills_psnr, clips_psnr [dB, over all pixels]; chroma: share of colour variance explained (stop below 0.5);
        rank: participation ratio of the code (stop below 4); code_std.
    """
    figures, codes = {}, []
    for name, frames in (("stills", heldout.stills[:, None]), ("clips", heldout.clips)):
        error = chroma_error = chroma = 0.0
        for clip in frames:
            video = to_video(clip[None])
            code = tokenizer.encode(video)
            difference = tokenizer.decode(code).clamp(-1, 1) - video
            codes.append(code.transpose(0, 1).flatten(1))
            error += float(difference.square().mean()) / len(frames)
            chroma_error += float(_chroma(difference).square().sum())
            chroma += float(_chroma(video).square().sum())
        figures[f"{name}_psnr"] = 10 * math.log10(4 / error)
        figures[f"{name}_chroma"] = 1 - chroma_error / max(chroma, 1e-12)
    code = torch.cat(codes, 1)
    variances = torch.linalg.eigvalsh(torch.cov(code)).clamp_min(0)
    return figures | {
        "rank": float(variances.sum() ** 2 / variances.square().sum()),
        "code_std": float(code.std()),
    }


def _starting_point(
    data: VideoShards, heldout: VideoShards, out: Path, settings: TokenizerTraining, seed: int, resume: bool
) -> tuple[AutoencoderKLCosmos, dict[str, float]]:
    """Network at the start of a leg, and the held-out figures of a fresh start (empty for a resumed run)."""
    if resume and (out / STATE_NAME).exists():  # `train_leg` fills in the weights
        blank = (torch.ones(settings.components, 1536), torch.ones(settings.components), torch.zeros(1536))
        return factored_network(MINI_CONFIG, blank), {}
    if resume and (out / WEIGHTS_NAME).exists():
        return Tokenizer.load(out / WEIGHTS_NAME).network, {}
    rng = np.random.default_rng([seed, 1])
    blocks = torch.cat([_blocks(data, rng, frames, settings) for frames in (1, max(settings.clip_frames))])
    network = factored_network(MINI_CONFIG, block_components(blocks, settings.components))
    start_as_components(network, torch.Generator().manual_seed(seed))
    crop = data.stills.shape[1:3]
    calibrate(network, data.draw(rng, 8, 1, crop))
    components = measure(Tokenizer(network), heldout)
    fit_lapped_decoder(network, torch.cat([data.draw(rng, 1, max(settings.clip_frames), crop) for _ in range(8)]))
    start = {f"components_{name}": value for name, value in components.items()} | measure(Tokenizer(network), heldout)
    JsonLog(out).write({"event": "start", **start})
    return network, start


def _blocks(data: VideoShards, rng: np.random.Generator, frames: int, settings: TokenizerTraining) -> Tensor:
    """[N, 1536] pixels of random blocks in (t, c, y, x) order; a still counts as a frame that is repeated 8 times."""
    height, width = settings.crop
    count = max(1, settings.start_pixels // (frames * height * width))
    video = data.draw(rng, count, frames, settings.crop)
    video = torch.cat([video[:, :, :1].expand(-1, -1, 7, -1, -1), video], 2) if frames == 1 else video[:, :, 1:]
    pixels = torch.nn.functional.pixel_unshuffle(video.transpose(1, 2), 8).unflatten(1, (-1, 8))
    return pixels.flatten(2, 3).permute(0, 1, 3, 4, 2).flatten(0, 3)


def _batch(data: VideoShards, rng: np.random.Generator, settings: TokenizerTraining) -> Tensor:
    if rng.random() >= settings.clip_share:
        return data.draw(rng, settings.stills, 1, settings.crop)
    frames = int(rng.choice(settings.clip_frames))
    return data.draw(rng, max(1, settings.stills // (1 + frames // 8)), frames, settings.crop)


def reconstruction_loss(
    network: AutoencoderKLCosmos, video: Tensor, settings: TokenizerTraining
) -> tuple[Tensor, dict[str, float]]:
    """Loss of `video` [B, 3, F, H, W] in [-1, 1], and the PSNR [dB] it stands for."""
    code = network.encode(video).latent_dist.mode()
    difference = network.decode(code).sample.float() - video
    squared = difference.square().mean()
    value = squared + settings.absolute_weight * difference.abs().mean()
    value = value + settings.code_weight * code.float().square().mean()
    return value, {"psnr": 10 * math.log10(4 / float(squared.detach()))}


@torch.no_grad()
def _set_latent_statistics(
    network: AutoencoderKLCosmos, data: VideoShards, rng: np.random.Generator, settings: TokenizerTraining
) -> None:
    """Writes the mean and deviation of each latent channel over whole training clips into the configuration."""
    tokenizer, crop = Tokenizer(network), data.clips.shape[2:4]
    videos = [data.draw(rng, 1, max(settings.clip_frames), crop) for _ in range(32)]
    codes = torch.cat([tokenizer.encode(video).transpose(0, 1).flatten(1) for video in videos], 1)
    network.register_to_config(
        latents_mean=[round(value, 5) for value in codes.mean(1).tolist()],
        latents_std=[round(value, 5) for value in codes.std(1).tolist()],
    )


def _write(
    network: AutoencoderKLCosmos, heldout: VideoShards, out: Path, storage: Storage, report: dict[str, Any]
) -> dict[str, Any]:
    Tokenizer(network).save(out / WEIGHTS_NAME, storage, report)
    report = report | {"storage": storage, "stored": measure(Tokenizer.load(out / WEIGHTS_NAME), heldout)}
    with replacing(out / METRICS_NAME) as temporary:
        temporary.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return report


def _arrays(folder: Path) -> list[np.ndarray]:
    """The `rgb` array of every npz file in `folder`, in order of their names."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise LyraError(f"{folder} holds no training data (*.npz). Write it with the generator first.")
    return [np.load(path)["rgb"] for path in paths]


def _chroma(video: Tensor) -> Tensor:
    return video - video.mean(1, keepdim=True)
