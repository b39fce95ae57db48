# SPDX-License-Identifier: Apache-2.0
"""The product of a video: Gaussians that stand still, Gaussians that move, and the scene they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.dynamic.split import SplitReport
from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import RenderOutput, render
from lyra_core.scene import Scene

if TYPE_CHECKING:
    from usd_export.dynamic.cloud import DynamicCloud


@dataclass
class DynamicScene:
    """A moving scene in scene units; `still.frame` leads to metres.

    Attributes:
        still: what does not move as a scene of its own: it has the frame, the collider and the provenance.
        moving: the other Gaussians at every instant; row i is the same one at all of them.
        times: of the instants [s], ascending `[T]`.
        cameras: of the video's frames at the instants `[T]`.
        report: what the split into static and moving measured.
    """

    still: Scene
    moving: tuple[Gaussians, ...]
    times: Tensor
    cameras: Cameras
    report: SplitReport

    def __post_init__(self) -> None:
        """Raises LyraError where instants, times and cameras do not go together."""
        counts = {len(gaussians) for gaussians in self.moving}
        if len(self.moving) != len(self.times) or len(self.cameras) != len(self.times) or len(counts) != 1:
            raise LyraError(
                f"a moving scene needs one set of Gaussians, of equal counts, and one camera per time; got "
                f"{len(self.moving)} sets of {sorted(counts)}, {len(self.times)} times and {len(self.cameras)} cameras."
            )
        if not bool((self.times.diff() > 0).all()):
            raise LyraError("the times of a moving scene must ascend without repetition.")

    @property
    def provenance(self) -> dict[str, Any]:
        """Where everything came from; that of `still`."""
        return self.still.provenance

    @property
    def duration(self) -> float:
        """From the first to the last instant [s]."""
        return float(self.times[-1] - self.times[0])

    def at(self, time: float) -> Gaussians:
        """All Gaussians at a time [s]: blended between instants, the first or the last one outside of them."""
        return Gaussians.cat([self.still.gaussians, self.moving_at(time)])

    def moving_at(self, time: float) -> Gaussians:
        """The moving Gaussians at a time [s], blended linearly; quaternions along the shorter way."""
        later = int(torch.searchsorted(self.times, torch.tensor(float(time)).clamp(self.times[0], self.times[-1])))
        if later == 0:
            return self.moving[0]
        first, second = self.times[later - 1], self.times[later]
        share = float((min(max(time, float(first)), float(second)) - first) / (second - first))
        return blended(self.moving[later - 1], self.moving[later], share)

    def camera_at(self, time: float) -> Cameras:
        """The camera of the instant nearest to a time [s], batch shape []."""
        return self.cameras[int((self.times - time).abs().argmin())]

    @torch.no_grad()
    def render(self, cameras: Cameras, times: Tensor | list[float], **options: Any) -> RenderOutput:
        """Pictures of cameras `[N]` at times `[N]` [s], in the scene's own projection; `options` as for `render`."""
        options = {"projection": self.still.projection, **options}
        pictures = [
            render(self.at(float(time)), camera, **options) for camera, time in zip(_each(cameras), times, strict=True)
        ]
        return RenderOutput(*(torch.stack(part) for part in zip(*pictures, strict=True)))

    def pruned(self, max_count: int) -> DynamicScene:
        """At most `max_count` Gaussians on view: the moving ones, and the most opaque static ones.

        Raises LyraError where the moving ones alone are more.
        """
        count = len(self.moving[0])
        if count >= max_count:
            raise LyraError(f"{count} Gaussians move, more than the {max_count} that were allowed. Allow more.")
        kept = self.still.gaussians.prune(max_count=max_count - count)
        return replace(self, still=replace(self.still, gaussians=kept))

    def to_cloud(self) -> DynamicCloud:
        """As numpy, for the exporters."""
        from usd_export.dynamic.cloud import DynamicCloud

        return DynamicCloud(
            self.still.gaussians.to_cloud(), tuple(gaussians.to_cloud() for gaussians in self.moving),
            self.times.double().numpy(),
        )  # fmt: skip

    @cached_property
    def trusted_viewpoints(self) -> np.ndarray:
        """Points `[N, 3]` [scene units]: see `Scene.trusted_viewpoints`."""
        return self.still.trusted_viewpoints

    def save(self, path: Path | str, **options: Any) -> list[Path]:
        """Writes the scene; what a suffix means and which options there are is said in `lyra_core.dynamic.saving`."""
        from lyra_core.dynamic.saving import save_dynamic

        return save_dynamic(self, Path(path), **options)


def blended(first: Gaussians, second: Gaussians, share: float) -> Gaussians:
    """Linear blend of two sets of the same Gaussians, as USD blends time samples; quaternions are normalised."""
    sign = torch.where((first.quats * second.quats).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    return Gaussians(
        torch.lerp(first.means, second.means, share),
        torch.lerp(first.scales, second.scales, share),
        functional.normalize(torch.lerp(first.quats, sign * second.quats, share), dim=-1),
        torch.lerp(first.opacities, second.opacities, share),
        torch.lerp(first.colors, second.colors, share),
    )


def _each(cameras: Cameras) -> list[Cameras]:
    return [cameras[index] for index in range(len(cameras))]
