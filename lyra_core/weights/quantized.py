# SPDX-License-Identifier: Apache-2.0
"""Safetensors files that keep weights small: one byte per weight with a scale per row, or half precision.

A quantised tensor `name` of shape [R, ...] is stored as int8 `name` and float32 `name:scale` [R], value = int8 * scale
of its row (row = output channel of every torch layer); the error of a weight is at most half a scale, i.e. 1/254 of
the row's largest magnitude. A layer that is an identity plus something small would spend its levels on the identity:
there the two largest weights of each row are kept in float32 (`name:peak` [R, 2], `name:peak_index` [R, 2]) and the
scale is that of the rest. Vectors and small tensors are cheap and sensitive, so they stay float32. All metadata is one
JSON string, because safetensors does not order its metadata entries: equal content is equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.files import replacing, require_writable_folder

Storage = Literal["int8", "fp16", "fp32"]
StorageRule = Callable[[str, Tensor], Storage]
"""Decides the storage of one floating-point tensor from its name and value."""

SMALL = 1024
"""Tensors with fewer elements than this are never reduced to int8."""

PEAKS = 2
"""Weights per row that are kept exact where they are far above the rest."""

_SCALE, _PEAK, _PEAK_INDEX = ":scale", ":peak", ":peak_index"
_METADATA = "lyra"
_FP16_MAX = 65504.0


def quantize_rows(tensor: Tensor) -> dict[str, Tensor]:
    """Rounds each row of `tensor` [R, ...] to 255 levels.

    Returns:
        "" int8 of the same shape, ":scale" [R] float32, and where rows are dominated by a few weights (module text)
        ":peak" [R, PEAKS] float32 with ":peak_index" [R, PEAKS] int32 into the flattened row.
    """
    rows = tensor.detach().float().flatten(1)
    largest, index = rows.abs().topk(min(PEAKS + 1, rows.shape[1]), 1)
    scale, peaks = largest[:, 0] / 127, {}
    if rows.shape[1] > PEAKS and largest[:, -1].sum() < 0.5 * largest[:, 0].sum():
        index, scale = index[:, :PEAKS], largest[:, -1] / 127
        peaks = {_PEAK: rows.gather(1, index), _PEAK_INDEX: index.int()}
        rows = rows.scatter(1, index, 0.0)
    levels = (rows / scale.clamp_min(torch.finfo(torch.float32).tiny)[:, None]).round().clamp(-127, 127)
    return {"": levels.to(torch.int8).view(tensor.shape), _SCALE: scale} | peaks


def dequantize_rows(parts: Mapping[str, Tensor]) -> Tensor:
    """Inverse of `quantize_rows` up to rounding: float32 of the original shape."""
    rows = parts[""].float().flatten(1) * parts[_SCALE][:, None]
    if _PEAK in parts:
        rows = rows.scatter(1, parts[_PEAK_INDEX].long(), parts[_PEAK])
    return rows.view(parts[""].shape)


def save_weights(
    path: Path | str,
    tensors: Mapping[str, Tensor],
    storage: Storage | StorageRule = "int8",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes `tensors` to the safetensors file `path`, atomically.

    Args:
        path: target file; replaced only when the new one is complete.
        tensors: any shapes; integer and bool tensors are stored as they are.
        storage: for all tensors, or a rule per tensor. Whatever is asked, "int8" applies to tensors of two or more
            axes and at least `SMALL` elements, and "fp16" to values within its range; the rest stays float32.
        metadata: JSON-serialisable content that `read_metadata` gives back.
    """
    path = Path(path)
    require_writable_folder(path)
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stored |= _stored(name, tensor.detach().cpu(), storage)
    with replacing(path) as temporary:
        temporary.write_bytes(save(stored, {_METADATA: json.dumps(dict(metadata or {}), sort_keys=True)}))


def load_weights(path: Path | str, *, keep_bfloat16: bool = False) -> dict[str, Tensor]:
    """Reads a file of `save_weights` (or any safetensors file).

    Floating-point tensors come back as float32, except bfloat16 where it is kept: only foreign files have it, and
    those of released models are large.

    Raises LyraError when the file is missing, truncated or corrupt.
    """
    path = _present(path)
    try:
        with safe_open(path, "pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        names = [name for name in stored if not name.endswith((_SCALE, _PEAK, _PEAK_INDEX))]
        return {name: _restored(name, stored, keep_bfloat16) for name in names}
    except (SafetensorError, RuntimeError, KeyError, OSError) as error:
        raise _unreadable(path, error) from error


def read_metadata(path: Path | str) -> dict[str, Any]:
    """The metadata given to `save_weights`; empty for a foreign safetensors file. Raises as `load_weights`."""
    path = _present(path)
    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {}).get(_METADATA, "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _stored(name: str, tensor: Tensor, storage: Storage | StorageRule) -> dict[str, Tensor]:
    if not tensor.is_floating_point():
        return {name: tensor.contiguous()}
    kind = storage if isinstance(storage, str) else storage(name, tensor)
    if kind not in ("int8", "fp16", "fp32"):
        raise LyraError(f"storage {kind!r} of weight {name} is unknown. Use int8, fp16 or fp32.")
    if not tensor.isfinite().all():
        raise LyraError(f"weight {name} holds values that are not finite. Train again from the last good state.")
    if kind == "int8" and tensor.ndim >= 2 and tensor.numel() >= SMALL:
        return {name + part: value for part, value in quantize_rows(tensor).items()}
    if kind == "fp16" and float(tensor.abs().max() if tensor.numel() else 0) <= _FP16_MAX:
        return {name: tensor.half().contiguous()}
    return {name: tensor.float().contiguous()}


def _restored(name: str, stored: Mapping[str, Tensor], keep_bfloat16: bool) -> Tensor:
    if name + _SCALE not in stored:
        kept = not stored[name].is_floating_point() or (keep_bfloat16 and stored[name].dtype == torch.bfloat16)
        return stored[name] if kept else stored[name].float()
    parts = ("", _SCALE, _PEAK, _PEAK_INDEX)
    return dequantize_rows({part: stored[name + part] for part in parts if name + part in stored})


def _present(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise LyraError(f"weights {path} are missing. Fetch or train them and put them there.")
    return path


def _unreadable(path: Path, error: Exception) -> LyraError:
    return LyraError(f"weights {path} are truncated or corrupt ({error}). Fetch or train them again.")
