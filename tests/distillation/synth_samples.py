# SPDX-License-Identifier: Apache-2.0
"""Samples made of numbers, on real camera paths: what layouts and checks are tested on."""

from __future__ import annotations

import numpy as np
import torch

from lyra_core.cameras import intrinsics_from_fov
from lyra_core.synthesis.sample import InputView, Sample, View
from lyra_core.trajectories import PUBLISHED_PATHS, lyra_cameras

FRAMES, HEIGHT, WIDTH = 9, 16, 32


def input_motion(frames: int = FRAMES) -> np.ndarray:
    """Poses `[F, 4, 4]` of an input camera that turns and drifts."""
    angle = np.linspace(0.0, 0.3, frames)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angle)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angle), -np.sin(angle)
    poses[:, :3, 3] = angle[:, None] * [0.5, 0.1, -0.2]
    return poses.astype(np.float32)


def make_view(number: int, *, moving: bool = False, seed: int = 0) -> View:
    """A view along the path `number`, with smooth frames that a video codec keeps."""
    rng = np.random.default_rng(10 * seed + number)
    intrinsics = intrinsics_from_fov(1.2, WIDTH, HEIGHT)
    paths = lyra_cameras(intrinsics, WIDTH, HEIGHT, frames=FRAMES, paths=(PUBLISHED_PATHS[number],))
    c2w = paths.c2w[0].numpy()
    ramp = np.linspace(0, 200, WIDTH)[None, None, :, None] + np.linspace(0, 50, FRAMES)[:, None, None, None]
    return View(
        number,
        frames=np.broadcast_to(ramp, (FRAMES, HEIGHT, WIDTH, 3)).astype(np.uint8),
        depth=rng.uniform(0.5, 4.0, (FRAMES, HEIGHT, WIDTH)).astype(np.float16),
        known=rng.random((FRAMES, HEIGHT, WIDTH)) < 0.9,
        c2w=(input_motion() @ c2w).astype(np.float32) if moving else c2w,
        intrinsics=np.broadcast_to(intrinsics.numpy(), (FRAMES, 4)).astype(np.float32),
        latents=rng.standard_normal((16, 2, HEIGHT // 8, WIDTH // 8)).astype(np.float32),
    )


def make_numbers(name: str = "000000_a-clip", seed: int = 0) -> Sample:
    """A sample of six views."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    source = InputView(image, rng.random(image.shape[:2], np.float32), image[..., 0] > 9, np.ones(4, np.float32))
    views = tuple(make_view(number, seed=seed) for number in range(6))
    return Sample(name, views, source, {"prompt": "a “place”", "seed": seed})


def reversed_poses(number: int) -> np.ndarray:
    """Poses in the order of the content, of a camera that walks path `number` while the moving input runs backwards."""
    paths = lyra_cameras(torch.ones(4), WIDTH, HEIGHT, frames=FRAMES, paths=(PUBLISHED_PATHS[number % 6],))
    return (input_motion() @ paths.c2w[0].numpy()[::-1]).astype(np.float32)
