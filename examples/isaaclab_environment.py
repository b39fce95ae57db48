# SPDX-License-Identifier: Apache-2.0
"""A reinforcement learning environment inside one generated scene.

    ./isaaclab.sh -p examples/isaaclab_environment.py "an empty corridor with doors" --num-envs 64

What it shows: a prompt as an Isaac Lab configuration, resolved once to a stored file; one copy of the scene that all
environments share (`collision_group=-1`, a global prim path, `env_spacing=0`), while the robots of different
environments pass through each other; spawn poses from the scene's metadata, one as the start and one as the goal.

The robot is a box with two actions, forward speed and turning speed. It sees distance and bearing of its goal and is
paid for coming closer. Here it is steered by a hand-written rule instead of a policy.

Written for Isaac Lab 2.3. It checks itself: rewards must be finite, and every box must still be on the floor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import example_app
import lab_app

if TYPE_CHECKING:
    import torch
    from isaaclab.envs import DirectRLEnv

    from lyra.sim.isaaclab import LyraSceneCfg, SpawnPose

MAX_SPEED = (0.5, 1.5)
"""Metres per second ahead, radians per second."""


def make_environment(scene: LyraSceneCfg, places: Sequence[SpawnPose], num_envs: int) -> DirectRLEnv:
    """An environment whose robots start and have their goals at the scene's spawn poses."""
    import torch
    from isaaclab.assets import AssetBaseCfg, RigidObjectCfg
    from isaaclab.envs import DirectRLEnv, DirectRLEnvCfg
    from isaaclab.scene import InteractiveSceneCfg
    from isaaclab.sim import SimulationCfg
    from isaaclab.utils import configclass

    from lyra.sim.isaaclab import shared_scene

    @configclass
    class RoomSceneCfg(InteractiveSceneCfg):
        """One room for everybody, one robot each."""

        room: AssetBaseCfg = shared_scene(scene)
        robot: RigidObjectCfg = lab_app.box_robot()

    @configclass
    class RoomEnvCfg(DirectRLEnvCfg):
        """Two actions, two observations, six seconds."""

        decimation: int = 4
        episode_length_s: float = 6.0
        action_space: int = 2
        observation_space: int = 2
        sim: SimulationCfg = SimulationCfg(dt=1 / 120, render_interval=4)
        scene: InteractiveSceneCfg = RoomSceneCfg(num_envs=num_envs, env_spacing=0.0)

    class RoomEnv(DirectRLEnv):
        """Drive to another spawn pose."""

        def __init__(self, cfg: RoomEnvCfg) -> None:
            super().__init__(cfg)
            self.robot = self.scene["robot"]
            self.poses = lab_app.root_poses(places, self.device)
            self.goals = self.poses[:1, :3].repeat(self.num_envs, 1)
            self.commands = torch.zeros(self.num_envs, 2, device=self.device)

        def _pre_physics_step(self, actions: torch.Tensor) -> None:
            self.commands = actions.clamp(-1, 1) * torch.tensor(MAX_SPEED, device=self.device)

        def _apply_action(self) -> None:
            heading, velocity = self.robot.data.heading_w, torch.zeros(self.num_envs, 6, device=self.device)
            velocity[:, 0] = self.commands[:, 0] * heading.cos()
            velocity[:, 1] = self.commands[:, 0] * heading.sin()
            velocity[:, 2] = self.robot.data.root_lin_vel_w[:, 2]
            velocity[:, 5] = self.commands[:, 1]
            self.robot.write_root_velocity_to_sim(velocity)

        def _get_observations(self) -> dict[str, torch.Tensor]:
            way = self.goals - self.robot.data.root_pos_w
            bearing = torch.atan2(way[:, 1], way[:, 0]) - self.robot.data.heading_w
            bearing = torch.remainder(bearing + math.pi, math.tau) - math.pi
            return {"policy": torch.stack([way[:, :2].norm(dim=1), bearing], dim=1)}

        def _get_rewards(self) -> torch.Tensor:
            return -(self.goals - self.robot.data.root_pos_w)[:, :2].norm(dim=1)

        def _get_dones(self) -> tuple[torch.Tensor, torch.Tensor]:
            fallen = (self.robot.data.root_pos_w[:, 2] - lab_app.BOX_SIZE[2] / 2).abs() > 0.1
            return fallen, self.episode_length_buf >= self.max_episode_length - 1

        def _reset_idx(self, env_ids: Any) -> None:
            super()._reset_idx(env_ids)
            start = torch.randint(len(self.poses), (len(env_ids),), device=self.device)
            goal = (start + 1) % len(self.poses)
            self.goals[env_ids] = self.poses[goal, :3]
            self.robot.write_root_pose_to_sim(self.poses[start], env_ids)
            self.robot.write_root_velocity_to_sim(torch.zeros(len(env_ids), 6, device=self.device), env_ids)

    return RoomEnv(RoomEnvCfg(seed=0))


def steer(observations: torch.Tensor) -> torch.Tensor:
    """Turn towards the goal, and drive once it is ahead: observations [N, 2] to actions [N, 2]."""
    import torch

    distance, bearing = observations.unbind(dim=1)
    return torch.stack([(bearing.cos() * distance).clamp(0, 1), bearing.clamp(-1, 1)], dim=1)


def run(environment: DirectRLEnv, steps: int) -> list[str]:
    """Drive for some steps; what is wrong with the result."""
    observations, _ = environment.reset()
    fallen = finite = 0
    for _ in range(steps):
        observations, rewards, terminated, _, _ = environment.step(steer(observations["policy"]))
        fallen += int(terminated.sum())
        finite += int(rewards.isfinite().all())
    problems = [f"{fallen} boxes left the floor"] if fallen else []
    return problems + (["some rewards are not finite"] if finite < steps else [])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = lab_app.argument_parser(__doc__)
    parser.add_argument("--seed", type=int, default=1, help="same prompt and seed, same scene (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=180, help="steps of the environment (default: %(default)s)")
    options = parser.parse_args(arguments)
    app = lab_app.start(options).app

    from lyra.sim.isaaclab import LyraSceneCfg
    from lyra.sim.spawn_points import read_spawn_poses

    scene = LyraSceneCfg(prompt=options.prompt, seed=options.seed)
    places = read_spawn_poses(scene.resolve(app.update))
    environment = make_environment(scene, places, options.num_envs)
    problems = run(environment, options.steps)
    environment.close()
    example_app.finish(app, problems)


if __name__ == "__main__":
    main()
