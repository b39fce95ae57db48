# SPDX-License-Identifier: Apache-2.0
"""Trains the embedded latent 3DGS decoder on the corridor's conditioning and true views of the same worlds.

Loss per rendered crop: 5 MSE + 0.3 L1 + 0.1 (1 - SSIM) on colour over a random background, plus 0.1 |log| of the
expected depth, plus a small mean opacity, which removes Gaussians that explain nothing.

The Gaussians of holes are also compared one by one, in colour and log distance, with what a camera there would have
seen: what lies behind things is learned from every key frame and not only where a crop happens to show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.decoder import DecoderConfig, GaussianDecoder, rows_to_gaussians
from lyra_core.distillation.clips import moved
from lyra_core.distillation.dataset import (
    KeyFrames,
    Targets,
    cache_conditioning,
    load_conditioning,
    load_keys,
    load_targets,
    with_latents,
)
from lyra_core.distillation.losses import ssim_loss
from lyra_core.distillation.memory_plans import decoder_plans
from lyra_core.distillation.run_folder import open_run
from lyra_core.distillation.sheets import comparison_row, sheet
from lyra_core.distillation.stage_run import identity_of, leg_of, optimizer_of, silence_unused_times, write_decoder
from lyra_core.distillation.stages import Stage, load_stage
from lyra_core.distillation.trainer import train_leg
from lyra_core.errors import LyraError
from lyra_core.evaluation.metrics import psnr
from lyra_core.gaussians import Gaussians
from lyra_core.pipeline import Conditioning, LyraPipeline
from lyra_core.progress import Progress, no_progress
from lyra_core.rendering import RenderOutput, render
from lyra_core.rendering.render import Projection
from lyra_core.teacher.image import NoTextToImage
from lyra_core.weights import components
from lyra_core.weights.presets import Preset, load_preset

_SHEET_WORLDS = 4


@dataclass(frozen=True)
class DecoderTraining:
    """Settings of the recipe; the defaults are those of the stage `mini-decoder`.

    Attributes:
        views: camera paths drawn per step (their order is drawn too).
        crops: rendered crops per step.
        crop: width and height of a crop [px].
        squared, absolute, structure, depth, opacity: weights of the loss.
        holes: weight of the direct comparison in holes.
        heldout_views: unseen views per held-out world in the figures.
    """

    views: int = 4
    crops: int = 6
    crop: tuple[int, int] = (112, 88)
    squared: float = 5.0
    absolute: float = 0.3
    structure: float = 0.1
    depth: float = 0.1
    opacity: float = 0.005
    holes: float = 0.2
    heldout_views: tuple[int, ...] = (1, 5, 7)

    @classmethod
    def of(cls, stage: Stage) -> DecoderTraining:
        """The settings in a stage. Raises LyraError for one that does not train on worlds."""
        if stage.worlds is None:
            raise LyraError(f"stage {stage.name!r} trains on clips, not on procedural worlds.")
        weights, worlds = stage.losses, stage.worlds
        return cls(
            stage.views, worlds.crops, worlds.crop, weights.squared, weights.absolute, weights.structure,
            weights.depth, weights.opacity, weights.holes, worlds.heldout_views,
        )  # fmt: skip


class Worlds:
    """The worlds of a `generate` folder whose conditioning is cached."""

    def __init__(self, root: Path) -> None:
        """Raises LyraError where there is none."""
        self.root = root
        self.names = [path.name for path in sorted((root / "conditioning").glob("*.npz"))]
        if not self.names:
            raise LyraError(f"{root} holds no worlds. Write them with `lyra train worlds` first.")

    def __len__(self) -> int:
        return len(self.names)

    def targets(self, index: int) -> Targets:
        """True views of a world."""
        with self._read("scenes", index) as path:
            return load_targets(path)

    def conditioning(self, index: int, views: Tensor | None = None) -> Conditioning:
        """What the corridor knows of a world."""
        with self._read("conditioning", index) as path:
            return load_conditioning(path, views)

    def keys(self, index: int, cameras: Cameras, views: Tensor | None = None) -> KeyFrames:
        """What its camera paths would really show."""
        with self._read("keys", index) as path:
            return load_keys(path, self.root / "scenes" / self.names[index], cameras, views)

    @contextmanager
    def _read(self, kind: str, index: int) -> Iterator[Path]:
        """Path of a file; turns what goes wrong with it into a LyraError that names it."""
        path = self.root / kind / self.names[index]
        try:
            yield path
        except FileNotFoundError as error:
            raise LyraError(f"{path} is missing. Write it again with `lyra train worlds`.") from error
        except (BadZipFile, EOFError, KeyError, ValueError) as error:
            raise LyraError(f"{path} is damaged ({error}). Delete it and run `lyra train worlds` again.") from error


def training_pipeline(model: str | Preset) -> LyraPipeline:
    """The corridor of a preset with a decoder that has learned nothing: its zero head puts Gaussians on the anchors."""
    preset = load_preset(model) if isinstance(model, str) else model
    teacher = components.build_teacher(preset)
    decoder = GaussianDecoder(DecoderConfig.from_dict(preset.decoder.config))
    return LyraPipeline(preset, NoTextToImage(), _no_depth, teacher, decoder)


def _no_depth(image: Tensor) -> DepthEstimate:
    raise LyraError("training brings exact depth; this corridor has no depth network.")


def train_decoder(
    pipeline: LyraPipeline,
    data: Path | str,
    out_dir: Path | str,
    *,
    minutes: float | None = None,
    seed: int = 0,
    threads: int = 1,
    resume: bool = True,
    settings: DecoderTraining | None = None,
    stage: Stage | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Trains `pipeline.decoder` for one leg and writes `decoder.safetensors` (EMA weights) and `decoder.json`.

    Args:
        pipeline: its tokenizer, warp and fill make the conditioning; its decoder is trained in place.
        data: folder written by `generate`; `conditioning/` is added to it.
        out_dir: receives the weights, the metrics and everything in `run_folder`.
        minutes: length of the leg [min]; default: that of the stage.
        seed: of the data order.
        threads: CPU threads.
        resume: go on from `state.pt`; False starts from the pipeline's weights.
        settings: of the recipe; default: those of the stage.
        stage: of the training; default: `mini-decoder`.
        progress: listens to the caching of the conditioning.

    Returns:
        The metrics: held-out psnr [dB], depth error, mean opacity, and psnr with another world's latents.
    """
    stage = stage or load_stage("mini-decoder")
    settings, data, out = (
        settings or DecoderTraining.of(stage),
        Path(data),
        open_run(out_dir, threads=threads, resume=resume),
    )
    train, heldout = (open_worlds(pipeline, root, progress) for root in (data, data / "heldout"))
    decoder, projection = pipeline.decoder, pipeline.preset.projection
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    silence_unused_times(decoder.to(device))

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float | str]]:
        index = int(rng.integers(len(train)))
        views = torch.from_numpy(rng.permutation(len(pipeline.preset.paths))[: settings.views])
        conditioning = moved(train.conditioning(index, views), device)
        rows = pipeline.decode_rows(conditioning)
        gaussians = _float32(rows_to_gaussians(decoder.prune(rows)[0]))
        with torch.autocast(rows.device.type, enabled=False):  # SSIM and depth do not survive bfloat16
            value, figures = view_loss(gaussians, moved(train.targets(index), device), rng, settings, projection)
            keys = moved(train.keys(index, conditioning.cameras.to("cpu"), views), device)
            holes = hole_loss(rows.float(), conditioning, keys, decoder.config, settings)
        batch = f"world {train.names[index]}, views {views.tolist()}"
        return value + settings.holes * holes, {**figures, "holes": float(holes.detach()), "batch": batch}

    result = train_leg(
        decoder, optimizer_of(decoder, stage), loss, lambda: measure(pipeline, heldout, settings), out,
        leg_of(stage, minutes=minutes, seed=seed), plans=decoder_plans(device),
        identity=identity_of(stage, decoder.config), sheet=lambda: _sheet(pipeline, heldout, settings),
    )  # fmt: skip
    about = {"seed": seed, "worlds": len(train), "heldout_worlds": len(heldout)}
    return write_decoder(decoder, out, {**about, **result})


@torch.no_grad()
def measure(pipeline: LyraPipeline, worlds: Worlds, settings: DecoderTraining) -> dict[str, float]:
    """Figures on unseen views of held-out worlds.

    Returns:
        psnr and psnr_swapped (with the next world's latents) [dB], depth: median relative error of the expected
        depth, opacity: mean.
    """
    scores: dict[str, list[float]] = {"psnr": [], "psnr_swapped": [], "depth": [], "opacity": []}
    device = next(pipeline.decoder.parameters()).device
    for index in range(len(worlds)):
        conditioning, targets = moved(worlds.conditioning(index), device), moved(worlds.targets(index), device)
        swapped = with_latents(conditioning, moved(worlds.conditioning((index + 1) % len(worlds)), device))
        views = list(settings.heldout_views)
        for name, told in (("psnr", conditioning), ("psnr_swapped", swapped)):
            gaussians = _float32(pipeline.decode(told))
            view = render(gaussians, targets.cameras[views], projection=pipeline.preset.projection)
            scores[name] += [float(psnr(a, b)) for a, b in zip(view.color, targets.rgb[views], strict=True)]
            if name == "psnr":
                error = (view.depth - targets.z[views]).abs() / targets.z[views]
                scores["depth"].append(float(error.median()))
                scores["opacity"].append(float(gaussians.opacities.mean()))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _sheet(pipeline: LyraPipeline, worlds: Worlds, settings: DecoderTraining) -> Tensor:
    """A picture of the first held-out worlds, see `sheets`."""
    rows, unseen = [], settings.heldout_views[0]
    device = next(pipeline.decoder.parameters()).device
    for index in range(min(_SHEET_WORLDS, len(worlds))):
        conditioning, targets = moved(worlds.conditioning(index), device), moved(worlds.targets(index), device)
        camera = targets.cameras[unseen]
        view = render(_float32(pipeline.decode(conditioning)), camera, projection=pipeline.preset.projection)
        rows.append(comparison_row(targets.rgb[unseen], view.color, view.depth))
    return sheet(rows)


def open_worlds(pipeline: LyraPipeline, root: Path, progress: Progress = no_progress) -> Worlds:
    """The worlds in a folder of `generate`, after their conditioning has been cached. Raises as `Worlds`."""
    cache_conditioning(pipeline, sorted((root / "scenes").glob("*.npz")), root / "conditioning", progress=progress)
    return Worlds(root)


def view_loss(
    gaussians: Gaussians,
    targets: Targets,
    rng: np.random.Generator,
    settings: DecoderTraining,
    projection: Projection,
) -> tuple[Tensor, dict[str, float]]:
    """Loss over a few crops of random ones of the true views, and its figures."""
    width, height = settings.crop
    total = settings.opacity * gaussians.opacities.mean()
    squared = 0.0
    for _ in range(settings.crops):
        view = int(rng.integers(len(targets.rgb)))
        left = int(rng.integers(targets.cameras.width - width + 1))
        top = int(rng.integers(targets.cameras.height - height + 1))
        background = torch.from_numpy(rng.random(3, dtype=np.float32)).to(gaussians.means.device)
        image = render(
            gaussians, targets.cameras[view], projection=projection, background=background,
            crop=(left, top, width, height),
        )  # fmt: skip
        window = (view, slice(top, top + height), slice(left, left + width))
        crop, squared_error = _crop_loss(image, targets.rgb[window], targets.z[window], settings)
        total = total + crop / settings.crops
        squared += float(squared_error) / settings.crops
    return total, {"train_psnr": -10 * float(np.log10(squared)), "opacity": float(gaussians.opacities.detach().mean())}


def _crop_loss(image: RenderOutput, rgb: Tensor, z: Tensor, settings: DecoderTraining) -> tuple[Tensor, Tensor]:
    value, squared = _color_loss(image.color - rgb, settings)
    value = value + settings.structure * ssim_loss(image.color, rgb)
    seen = image.alpha.detach() > 0.05
    log_depth = image.depth.clamp_min(0.02).log() - z.log()
    return value + settings.depth * (log_depth.abs() * seen).mean(), squared.detach()


def hole_loss(
    rows: Tensor, conditioning: Conditioning, keys: KeyFrames, config: DecoderConfig, settings: DecoderTraining
) -> Tensor:
    """Colour and log distance of the Gaussians in holes against the truth of their own pixels, a scalar.

    Args:
        rows: the decoder's unpruned rows `[1, N, 14]`.
        conditioning: tells where the holes are; without anchors there are none.
        keys: what its views would really show.
        config: of the decoder.
        settings: gives the weights.
    """
    if conditioning.anchors is None:
        return rows.new_zeros(())
    step, *cell = config.gaussian_stride
    first = 1 if config.input_view_gaussians else 0
    known = conditioning.anchors.known[0, :, first:, :: cell[0], :: cell[1]]
    rows = rows[0, -known.numel() :].unflatten(0, known.shape)[:, 1 - first :]
    holes = ~known[:, 1 - first :] & keys.free[..., None, None]
    if not bool(holes.any()):
        return rows.new_zeros(())
    rgb = keys.rgb.unflatten(-3, (-1, cell[0])).unflatten(-2, (-1, cell[1])).mean(dim=(-4, -2))
    distance = keys.distance[..., :: cell[0], :: cell[1]]
    centers = conditioning.cameras.c2w[:, step::step, None, None, :3, 3]
    value, _ = _color_loss(rows[..., 11:][holes] - rgb[holes], settings)
    log_distance = (rows[..., :3] - centers).norm(dim=-1)[holes].log() - distance[holes].log()
    return value + settings.depth * log_distance.abs().mean()


def _color_loss(difference: Tensor, settings: DecoderTraining) -> tuple[Tensor, Tensor]:
    """The two plain colour losses together, and the squared one alone."""
    squared = difference.square().mean()
    return settings.squared * squared + settings.absolute * difference.abs().mean(), squared


def _float32(gaussians: Gaussians) -> Gaussians:
    """Rendering happens in float32, whatever autocast made of the network's output."""
    return gaussians.to(torch.float32)
