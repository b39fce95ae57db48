# SPDX-License-Identifier: Apache-2.0
"""The embedded text-to-image stage: a sentence becomes a procedural world, of which ONE view with its depth is kept."""

from __future__ import annotations

import torch

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.images import quantized
from lyra_core.synthetic.grammar import render_world
from lyra_core.synthetic.prompt_world import world_from_prompt
from lyra_core.teacher.image import BaseView

SOURCE = "procedural-grammar"


class ProceduralImages:
    """Builds the world that serves a prompt best and photographs it once."""

    def __init__(self, supersample: int = 2) -> None:
        """supersample: colour samples per pixel side."""
        self.supersample = supersample

    def __call__(self, prompt: str, height: int, width: int, *, seed: int) -> BaseView:
        """The base view and its exact depth in metres. Raises LyraError for an empty prompt."""
        world, reading = world_from_prompt(prompt, seed)
        camera = world.base_camera(width, height)
        view = render_world(world, camera, supersample=self.supersample)
        depth = DepthEstimate(
            z=view.z,
            mask=torch.ones_like(view.z, dtype=torch.bool),
            intrinsics=camera.intrinsics,
            source="exact:procedural",
            metric=True,
        )
        notes = {
            "prompt": prompt,
            "theme": world.theme,
            "theme_reason": reading.theme_reason,
            "caption": world.caption,
            "not_understood": list(reading.not_understood),
        }
        return BaseView(quantized(view.rgb), depth, SOURCE, reading.notices, notes)
