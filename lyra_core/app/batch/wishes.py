# SPDX-License-Identifier: Apache-2.0
"""The list of a batch: JSON lines (or plain prompts) to wishes, one per scene."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lyra_core import __version__
from lyra_core.errors import LyraError
from lyra_core.stage_results import identity
from lyra_core.weights.manifest import sha256
from lyra_core.weights.presets import load_preset, one_line
from lyra_core.weights.quality import QualityName
from usd_export.options import EncodingChoice
from usd_export.options import Preset as ColliderPreset

MAX_VARIATIONS = 10_000
_MAX_LINE = 1_000_000
_MAX_SEED = 2**63 - 1
_SLUG = 40
_KEY = 12


class Line(BaseModel):
    """One line of a list. Only `prompt` or `image` is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str | None = None
    """What to show."""
    image: Path | None = None
    """A picture instead; relative to the list."""
    depth: Path | None = None
    """Depth map of that picture."""
    seed: int = Field(default=0, ge=0, le=_MAX_SEED)
    """Seed of the first variation; the others follow."""
    variations: int = Field(default=1, ge=1, le=MAX_VARIATIONS)
    """How many scenes, each with a seed of its own."""
    model: str = "mini"
    """Preset name, or the path of a preset file."""
    quality: QualityName = "standard"
    """Time against quality."""
    max_gaussians: int | None = Field(default=None, ge=1)
    """Keep the most opaque ones only."""
    encoding: EncodingChoice = "auto"
    """How the Gaussians are stored."""
    collider_preset: ColliderPreset = "indoor"
    """Kind of scene the collider is built for."""
    camera_height: str | None = None
    """Height of the camera above the floor, e.g. "1.2" [m]."""

    @model_validator(mode="after")
    def _one_source(self) -> Line:
        if (self.prompt is None) == (self.image is None):
            raise ValueError("give either a prompt or an image")
        if self.prompt is not None and not self.prompt.strip():
            raise ValueError("the prompt is empty")
        if self.depth and not self.image:
            raise ValueError("a depth map belongs to an image")
        return self


class Wish(BaseModel):
    """One scene to be made.

    Attributes:
        name: of its folder: words of the prompt, then the key.
        key: hash of all that the scene depends on; the same wish has the same key in every list.
        line: where it stands in the list, from 1.
        seed: its own.
        text: the line, with paths that work from anywhere.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    key: str
    line: int
    seed: int
    text: Line

    @property
    def title(self) -> str:
        """What a person calls it."""
        return self.text.prompt or (self.text.image.name if self.text.image else "")


@dataclass(frozen=True)
class BadLine:
    """A line that asks for nothing that can be made."""

    line: int
    reason: str

    @property
    def name(self) -> str:
        """Of its record."""
        return f"line-{self.line:06d}"


def read_wishes(path: Path, *, model: str | None = None) -> tuple[list[Wish], list[BadLine]]:
    """The scenes that a list asks for, each once, and the lines that are no good.

    Args:
        path: `.jsonl`: one JSON object per line, see `Line`; any other suffix: one prompt per line, # begins a comment.
        model: for lines that name none.

    Raises LyraError when the list cannot be read, holds nothing, or names a model that is not there.
    """
    wishes: dict[str, Wish] = {}
    bad: list[BadLine] = []
    models = _Models()
    for number, text in enumerate(_lines(path), start=1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        try:
            line = _parse(text, path, model)
            wishes.update({wish.key: wish for wish in _expand(line, number, models) if wish.key not in wishes})
        except (ValidationError, ValueError) as error:
            bad.append(BadLine(number, one_line(error)))
        except OSError as error:
            bad.append(BadLine(number, f"{error.filename} cannot be read ({error.strerror})"))
    if not wishes and not bad:
        raise LyraError(f'{path} asks for nothing. Write one line per scene, e.g. {{"prompt": "a small kitchen"}}.')
    return list(wishes.values()), bad


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LyraError(f"{path} cannot be read ({error.strerror}). Give a list of prompts.") from error
    return data.decode("utf-8-sig", errors="replace").splitlines()


def _parse(text: str, path: Path, model: str | None) -> Line:
    if len(text) > _MAX_LINE:
        raise ValueError(f"the line has {len(text)} characters, which no prompt needs")
    if "\ufffd" in text:
        raise ValueError("the line is not UTF-8")
    values: Any = json.loads(text) if path.suffix.lower() == ".jsonl" else {"prompt": text.strip()}
    if not isinstance(values, dict):
        raise ValueError("the line is no JSON object")
    line = Line.model_validate({**({"model": model} if model else {}), **values})
    paths = {name: (path.parent / value).absolute() for name in ("image", "depth") if (value := getattr(line, name))}
    return line.model_copy(update=paths)


class _Models:
    """Which weights the presets mean; each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            preset = load_preset(name)
            preset.require_files()
            parts = identity(preset, "image", "depth", "tokenizer", "teacher", "decoder")
            self._known[name] = {"preset": preset.model_dump(mode="json"), "parts": parts}
        return self._known[name]


def _expand(line: Line, number: int, models: _Models) -> list[Wish]:
    files = {name: sha256(path) for name in ("image", "depth") if (path := getattr(line, name))}
    shared = line.model_dump(mode="json", exclude={"seed", "variations", "image", "depth", "model"})
    facts = {"version": __version__, "model": models[line.model], "files": files, "line": shared}
    wishes = []
    for seed in range(line.seed, line.seed + line.variations):
        content = json.dumps({**facts, "seed": seed}, sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()
        title = line.prompt or (line.image.stem if line.image else "")
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_SLUG].rstrip("-") or "scene"
        wishes.append(Wish(name=f"{slug}-{key[:_KEY]}", key=key, line=number, seed=seed, text=line))
    return wishes
