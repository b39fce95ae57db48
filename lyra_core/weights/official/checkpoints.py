# SPDX-License-Identifier: Apache-2.0
"""Tensors out of the released `.pt` and `.jit` files. Both are pickles; neither gets to run anything."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.weights.official.torchscript import is_torchscript, is_zip, read_torchscript

_WRAPPERS = ("module", "model")
"""Entries that hold the weights: of DeepSpeed's files, of Cosmos' files."""


def read_state(path: Path) -> dict[str, Tensor]:
    """All named tensors of a released file, in their stored precision, memory-mapped where the format allows it.

    Args:
        path: `.pt` with the weights in "module", in "model" or at the top, or a TorchScript archive.

    Raises LyraError when the file is missing, damaged, wants to run code, or holds no named tensors.
    """
    if path.is_file() and is_torchscript(path):
        return read_torchscript(path)
    content = read_pickle(path)
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping):
        raise LyraError(f"{path} holds a {type(content).__name__}, no named weights. Is it the released file?")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise LyraError(f"{path} holds no weights. Is it the released file?")
    return state


def read_pickle(path: Path) -> Any:
    """The content of a file of `torch.save`, tensors and plain containers only. Raises as `read_state`."""
    if not path.is_file():
        raise LyraError(f"{path} does not exist. Fetch it with `lyra models pull`, or say where it is with --from.")
    try:
        # Transformer Engine keeps empty byte streams beside its weights; they are dropped later.
        with torch.serialization.safe_globals([io.BytesIO]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip(path))
    except Exception as error:  # a damaged pickle raises nearly anything
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> LyraError:
    text = " ".join(str(error).split())
    wanted = re.search(r"(?:GLOBAL|Unsupported global:|function) ([\w.]+\.[\w.]+)", text)
    if wanted:
        return LyraError(
            f"{path} is a pickle that asks for {wanted[1]}, which weights never need: refused, nothing of it was "
            "executed. Fetch the file again from its publisher."
        )
    if "Weights only load failed" in text:  # torch goes on to recommend the unsafe way
        text = "its pickle is not one that torch.save writes"
    return LyraError(f"{path} is truncated, corrupt or no file of weights ({text[:200] or 'empty'}). Fetch it again.")
