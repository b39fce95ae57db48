# SPDX-License-Identifier: Apache-2.0
"""The product of the corridor: Gaussians with the picture, depth, cameras and provenance they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.warp import unproject_grid
from lyra_core.gaussians import Gaussians
from lyra_core.rendering.render import Projection

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh
    from usd_export.frame import Frame
    from usd_export.options import EncodingChoice, Preset
    from usd_export.placement.scale import Measurement
    from usd_export.prims.cameras import CameraPath
    from usd_export.robotics import Robotics


GUESSED_REACH = 0.5
"""Share of the camera paths from which a scene of guessed depth still looks right."""


@dataclass
class Scene:
    """A static scene in scene units; `frame` leads to metres.

    Attributes:
        gaussians: the scene.
        image: the input image `[H, W, 3]`.
        depth: its depth at the same size [scene units].
        measured_depth: the same as it came, in metres or without a unit.
        input_camera: the camera of the image; it defines the scene's axes (OpenCV).
        path_cameras: the paths the decoder saw `[V, F]`; see `trusted_viewpoints`.
        metres_per_unit: length of one scene unit [m].
        projection: how the Gaussians are meant to be rendered.
        provenance: where everything came from; no clock times.
        collider_preset: kind of scene the collider is built for.
        camera_height: height of the input camera above the floor, if somebody knows it; decides the scale.
    """

    gaussians: Gaussians
    image: Tensor
    depth: DepthEstimate
    measured_depth: DepthEstimate
    input_camera: Cameras
    path_cameras: Cameras
    metres_per_unit: float
    projection: Projection
    provenance: dict[str, Any]
    collider_preset: Preset = "indoor"
    camera_height: Measurement | None = None

    @property
    def trusted_viewpoints(self) -> np.ndarray:
        """Points `[V * F, 3]` [scene units] in whose convex hull the picture can be trusted.

        The camera centres of the paths; those of a guessed depth drawn halfway back to the input camera.
        """
        start = self.input_camera.c2w[:3, 3]
        reach = GUESSED_REACH if self.depth.guessed else 1.0
        return (start + reach * (self.path_cameras.c2w[..., :3, 3] - start)).reshape(-1, 3).numpy()

    @cached_property
    def frame(self) -> Frame:
        """The one matrix to metres, Z-up, floor at z = 0."""
        from usd_export.frame import estimate_frame
        from usd_export.placement.scale import frame_from_camera_height

        points = unproject_grid(self.depth.z, self.depth.intrinsics)[self.depth.mask]
        camera = self.input_camera.c2w.numpy()
        frame = estimate_frame(
            points.numpy(), camera, self.metres_per_unit, self.provenance["scale_source"], metric=self.depth.metric
        )
        return frame_from_camera_height(frame, camera[None, :3, 3], self.camera_height) if self.camera_height else frame

    @cached_property
    def collider(self) -> ColliderMesh:
        """The collision mesh, in scene units."""
        from usd_export.collision import DepthView, build_collider

        view = DepthView(
            z=self.depth.z.numpy(),
            mask=self.depth.mask.numpy(),
            intrinsics=self.depth.intrinsics.numpy(),
            c2w=self.input_camera.c2w.numpy(),
        )
        return build_collider(self.gaussians.to_cloud(), self.frame, [view], preset=self.collider_preset)

    @cached_property
    def robotics(self) -> Robotics:
        """Spawn poses, occupancy map and navigable region, from the collider."""
        from usd_export.robotics import build_robotics

        return build_robotics(self.collider, self.frame, self.trusted_viewpoints)

    @property
    def generating_cameras(self) -> list[CameraPath]:
        """The camera paths under their names, in scene units."""
        from usd_export.prims.cameras import CameraPath

        cameras = self.path_cameras
        return [
            CameraPath(name, c2w.numpy(), intrinsics[0].numpy(), cameras.width, cameras.height)
            for name, c2w, intrinsics in zip(
                self.provenance["camera_paths"], cameras.c2w, cameras.intrinsics, strict=True
            )
        ]

    def scaled_to(self, camera_height: Measurement) -> Scene:
        """The scene enlarged until its input camera is that high above the floor; the provenance says so.

        Raises UsdExportError if the camera is not above the floor.
        """
        from usd_export.provenance import with_frame_warnings

        scaled = replace(self, camera_height=camera_height)
        frame = scaled.frame
        scaled.provenance = {
            **self.provenance,
            "scale_source": frame.scale_source,
            "warnings": with_frame_warnings(self.provenance["warnings"], frame),
        }
        return scaled

    def bounds(self) -> tuple[list[float], list[float]]:
        """Smallest and largest corner of all Gaussian centres [m]."""
        points = self.frame.apply(self.gaussians.means.numpy())
        return points.min(0).tolist(), points.max(0).tolist()

    def save(
        self,
        path: Path | str,
        *,
        collider: bool = True,
        encoding: EncodingChoice = "auto",
        physics_scene: bool = False,
    ) -> list[Path]:
        """Writes `.usdz`, a file of splats, or (no suffix) a folder with `scene.usda`; returns the written files.

        Args:
            path: where to.
            collider: whether to write the collision mesh, and what robots need to know.
            encoding: how Gaussians are stored; `auto` is universal in a folder, else a particle field.
            physics_scene: whether the file brings its own physics scene; only for files that nobody references.

        Raises UsdExportError when the suffix is unknown, the encoding does not go with it, or the place cannot be
        written; nothing is left half done.
        """
        from usd_export.scene_target import default_encoding, require_scene_target
        from usd_export.scene_writer import write_scene

        solid = collider and require_scene_target(path) != "splats"
        return write_scene(
            path,
            self.gaussians.to_cloud(),
            self.frame,
            collider=self.collider if solid else None,
            provenance=self.provenance,
            camera_hull=self.trusted_viewpoints,
            encoding=default_encoding(path) if encoding == "auto" else encoding,
            robotics=self.robotics if solid else None,
            cameras=self.generating_cameras,
            physics_scene=physics_scene,
        )
