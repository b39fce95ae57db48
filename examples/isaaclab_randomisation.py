# SPDX-License-Identifier: Apache-2.0
"""Domain randomisation over K generated scenes: every reset of an environment takes place in another one.

    ./isaaclab.sh -p examples/isaaclab_randomisation.py "an empty corridor with doors" --scenes 4

Generating takes seconds to minutes, so it never happens inside a training loop: the K scenes are made, or found on
disk, before the simulation starts. They stand side by side in one world, far enough apart not to be seen from each
other, and a reset moves the robot to a spawn pose of the next scene. Nothing on the stage changes while it runs, so
physics on the GPU stays as fast as with one scene; the price is memory for K scenes.

Written for Isaac Lab 2.3. It checks itself: every scene must have been visited, and every box must stand on its floor.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import example_app
import lab_app

if TYPE_CHECKING:
    from lyra.sim.isaaclab import LyraSceneCfg, SpawnPose

EPISODES = 6
EPISODE_STEPS = 60


def offsets(count: int, spacing: float) -> list[tuple[float, float, float]]:
    """Where scenes stand side by side along x, around the middle, where numbers are most exact [m]."""
    return [((index - (count - 1) / 2) * spacing, 0.0, 0.0) for index in range(count)]


def choose_places(
    rooms: Sequence[Sequence[SpawnPose]], count: int, episode: int, generator: random.Random
) -> tuple[list[int], list[SpawnPose]]:
    """For each of `count` environments a room, another one every episode, and a random one of its spawn poses."""
    numbers = [(environment + episode) % len(rooms) for environment in range(count)]
    return numbers, [generator.choice(rooms[number]) for number in numbers]


def judge(visited: set[int], rooms: int, heights: Sequence[float]) -> list[str]:
    """What is wrong after all episodes, given the heights of the boxes' middles above their floors [m]."""
    problems = [f"scenes {sorted(set(range(rooms)) - visited)} were never visited"] if len(visited) < rooms else []
    fallen = sum(abs(height - lab_app.BOX_SIZE[2] / 2) > 0.1 for height in heights)
    return problems + ([f"{fallen} boxes do not stand on the floor"] if fallen else [])


def run(
    scenes: Sequence[LyraSceneCfg], rooms: Sequence[Sequence[SpawnPose]], num_envs: int, spacing: float
) -> list[str]:
    """Simulate some episodes; what is wrong with the result."""
    import torch
    from isaaclab.assets import RigidObjectCfg
    from isaaclab.scene import InteractiveScene, InteractiveSceneCfg
    from isaaclab.sim import SimulationCfg, SimulationContext
    from isaaclab.utils import configclass

    from lyra.sim.isaaclab import shared_scene

    @configclass
    class RoomsSceneCfg(InteractiveSceneCfg):
        """A robot for each environment; the rooms are added below."""

        robot: RigidObjectCfg = lab_app.box_robot()

    simulation = SimulationContext(SimulationCfg(dt=1 / 60))
    cfg: Any = RoomsSceneCfg(num_envs=num_envs, env_spacing=0.0)
    for index, (scene, place) in enumerate(zip(scenes, offsets(len(scenes), spacing), strict=True)):
        setattr(cfg, f"room_{index}", shared_scene(scene, f"/World/Room_{index}", position=place))
    world = InteractiveScene(cfg)
    simulation.reset()
    robot, generator = world["robot"], random.Random(0)
    visited: set[int] = set()
    heights: list[float] = []
    for episode in range(max(EPISODES, len(scenes))):
        numbers, places = choose_places(rooms, num_envs, episode, generator)
        visited.update(numbers)
        robot.write_root_pose_to_sim(lab_app.root_poses(places, simulation.device))
        robot.write_root_velocity_to_sim(torch.zeros(num_envs, 6, device=simulation.device))
        world.reset()
        for _ in range(EPISODE_STEPS):
            world.write_data_to_sim()
            simulation.step()
            world.update(simulation.get_physics_dt())
        heights += robot.data.root_pos_w[:, 2].tolist()
    return judge(visited, len(scenes), heights)


def usable_scenes(prompt: str, count: int, poll_fn: Callable[[], Any]) -> list[LyraSceneCfg]:
    """Scenes of `count` seeds, generated or found on disk, without those that have no room for a robot."""
    from lyra.sim.errors import LyraSimError
    from lyra.sim.isaaclab import LyraSceneCfg
    from lyra.sim.spawn_points import read_spawn_poses

    scenes = []
    for seed in range(count):
        scene = LyraSceneCfg(prompt=prompt, seed=seed)
        try:
            read_spawn_poses(scene.resolve(poll_fn))
        except LyraSimError as error:
            print(f"seed {seed} is left out: {error}")
        else:
            scenes.append(scene)
    return scenes


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = lab_app.argument_parser(__doc__)
    parser.add_argument("--scenes", type=int, default=3, help="K: seeds 0 to K - 1 (default: %(default)s)")
    parser.add_argument("--spacing", type=float, default=60.0, help="metres between them (default: %(default)s)")
    options = parser.parse_args(arguments)
    app = lab_app.start(options).app

    from lyra.sim.spawn_points import read_spawn_poses

    scenes = usable_scenes(options.prompt, options.scenes, app.update)
    rooms = [
        [place.moved(offset) for place in read_spawn_poses(scene.usd_path)]
        for scene, offset in zip(scenes, offsets(len(scenes), options.spacing), strict=True)
    ]
    problems = run(scenes, rooms, options.num_envs, options.spacing) if scenes else ["no scene can be used"]
    example_app.finish(app, problems)


if __name__ == "__main__":
    main()
