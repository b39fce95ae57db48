# SPDX-License-Identifier: Apache-2.0
"""What the viewer shows: a scene from any file that can be opened, in world metres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.info import info_rows, scene_info
from usd_export.layout import Encoding
from usd_export.placement.baking import bake_frame
from usd_export.prims.cameras import CameraPath
from usd_export.provenance import SceneRecord
from usd_export.robotics import Robotics, build_robotics
from usd_export.scene_reader import open_scene

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Content:
    """One opened scene.

    Attributes:
        path: The file or folder.
        cloud: Its Gaussians, in their own frame.
        record: Frame to world metres, provenance, cameras.
        collider: Collision mesh in the frame of the cloud, if any.
        facts: Label and text, the most asked for first.
        encoding: How a corrected copy stores the Gaussians.
        half: Whether it does so in half precision.
    """

    path: Path
    cloud: GaussianCloud
    record: SceneRecord
    collider: ColliderMesh | None
    facts: tuple[tuple[str, str], ...]
    encoding: Encoding
    half: bool

    @cached_property
    def world_cloud(self) -> GaussianCloud:
        """The Gaussians in world metres."""
        return bake_frame(self.cloud, self.record.frame)

    @cached_property
    def world_cameras(self) -> tuple[CameraPath, ...]:
        """The camera paths in world metres."""
        frame = self.record.frame
        return tuple(replace(path, c2w=frame.apply_to_cameras(path.c2w)) for path in self.record.cameras)

    @cached_property
    def robotics(self) -> Robotics | None:
        """Spawn poses and navigable region; None without a collider."""
        if self.collider is None:
            return None
        return build_robotics(self.collider, self.record.frame, self.record.camera_hull)

    def enlarged(self, factor: float) -> Content:
        """The same scene with all lengths multiplied."""
        return replace(self, record=replace(self.record, frame=self.record.frame.enlarged(factor)))

    @property
    def warnings(self) -> list[str]:
        """What the scene says about its own shortcomings."""
        found = self.record.provenance.get("warnings")
        return [str(line) for line in found] if isinstance(found, list) else []


def open_content(path: Path) -> Content:
    """Opens a splat file, a USD file or a scene folder.

    Raises UsdExportError when it cannot be read.
    """
    cloud, record, collider = open_scene(path)
    info = scene_info(path)
    found = {part["encoding"] for part in info["encodings"]}
    if found >= {"particlefield", "nurec"}:
        encoding: Encoding = "universal"
    else:
        encoding = "nurec" if "nurec" in found else "particlefield"
    half = any(part.get("precision") == "half" for part in info["encodings"] if part["encoding"] == "particlefield")
    return Content(path, cloud, record, collider, tuple(info_rows(info)), encoding, half)
