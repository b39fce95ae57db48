# SPDX-License-Identifier: Apache-2.0
"""What a data set is: settings that every run and every machine must share, and the items it is made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.stage_results import identity
from lyra_core.synthesis.engine import view_numbers
from lyra_core.synthesis.folders import OWN
from lyra_core.synthesis.items import Item, Kind
from lyra_core.synthesis.members import Frames
from lyra_core.synthesis.sample import REVERSED_OFFSET
from lyra_core.synthesis.video_file import require_video_codec
from lyra_core.weights.manifest import Manifest
from lyra_core.weights.presets import Preset, load_preset

Layout = Literal["shards", "folders"]
"""Sharded tars with an index, or the published folders."""

SETTINGS_NAME, ITEMS_NAME, CARD_NAME = "dataset.json", "items.jsonl", "README.md"

_SHAPING = ("image_size", "video_size", "frames", "paths", "fov_x", "movement", "warp_footprint", "foreground_masking",
            "hole_fill", "start_strength", "guardrail")  # fmt: skip
"""Fields of a preset that samples depend on."""


class Settings(BaseModel):
    """Everything the bytes of a data set depend on, beside the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    model: str
    """Name of the preset."""
    models: dict[str, Any]
    """Which networks: configuration and hash of the weights by part."""
    licence: str
    """Of the weights."""
    preset: dict[str, Any]
    """Sizes, paths and the like."""
    views: list[int]
    """Published numbers of the views."""
    layout: Layout
    frames: Frames
    samples_per_shard: int
    source: Kind
    """Where the items come from."""
    count: int
    """How many samples."""
    items_sha256: str
    """Of `items.jsonl`."""


@dataclass(frozen=True)
class Job:
    """A data set to make.

    Attributes:
        root: its folder.
        model: preset name, or the path of a preset file.
        items: all of its items, whichever machine makes them.
        source: where they come from.
        layout: how it is kept.
        frames: how frames are kept in shards; folders always hold .mp4.
        samples_per_shard: how many share a tar.
    """

    root: Path
    model: str
    items: tuple[Item, ...]
    source: Kind = "prompts"
    layout: Layout = "shards"
    frames: Frames = "png"
    samples_per_shard: int = 64

    @property
    def groups(self) -> list[tuple[Item, ...]]:
        """The items shard by shard."""
        starts = range(0, len(self.items), self.samples_per_shard)
        return [self.items[start : start + self.samples_per_shard] for start in starts]

    def settings(self) -> Settings:
        """What is written to `dataset.json`. Raises LyraError for an unknown model."""
        preset = load_preset(self.model)
        return Settings(
            model=preset.name,
            models=identity(preset, "image", "depth", "tokenizer", "teacher"),
            licence=Manifest.load(preset.weights_folder).licence,
            preset=_plain(preset),
            views=self._views(preset),
            layout=self.layout,
            frames="mp4" if self.layout == "folders" else self.frames,
            samples_per_shard=self.samples_per_shard,
            source=self.source,
            count=len(self.items),
            items_sha256=hashlib.sha256(_lines(self.items).encode()).hexdigest(),
        )

    def _views(self, preset: Preset) -> list[int]:
        """Published numbers; of videos the motion-reversed ones too."""
        numbers = view_numbers(preset.paths)
        return numbers + [number + REVERSED_OFFSET for number in numbers] if self.source == "vipe" else numbers

    def prepare(self) -> Settings:
        """Writes the settings to a new folder, or compares them with those of a folder that is to be gone on with.

        Raises LyraError when there is nothing to make, when the folder was made with other settings, or when videos
        are wanted and cannot be written here.
        """
        if not self.items:
            raise LyraError("there is nothing to make: give prompts, worlds, pictures or videos.")
        settings = self.settings()
        if settings.frames == "mp4":
            require_video_codec()
        folder = own_folder(self.root, self.layout)
        if layout_of(self.root) is not None:
            _require_same(settings, read_settings(self.root), self.root)
            return settings
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / ITEMS_NAME) as temporary:
            temporary.write_text(_lines(self.items), encoding="utf-8")
        with replacing(folder / SETTINGS_NAME) as temporary:
            temporary.write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return settings


def own_folder(root: Path, layout: Layout) -> Path:
    """Where settings, card and failures are."""
    return root / OWN if layout == "folders" else root


def layout_of(root: Path) -> Layout | None:
    """How a data set of ours is kept; None where there is none."""
    layouts: tuple[Layout, ...] = ("shards", "folders")
    return next((layout for layout in layouts if (own_folder(root, layout) / SETTINGS_NAME).is_file()), None)


def read_settings(root: Path) -> Settings:
    """The settings of a data set. Raises LyraError when there is none, or they are damaged."""
    layout = layout_of(root)
    if layout is None:
        raise LyraError(f"{root} is no data set of `lyra synthesize`: it has no {SETTINGS_NAME}.")
    path = own_folder(root, layout) / SETTINGS_NAME
    try:
        return Settings.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise LyraError(f"{path} is damaged. Restore it from a copy, or start in another folder.") from error


def read_items(root: Path) -> list[Item]:
    """The items of a data set of ours. Raises LyraError when they are missing or damaged."""
    path = own_folder(root, read_settings(root).layout) / ITEMS_NAME
    try:
        return [Item.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise LyraError(f"{path} is missing or damaged. Restore it from a copy.") from error


def _plain(preset: Preset) -> dict[str, Any]:
    return preset.model_dump(mode="json", include=set(_SHAPING))


def _lines(items: tuple[Item, ...]) -> str:
    """Pictures and videos by name: another machine may keep them elsewhere."""
    named = (
        item.model_copy(update={key: Path(path).name for key in ("image", "video") if (path := getattr(item, key))})
        for item in items
    )
    return "".join(item.model_dump_json(exclude_none=True) + "\n" for item in named)


def _require_same(wanted: Settings, found: Settings, root: Path) -> None:
    pairs = {name: (getattr(wanted, name), getattr(found, name)) for name in Settings.model_fields}
    differing = [name for name, (ours, theirs) in pairs.items() if ours != theirs]
    if differing:
        raise LyraError(
            f"{root} was begun with other settings ({', '.join(differing)}). Repeat the command it was begun with, or "
            "choose another folder."
        )
