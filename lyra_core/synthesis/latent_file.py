# SPDX-License-Identifier: Apache-2.0
"""`latent/<clip>.pkl`: a NumPy array in a file of `torch.save`, read without running what a pickle could bring.

The pickle's calls for NumPy are answered by inert stand-ins; any other call is refused. The array is then built from
the type, the shape and the bytes that the stand-ins were given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_core.errors import LyraError
from lyra_core.files import replacing

_TYPES = ("f4", "f2", "f8")


def write_latents(path: Path, latents: np.ndarray) -> None:
    """Writes `[16, T, h, w]` as the published float32 `[1, 16, T, h, w]`."""
    with replacing(path) as temporary:
        torch.save(_Portable(np.ascontiguousarray(latents[None], np.float32)), temporary)


def read_latents(path: Path) -> np.ndarray:
    """Latents `[16, T, h, w]`, float32, of a published file or one of `write_latents`.

    Raises LyraError when the file is missing, damaged, holds something else or asks for more than an array.
    """
    allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (_StandIn, "numpy.ndarray"),
        (_Type, "numpy.dtype"),
        (_rebuilt, "numpy.core.multiarray._reconstruct"),
        (_rebuilt, "numpy._core.multiarray._reconstruct"),
    ]
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
        array = content.numpy() if isinstance(content, torch.Tensor) else content.array()
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise LyraError(f"{path} is no readable latent file ({reason}). Make it or fetch it again.") from error
    if array.ndim != 5 or array.shape[0] != 1:
        raise LyraError(f"{path} holds an array of shape {list(array.shape)} instead of [1, 16, T, h, w].")
    return array[0].astype(np.float32)


class _Portable:
    """Pickles as a call of `numpy.ndarray`, which every version of NumPy has under this name; its helpers move."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, ...]:
        return np.ndarray, (self.array.shape, self.array.dtype.str, bytearray(self.array.tobytes()))


class _Type:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: str, *flags: bool) -> None:
        self.name = name
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type, if it is one of floating point."""
        name = self.name.lstrip("<>=|")
        if name not in _TYPES:
            raise ValueError(f"type {self.name!r} is not one of latents")
        return np.dtype((">" if ">" in (self.order, self.name[0]) else "<") + name)


class _StandIn:
    """Stands for `numpy.ndarray`."""

    def __init__(self, shape: tuple[int, ...] = (), kind: str = "", content: bytes | bytearray = b"") -> None:
        self.shape, self.kind, self.content = shape, _Type(kind), content

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.kind, fortran, self.content = state
        if fortran:
            raise ValueError("columns-first arrays are not latents")

    def array(self) -> np.ndarray:
        """What the pickle described."""
        return np.frombuffer(self.content, self.kind.dtype).reshape(self.shape)


def _rebuilt(kind: type[_StandIn], *rest: Any) -> _StandIn:
    """Stands for NumPy's helper that makes an empty array, whose state follows."""
    return kind()
