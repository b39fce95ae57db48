# SPDX-License-Identifier: Apache-2.0
"""Generated scenes in Isaac Lab.

    from lyra.sim.isaaclab import LyraSceneCfg, shared_scene

`orientation` runs anywhere; `LyraSceneCfg` and what belongs to it import Isaac Lab on first use, so only after its
`AppLauncher` has started the application.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lyra.sim.isaaclab.orientation import lab_quaternion, quaternion_from_yaw
    from lyra.sim.isaaclab.scene_cfg import LyraSceneCfg, collision_mesh_path, shared_scene, spawn_lyra_scene

_HOMES = {
    "lab_quaternion": "orientation",
    "quaternion_from_yaw": "orientation",
    "LyraSceneCfg": "scene_cfg",
    "collision_mesh_path": "scene_cfg",
    "shared_scene": "scene_cfg",
    "spawn_lyra_scene": "scene_cfg",
}

__all__ = [
    "LyraSceneCfg",
    "collision_mesh_path",
    "lab_quaternion",
    "quaternion_from_yaw",
    "shared_scene",
    "spawn_lyra_scene",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
