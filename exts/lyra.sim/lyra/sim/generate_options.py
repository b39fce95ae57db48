# SPDX-License-Identifier: Apache-2.0
"""What can be said about a scene besides the prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict


class RequestOptions(TypedDict, total=False):
    """Wishes; everything has a default.

    Attributes:
        model: Name of a model, `mini` by default; a check of the environment lists them.
        seed: The same seed gives the same scene; 0 by default.
        max_gaussians: Keep at most this many, the most opaque ones; None keeps all.
        encoding: `universal` (the default, for every version of Kit), `particlefield` or `nurec`.
        collider: Whether the scene gets a collider; True by default.
        collider_preset: `indoor` (the default), `outdoor` or `object`.
        camera_height_m: Height of the camera above the floor [m], which sets the scale; None believes the model.
    """

    model: str
    seed: int
    max_gaussians: int | None
    encoding: str
    collider: bool
    collider_preset: str
    camera_height_m: float | None


class GenerateOptions(RequestOptions, total=False):
    """`RequestOptions` and the files a scene may start from.

    Attributes:
        image: A picture.
        video: A video.
        depth: Depth map of the picture [m].
    """

    image: Path | str | None
    video: Path | str | None
    depth: Path | str | None
