# SPDX-License-Identifier: Apache-2.0
"""Models of optional libraries, from this machine only: nothing is downloaded behind the user's back."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lyra_core.errors import LyraError


def optional_module(module: str, package: str, purpose: str) -> Any:
    """An optional library's module. Raises LyraError when it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise LyraError(f"{purpose} needs the package {package}, which is missing. Install it first.") from error


def local_model(kind: Any, model: str, **options: Any) -> Any:
    """What `kind.from_pretrained` makes of a local folder, or of a hub name that was downloaded before.

    Raises LyraError when it is neither, or holds something else.
    """
    try:
        return kind.from_pretrained(model, local_files_only=True, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LyraError(
            f"model {model!r} is not on this machine, or cannot be read ({reason}). "
            f"Fetch it with `hf download {model}`, or give a local folder."
        ) from error


def model_name(model: str) -> str:
    """What provenance calls a model: its name on the hub, or the name of its folder or file."""
    return Path(model).name if Path(model).exists() else model
