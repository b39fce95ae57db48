# SPDX-License-Identifier: Apache-2.0
"""Parameters out of a TorchScript archive, without running or even reading the program in it.

The archive is a zip: `NAME/data.pkl` pickles the tree of modules, `NAME/data/KEY` holds the bytes of each storage. The
pickle is read with an unpickler that knows tensors, plain containers and "some module", and refuses all else.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_core.errors import LyraError

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class _Module:
    """Stands for an object of any class the archive defines; keeps its attributes."""

    attributes: dict[str, Any]

    def __new__(cls, *arguments: object) -> _Module:
        """Whatever the pickle passes to the class it believes this is, is ignored."""
        module = super().__new__(cls)
        module.attributes = {}
        return module

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.attributes = state


def is_zip(path: Path) -> bool:
    """Whether the file starts as a zip (an old pickle may well end in one)."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive (a file of `torch.save` has no constants)."""
    if not is_zip(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers by their module path.

    Raises LyraError for a damaged archive, for one whose pickle asks for anything but tensors, and for one without
    tensors in its modules (a frozen program keeps them as unnamed constants).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            state = dict(_tensors(_Unpickler(archive).load()))
    except _Refused as error:
        raise LyraError(
            f"{path} is an archive that asks for {error}, which weights never need: refused, nothing of it was "
            "executed. Fetch the file again from its publisher."
        ) from error
    except Exception as error:  # a damaged pickle raises nearly anything
        text = " ".join(str(error).split())
        raise LyraError(f"{path} is truncated or corrupt ({text[:200]}). Fetch it again.") from error
    if not state:
        raise LyraError(f"{path} has no named parameters. Take the file of weights (model.pt) instead.")
    return state


class _Refused(pickle.UnpicklingError):
    """The pickle wants something that is not on the list; the message is its name."""


class _Unpickler(pickle.Unpickler):
    """Reads `data.pkl` of an archive; every name it may resolve is listed in `_ALLOWED`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise pickle.UnpicklingError("the archive has no data.pkl")
        self._root = pickles[0].removesuffix("data.pkl")
        super().__init__(archive.open(pickles[0]))

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage, as a flat tensor: pid is ("storage", element type, key, device, number of elements)."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise _Refused(f"a {kind}")
        entry = self._archive.getinfo(f"{self._root}data/{key}")
        if entry.compress_type != zipfile.ZIP_STORED:  # torch never compresses; a small entry must not grow
            raise pickle.UnpicklingError(f"storage {key} is compressed")
        if count == 0:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(bytearray(self._archive.read(entry)), dtype=dtype, count=count)


def _rebuild_tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return torch.as_strided(storage, size, stride, offset).contiguous()


def _first(value: object, *_: object) -> object:
    return value


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch.jit._pickle", "restore_type_tag"): _first,
    ("torch.jit._pickle", "build_intlist"): _first,
    ("torch.jit._pickle", "build_doublelist"): _first,
    ("torch.jit._pickle", "build_boollist"): _first,
    ("torch.jit._pickle", "build_tensorlist"): _first,
}


def _tensors(root: object, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    if not isinstance(root, _Module):
        raise pickle.UnpicklingError("the archive's root is no module")
    for name, value in root.attributes.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")
