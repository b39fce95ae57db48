# SPDX-License-Identifier: Apache-2.0
"""Colliders of procedural worlds, whose depth and classes the ray tracer knows exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from lyra_core.synthetic.classes import CLASSES
from lyra_core.synthetic.grammar import make_world, render_world
from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh, DepthView, build_collider
from usd_export.frame import estimate_frame

WIDTH, HEIGHT = 640, 352
SAMPLES = 1_000_000
GROUND = ("floor", "grass", "road")


@dataclass(frozen=True)
class Observation:
    """What the base view shows, and the collider that was built from its depth."""

    collider: ColliderMesh
    vertices: np.ndarray  # [V, 3] of the collider, world metres
    points: np.ndarray  # [P, 3] of the pixels that show a surface, world metres
    classes: np.ndarray  # [P] names
    distances: np.ndarray  # [P] metres from the camera

    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Points [S, 3] spread evenly over the collider and the triangle [S] that each lies on."""
        corners = self.vertices[self.collider.triangles]
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        random = np.random.default_rng(0)
        chosen = random.choice(len(areas), SAMPLES, p=areas / areas.sum())
        root, split = np.sqrt(random.random((SAMPLES, 1))), random.random((SAMPLES, 1))
        a, b, c = np.moveaxis(corners[chosen], 1, 0)
        return (1 - root) * a + root * (1 - split) * b + root * split * c, chosen


def observe(theme: str, seed: int) -> Observation:
    """Exact depth of a world's base view, the frame estimated as for any picture, and the collider."""
    world = make_world(seed, theme)
    camera = world.base_camera(WIDTH, HEIGHT)
    seen = render_world(world, camera, supersample=1)
    z, mask = seen.z.double().numpy(), seen.normal.norm(dim=-1).numpy() > 0
    fx, fy, cx, cy = camera.intrinsics.double().numpy()
    u, v = np.meshgrid((np.arange(WIDTH) + 0.5 - cx) / fx, (np.arange(HEIGHT) + 0.5 - cy) / fy)
    local = np.stack([u * z, v * z, z], axis=-1)[mask]
    frame = estimate_frame(local, np.eye(4), 1.0, "exact:procedural", metric=True)
    view = DepthView(z, mask, camera.intrinsics.double().numpy(), np.eye(4))
    collider = build_collider(no_gaussians(), frame, [view])
    return Observation(
        collider=collider,
        vertices=frame.apply(collider.vertices.astype(np.float64)),
        points=frame.apply(local),
        classes=np.array(CLASSES)[seen.class_id.numpy()[mask]],
        distances=np.linalg.norm(local, axis=1),
    )


def no_gaussians() -> GaussianCloud:
    """A cloud of nothing, for scenes that depth alone describes."""
    shapes = ((0, 3), (0, 3), (0, 4), (0,), (0, 1, 3))
    return GaussianCloud(*(np.zeros(shape, np.float32) for shape in shapes))


def nearest_on_collider(seen: Observation, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For points [Q, 3] the nearest of many samples [Q, 3] of the collider, and the triangle [Q] that it lies on."""
    samples, triangles = seen.samples()
    nearest = cKDTree(samples).query(points)[1]
    return samples[nearest], triangles[nearest]
