# SPDX-License-Identifier: Apache-2.0
"""Depth from models of optional libraries, each behind `DepthEstimator` and under its own name in provenance."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.conditioning.depth import DepthEstimate, Intrinsics
from lyra_core.local_models import local_model, model_name, optional_module
from lyra_core.memory.storage import lent

DEFAULT_TRANSFORMERS_MODEL = "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
"""Metric depth for rooms, Apache-2.0; the larger sizes of the family are not for commercial use."""

_SMALLEST_RELATIVE_INVERSE = 0.02
_SMALLEST_METRIC_INVERSE = 1e-4
"""What is farther than ten kilometres has no known depth [1/m]."""


class MogeDepth:
    """MoGe: depth and an estimated field of view. What it masks out (mostly sky) stays masked.

    Args:
        weights: model file, folder or name that MoGe's `from_pretrained` takes.
        version: 1, which the published data was made with, gives relative depth; 2 gives metres.

    Attributes:
        device: where the network works; its weights are in main memory otherwise.

    Raises:
        LyraError: MoGe is not installed.
    """

    def __init__(self, weights: str, version: Literal[1, 2] = 1) -> None:
        library = optional_module(f"moge.model.v{version}", "MoGe", "this depth model")
        self.model = library.MoGeModel.from_pretrained(weights).eval()
        self.metric = version == 2
        self.source = f"moge-{version}:{model_name(weights)}"
        self.device = torch.device("cpu")

    @torch.no_grad()
    def __call__(self, image: Tensor) -> DepthEstimate:
        """Depth at the size of the image `[H, W, 3]`."""
        with lent(self.model, self.device):
            output = self.model.infer(image.movedim(-1, 0).to(self.device))
        z, mask, lens = (output[name].to(image.device) for name in ("depth", "mask", "intrinsics"))
        height, width = image.shape[:2]
        (fx, _, cx), (_, fy, cy), _ = lens
        intrinsics = torch.stack((fx * width, fy * height, cx * width, cy * height))
        mask = mask & z.isfinite()
        return DepthEstimate(torch.where(mask, z, 0.0), mask, intrinsics, self.source, self.metric)


class TransformersDepth:
    """A depth-estimation model of the transformers library.

    Models of metric depth predict metres, those that also predict a field of view (apple/DepthPro-hf, whose licence is
    for research) inverse depth for a unit lens. All others predict inverse depth up to a factor and an offset; the
    smallest value is taken as the far end of a bounded range.

    Args:
        assumed_intrinsics: of an image whose camera is unknown.
        model: name on the hub, as far as it was downloaded before, or a local folder.

    Attributes:
        device: where the network works; its weights are in main memory otherwise.

    Raises:
        LyraError: transformers is not installed, or the model is not there.
    """

    def __init__(self, assumed_intrinsics: Intrinsics, model: str = DEFAULT_TRANSFORMERS_MODEL) -> None:
        library = optional_module("transformers", "transformers", "this depth model")
        self.processor = local_model(library.AutoImageProcessor, model)
        self.model = local_model(library.AutoModelForDepthEstimation, model).eval()
        self.assumed_intrinsics = assumed_intrinsics
        self.source = f"transformers:{model_name(model)}"
        self.device = torch.device("cpu")

    @torch.no_grad()
    def __call__(self, image: Tensor) -> DepthEstimate:
        """Depth at the size of the image `[H, W, 3]`."""
        height, width = image.shape[:2]
        inputs = self.processor(images=image.movedim(-1, 0), do_rescale=False, return_tensors="pt")
        with lent(self.model, self.device):
            output = self.model(**inputs.to(self.device))
        values = functional.interpolate(output.predicted_depth[:, None].float(), (height, width), mode="bilinear")
        values, lens = values[0, 0].to(image.device), torch.tensor(self.assumed_intrinsics(height, width))
        z, metric = values, getattr(self.model.config, "depth_estimation_type", "relative") == "metric"
        angle = getattr(output, "field_of_view", None)
        if angle is not None:
            focal = 0.5 * width / math.tan(0.5 * math.radians(float(angle)))
            inverse, metric = values * width / focal, True
            z = torch.where(inverse > _SMALLEST_METRIC_INVERSE, 1.0 / inverse, 0.0)
            lens = torch.tensor((focal, focal, 0.5 * width, 0.5 * height))
        elif not metric:
            z = 1.0 / (values / values.max()).clamp_min(_SMALLEST_RELATIVE_INVERSE)
        mask = (z > 0) & z.isfinite()
        return DepthEstimate(torch.where(mask, z, 0.0), mask, lens, self.source, metric)
