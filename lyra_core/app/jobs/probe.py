# SPDX-License-Identifier: Apache-2.0
"""What this installation can do, in a few seconds and whatever is broken: `--probe`."""

from __future__ import annotations

import platform
import shutil
import sys
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from lyra_core import __version__
from lyra_core.app.doctor import REQUIRED

VERSION = 1
_PATIENCE = 20.0
"""Time that torch gets to load [s]."""
_LITTLE_SPACE = 1 << 30
_OLDEST_PYTHON = (3, 11)


def probe() -> dict[str, Any]:
    """Plain JSON values: versions, GPUs, models, free disk, and what is wrong as `problems`. Raises nothing."""
    problems: list[str] = []

    def look(subject: str, at: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return at()
        except (Exception, SystemExit) as error:
            problems.append(f"{subject}: {type(error).__name__}: {' '.join(str(error).split())}")
            return otherwise

    report = {
        "v": VERSION,
        "python": platform.python_version(),
        "executable": sys.executable,
        "versions": look("versions", lambda: _versions(problems), {}),
        "gpus": (gpus := look("torch", lambda: _gpus(problems), [])),
        "cuda": bool(gpus),
        "models": look("models", lambda: _models(problems), []),
        "disk_free_bytes": look("disk", lambda: _free_disk(problems), 0),
    }
    look("OpenUSD", _load_usd, None)
    if sys.version_info < _OLDEST_PYTHON:
        problems.append(f"Python {platform.python_version()} is too old; 3.11 or newer is needed")
    return {**report, "problems": problems}


def _versions(problems: list[str]) -> dict[str, str]:
    versions = {"lyra-sim": __version__}
    for name in REQUIRED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            problems.append(f"{name} is not installed; install lyra-sim again")
    return versions


def _gpus(problems: list[str]) -> list[dict[str, Any]]:
    """The GPUs torch can use; loaded aside, because a cold disk can take longer than a user waits."""
    found: list[dict[str, Any]] = []
    errors: list[Exception] = []

    def load() -> None:
        try:
            found.extend(_torch_gpus())
        except Exception as error:
            errors.append(error)

    loading = threading.Thread(target=load, daemon=True)
    loading.start()
    loading.join(_PATIENCE)
    if loading.is_alive():
        problems.append(f"torch is still loading after {_PATIENCE:g} s, as on a first start; check again")
        return []
    if errors:
        raise errors[0]
    return found


def _torch_gpus() -> list[dict[str, Any]]:
    import torch

    if not torch.cuda.is_available():
        return []
    every = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in every]


def _load_usd() -> None:
    from pxr import Usd  # noqa: F401


def _models(problems: list[str]) -> list[dict[str, Any]]:
    """Every preset, and whether its files are there; `lyra doctor` also compares their hashes."""
    from lyra_core.weights.presets import load_preset, preset_names

    models = []
    for name in preset_names():
        preset = load_preset(name)
        missing = preset.missing_files
        detail = f"{', '.join(missing)} expected in {preset.weights_folder}" if missing else "weights are in place"
        models.append(
            {
                "name": name,
                "summary": preset.summary,
                "quality_tier": preset.quality_tier,
                "ready": not missing,
                "detail": detail,
            }
        )
    if not any(model["ready"] for model in models):
        problems.append("no model has its weights in place; install lyra-sim again")
    return models


def _free_disk(problems: list[str]) -> int:
    free = shutil.disk_usage(Path.cwd()).free
    if free < _LITTLE_SPACE:
        problems.append(f"only {free / 1e6:.0f} MB are free in {Path.cwd()}")
    return free
