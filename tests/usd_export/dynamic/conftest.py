# SPDX-License-Identifier: Apache-2.0
"""Tiny clouds that move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pxr import Usd

from usd_export.cloud import GaussianCloud, merge_clouds
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.playing import is_shown
from usd_export.encodings.particle_field import PRIM_TYPE, read_particle_field
from usd_export.frame import Frame
from usd_export.placement.baking import bake_frame
from usd_export.scene_reader import world_matrix

MakeCloud = Callable[..., GaussianCloud]
MakeDynamic = Callable[..., DynamicCloud]
Play = Callable[[Path, float], GaussianCloud]


@pytest.fixture(scope="session")
def make_dynamic(make_cloud: MakeCloud) -> MakeDynamic:
    """Random Gaussians that change in every way, by their number of instants, count and degree."""

    def make(instants: int = 5, count: int = 12, degree: int = 1, static: int = 8) -> DynamicCloud:
        still = make_cloud(static, seed=99) if static else None
        moving = tuple(make_cloud(count, degree, seed) for seed in range(instants))
        times = 0.25 + np.cumsum(np.random.default_rng(1).uniform(0.1, 0.4, instants))
        return DynamicCloud(still, moving, times)

    return make


@pytest.fixture(scope="session")
def make_rigid(make_cloud: MakeCloud) -> MakeDynamic:
    """Two blobs: one turns by half a circle and travels, one travels; and three Gaussians that fly apart."""

    def make(instants: int = 5, count: int = 40) -> DynamicCloud:
        blobs = [make_cloud(count, seed=seed) for seed in (1, 2)]
        for blob, offset in zip(blobs, (0, 20), strict=True):
            blob.positions[:] += np.float32(offset)
        loose = make_cloud(3, seed=3)
        moving = []
        for share in np.linspace(0, 1, instants):
            turned = bake_frame(blobs[0], replace(Frame.identity(), matrix=turn(np.pi * share, (4 * share, 0, share))))
            moved = replace(blobs[1], positions=blobs[1].positions + np.float32(3 * share))
            burst = replace(loose, positions=loose.positions * np.float32(1 + share))
            moving.append(merge_clouds([turned, moved, burst]))
        clusters = np.repeat([0, 1, -1], [count, count, 3])
        return DynamicCloud(make_cloud(8, seed=9), tuple(moving), np.linspace(0, 2, instants), clusters)

    return make


def turn(angle: float, offset: tuple[float, float, float]) -> NDArray[np.float64]:
    """Matrix [4, 4] of a turn about an oblique axis, then a step."""
    axis = np.array([0.36, 0.48, 0.8])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    matrix = np.eye(4)
    matrix[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix[:3, 3] = offset
    return matrix


@pytest.fixture(scope="session")
def play() -> Play:
    """What usd-core alone shows of a file at a time [s], in world metres: every visible particle field."""

    def show(file: Path, time: float) -> GaussianCloud:
        stage = Usd.Stage.Open(str(file))
        code = Usd.TimeCode(time * stage.GetTimeCodesPerSecond())
        return merge_clouds(list(_shown(stage, code)))

    return show


def _shown(stage: Usd.Stage, code: Usd.TimeCode) -> Iterator[GaussianCloud]:
    for prim in stage.Traverse():
        if prim.GetTypeName() == PRIM_TYPE and is_shown(prim, code):
            cloud = read_particle_field(prim, code)
            yield bake_frame(cloud, replace(Frame.identity(), matrix=world_matrix(prim, code)))


@pytest.fixture(scope="session")
def difference() -> Callable[[GaussianCloud, GaussianCloud], float]:
    """Largest difference between the arrays of two clouds; the sign of a quaternion does not count."""

    def largest(first: GaussianCloud, second: GaussianCloud) -> float:
        signs = np.sign((first.rotations * second.rotations).sum(axis=1, keepdims=True))
        pairs = [(getattr(first, name), getattr(second, name)) for name in ("positions", "scales", "opacities", "sh")]
        return float(max(np.abs(a - b).max() for a, b in [*pairs, (first.rotations, signs * second.rotations)]))

    return largest
