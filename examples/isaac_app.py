# SPDX-License-Identifier: Apache-2.0
"""What the stand-alone Isaac Sim examples share: their options, starting the application, getting a scene.

Kit's modules exist only after `SimulationApp` has been made, so every function imports what it needs itself; `--help`
and the tests of this repository run in any Python.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import example_app
from example_app import EXTENSIONS

if TYPE_CHECKING:
    from isaacsim import SimulationApp
    from pxr import Usd

SETTINGS = (
    "--/app/useFabricSceneDelegate=true",  # needed for NuRec volumes on Isaac Sim 5, default on both versions
    "--/UJITSO/geometry=true",  # without it, splats stay invisible on some installations of Isaac Sim 6
)


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all examples have."""
    parser = example_app.argument_parser(description, "a small kitchen with a red fridge and a table")
    parser.add_argument("--seed", type=int, default=3, help="same prompt and seed, same scene (default: %(default)s)")
    parser.add_argument("--scene", type=Path, help="folder of a scene made before (holds manifest.json); no generation")
    return parser


def start(options: argparse.Namespace, *extensions: str) -> SimulationApp:
    """Start Isaac Sim with the extension `lyra.sim`; must come before any other import of Kit or pxr.

    Args:
        options: From `argument_parser`.
        extensions: Further extensions to enable.
    """
    from isaacsim import SimulationApp

    enable = [word for name in ("lyra.sim", *extensions) for word in ("--enable", name)]
    arguments = ["--ext-folder", str(EXTENSIONS), *enable, *SETTINGS]
    return SimulationApp({"headless": not options.gui, "multi_gpu": False, "extra_args": arguments})


def spawn_scene(app: SimulationApp, options: argparse.Namespace, **choices: Any) -> tuple[Usd.Stage, str]:
    """Generate a scene, or take the given one, and put it on the open stage.

    Args:
        app: The running application; it stays responsive while the scene is made.
        options: From `argument_parser`.
        choices: Handed on to `lyra.sim.api.spawn`.

    Returns:
        The stage, with a physics scene and a light, and the path of the scene on it.
    """
    import omni.usd

    from lyra.sim import api, stage_ops

    scene = options.scene or api.generate(options.prompt, seed=options.seed, poll_fn=app.update)
    prim_path = api.spawn(scene, **choices)
    stage = omni.usd.get_context().get_stage()
    if stage_ops.find_physics_scene(stage) is None:
        stage_ops.add_physics_scene(stage)
    light = stage.DefinePrim("/World/SkyLight", "DomeLight")  # splats glow by themselves, meshes need it
    light.GetAttribute("inputs:intensity").Set(600.0)
    return stage, prim_path


def wait_until_loaded(app: SimulationApp, frames: int = 600) -> None:
    """Draw until nothing is loading any more, at most so many frames; splats take a few seconds to appear."""
    import omni.usd

    for _ in range(frames):
        app.update()
        _, _, left = omni.usd.get_context().get_stage_loading_status()
        if left == 0:
            return
