# SPDX-License-Identifier: Apache-2.0
"""Presets: one YAML file holds every number that distinguishes one model from another.

Every default below is the published behaviour; the embedded model is the same classes with other numbers.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from lyra_core.errors import LyraError
from lyra_core.weights.quality import QUALITIES, QualityName

_FOLDER = Path(__file__).with_name("presets")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Component(_Strict):
    """One exchangeable part of the corridor."""

    kind: str
    """Which implementation, e.g. "embedded"."""
    file: str | None = None
    """Its weight file inside the weights folder; None for a part without weights."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Constructor options of the implementation."""


class Preset(_Strict):
    """All configuration of one model."""

    name: str
    """What provenance calls the model."""
    summary: str
    """One sentence for `lyra doctor` and error messages."""
    quality_tier: str
    """Label that travels with every scene."""
    trained_on: str
    """What the weights have seen."""
    weights: str
    """Folder of the weight files: absolute, from the home folder (~), or relative to the YAML file."""
    weights_source: str = ""
    """Where missing weights can be fetched, for the error message."""

    image: Component
    """Text to image."""
    depth: Component
    """Image to depth, used when the user brings none."""
    tokenizer: Component
    """Video to latents."""
    teacher: Component
    """Guidance to latents of the generated videos."""
    decoder: Component
    """Latents to Gaussians."""

    image_size: tuple[int, int] = (704, 1280)
    """Height and width of the input image [px]."""
    video_size: tuple[int, int] = (704, 1280)
    """Height and width of the generated videos [px]."""
    frames: int = 121
    """Frames per camera path, 1 modulo 8."""
    paths: tuple[str, ...] = ("left", "right", "up", "zoom_out", "zoom_in", "clockwise")
    """Camera paths, in the decoder's order."""
    fov_x: float = 70.0
    """Horizontal field of view assumed for an image that states none [degrees]."""
    movement: Literal["published", "clearance"] = "published"
    """Length of the paths: as published, or limited by the free space in front of the camera."""
    warp_footprint: Literal["bilinear", "adaptive"] = "bilinear"
    """How a cached point is splatted into a new view."""
    foreground_masking: bool = True
    """Whether bilinear splats drop what the foreground may have hidden from the input view."""
    hole_fill: Literal["none", "background"] = "none"
    """What the teacher sees where the cache sees nothing."""
    start_strength: float = Field(default=1.0, ge=0.0, le=1.0)
    """Noise level the teacher starts from: 1 pure noise, 0 the encoded guidance itself."""
    projection: Literal["ewa", "ut"] = "ut"
    """Splatting the decoder is trained and scored with."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of weights and activations on a GPU; a CPU always works in float32."""
    guardrail: Literal["none", "cosmos"] = "none"
    """What looks at prompts and videos for unsafe content, where it is installed."""
    refine_iterations: int = Field(default=0, ge=0)
    """Steps of colour back-projection that pull the main view towards the input image."""
    max_gaussians: int | None = Field(default=None, ge=1)
    """Most Gaussians a scene keeps, the most opaque ones, unless the caller says otherwise; None keeps all."""
    assumed_median_depth: float = 2.5
    """Median depth given to a scene of unknown scale [m]."""

    _path: Path = PrivateAttr()
    _quality: QualityName = PrivateAttr("standard")

    @property
    def quality(self) -> QualityName:
        """Which of `QUALITIES` the numbers stand for."""
        return self._quality

    @property
    def weights_folder(self) -> Path:
        """Absolute folder of the weight files."""
        return (self._path.parent / Path(self.weights).expanduser()).resolve()

    @property
    def samples(self) -> bool:
        """Whether the teacher makes its videos with a diffusion model."""
        return self.teacher.kind == "gen3c" and self.start_strength > 0.0

    @property
    def files(self) -> list[str]:
        """Names of all weight files."""
        parts = (self.image, self.depth, self.tokenizer, self.teacher, self.decoder)
        text = self.teacher.config.get("text")
        return [*(part.file for part in parts if part.file), *([text] if text else [])]

    @property
    def missing_files(self) -> list[str]:
        """Those that are not in the weights folder."""
        return [file for file in self.files if not (self.weights_folder / file).exists()]

    def require_files(self) -> None:
        """Raises LyraError naming every weight file that is not there, and where it is expected."""
        if self.missing_files:
            origin = f" Fetch them from {self.weights_source}." if self.weights_source else ""
            raise LyraError(
                f"model {self.name!r} needs weights that are not here: {', '.join(self.missing_files)}, "
                f"expected in {self.weights_folder}.{origin}"
            )

    def assumed_intrinsics(self, height: int, width: int) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy [px] of a picture that states none: same diagonal field of view as at `image_size`."""
        reference_height, reference_width = self.image_size
        focal = 0.5 * reference_width / math.tan(math.radians(0.5 * self.fov_x))
        focal *= math.hypot(height, width) / math.hypot(reference_height, reference_width)
        return focal, focal, 0.5 * width, 0.5 * height


def with_quality(preset: Preset, quality: QualityName = "standard", steps: int | None = None) -> Preset:
    """The preset at another quality.

    Args:
        preset: as it was loaded.
        quality: see `QUALITIES`.
        steps: of the sampler; overrides the quality's.

    Raises LyraError for steps below 1, and for steps of a model that samples nothing.
    """
    chosen = QUALITIES[quality]
    changes: dict[str, Any] = {"refine_iterations": round(chosen.refinement * preset.refine_iterations)}
    if preset.samples:
        changes["teacher"] = _with_steps(preset.teacher, chosen.steps, steps)
    elif steps is not None:
        raise LyraError(f"model {preset.name!r} has no sampler, so it takes no number of steps. Leave them out.")
    changed = preset.model_copy(update=changes)
    changed._quality = quality
    return changed


def _with_steps(teacher: Component, share: float, steps: int | None) -> Component:
    from lyra_core.teacher.sampler import SamplerConfig

    sampler = teacher.config.get("sampler", {})
    if steps is None:
        steps = max(round(share * sampler.get("steps", SamplerConfig().steps)), 1)
    if steps < 1:
        raise LyraError(f"{steps} sampler steps make no video. Give at least 1.")
    return teacher.model_copy(update={"config": {**teacher.config, "sampler": {**sampler, "steps": steps}}})


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_preset(name: str) -> Preset:
    """The preset called `name`, or the one in the YAML file at path `name`.

    Raises LyraError for an unknown name or a file that is no preset.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"
    known = preset_names()
    if not path.is_file() or (path.parent == _FOLDER and name not in known):
        raise LyraError(f"unknown model {name!r}. Known: {', '.join(known)}; or give the path of a preset .yaml.")
    try:
        preset = Preset.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LyraError(f"{path} is not a preset: {one_line(error)}") from error
    preset._path = path.absolute()
    return preset


def one_line(error: Exception) -> str:
    """The first thing that is wrong, in one line."""
    if isinstance(error, ValidationError):
        detail = error.errors()[0]
        return f"{'.'.join(map(str, detail['loc'])) or 'content'}: {detail['msg']}"
    return " ".join(str(error).split())
