# SPDX-License-Identifier: Apache-2.0
"""The options of `lyra export` and `python -m usd_export`: choices and help. Imports nothing, so that help is quick."""

from __future__ import annotations

from typing import Literal

Up = Literal["auto", "x", "y", "z", "-x", "-y", "-z", "opencv"]
"""`auto`: what the file says. An axis: exactly that axis of the input. `opencv`: about -y, levelled by the floor."""
EncodingChoice = Literal["auto", "particlefield", "nurec", "universal"]
"""How Gaussians are stored; `auto` takes what fits the output."""
MotionChoice = Literal["auto", "samples", "clips", "rigid", "frames"]
"""How Gaussians that move are stored; `auto` takes samples, or clips for long scenes."""
Bodies = Literal["hull", "parts", "none"]
"""Collision shape of each rigid cluster: one convex hull, several convex parts, or nothing."""
Preset = Literal["indoor", "outdoor", "object"]
"""Kind of scene that a collider is built for."""

MAX_TRIANGLES = 100_000
"""Default size of a new collider."""

HELP = {
    "source": "A `.ply` or `.spz` with Gaussians, a USD file or a scene folder, e.g. `splats.ply`; for a scene that "
    "moves a folder with one such file per instant, e.g. `frames`",
    "output": "A `.usdz`, `.ply`, `.compressed.ply`, `.spz`, or a name without suffix for a folder, e.g. `scene.usdz`",
    "up": "Vertical of IN: `auto` is what the file says, else -y levelled by the floor; an axis is taken exactly; "
    "`opencv` is -y levelled by the floor, e.g. `--up z`",
    "rotate": "Turn the world about its x, then y, then z axis [degrees], e.g. `--rotate 0,0,90`",
    "scale_ref": "True distance [m] of two points in the coordinates of IN (of its world in metres, if IN is USD); "
    "2.0 means 2.0 +- 0.05, e.g. `--scale-ref 0,0,0:0,0.8,0=2.0`",
    "camera_height": "Height of the camera above the floor [m], where no distance is known, e.g. "
    "`--camera-height 1.55`",
    "crop": "Keep what lies between two corners in world metres, e.g. `--crop -3,-3,-0.1:3,3,2.5`",
    "recenter": "Move the middle of the scene to x = y = 0, after cropping; the floor stays at z = 0, e.g. "
    "`--crop 0,0,0:4,4,3 --recenter`",
    "encoding": "How Gaussians are stored: `particlefield` for Isaac Sim 6, `nurec` for Isaac Sim 5, `universal` for "
    "both in one folder, `auto` for what fits OUT, e.g. `--encoding nurec`",
    "half": "Store a particle field in half precision: half the bytes, but not every reader looks for it, e.g. "
    "`--encoding particlefield --half`",
    "max_gaussians": "Keep at most N Gaussians, the most opaque ones, e.g. `--max-gaussians 200000`",
    "collider": "Write no collision mesh for physics, e.g. `--no-collider`",
    "preset": "What a new collider is built for: an `indoor` or `outdoor` scene, an `object`, e.g. `--preset outdoor`",
    "back_wall": "Invent walls behind and beside the cameras, where nothing was seen, e.g. `--back-wall`",
    "max_triangles": "Largest number of triangles of a new collider, e.g. `--max-triangles 20000`",
    "with_physics_scene": "Add a physics scene, for a file that is opened and played on its own and not referenced, "
    "e.g. `--with-physics-scene --ground-check`",
    "ground_check": "Write nothing unless there is floor under every spawn pose for robots, e.g. `--ground-check`",
    "motion": "How Gaussians that move are stored: `samples` blends arrays between instants; `clips` does so over "
    "several layers, for long scenes; `rigid` moves whole parts by their transforms, where a renderer does not redraw "
    "arrays; `frames` shows one prim per instant; `auto` is samples, or clips above 512 MiB, e.g. `--motion frames`",
    "fps": "Files of a sequence per second, and time codes per second of a scene that moves; 24 unless IN says more, "
    "e.g. `--fps 30`",
    "bodies": "Collision shape of parts that move as a whole: `hull`, `parts` for several convex ones, or `none`, e.g. "
    "`--bodies none`",
    "at": "Take one moment of a scene that moves [s], as a scene that does not, e.g. `--at 1.5`",
    "ros_map": "Also write the occupancy map for ROS map_server to this folder, e.g. `--ros-map maps`",
}
"""One sentence with an example per argument."""
