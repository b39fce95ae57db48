# SPDX-License-Identifier: Apache-2.0
"""From a prompt to one stored scene: the same words and seed are generated once and found again afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lyra.sim.errors import LyraSimError
from lyra.sim.protocol import REQUEST_FILE, Request

if TYPE_CHECKING:
    from lyra.sim.library import StoredScene


def resolve_scene(request: Request, poll_fn: Callable[[], Any] | None = None) -> StoredScene:
    """The stored scene that was made for a request of mode `text`, generated now if there is none.

    Args:
        request: What is wanted; `job` does not matter.
        poll_fn: Called while a generation is waited for; by default nothing is, and the application stands still.

    Raises:
        LyraSimError: If there is no prompt, or the generation failed.
    """
    from lyra.sim import api

    if not (request.prompt and request.prompt.strip()):
        raise LyraSimError(
            "there is nothing to generate: give a prompt, or the path of a scene's root file as usd_path"
        )
    for scene in api.list_scenes():
        if stored_request(scene) == _comparable(request):
            return scene
    return api.generate(
        request.prompt,
        model=request.model,
        seed=request.seed,
        max_gaussians=request.max_gaussians,
        encoding=request.encoding,
        collider=request.collider,
        collider_preset=request.collider_preset,
        camera_height_m=request.camera_height_m,
        poll_fn=poll_fn or _stand_still,
    )


def stored_request(scene: StoredScene) -> Request | None:
    """What a stored scene was made for, with an empty `job`; None if its folder does not say."""
    try:
        request = Request.from_json((scene.folder / REQUEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return _comparable(request)


def _comparable(request: Request) -> Request:
    return replace(request, job="")


def _stand_still() -> None:
    """Wait without letting the application draw: at start-up nothing else is to be done."""
