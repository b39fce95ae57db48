# SPDX-License-Identifier: Apache-2.0
"""What the decoder trains on when it learns from its teacher: clips of a data set, cut into samples as a stage says.

A clip that cannot be read stops the training and is named; the published loader replaced it silently by another one.
Clips held out are the last ones by name and are never drawn. (The published split only shortened the list: its
validation clips were its first training clips.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder import Anchors
from lyra_core.distillation.sampling import choose_frames, choose_views
from lyra_core.distillation.stages import Stage
from lyra_core.errors import LyraError
from lyra_core.evaluation.metrics import resize_crop, resize_crop_camera
from lyra_core.pipeline import distance_from_z
from lyra_core.synthesis.reading import Dataset, open_dataset
from lyra_core.synthesis.sample import REVERSED_OFFSET, InputView, Sample, View, target_depth
from lyra_core.teacher.guidance import from_diffusion
from lyra_core.teacher.tokenizer import Tokenizer

Movable = TypeVar("Movable")


@dataclass(frozen=True)
class TrainingSample:
    """One sample, in the frame of the first input view's first frame.

    Attributes:
        name: clip, views and frames, for messages.
        latents: raw tokenizer latents of V views `[V, 16, T, h, w]`.
        cameras: of all their frames `[V, F]`.
        rgb: target pictures `[N, H, W, 3]` in [0, 1].
        depth: their z-depth `[N, H, W]` [scene units]; 0 where unknown.
        targets: their cameras `[N]`.
        times: frame numbers of the inputs `[F]`.
        instant: frame number of the targets of a dynamic stage; None in a static one.
        anchors: for an anchored decoder.
    """

    name: str
    latents: Tensor
    cameras: Cameras
    rgb: Tensor
    depth: Tensor
    targets: Cameras
    times: Tensor
    instant: Tensor | None
    anchors: Anchors | None


class Clips:
    """The clips of a data set that one side of the split may see."""

    def __init__(self, data: Dataset, names: Sequence[str], stage: Stage, tokenizer: Tokenizer) -> None:
        """Bind a stage's rules to some clips; the views of the first one are expected of all."""
        self.data, self.names, self.stage, self.tokenizer = data, list(names), stage, tokenizer
        self.config = stage.decoder_config()
        self.numbers = [view.number for view in data.load(self.names[0]).views]

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.names)

    def draw(self, rng: np.random.Generator, name: str | None = None) -> TrainingSample:
        """A sample of a random clip, or of the one called `name`.

        Raises LyraError naming the clip where a file is damaged, a view is missing, or sizes do not fit the stage.
        """
        name = name or self.names[int(rng.integers(len(self.names)))]
        stage = self.stage
        sources = [number for number in self.numbers if number < REVERSED_OFFSET]
        order = choose_views(rng, len(sources), stage.views, drawn_count=stage.drawn_views)
        inputs = [sources[index] for index in order]
        dynamic = self.config.use_time_embedding
        seen = [int(number) for number in rng.permutation(self.numbers)[: stage.targets]] if dynamic else inputs
        sample = self.data.load(name, {*inputs, *seen})
        return self._assembled(rng, sample, _selected(sample, inputs), _selected(sample, seen), stage.targets)

    def whole(self, name: str, inputs: Sequence[int]) -> TrainingSample:
        """The clip called `name` with these input views, in this order; all frames of all its views are targets.

        Raises as `draw`.
        """
        sample = self.data.load(name)
        frames = min(len(view.frames) for view in sample.views)
        return self._assembled(np.random.default_rng(0), sample, _selected(sample, inputs), list(sample.views), frames)

    def _assembled(
        self, rng: np.random.Generator, sample: Sample, inputs: list[View], seen: list[View], targets: int
    ) -> TrainingSample:
        stage = self.stage
        available = min(len(view.frames) for view in (*inputs, *seen))
        chosen = choose_frames(rng, available, stage.frames, targets, late=stage.late_targets)
        instant = int(rng.choice(chosen.inputs)) if self.config.use_time_embedding else None
        shown = np.array([instant]) if instant is not None else chosen.targets
        origin = torch.linalg.inv(torch.from_numpy(inputs[0].c2w[chosen.inputs[0]]))
        cameras = Cameras.stack([self._cameras(view, chosen.inputs) for view in inputs]).transformed(origin)
        shown_cameras = Cameras.cat([self._cameras(view, shown) for view in seen]).transformed(origin)
        rgb = torch.cat([self._pictures(view.frames[shown]) for view in seen])
        depth = torch.cat([self._maps(target_depth(sample, view)[shown]) for view in seen])
        latents = torch.stack([self._latents(sample.name, view, chosen.inputs) for view in inputs])
        return TrainingSample(
            name=f"clip {sample.name}, views {[view.number for view in inputs]}, frames {shown.tolist()}",
            latents=latents, cameras=cameras, rgb=rgb, depth=torch.nan_to_num(depth, 0.0, 0.0, 0.0).clamp_min(0.0),
            targets=shown_cameras, times=torch.from_numpy(chosen.inputs),
            instant=None if instant is None else torch.tensor(instant),
            anchors=self._anchors(sample, inputs, chosen.inputs, cameras, origin) if self.config.anchored else None,
        )  # fmt: skip

    def _latents(self, name: str, view: View, frames: np.ndarray) -> Tensor:
        """Raw latents `[16, T, h, w]` of the chosen frames: stored, or encoded here."""
        if not self.stage.stored_latents:
            video = self._pictures(view.frames[frames]).movedim(-1, 0)[None] * 2 - 1
            device = next(self.tokenizer.network.parameters()).device
            return self.tokenizer.encode(video.to(device))[0].cpu()
        height, width = self.stage.size
        expected = (1 + (self.stage.frames - 1) // 8, height // 8, width // 8)
        if view.latents is None or view.latents.shape[1:] != expected:
            found = None if view.latents is None else list(view.latents.shape[1:])
            raise LyraError(
                f"clip {name}, view {view.number} has latents {found}, but stage {self.stage.name!r} takes "
                f"{list(expected)} (frames, rows, columns). Choose the stage that fits the data, or make other data."
            )
        return from_diffusion(self.tokenizer, torch.from_numpy(view.latents)[None])[0]

    def _anchors(
        self, sample: Sample, inputs: list[View], frames: np.ndarray, cameras: Cameras, origin: Tensor
    ) -> Anchors:
        """What the corridor knew: the key frames' colours and filled distances, and the input picture."""
        if sample.input is None:
            raise LyraError(f"clip {sample.name} does not keep its input picture, which an anchored decoder needs.")
        keys = frames[:: self.config.gaussian_stride[0]]
        z = torch.stack([self._maps(view.depth[keys]) for view in inputs])
        known = torch.stack([self._maps(view.known[keys].astype(np.float32)) > 0.5 for view in inputs])
        picture, distance, camera = _input_view(sample.input, origin)
        return Anchors(
            rgb=torch.stack([self._pictures(view.frames[keys]) for view in inputs])[None],
            distance=distance_from_z(z, cameras[:, :: self.config.gaussian_stride[0]])[None],
            known=known[None], input_rgb=picture[None], input_distance=distance[None], input_camera=camera,
        )  # fmt: skip

    def _cameras(self, view: View, frames: np.ndarray) -> Cameras:
        height, width = view.frames.shape[1:3]
        cameras = Cameras(torch.from_numpy(view.c2w[frames]), torch.from_numpy(view.intrinsics[frames]), width, height)
        return resize_crop_camera(cameras, *self.stage.size)

    def _pictures(self, frames: np.ndarray) -> Tensor:
        """RGB in [0, 1] at the stage's size `[K, H, W, 3]`."""
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).float() / 255
        return resize_crop(pictures, *self.stage.size, antialias=True) if self._resizes(frames) else pictures

    def _maps(self, depth: np.ndarray) -> Tensor:
        """Maps at the stage's size `[K, H, W]`, not blended."""
        maps = torch.from_numpy(depth.astype(np.float32))
        if not self._resizes(depth):
            return maps
        return resize_crop(maps[..., None], *self.stage.size, mode="nearest-exact")[..., 0]

    def _resizes(self, frames: np.ndarray) -> bool:
        return frames.shape[1:3] != self.stage.size


def open_clips(root: Path, stage: Stage, tokenizer: Tokenizer) -> tuple[Clips, Clips]:
    """The clips to train on and those held out: the last `stage.heldout` ones by name.

    Raises LyraError where the folder holds no data set, or too few clips to hold any out.
    """
    data = open_dataset(root)
    names = data.names
    if len(names) < stage.heldout + 1:
        raise LyraError(
            f"{root} holds {len(names)} clips, and stage {stage.name!r} holds {stage.heldout} of them out. "
            "Make more with `lyra synthesize`."
        )
    split = len(names) - stage.heldout
    return Clips(data, names[:split], stage, tokenizer), Clips(data, names[split:], stage, tokenizer)


def moved(value: Movable, device: torch.device) -> Movable:
    """A dataclass with all tensors in it, at any depth, on a device."""
    if isinstance(value, Tensor | Cameras):
        return value.to(device)  # type: ignore[return-value]
    if hasattr(value, "__dataclass_fields__"):
        parts: dict[str, Any] = {field.name: moved(getattr(value, field.name), device) for field in fields(value)}  # type: ignore[arg-type]
        return replace(value, **parts)  # type: ignore[type-var]
    return value


def _selected(sample: Sample, numbers: Sequence[int]) -> list[View]:
    """The views of these numbers, in this order. Raises LyraError naming those that are not there."""
    views = {view.number: view for view in sample.views}
    missing = sorted({*numbers} - set(views))
    if missing:
        raise LyraError(f"clip {sample.name} lacks the views {missing}. Make it again, or remove it from the set.")
    return [views[number] for number in numbers]


def _input_view(source: InputView, origin: Tensor) -> tuple[Tensor, Tensor, Cameras]:
    """Picture `[H, W, 3]`, distances `[H, W]` (the farthest known one where unknown) and camera `[1]`."""
    z, mask = torch.from_numpy(source.z), torch.from_numpy(source.mask)
    height, width = z.shape
    filled = torch.where(mask, z, z[mask].max())
    camera = Cameras(torch.eye(4)[None], torch.from_numpy(source.intrinsics)[None], width, height)
    distance = distance_from_z(filled[None], camera)[0]
    return torch.from_numpy(source.image).float() / 255, distance, camera.transformed(origin)
