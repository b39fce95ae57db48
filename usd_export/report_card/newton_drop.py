# SPDX-License-Identifier: Apache-2.0
"""Bodies let go over a written scene in Newton, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RATE = 120  # steps per second
_ITERATIONS = 10  # with 4, one box in a hundred turns on the spot on a perfectly level floor
_ALL_BUT_EACH_OTHER = -1  # Newton: a negative group meets every group but itself
_CONTACTS = 100  # per body: what exceeds the buffer is dropped, and boxes on many triangles start to spin
_ROLLING_FRICTION = 0.02  # without it a perfect ball on a perfect floor never comes to rest


@dataclass(frozen=True)
class Motion:
    """Bodies at the end of a simulation.

    Attributes:
        positions: Centres [B, 3], metres.
        speeds: [B] metres per second.
        spins: [B] radians per second.
    """

    positions: NDArray[np.float64]
    speeds: NDArray[np.float64]
    spins: NDArray[np.float64]


def drop_bodies(
    file: Path, starts: NDArray[np.floating], boxes: NDArray[np.bool_], radius: float, seconds: float
) -> Motion:
    """Let balls and cubes go at rest and follow them; they do not meet each other.

    The scene is what Newton itself imports from the file: what it does not take for a collider does not hold.
    The solver is XPBD, which keeps triangle meshes as they are; MuJoCo's would judge their convex hulls.

    Args:
        file: Z-up USD file in metres.
        starts: Centres [B, 3], metres.
        boxes: [B] True for a cube, False for a ball.
        radius: Of the balls, and half the side of the cubes, metres.
        seconds: Simulated time.

    Raises:
        ImportError: If Newton is not installed.
    """
    with _silent():
        import newton
        import warp as wp

        builder = newton.ModelBuilder(up_axis=newton.Axis.Z)
        builder.default_shape_cfg.mu_rolling = _ROLLING_FRICTION
        builder.add_usd(str(file), load_visual_shapes=False)
        alone = builder.default_shape_cfg.copy()
        alone.collision_group = _ALL_BUT_EACH_OTHER
        first = builder.body_count
        for start, box in zip(starts, boxes, strict=True):
            body = builder.add_body(xform=wp.transform(wp.vec3(*start.tolist()), wp.quat_identity()))
            if box:
                builder.add_shape_box(body, hx=radius, hy=radius, hz=radius, cfg=alone)
            else:
                builder.add_shape_sphere(body, radius=radius, cfg=alone)
        state = _simulated(builder, seconds)
    poses, twists = state.body_q.numpy()[first:], state.body_qd.numpy()[first:].astype(np.float64)
    return Motion(
        poses[:, :3].astype(np.float64),
        np.linalg.norm(twists[:, :3], axis=1),
        np.linalg.norm(twists[:, 3:], axis=1),
    )


def _simulated(builder: Any, seconds: float) -> Any:
    """The state of a model after some time."""
    import newton

    model = builder.finalize(device="cpu")
    pipeline = newton.CollisionPipeline(model, rigid_contact_max=_CONTACTS * model.body_count)
    contacts, solver = pipeline.contacts(), newton.solvers.SolverXPBD(model, iterations=_ITERATIONS)
    state, following, control = model.state(), model.state(), model.control()
    for _ in range(round(seconds * _RATE)):
        state.clear_forces()
        pipeline.collide(state, contacts)
        solver.step(state, following, control, contacts, 1.0 / _RATE)
        state, following = following, state
    return state


@contextmanager
def _silent() -> Iterator[None]:
    """Warp reports every kernel it loads on stdout, where results go."""
    import warp as wp

    level = wp.config.log_level
    wp.config.log_level = wp.LOG_ERROR
    try:
        yield
    finally:
        wp.config.log_level = level
