# SPDX-License-Identifier: Apache-2.0
"""Stage results on disk: a killed run goes on where it was, and a changed setting recomputes only what depends on it.

A stage is known by its name and by everything that went into it: numbers, texts and tensors. Its result is one
safetensors file; `stages.json` beside it says what went in (tensors by their hash) and which hash the file must have.
What is missing, damaged or made from something else is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, uint8

from lyra_core.errors import LyraError
from lyra_core.files import replacing

MANIFEST_NAME = "stages.json"
_ABOUT = "about"


class StageResult(NamedTuple):
    """What a stage made."""

    tensors: dict[str, Tensor]
    about: dict[str, Any]  # plain JSON values


Recall = Callable[[str, Mapping[str, Any], Callable[[], StageResult]], StageResult]
"""Called with (stage, what goes into it, how to make it): the result, made now or earlier."""


def recompute(stage: str, inputs: Mapping[str, Any], make: Callable[[], StageResult]) -> StageResult:
    """Remembers nothing."""
    return make()


class _Entry(BaseModel):
    """One stage in the manifest."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any]
    sha256: str


class Checkpoints:
    """A folder of stage results; may be used by several threads.

    Attributes:
        folder: where the results are; made when the first one is kept.
        recalled: stages that were not made again by this object, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recalled: list[str] = []
        self._lock = Lock()

    def __call__(self, stage: str, inputs: Mapping[str, Any], make: Callable[[], StageResult]) -> StageResult:
        """The result of a stage; see `Recall`. Raises OSError if it cannot be kept."""
        named = _described(inputs)
        known = self._read(stage, named)
        if known is not None:
            self.recalled.append(stage)
            return known
        result = make()
        self._keep(stage, named, result)
        return result

    def kept(self, stage: str) -> StageResult:
        """The result of a stage, whatever it was made from. Raises LyraError where it is missing or damaged."""
        entry = self._entries().get(stage)
        result = None if entry is None else self._read(stage, entry.inputs)
        if result is None:
            raise LyraError(
                f"{self.folder} holds no usable result of the stage {stage!r}. Make the scene again with "
                "`lyra generate --keep-intermediates`."
            )
        return result

    def only_kept(self, stage: str, inputs: Mapping[str, Any], make: Callable[[], StageResult]) -> StageResult:
        """As a `Recall`, but nothing is made: LyraError where the stage was made from something else."""
        result = self._read(stage, _described(inputs))
        if result is None:
            raise LyraError(
                f"{self.folder} holds no result of the stage {stage!r} for this model and these settings. Give the "
                "model the scene was made with."
            )
        return result

    def remove(self) -> None:
        """Removes all results, and the folder if nothing else is in it."""
        for path in (*self.folder.glob("*.safetensors"), self.folder / MANIFEST_NAME):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _read(self, stage: str, inputs: dict[str, Any]) -> StageResult | None:
        entry, path = self._entries().get(stage), self._path(stage)
        if entry is None or entry.inputs != inputs:
            return None
        try:
            if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
                return None
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})[_ABOUT])
                return StageResult({name: file.get_tensor(name) for name in file.keys()}, about)  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError):
            return None

    def _keep(self, stage: str, inputs: dict[str, Any], result: StageResult) -> None:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in result.tensors.items()}
        content = save(tensors, {_ABOUT: json.dumps(result.about, sort_keys=True)})
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(stage)) as temporary:
            temporary.write_bytes(content)
        entry = _Entry(inputs=inputs, sha256=hashlib.sha256(content).hexdigest())
        with self._lock:
            entries = {name: known.model_dump() for name, known in (self._entries() | {stage: entry}).items()}
            with replacing(self.folder / MANIFEST_NAME) as temporary:
                temporary.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def _entries(self) -> dict[str, _Entry]:
        """What the manifest lists; nothing if it is missing or damaged."""
        try:
            listed = json.loads((self.folder / MANIFEST_NAME).read_text(encoding="utf-8"))
            return {name: _Entry.model_validate(entry) for name, entry in listed.items()}
        except (OSError, ValueError, AttributeError, ValidationError):
            return {}

    def _path(self, stage: str) -> Path:
        return self.folder / f"{stage}.safetensors"


def _described(value: Any) -> Any:
    """A plain JSON value; a tensor in it as its type, shape and SHA-256."""
    if isinstance(value, Mapping):
        return {name: _described(item) for name, item in value.items()}
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().reshape(-1).view(uint8).numpy()
        digest = hashlib.sha256(content.data).hexdigest()
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} {digest}"
    return json.loads(json.dumps(value, sort_keys=True))
