# SPDX-License-Identifier: Apache-2.0
"""What several tests of the extension need: settings, stored scenes, a running job, the text of a stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.fake_worker import make_interpreter, write_scene

from fake_kit import FakeKit

if TYPE_CHECKING:
    from lyra.sim.session import Session

WORKER_PYTHON = "/persistent/exts/lyra.sim/worker_python"
OUTPUT_DIR = "/persistent/exts/lyra.sim/output_dir"

REQUEST: dict[str, Any] = {
    "job": "kitchen",
    "mode": "text",
    "prompt": "a small kitchen",
    "input": None,
    "seed": 3,
    "model": "mini",
    "collider": True,
}


def settings(folder: Path, behaviour: str = "ok") -> dict[str, str]:
    """Settings of a worker that behaves in a certain way, with its scenes in `folder`."""
    return {WORKER_PYTHON: str(make_interpreter(folder, behaviour)), OUTPUT_DIR: str(folder / "scenes")}


def start(kit: FakeKit, folder: Path, behaviour: str = "ok", **more: Any) -> Session:
    """Enable the extension with such a worker; `more` are further settings below /exts/lyra.sim."""
    for path, value in settings(folder, behaviour).items():
        kit.settings[path] = value
    for name, value in more.items():
        kit.settings[f"/exts/lyra.sim/{name}"] = value
    return kit.start_extension()._session  # type: ignore[attr-defined]


def store_scene(folder: Path, **changes: Any) -> Path:
    """A complete scene as a worker leaves it."""
    folder.mkdir(parents=True)
    write_scene(folder, {**REQUEST, "job": folder.name, **changes})
    return folder


def texts(stage: Any) -> list[str]:
    """The layers of a stage that can be edited."""
    return [layer.ExportToString() for layer in stage.GetLayerStack()]


def stop(kit: FakeKit) -> list[str]:
    """Disable the extension; what it left behind. A cancelled coroutine needs one frame to end."""
    kit.stop_extension()
    kit.app.pump()
    return kit.leaks()
