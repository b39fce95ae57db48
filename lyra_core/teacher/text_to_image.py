# SPDX-License-Identifier: Apache-2.0
"""Pictures from any text-to-image pipeline of diffusers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lyra_core.errors import LyraError
from lyra_core.fitting import fit_image
from lyra_core.images import quantized
from lyra_core.local_models import local_model, model_name, optional_module
from lyra_core.memory.storage import cast_weights, lent
from lyra_core.teacher.image import BaseView


@dataclass(frozen=True)
class ImageModel:
    """A text-to-image model that is known to do well.

    Attributes:
        name: on the hub.
        licence: of its weights.
        options: of its pipeline, where the library's own defaults are wrong for it.
    """

    name: str
    licence: str
    options: dict[str, Any] = field(default_factory=dict)


DEFAULT_MODEL = ImageModel(
    "black-forest-labs/FLUX.1-schnell", "Apache-2.0", {"num_inference_steps": 4, "guidance_scale": 0.0}
)
"""12 billion parameters, of the family whose pictures the published data was made from; four steps."""

_MULTIPLE = 16
"""Every known pipeline takes sides that are multiples of this [px]."""


class DiffusersImages:
    """A pipeline that diffusers' `AutoPipelineForText2Image` knows.

    Attributes:
        device: where the networks work; their weights are in main memory otherwise.
    """

    def __init__(self, model: str = DEFAULT_MODEL.name, options: dict[str, Any] | None = None) -> None:
        """Loads the pipeline.

        Args:
            model: name on the hub, as far as it was downloaded before, or a local folder.
            options: of a call of the pipeline, e.g. `num_inference_steps`; None for those that are known to be right.

        Raises LyraError when transformers is not installed, or the model is not there.
        """
        optional_module("transformers", "transformers", "text-to-image")
        library = optional_module("diffusers", "diffusers", "text-to-image")
        self.pipeline = local_model(library.AutoPipelineForText2Image, model)
        self.pipeline.set_progress_bar_config(disable=True)
        known = DEFAULT_MODEL.options if model == DEFAULT_MODEL.name else {}
        self.options = known if options is None else options
        self.source = f"diffusers:{model_name(model)}"
        self.device = torch.device("cpu")

    @torch.no_grad()
    def __call__(self, prompt: str, height: int, width: int, *, seed: int) -> BaseView:
        """The picture, height x width pixels.

        Raises LyraError for an empty prompt, and when the pipeline's own filter refuses the picture.
        """
        if not prompt.strip():
            raise LyraError("the prompt is empty. Describe the scene.")
        size = {"height": _rounded_up(height), "width": _rounded_up(width)}
        networks = [part for part in self.pipeline.components.values() if isinstance(part, nn.Module)]
        with ExitStack() as stack:
            for network in networks:
                if self.device.type != "cpu":
                    cast_weights(network, torch.bfloat16)
                stack.enter_context(lent(network, self.device))
            output = self.pipeline(
                prompt, **size, generator=torch.Generator().manual_seed(seed), output_type="pt", **self.options
            )
        if any(getattr(output, "nsfw_content_detected", None) or ()):
            raise LyraError(f"the filter of {self.source} refused the picture. Choose another prompt or seed.")
        image = output.images[0].float().cpu().clamp(0, 1).movedim(0, -1)
        notes = {"prompt": prompt, "image_options": self.options}
        return BaseView(quantized(fit_image(image, height, width)), None, self.source, notes=notes)


def _rounded_up(side: int) -> int:
    return -(-side // _MULTIPLE) * _MULTIPLE
