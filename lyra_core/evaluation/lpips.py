# SPDX-License-Identifier: Apache-2.0
"""LPIPS (Zhang et al. 2018, version 0.1, VGG-16), from weight files that are already on this machine.

Nothing is downloaded and nothing stands in for it: without its weights the metric is named as missing.
"""

from __future__ import annotations

import os
import pickle
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from lyra_core.errors import LyraError

FOLDER_VARIABLE = "LYRA_LPIPS_WEIGHTS"
"""Environment variable with the folder of both files."""

BACKBONE_FILE, LINEAR_FILE = "vgg16-397923af.pth", "vgg.pth"
"""As torchvision and the package lpips (weights/v0.1) name them."""

_STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Numbers of the convolutions in torchvision's `features`; pooling lies between the stages."""

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class Lpips(nn.Module):
    """Perceptual distance of pictures, differentiable in both.

    Args:
        backbone: state of torchvision's VGG-16 (`features.<n>.weight`, `.bias`).
        linear: state of lpips' 1x1 layers (`lin<stage>.model.1.weight`).
    """

    def __init__(self, backbone: dict[str, Tensor], linear: dict[str, Tensor]) -> None:
        super().__init__()
        for number in (number for stage in _STAGES for number in stage):
            for part in ("weight", "bias"):
                self.register_buffer(f"{part}{number}", backbone[f"features.{number}.{part}"].float())
        for stage in range(len(_STAGES)):
            self.register_buffer(f"linear{stage}", linear[f"lin{stage}.model.1.weight"].float())

    def forward(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """Distance per image `[...]` of images `[..., H, W, 3]` in [0, 1]."""
        shape = prediction.shape[:-3]
        pair = [image.movedim(-1, -3).reshape(-1, 3, *image.shape[-3:-1]) for image in (prediction, reference)]
        distances = [
            functional.conv2d((a - b).square(), getattr(self, f"linear{stage}")).mean(dim=(1, 2, 3))
            for stage, (a, b) in enumerate(zip(*(self._features(image) for image in pair), strict=True))
        ]
        return torch.stack(distances).sum(dim=0).reshape(shape)

    def _features(self, images: Tensor) -> list[Tensor]:
        """Unit feature vectors `[N, C, h, w]` after each stage."""
        shift, scale = (images.new_tensor(values)[:, None, None] for values in (_SHIFT, _SCALE))
        x = (2 * images - 1 - shift) / scale
        features = []
        for stage, numbers in enumerate(_STAGES):
            x = functional.max_pool2d(x, 2) if stage else x
            for number in numbers:
                x = functional.conv2d(x, getattr(self, f"weight{number}"), getattr(self, f"bias{number}"), padding=1)
                x = functional.relu(x)
            features.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON))
        return features


def load_lpips() -> tuple[Lpips | None, str]:
    """The metric, or None and why it is missing.

    Looked for in the folder of LYRA_LPIPS_WEIGHTS, torch's hub cache, and the installed package lpips.

    Raises:
        LyraError: the files are there but are not LPIPS weights.
    """
    backbone, linear = _find(BACKBONE_FILE), _find(LINEAR_FILE)
    missing = [name for name, path in ((BACKBONE_FILE, backbone), (LINEAR_FILE, linear)) if path is None]
    if backbone is None or linear is None:
        return None, f"weights {' and '.join(missing)} are not here; set {FOLDER_VARIABLE} to their folder"
    try:
        states = [torch.load(path, map_location="cpu", weights_only=True) for path in (backbone, linear)]
        return Lpips(*states).eval(), ""
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise LyraError(f"{backbone} and {linear} are no LPIPS weights ({reason}). Download them again.") from error


def _find(name: str) -> Path | None:
    folders = [Path(torch.hub.get_dir()) / "checkpoints"]
    if os.environ.get(FOLDER_VARIABLE):
        folders.insert(0, Path(os.environ[FOLDER_VARIABLE]))
    package = find_spec("lpips")
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "weights" / "v0.1")
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
