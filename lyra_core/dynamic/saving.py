# SPDX-License-Identifier: Apache-2.0
"""Moving scenes as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lyra_core.errors import LyraError

if TYPE_CHECKING:
    from lyra_core.dynamic.scene import DynamicScene
    from usd_export.dynamic.motion import Motion
    from usd_export.options import EncodingChoice


def save_dynamic(
    scene: DynamicScene,
    path: Path,
    *,
    collider: bool = True,
    encoding: EncodingChoice = "auto",
    physics_scene: bool = False,
    motion: Motion | None = None,
) -> list[Path]:
    """Writes a moving scene; returns the written files.

    Args:
        scene: what to write.
        path: `.usdz`, or (no suffix) a folder with `scene.usda`: one scene with motion. A splat file such as
            `walk.ply`: a sequence `walk_0000.ply`, `walk_0001.ply` ..., one whole scene per instant.
        collider: whether to write the collision mesh of what stands still, kinematic bodies of what moves as a whole,
            and what robots need to know.
        encoding: only particle fields know motion; `auto` takes them.
        physics_scene: whether the file brings its own physics scene.
        motion: how USD stores the motion; None decides by size.

    Raises UsdExportError as `write_scene`, and LyraError for an encoding that stores no motion.
    """
    from usd_export.scene_target import require_scene_target
    from usd_export.scene_writer import write_scene

    if encoding not in ("auto", "particlefield"):
        raise LyraError(f"encoding {encoding} stores no motion. Use particlefield, or leave it out.")
    if require_scene_target(path) == "splats":
        return save_sequence(scene, path)
    still, cloud = scene.still, scene.to_cloud()
    return write_scene(
        path, cloud.clustered() if collider else cloud, still.frame, motion=motion,
        collider=still.collider if collider else None, provenance=still.provenance,
        camera_hull=still.trusted_viewpoints, encoding="particlefield", robotics=still.robotics if collider else None,
        cameras=still.generating_cameras, physics_scene=physics_scene,
    )  # fmt: skip


def save_sequence(scene: DynamicScene, path: Path) -> list[Path]:
    """Writes one splat file per instant beside `path`: `walk.ply` becomes `walk_0000.ply` and so on.

    The provenance of each tells its time. Raises UsdExportError where one cannot be written; each is whole or absent.
    """
    from usd_export.dynamic.cloud import DynamicCloud
    from usd_export.formats.splat_writer import write_splats
    from usd_export.provenance import SceneRecord

    cloud: DynamicCloud = scene.to_cloud()
    files = sequence_files(path, len(scene.times))
    for file, time in zip(files, scene.times.tolist(), strict=True):
        provenance = {**scene.provenance, "time_seconds": round(time, 6)}
        write_splats(file, cloud.at(time), SceneRecord(scene.still.frame, provenance, scene.still.trusted_viewpoints))
    return files


def sequence_files(path: Path, count: int) -> list[Path]:
    """Names of a sequence of `count` splat files; `.compressed.ply` keeps both its suffixes."""
    stem, dot, suffix = path.name.partition(".")
    digits = max(4, len(str(count - 1)))
    return [path.with_name(f"{stem}_{number:0{digits}d}{dot}{suffix}") for number in range(count)]
