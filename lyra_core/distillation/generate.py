# SPDX-License-Identifier: Apache-2.0
"""Procedural training data on disk: one file per world, written by as many processes as asked for.

Layout under the root folder (`heldout/` repeats it for seeds >= `HELDOUT_SEED`):

    scenes/<seed>.npz   input_rgb [352, 640, 3] u8, input_z [352, 640] f16 metres,
                        rgb [V, 176, 320, 3] u8, z [V, 176, 320] f16 metres, c2w [V, 4, 4] f32 in scene units;
                        view 0 is the base camera
    keys/<seed>.npz     what the camera paths of a preset would really show in their key frames after the first:
                        rgb [P, K, 176, 320, 3] u8, z [P, K, 176, 320] f16 metres, c2w [P, K, 4, 4] f32 in scene units,
                        free [P, K] bool: nothing solid between the base camera and this one
    clips/<seed>.npz    rgb [17, 176, 320, 3] u8, along one of the six published paths, each as often as the others
    stills/<seed>.npz   the base view alone, for the depth network: rgb [1, 176, 320, 3] u8, one sample a pixel,
                        z [1, 176, 320] f16 metres
"""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.decoder import DecoderConfig
from lyra_core.distillation.dataset import load_input
from lyra_core.evaluation.views import VIEW_HEIGHT, VIEW_WIDTH, free_distance, to_scene_units, unseen_cameras
from lyra_core.pipeline import camera_paths, normalize
from lyra_core.progress import Progress, no_progress
from lyra_core.synthetic.grammar import World, make_world, render_world
from lyra_core.trajectories import PUBLISHED_PATHS, lyra_cameras
from lyra_core.weights.presets import Preset, load_preset

INPUT_HEIGHT, INPUT_WIDTH = 352, 640
CLIP_FRAMES = 17
CLIP_EVERY = 2
"""Every second world also gives a clip."""

HELDOUT_SEED = 1_000_000
"""Seeds from here on are never trained on; `lyra evaluate` starts at 2,000,000."""

TRAIN_KINDS = ("interpolating",) * 4 + ("extrapolating",) * 2 + ("closer",) * 2


def base_camera(world: World, height: int, width: int) -> Cameras:
    """The world's own view, as Cameras of shape [1] in world metres."""
    return Cameras(world.camera[None], intrinsics_from_fov(world.fov_x, width, height)[None], width, height)


def to_uint8(rgb: torch.Tensor) -> np.ndarray:
    return (rgb.clamp(0, 1) * 255).round().byte().numpy()


def scene_arrays(seed: int) -> dict[str, np.ndarray]:
    """Everything `scenes/<seed>.npz` holds."""
    world, rng = make_world(seed), np.random.default_rng(seed)
    view = render_world(world, base_camera(world, INPUT_HEIGHT, INPUT_WIDTH))
    median = float(view.z.median())
    unseen = unseen_cameras(world, median, rng, TRAIN_KINDS)
    base = base_camera(world, VIEW_HEIGHT, VIEW_WIDTH)
    cameras = Cameras(
        torch.cat([base.c2w, unseen.c2w]), torch.cat([base.intrinsics, unseen.intrinsics]), VIEW_WIDTH, VIEW_HEIGHT
    )
    views = render_world(world, cameras)
    return {
        "input_rgb": to_uint8(view.rgb[0]),
        "input_z": view.z[0].half().numpy(),
        "rgb": to_uint8(views.rgb),
        "z": views.z.half().numpy(),
        "c2w": to_scene_units(cameras, world.camera, median).c2w.numpy(),
        "caption": np.array(world.caption),
    }


def key_arrays(seed: int, scene: Path, preset: Preset) -> dict[str, np.ndarray]:
    """Everything `keys/<seed>.npz` holds, for the paths that the preset takes from the input view in `scene`."""
    world = make_world(seed)
    depth, median = normalize(load_input(scene)[1])
    step = DecoderConfig.from_dict(preset.decoder.config).gaussian_stride[0]
    keys = camera_paths(depth, preset)[:, step::step]
    c2w = keys.c2w.clone()
    c2w[..., :3, 3] *= median
    views = render_world(world, Cameras(world.camera @ c2w, keys.intrinsics, keys.width, keys.height), supersample=1)
    offsets = (world.camera[:3, :3] @ c2w[..., :3, 3, None])[..., 0].flatten(0, 1).double().numpy()
    free = [_is_free(world, offset) for offset in offsets]
    return {
        "rgb": to_uint8(views.rgb),
        "z": views.z.half().numpy(),
        "c2w": keys.c2w.numpy(),
        "free": np.array(free).reshape(keys.shape),
    }


def _is_free(world: World, offset: np.ndarray) -> bool:
    """Whether the base camera can move by `offset` [m, world axes] without coming through a surface."""
    length = float(np.linalg.norm(offset))
    return length < 1e-6 or free_distance(world, offset / length) > length


def clip_arrays(seed: int) -> dict[str, np.ndarray]:
    """A clip along the path whose turn it is, shortened where the world leaves no room."""
    world = make_world(seed)
    median = float(render_world(world, base_camera(world, 44, 80), supersample=1).z.median())
    path = PUBLISHED_PATHS[seed // CLIP_EVERY % len(PUBLISHED_PATHS)]
    paths = lyra_cameras(
        intrinsics_from_fov(world.fov_x, VIEW_WIDTH, VIEW_HEIGHT), VIEW_WIDTH, VIEW_HEIGHT,
        frames=CLIP_FRAMES, paths=(path,), movement=1.0,
    )  # fmt: skip
    end = (world.camera[:3, :3] @ paths.c2w[0, -1, :3, 3]).numpy() * median
    length = float(np.linalg.norm(end))
    room = 1.0 if length < 1e-6 else min(1.0, 0.75 * free_distance(world, end / length) / length)
    c2w = paths.c2w[0].clone()
    c2w[:, :3, 3] *= median * room
    views = render_world(world, Cameras(world.camera @ c2w, paths.intrinsics[0], VIEW_WIDTH, VIEW_HEIGHT))
    return {"rgb": to_uint8(views.rgb), "path": np.array(path)}


def still_arrays(seed: int) -> dict[str, np.ndarray]:
    """Everything `stills/<seed>.npz` holds."""
    world = make_world(seed)
    view = render_world(world, base_camera(world, VIEW_HEIGHT, VIEW_WIDTH), supersample=1)
    return {"rgb": to_uint8(view.rgb), "z": view.z.half().numpy()}


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def generate_world(seed: int, root: Path, model: str) -> int:
    """Write the files of one seed that are not there yet; returns the seed."""
    torch.set_num_threads(1)
    folder = root / "heldout" if seed >= HELDOUT_SEED else root
    scene, keys, clip = (folder / name / f"{seed:07d}.npz" for name in ("scenes", "keys", "clips"))
    if not scene.exists():
        write_arrays(scene, scene_arrays(seed))
    if not keys.exists():
        write_arrays(keys, key_arrays(seed, scene, load_preset(model)))
    if seed % CLIP_EVERY == 0 and not clip.exists():
        write_arrays(clip, clip_arrays(seed))
    return seed


def generate_still(seed: int, root: Path) -> int:
    """Write the still of one seed if it is not there yet; returns the seed."""
    torch.set_num_threads(1)
    path = (root / "heldout" if seed >= HELDOUT_SEED else root) / "stills" / f"{seed:07d}.npz"
    if not path.exists():
        write_arrays(path, still_arrays(seed))
    return seed


def generate(
    root: Path, first_seed: int, worlds: int, *, model: str = "mini", stills: bool = False, processes: int = 1,
    progress: Progress = no_progress,
) -> None:  # fmt: skip
    """Fill `root` with the worlds `first_seed` .. `first_seed + worlds - 1`; existing files are kept (resumable).

    `model` is the preset whose camera paths the key frames lie on; with `stills` only the still of each is written.
    """
    seeds = range(first_seed, first_seed + worlds)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        job = partial(generate_still, root=root) if stills else partial(generate_world, root=root, model=model)
        for done, _ in enumerate(pool.imap_unordered(job, seeds), start=1):
            progress("worlds", done, worlds)
