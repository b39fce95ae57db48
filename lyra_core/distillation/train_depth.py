# SPDX-License-Identifier: Apache-2.0
"""Trains the embedded depth network on the procedural worlds of `generate`.

Loss: L1 of log depth with the median removed from prediction and reference, plus L1 of the error's gradient at four
scales, which is what keeps silhouettes sharp. Images are cropped (so that the field of view varies), mirrored, turned
upright and disturbed in colour, sharpness and compression, because the network has to serve photographs too.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from lyra_core.conditioning.depth_net import DepthNet, predict
from lyra_core.distillation.run_folder import STATE_NAME, is_main_process, open_run
from lyra_core.distillation.trainer import LegConfig, decay_groups, train_leg
from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.weights.quantized import Storage, load_weights, save_weights

WEIGHTS_NAME = "depth.safetensors"
METRICS_NAME = "depth.json"

LOG_DEPTH_LIMIT = 3.0
"""Log depth relative to the median is clamped to this: sky is far, how far is not asked."""


@dataclass(frozen=True)
class DepthTraining:
    """Settings of the recipe.

    Attributes:
        batch: images per step and process.
        sizes: (height, width) of a batch's images, one drawn per step [px].
        size_shares: how often each is drawn.
        whole: share of images that are not cropped: their field of view is the one the product assumes.
        crop: smallest and largest share of the image a crop keeps, per side.
        gradient_weight: of the gradient loss.
        gradient_scales: number of scales of the gradient loss, each half the size of the one before.
        learning_rate: peak rate of AdamW.
        weight_decay: of matrices.
    """

    batch: int = 8
    sizes: tuple[tuple[int, int], ...] = ((62, 112), (112, 62))
    size_shares: tuple[float, ...] = (0.95, 0.05)
    whole: float = 0.7
    crop: tuple[float, float] = (0.75, 1.0)
    gradient_weight: float = 0.5
    gradient_scales: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 0.01


class DepthShards:
    """Images uint8 `[N, H, W, 3]` and z float16 `[N, H, W]` of every .npz in the folders, in order of their names."""

    def __init__(self, *folders: Path) -> None:
        """Raises LyraError where the folders hold no shard."""
        paths = [path for folder in folders for path in sorted(folder.glob("*.npz"))]
        if not paths:
            raise LyraError(f"{folders[0]} holds no training data (*.npz). Write it with `lyra train worlds` first.")
        shards = [np.load(path) for path in paths]
        self.rgb = np.concatenate([shard["rgb"] for shard in shards])
        self.z = np.concatenate([shard["z"] for shard in shards])

    def draw(self, rng: np.random.Generator, settings: DepthTraining) -> tuple[Tensor, Tensor]:
        """An augmented batch: images `[B, 3, h, w]` in [0, 1] and log depth `[B, h, w]`."""
        size = settings.sizes[rng.choice(len(settings.sizes), p=settings.size_shares)]
        chosen = rng.integers(len(self.rgb), size=settings.batch)
        whole = rng.random(settings.batch) < settings.whole
        shares = [(1.0, 1.0) if entire else settings.crop for entire in whole]
        pairs = [_crop(rng, self.rgb[n], self.z[n], size, share) for n, share in zip(chosen, shares, strict=True)]
        rgb = np.stack([_disturbed(rng, image) for image, _ in pairs])
        return _images(rgb), _log_depth(np.stack([z for _, z in pairs]))


def train_depth(
    shards_dir: Path | str,
    out_dir: Path | str,
    *,
    minutes: float,
    seed: int = 0,
    threads: int = 1,
    resume: bool = True,
    settings: DepthTraining | None = None,
    storage: Storage = "fp16",
) -> dict[str, Any]:
    """Trains for one leg and writes `depth.safetensors` (EMA weights) and `depth.json` (metrics).

    Args:
        shards_dir: folder written by `generate`: scenes/, heldout/scenes/ and, if there, stills/ with arrays `rgb`
            and `z`.
        out_dir: receives the two files, `state.pt` (to resume from) and `log.jsonl`.
        minutes: length of the leg [min]; the learning rate falls to zero at its end.
        seed: of the start and of the data order.
        threads: CPU threads.
        resume: go on from `state.pt`, or from the weights alone where only they are left; False starts anew.
        settings: of the recipe.
        storage: of the weights in the file.

    Returns:
        The metrics, also in `depth.json`: held-out AbsRel and delta1 (share of pixels within 25 %) after aligning the
        medians of log depth, before and after storage. Raises LyraError when the data or the state cannot be used.
    """
    settings, out = settings or DepthTraining(), open_run(out_dir, threads=threads, resume=resume)
    data = DepthShards(Path(shards_dir) / "scenes", Path(shards_dir) / "stills")
    heldout = DepthShards(Path(shards_dir) / "heldout" / "scenes")
    network = _starting_point(out, seed, resume)
    optimizer = torch.optim.AdamW(decay_groups(network, settings.weight_decay), betas=(0.9, 0.99), fused=True)
    leg = LegConfig(
        minutes=minutes, learning_rate=settings.learning_rate, ema_decay=0.998, seed=seed,
        samples=int(os.environ.get("WORLD_SIZE", "1")),
    )  # fmt: skip

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        images, reference = data.draw(rng, settings)
        return depth_loss(network(images), reference, settings)

    trained = train_leg(network, optimizer, loss, lambda: measure(network, heldout), out, leg)
    report = {"seed": seed, "images": len(data.rgb), "trained": trained, "baseline": _mean_map(data, heldout)}
    return _write(network, heldout, out, storage, report) if is_main_process() else report


def depth_loss(prediction: Tensor, reference: Tensor, settings: DepthTraining) -> tuple[Tensor, dict[str, float]]:
    """Loss of log depth `[B, H, W]` and its parts."""
    error = _centred(prediction) - _centred(reference)
    absolute = error.abs().mean()
    gradient = error.new_zeros(())
    for scale in range(settings.gradient_scales):
        step = 2**scale
        coarse = error[:, ::step, ::step]
        gradient = gradient + coarse.diff(dim=1).abs().mean() + coarse.diff(dim=2).abs().mean()
    figures = {"absolute": float(absolute.detach()), "gradient": float(gradient.detach())}
    return absolute + settings.gradient_weight / settings.gradient_scales * gradient, figures


@torch.no_grad()
def measure(network: DepthNet, heldout: DepthShards) -> dict[str, float]:
    """Held-out AbsRel and delta1, means over images."""
    figures = []
    for rgb, z in zip(heldout.rgb, heldout.z, strict=True):
        figures.append(_figures(predict(network, _images(rgb[None])), _log_depth(z[None])))
    abs_rel, delta1 = np.mean(figures, axis=0)
    return {"abs_rel": float(abs_rel), "delta1": float(delta1)}


def _mean_map(data: DepthShards, heldout: DepthShards) -> dict[str, float]:
    """What a constant answer scores: the mean normalised log depth map of the training images."""
    mean = _centred(_log_depth(data.z[:: max(1, len(data.z) // 256)])).mean(dim=0, keepdim=True)
    abs_rel, delta1 = np.mean([_figures(mean, _log_depth(z[None])) for z in heldout.z], axis=0)
    return {"abs_rel": float(abs_rel), "delta1": float(delta1)}


def _figures(prediction: Tensor, reference: Tensor) -> tuple[float, float]:
    error = _centred(prediction) - _centred(reference)
    return float((error.exp() - 1.0).abs().mean()), float((error.abs() < np.log(1.25)).float().mean())


def _starting_point(out: Path, seed: int, resume: bool) -> DepthNet:
    """The network at the start of a leg; a state that is there is loaded by `train_leg`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DepthNet()
    if resume and not (out / STATE_NAME).exists() and (out / WEIGHTS_NAME).exists():
        network.load_state_dict(load_weights(out / WEIGHTS_NAME))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _write(
    network: DepthNet, heldout: DepthShards, out: Path, storage: Storage, report: dict[str, Any]
) -> dict[str, Any]:
    save_weights(out / WEIGHTS_NAME, network.state_dict(), storage, {"network": "DepthNet", **report})
    stored = DepthNet()
    stored.load_state_dict(load_weights(out / WEIGHTS_NAME))
    report = report | {"storage": storage, "stored": measure(stored.eval(), heldout)}
    with replacing(out / METRICS_NAME) as temporary:
        temporary.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return report


def _crop(
    rng: np.random.Generator, rgb: np.ndarray, z: np.ndarray, size: tuple[int, int], shares: tuple[float, float]
) -> tuple[Image.Image, np.ndarray]:
    """A random window of the size's aspect, half of them mirrored: picture and z `[h, w]` float32."""
    height, width = size
    fit = min(z.shape[0] / height, z.shape[1] / width) * rng.uniform(*shares)
    rows, columns = fit * height, fit * width
    top, left = rng.uniform(0, z.shape[0] - rows), rng.uniform(0, z.shape[1] - columns)
    box = (left, top, left + columns, top + rows)
    picture = Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR, box=box)
    depth = Image.fromarray(z.astype(np.float32)).resize((width, height), Image.Resampling.NEAREST, box=box)
    if rng.random() < 0.5:
        picture, depth = (part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for part in (picture, depth))
    return picture, np.asarray(depth)


def _disturbed(rng: np.random.Generator, picture: Image.Image) -> np.ndarray:
    """What cameras and people do to pictures, to two thirds of them lightly: colour, exposure, blur, noise, JPEG.

    Returns uint8 `[h, w, 3]`.
    """
    strength = rng.choice((0.1, 0.4, 1.0))
    if rng.random() < 0.3 * strength:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    rgb = np.asarray(picture, np.float32) / 255
    if rng.random() < 0.15 * strength:
        rgb = rgb[..., rng.permutation(3)]
    grey = rgb.mean(axis=-1, keepdims=True)
    rgb = grey + (rgb - grey) * (1.0 + strength * rng.uniform(-0.6, 0.4))
    rgb = rgb * (1.0 + strength * (rng.uniform(-0.2, 0.2, 3) + rng.uniform(-0.2, 0.2)))
    rgb = (rgb + strength * rng.uniform(-0.08, 0.08)).clip(0, 1) ** np.exp(strength * rng.uniform(-0.5, 0.5))
    rgb = rgb + rng.normal(0, strength * rng.uniform(0.0, 0.03), rgb.shape)
    rgb = (rgb.clip(0, 1) * 255).round().astype(np.uint8)
    return _compressed(rgb, int(rng.integers(20, 80))) if rng.random() < 0.4 * strength else rgb


def _compressed(rgb: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _images(rgb: np.ndarray) -> Tensor:
    """uint8 `[B, H, W, 3]` to `[B, 3, H, W]` in [0, 1]; the memory stays channels-last."""
    return (torch.from_numpy(rgb).float() / 255).movedim(-1, 1)


def _log_depth(z: np.ndarray) -> Tensor:
    """Log depth `[B, H, W]` of z, limited around its median."""
    depth = _centred(torch.from_numpy(z.astype(np.float32)).clamp_min(1e-3).log())
    return depth.clamp(-LOG_DEPTH_LIMIT, LOG_DEPTH_LIMIT)


def _centred(depth: Tensor) -> Tensor:
    """Maps `[B, H, W]` with the median removed."""
    return depth - depth.flatten(1).median(dim=1).values[:, None, None]
