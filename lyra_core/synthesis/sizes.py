# SPDX-License-Identifier: Apache-2.0
"""How large a data set will be, before anything is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lyra_core.synthesis.job import Job, Settings
from lyra_core.synthesis.sample import LATENT_CHANNELS, PIXELS_PER_LATENT, latent_frames
from lyra_core.weights.presets import load_preset

_PNG_SHARE = 0.35
"""Of the raw bytes, measured on procedural worlds; photographs need about half as much again."""

_MP4_BITS = 0.25
"""Bits a pixel at the quality that is written."""

_DEPTH_SHARE = 0.25
"""Of half-precision depth after deflate, measured likewise; of the input's single precision twice that."""


@dataclass(frozen=True)
class Forecast:
    """Sizes of a data set [bytes]; latents and cameras are exact, the rest is estimated.

    Attributes:
        settings: of the data set.
        samples: how many samples this machine makes.
        latents: of one sample, with its cameras.
        frames: of one sample.
        depth: of one sample, with its masks.
        input: picture and depth of one sample.
    """

    settings: Settings
    samples: int
    latents: int
    frames: int
    depth: int
    input: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values [bytes]."""
        parts = {f"{name}_bytes": getattr(self, name) for name in ("latents", "frames", "depth", "input")}
        return {"samples": self.samples, **parts, "sample_bytes": self.sample, "total_bytes": self.total}

    @property
    def sample(self) -> int:
        """One sample."""
        return self.latents + self.frames + self.depth + self.input

    @property
    def total(self) -> int:
        """All samples of this machine; a shard needs its own size once more while it is closed."""
        return self.sample * self.samples


def forecast(job: Job, samples: int) -> Forecast:
    """What `samples` samples of a job will need. Raises LyraError for an unknown model."""
    settings, preset = job.settings(), load_preset(job.model)
    (height, width), views = preset.video_size, len(settings.views)
    pixels = views * preset.frames * height * width
    cell = PIXELS_PER_LATENT**2
    latents = 4 * LATENT_CHANNELS * len(preset.paths) * latent_frames(preset.frames) * height * width // cell
    rows, columns = preset.image_size
    return Forecast(
        settings,
        samples,
        latents=latents + 4 * 20 * views * preset.frames,
        frames=round(pixels * (_MP4_BITS / 8 if settings.frames == "mp4" else 3 * _PNG_SHARE)),
        depth=round(2 * _DEPTH_SHARE * pixels),
        input=round(rows * columns * (3 * _PNG_SHARE + 4 * 2 * _DEPTH_SHARE)),
    )


def show(plan: Forecast) -> list[tuple[str, str]]:
    """The forecast as labels and texts."""
    settings = plan.settings
    shards = -(-settings.count // settings.samples_per_shard)
    layout = f"{shards} shards of {settings.samples_per_shard}" if settings.layout == "shards" else "published folders"
    return [
        ("samples", f"{plan.samples:,} of {settings.count:,} on this machine, {layout}"),
        ("videos", f"{len(settings.views)} a sample, {settings.preset['frames']} frames, model {settings.model}"),
        ("latents", f"{_bytes(plan.latents)} a sample"),
        ("frames", f"about {_bytes(plan.frames)} a sample as {settings.frames}"),
        ("depth", f"about {_bytes(plan.depth)} a sample"),
        ("input", f"about {_bytes(plan.input)} a sample"),
        ("in all", f"about {_bytes(plan.total)}"),
    ]


def _bytes(count: int) -> str:
    """In the largest unit that leaves a number of at least one."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"
