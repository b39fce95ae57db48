# SPDX-License-Identifier: Apache-2.0
"""What the Isaac Lab examples share: their options, starting the application, a sliding box as the robot."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import example_app
from example_app import EXTENSIONS

if TYPE_CHECKING:
    import torch
    from isaaclab.app import AppLauncher
    from isaaclab.assets import RigidObjectCfg

    from lyra.sim.spawn_points import SpawnPose

BOX_SIZE = (0.30, 0.20, 0.20)
"""Metres; +X ahead. It fits the spawn poses of a scene, which leave a radius of 0.25 m."""


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all examples have."""
    parser = example_app.argument_parser(description, "an empty corridor with doors and a plant")
    parser.add_argument("--num-envs", type=int, default=16, help="environments (default: %(default)s)")
    return parser


def start(options: argparse.Namespace) -> AppLauncher:
    """Start Isaac Lab with the extension `lyra.sim`; must come before any other import of Isaac Lab or pxr."""
    from isaaclab.app import AppLauncher

    return AppLauncher({"headless": not options.gui, "kit_args": f"--ext-folder {EXTENSIONS} --enable lyra.sim"})


def box_robot() -> RigidObjectCfg:
    """A box that slides over the floor, in every environment; put an articulation of yours in its place."""
    import isaaclab.sim as sim_utils
    from isaaclab.assets import RigidObjectCfg

    return RigidObjectCfg(
        prim_path="{ENV_REGEX_NS}/Robot",
        spawn=sim_utils.CuboidCfg(
            size=BOX_SIZE,
            rigid_props=sim_utils.RigidBodyPropertiesCfg(),
            mass_props=sim_utils.MassPropertiesCfg(mass=5.0),
            collision_props=sim_utils.CollisionPropertiesCfg(),
            visual_material=sim_utils.PreviewSurfaceCfg(diffuse_color=(0.95, 0.55, 0.10)),
        ),
    )


def root_poses(places: Sequence[SpawnPose], device: str) -> torch.Tensor:
    """Poses [N, 7] of boxes that stand at some places: position [m], then the quaternion in Isaac Lab's own order."""
    import torch

    from lyra.sim.isaaclab import lab_quaternion

    rows = [
        (x, y, z + BOX_SIZE[2] / 2 + 0.01, *lab_quaternion(place.yaw))
        for place in places
        for x, y, z in [place.position]
    ]
    return torch.tensor(rows, dtype=torch.float32, device=device)
