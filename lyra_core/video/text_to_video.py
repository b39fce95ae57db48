# SPDX-License-Identifier: Apache-2.0
"""Videos from any text-to-video pipeline of diffusers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn

from lyra_core.errors import LyraError
from lyra_core.local_models import local_model, model_name, optional_module
from lyra_core.memory.storage import cast_weights, lent

_MULTIPLE = 16
"""Every known pipeline takes sides that are multiples of this [px]."""


class DiffusersVideos:
    """A pipeline that makes videos from sentences; the folder says of which class it is.

    Attributes:
        device: where the networks work; their weights are in main memory otherwise.
        source: its name, for provenance.
    """

    def __init__(self, model: str, options: dict[str, Any] | None = None) -> None:
        """Loads the pipeline.

        Args:
            model: name on the hub, as far as it was downloaded before, or a local folder.
            options: of a call of the pipeline, e.g. `num_inference_steps`.

        Raises LyraError when transformers is not installed, or the model is not there.
        """
        optional_module("transformers", "transformers", "text-to-video")
        library = optional_module("diffusers", "diffusers", "text-to-video")
        self.pipeline = local_model(library.DiffusionPipeline, model)
        self.pipeline.set_progress_bar_config(disable=True)
        self.options = options or {}
        self.source = f"diffusers:{model_name(model)}"
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @torch.no_grad()
    def __call__(self, prompt: str, frames: int, height: int, width: int, *, seed: int) -> np.ndarray:
        """RGB uint8 `[F, H, W, 3]`; sides are rounded up to what pipelines take, F may be what the model prefers.

        Raises LyraError for an empty prompt, and for a pipeline that makes no videos.
        """
        if not prompt.strip():
            raise LyraError("the prompt is empty. Describe the scene and what moves in it.")
        size = {"height": -(-height // _MULTIPLE) * _MULTIPLE, "width": -(-width // _MULTIPLE) * _MULTIPLE}
        networks = [part for part in self.pipeline.components.values() if isinstance(part, nn.Module)]
        with ExitStack() as stack:
            for network in networks:
                if self.device.type != "cpu":
                    cast_weights(network, torch.bfloat16)
                stack.enter_context(lent(network, self.device))
            try:
                output = self.pipeline(
                    prompt, num_frames=frames, **size, generator=torch.Generator().manual_seed(seed),
                    output_type="np", **self.options,
                )  # fmt: skip
            except TypeError as error:
                raise LyraError(f"{self.source} is no text-to-video pipeline ({error}). Choose one that is.") from error
        video = getattr(output, "frames", None)
        if video is None:
            raise LyraError(f"{self.source} made no video. Choose a text-to-video pipeline.")
        values = np.asarray(video[0], np.float32)
        if values.ndim != 4 or values.shape[-1] != 3 or not np.isfinite(values).all():
            raise LyraError(f"{self.source} made an unusable video of shape {list(values.shape)}, or with NaN in it.")
        return (values.clip(0, 1) * 255).round().astype(np.uint8)
