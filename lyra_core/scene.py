# SPDX-License-Identifier: Apache-2.0
"""The product of the corridor: Gaussians with the picture, depth, cameras and provenance they came from."""

from __future__ import annotations

from dataclasses import dataclass
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

        points = unproject_grid(self.depth.z, self.depth.intrinsics)[self.depth.mask]
        return estimate_frame(
            points.numpy(),
            self.input_camera.c2w.numpy(),
            self.metres_per_unit,
            self.provenance["scale_source"],
            metric=self.depth.metric,
        )

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
        return build_collider(self.gaussians.to_cloud(), self.frame, [view])

    def bounds(self) -> tuple[list[float], list[float]]:
        """Smallest and largest corner of all Gaussian centres [m]."""
        points = self.frame.apply(self.gaussians.means.numpy())
        return points.min(0).tolist(), points.max(0).tolist()

    def save(self, path: Path | str, *, collider: bool = True) -> list[Path]:
        """Writes `.usdz`, `.ply` or (no suffix) a folder with `scene.usda`; returns the written files.

        Raises UsdExportError when the suffix is unknown or the place cannot be written; nothing is left half done.
        """
        from usd_export.scene_writer import write_scene

        return write_scene(
            Path(path),
            self.gaussians.to_cloud(),
            self.frame,
            collider=self.collider if collider else None,
            provenance=self.provenance,
            camera_hull=self.trusted_viewpoints,
        )
