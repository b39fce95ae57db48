# SPDX-License-Identifier: Apache-2.0
"""What a data set is to be made of: prompts from a file, procedural worlds or a language model; pictures; videos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from lyra_core.errors import LyraError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Suffixes that a folder of pictures is searched for."""

Kind = Literal["prompts", "worlds", "pictures", "llm", "vipe"]
"""Where items come from: a file of prompts, captions of procedural worlds, pictures, a language model, ViPE results."""

_LONGEST_STEM = 40


class Item(BaseModel):
    """One clip to make; exactly one of prompt, image and video is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Of the clip: its number, and for a picture the name of the file."""
    seed: int
    """Decides everything that is drawn for it."""
    prompt: str | None = None
    image: str | None = None
    """Path of the picture."""
    video: str | None = None
    """Path of the `rgb/<clip>.mp4` in a result folder of ViPE."""


def from_prompts(prompts: Sequence[str], seed: int = 0) -> list[Item]:
    """One clip per prompt; the n-th has seed `seed + n`."""
    return [Item(name=f"{n:06d}", seed=seed + n, prompt=prompt) for n, prompt in enumerate(prompts)]


def from_worlds(first_seed: int, count: int) -> list[Item]:
    """Prompts that describe procedural worlds, one per seed; nothing of a world but its caption is used."""
    from lyra_core.synthetic.grammar import make_world

    seeds = range(first_seed, first_seed + count)
    return [Item(name=f"{seed:06d}", seed=seed, prompt=make_world(seed).caption) for seed in seeds]


def unwritten(count: int, seed: int) -> list[Item]:
    """Stand-ins for items whose prompts are not written yet, e.g. to forecast sizes."""
    return from_prompts([""] * count, seed)


def from_pictures(folder: Path, seed: int = 0) -> list[Item]:
    """One clip per picture of a folder, by name. Raises LyraError when there is none."""
    paths = sorted(path for path in _listed(folder) if path.suffix.lower() in PICTURES)
    if not paths:
        raise LyraError(f"{folder} holds no picture ({', '.join(PICTURES)}).")
    return [
        Item(name=f"{n:06d}_{_plain(path.stem)}", seed=seed + n, image=str(path.absolute()))
        for n, path in enumerate(paths)
    ]


def from_vipe(folders: Sequence[Path], seed: int = 0) -> list[Item]:
    """One dynamic clip per video in the result folders of ViPE, folder by folder, by name.

    Raises LyraError for a folder without results, or one that lacks a file.
    """
    from lyra_core.video.vipe import vipe_clips

    paths = [folder / "rgb" / f"{clip}.mp4" for folder in folders for clip in vipe_clips(folder)]
    return [
        Item(name=f"{n:06d}_{_plain(path.stem)}", seed=seed + n, video=str(path.absolute()))
        for n, path in enumerate(paths)
    ]


def read_prompts(path: Path) -> list[str]:
    """One prompt per line; empty lines and lines that begin with # are left out.

    Raises LyraError when the file is missing, no text, or holds no prompt.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise LyraError(f"prompts {path} do not exist. Check the path.") from error
    except UnicodeDecodeError as error:
        raise LyraError(f"prompts {path} are no UTF-8 text. Save them as plain text, one prompt per line.") from error
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise LyraError(f"{path} holds no prompt. Write one per line.")
    return prompts


def _listed(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise LyraError(f"{folder} is no folder. Give the folder of the pictures.")
    return list(folder.iterdir())


def _plain(stem: str) -> str:
    """Letters, digits, `_` and `-` only, so that the name is one in every layout."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem)[:_LONGEST_STEM]
