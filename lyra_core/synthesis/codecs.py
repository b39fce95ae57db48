# SPDX-License-Identifier: Apache-2.0
"""Arrays to bytes and back: the same arrays give the same bytes, and reading never runs anything."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from safetensors import numpy as safetensors


def encode_json(value: Any) -> bytes:
    """Sorted and indented."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 `[H, W, 3]`, or bool `[H, W]` as one bit a pixel."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png", compress_level=6)
    return stream.getvalue()


def decode_png(content: bytes) -> np.ndarray:
    """Inverse of `encode_png`. Raises OSError or SyntaxError for damaged bytes."""
    with Image.open(io.BytesIO(content), formats=("png",)) as picture:
        return np.array(picture)


def encode_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Compressed; NumPy dates the members of its archives 1980, so the bytes do not depend on the day."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def decode_npz(content: bytes) -> dict[str, np.ndarray]:
    """Inverse of `encode_npz`; pickled objects are refused. Raises ValueError or OSError for damaged bytes."""
    with np.load(io.BytesIO(content), allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def encode_tensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A safetensors file."""
    return safetensors.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def decode_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Inverse of `encode_tensors`. Raises SafetensorError for damaged bytes."""
    return safetensors.load(content)
