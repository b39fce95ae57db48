# SPDX-License-Identifier: Apache-2.0
"""What benchmarks look at: a generated warehouse hall, as a picture with depth and as a cloud in the published layout.

Lengths are in units of the picture's median depth, its camera is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder.config import COMPRESSION
from lyra_core.gaussians import Gaussians
from lyra_core.synthetic.grammar import World, make_world, render_world

SEED, THEME = 0, "warehouse"
OPACITY = 0.5


@dataclass(frozen=True)
class GeneratedView:
    """The base view of a generated world.

    Attributes:
        world: the world, in metres.
        image: `[H, W, 3]` in [0, 1].
        z: its depth `[H, W]`, median 1.
        lens: fx, fy, cx, cy `[4]` in pixels.
        unit: median depth [m].
    """

    world: World
    image: Tensor
    z: Tensor
    lens: Tensor
    unit: float

    @classmethod
    def make(cls, height: int, width: int) -> GeneratedView:
        """The hall at some image size [px]."""
        world = make_world(SEED, THEME)
        camera = world.base_camera(width, height)
        shown = render_world(world, camera, supersample=1)
        unit = float(shown.z.median())
        return cls(world, shown.rgb, shown.z / unit, camera.intrinsics, unit)

    def cloud(self, paths: Cameras, kept: int) -> Gaussians:
        """One Gaussian per 8 x 8 pixels of every frame of `paths` `[V, F]`, on the surface seen there; `kept` of them.

        They are round and reach to their neighbours (standard deviation: half a block). Those that are kept are evenly
        spaced in the order view, frame, row, column.
        """
        blocks = paths.resized(paths.height // COMPRESSION, paths.width // COMPRESSION)
        parts = [self._frame(blocks[view, frame]) for view in range(len(blocks)) for frame in range(blocks.shape[1])]
        means, sizes, colors = (torch.cat(part) for part in zip(*parts, strict=True))
        chosen = torch.arange(kept) * len(means) // kept
        return Gaussians(
            means=means[chosen],
            scales=sizes[chosen, None].expand(-1, 3).contiguous(),
            quats=torch.tensor((1.0, 0.0, 0.0, 0.0)).expand(kept, 4).contiguous(),
            opacities=torch.full((kept,), OPACITY),
            colors=colors[chosen],
        )

    def _frame(self, camera: Cameras) -> tuple[Tensor, Tensor, Tensor]:
        """Centres `[N, 3]`, standard deviations `[N]` and colours `[N, 3]` of one frame."""
        metres = camera.c2w.clone()
        metres[:3, 3] *= self.unit
        shown = render_world(self.world, replace(camera, c2w=self.world.camera.to(metres) @ metres), supersample=1)
        z = shown.z / self.unit
        origins, directions = camera.rays()
        means = origins + directions * (z / (directions @ camera.c2w[:3, 2]))[..., None]
        return means.reshape(-1, 3), (0.5 * z / camera.intrinsics[0]).reshape(-1), shown.rgb.reshape(-1, 3)
