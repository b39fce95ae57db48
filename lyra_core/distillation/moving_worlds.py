# SPDX-License-Identifier: Apache-2.0
"""What a decoder with a clock trains on: clips of worlds in which things move, and true pictures of single instants.

Layout under the root folder (`heldout/` repeats it for seeds >= `HELDOUT_SEED`):

    moving/<seed>.npz   what the corridor tells the decoder: latents, rays, cameras of the paths; for each of a few
                        instants its encoded time and anchors (half precision, colours as bytes); and the pictures of
                        the instant: from every path at its own step, from every path at the step that the
                        motion-reversed clip has then (progress 1 - t), and from cameras that are never trained on

The motion-reversed pictures are those of the published supervision (Lyra, arXiv 2509.19296): the input is played
backwards, so at the time t of the content its camera has come as far along the path as the other has still to go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder import Anchors
from lyra_core.distillation.dataset import Targets
from lyra_core.distillation.generate import HELDOUT_SEED, to_uint8, write_arrays
from lyra_core.distillation.stages import Stage
from lyra_core.distillation.train_decoder import training_pipeline
from lyra_core.dynamic.instants import InstantDecoder
from lyra_core.dynamic.prepared import PreparedVideo, prepare
from lyra_core.errors import LyraError
from lyra_core.evaluation.views import to_scene_units, unseen_cameras
from lyra_core.pipeline import LyraPipeline
from lyra_core.progress import Progress, no_progress
from lyra_core.synthetic.motion import MovingWorld
from lyra_core.weights.presets import load_preset

INSTANTS = 3
"""Instants per world."""

UNSEEN = ("interpolating", "extrapolating")
"""Kinds of the views that are never trained on."""

_HALF = ("distance", "input_distance")
_BYTES = ("rgb", "input_rgb")


@dataclass(frozen=True)
class MovingSample:
    """One instant of one world.

    Attributes:
        name: of the world and the instant, for messages.
        latents: of the played paths `[1, V, 16, T, h, w]`.
        rays: encoded `[1, V, 32, T, h, w]`.
        cameras: of the paths `[1, V, F]`.
        time_latents: `[1, 16, T + 1, h, w]`.
        anchors: of the instant.
        played: pictures from the paths at their own step, `[V]` of them.
        mirrored: pictures from the paths at the motion-reversed step `[V]`.
        unseen: pictures that are never trained on.
    """

    name: str
    latents: Tensor
    rays: Tensor
    cameras: Cameras
    time_latents: Tensor
    anchors: Anchors
    played: Targets
    mirrored: Targets
    unseen: Targets

    def with_views(self, views: Tensor) -> MovingSample:
        """The sample seen along some of the paths `[K]`, in that order; the pictures stay."""
        anchors = self.anchors
        names = ("rgb", "distance", "known", "fresh")
        chosen: dict[str, Any] = {name: getattr(anchors, name)[:, views] for name in names}
        return replace(
            self, latents=self.latents[:, views], rays=self.rays[:, views], cameras=self.cameras[:, views],
            anchors=replace(anchors, **chosen),
        )  # fmt: skip


class MovingWorlds:
    """The moving worlds in a folder."""

    def __init__(self, root: Path) -> None:
        """Raises LyraError where there is none."""
        self.paths = sorted((root / "moving").glob("*.npz"))
        if not self.paths:
            raise LyraError(f"{root} holds no moving worlds. Write them with `lyra train worlds --moving` first.")

    def __len__(self) -> int:
        """Number of samples: worlds times instants."""
        return len(self.paths) * INSTANTS

    def __getitem__(self, index: int) -> MovingSample:
        """One instant. Raises LyraError naming a file that is damaged."""
        path = self.paths[index // INSTANTS]
        try:
            return load_sample(path, index % INSTANTS)
        except (BadZipFile, EOFError, KeyError, ValueError, OSError) as error:
            raise LyraError(
                f"{path} is damaged ({error}). Delete it and run `lyra train worlds --moving` again."
            ) from error


def moving_pipeline(stage: Stage) -> LyraPipeline:
    """The corridor that tells a stage's decoder about moving worlds; its decoder has learned nothing."""
    preset = load_preset(stage.model)
    part = preset.decoder.model_copy(update={"config": {**preset.decoder.config, **stage.decoder}})
    return training_pipeline(preset.model_copy(update={"decoder": part}))


def write_moving_worlds(
    pipeline: LyraPipeline, root: Path, seeds: list[int], *, progress: Progress = no_progress
) -> None:
    """Writes the worlds that are not there yet. `pipeline` needs an anchored decoder with a clock; it is not asked."""
    for done, seed in enumerate(seeds):
        progress("worlds", done, len(seeds))
        folder = root / "heldout" if seed >= HELDOUT_SEED else root
        path = folder / "moving" / f"{seed:07d}.npz"
        if not path.exists():
            write_arrays(path, moving_arrays(pipeline, seed))
    progress("worlds", len(seeds), len(seeds))


@torch.no_grad()
def moving_arrays(pipeline: LyraPipeline, seed: int) -> dict[str, np.ndarray]:
    """Everything `moving/<seed>.npz` holds; every second clip is filmed by a walking camera."""
    preset, rng = pipeline.preset, np.random.default_rng(seed)
    world, walking = MovingWorld(seed), seed % 2 == 1
    clip = world.video(preset.frames, *preset.image_size, walking=walking, supersample=1)
    prepared = prepare(clip, preset)
    decoder = InstantDecoder(pipeline, prepared)
    arrays: dict[str, np.ndarray] = {
        "latents": decoder.played.latents[None].half().numpy(), "rays": decoder.rays.half().numpy(),
        "c2w": decoder.paths.c2w.numpy(), "intrinsics": decoder.paths.intrinsics.numpy(),
        "size": np.array([decoder.paths.height, decoder.paths.width]),
    }  # fmt: skip
    origin = (world.walking_cameras if walking else world.base_cameras)(2, *preset.image_size).c2w[0]
    unit = float(clip.depth[0].median())
    unseen = unseen_cameras(world.world, unit, rng, UNSEEN).resized(*preset.video_size)
    for number, frame in enumerate(sorted(rng.choice(preset.frames, INSTANTS, replace=False).tolist())):
        anchors = decoder.anchors(frame, decoder.paths)
        arrays |= {f"{number}.{name}": value for name, value in _anchor_arrays(anchors).items()}
        arrays[f"{number}.time_latents"] = decoder.time_latents(frame).half().numpy()
        views = {
            "played": path_views(prepared, frame, frame),
            "mirrored": path_views(prepared, frame, preset.frames - 1 - frame),
            "unseen": to_scene_units(unseen, origin, unit),
        }
        for name, cameras in views.items():
            shown = _pictures(world, clip.times[frame], cameras, origin, unit)
            arrays |= {f"{number}.{name}.{key}": value for key, value in shown.items()}
    return arrays


def path_views(prepared: PreparedVideo, frame: int, step: int) -> Cameras:
    """Cameras `[V]` of all paths at a step, around the camera of a frame."""
    return prepared.frozen_paths(frame)[:, step]


def _pictures(world: MovingWorld, time: Tensor, cameras: Cameras, origin: Tensor, unit: float) -> dict[str, np.ndarray]:
    """What cameras (scene units) really see at a time [s]; depth in scene units."""
    c2w = cameras.c2w.clone()
    c2w[:, :3, 3] *= unit
    seen = world.render(replace(cameras, c2w=origin @ c2w), [float(time)] * len(cameras), supersample=1)
    return {
        "rgb": to_uint8(seen.rgb), "z": (seen.z / unit).half().numpy(), "c2w": cameras.c2w.numpy(),
        "intrinsics": cameras.intrinsics.numpy(),
    }  # fmt: skip


def _anchor_arrays(anchors: Anchors) -> dict[str, np.ndarray]:
    camera = anchors.input_camera
    arrays = {name: getattr(anchors, name).half().numpy() for name in _HALF}
    arrays |= {name: to_uint8(getattr(anchors, name)) for name in _BYTES}
    arrays |= {
        "known": anchors.known.numpy(),
        "input_c2w": camera.c2w.numpy(),
        "input_intrinsics": camera.intrinsics.numpy(),
    }
    return arrays | {"fresh": anchors.known.numpy() if anchors.fresh is None else anchors.fresh.numpy()}


def load_sample(path: Path, number: int) -> MovingSample:
    """One instant of a file of `moving_arrays`."""
    with np.load(path) as data:
        arrays = {name: torch.from_numpy(data[name]) for name in data.files if "." not in name}
        arrays |= {
            name.split(".", 1)[1]: torch.from_numpy(data[name]) for name in data.files if name.startswith(f"{number}.")
        }
    height, width = arrays["size"].tolist()
    input_height, input_width = arrays["input_distance"].shape[1:]
    anchors = Anchors(
        rgb=arrays["rgb"].float() / 255, distance=arrays["distance"].float(), known=arrays["known"],
        input_rgb=arrays["input_rgb"].float() / 255, input_distance=arrays["input_distance"].float(),
        input_camera=Cameras(arrays["input_c2w"], arrays["input_intrinsics"], input_width, input_height),
        fresh=arrays["fresh"],
    )  # fmt: skip
    return MovingSample(
        name=f"{path.stem}, instant {number}", latents=arrays["latents"].float(), rays=arrays["rays"].float(),
        cameras=Cameras(arrays["c2w"], arrays["intrinsics"], width, height)[None],
        time_latents=arrays["time_latents"].float(), anchors=anchors,
        played=_targets(arrays, "played"), mirrored=_targets(arrays, "mirrored"), unseen=_targets(arrays, "unseen"),
    )  # fmt: skip


def _targets(arrays: dict[str, Tensor], name: str) -> Targets:
    z = arrays[f"{name}.z"].float()
    cameras = Cameras(arrays[f"{name}.c2w"], arrays[f"{name}.intrinsics"], z.shape[2], z.shape[1])
    return Targets(arrays[f"{name}.rgb"].float() / 255, z, cameras)
