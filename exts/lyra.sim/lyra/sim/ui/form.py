# SPDX-License-Identifier: Apache-2.0
"""The inputs of the window: their choices, what is wrong with them, and the request they make."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._paths import local_file
from ..errors import LyraSimError

LARGEST_SEED = 2**31 - 1
LONGEST_PROMPT = 10_000
LIGHT_GAUSSIANS = 100_000
LOWEST_CAMERA_M, HIGHEST_CAMERA_M = 0.05, 50.0
SUFFIXES = {"image": (".png", ".jpg", ".jpeg", ".webp"), "video": (".mp4", ".mov", ".mkv", ".webm")}


@dataclass(frozen=True)
class Choice:
    """One entry of a drop-down list."""

    value: str
    label: str


SOURCES = (Choice("text", "Text"), Choice("image", "Image"), Choice("video", "Video"))
QUALITIES = (Choice("full", "Full: all Gaussians"), Choice("light", "Light: at most 100,000 Gaussians"))
ENCODINGS = (
    Choice("auto", "Automatic: what this Kit draws"),
    Choice("particlefield", "Particle field (Kit 110 and newer)"),
    Choice("nurec", "NuRec volume (Kit 107)"),
)
COLLIDERS = (
    Choice("indoor", "Indoor: closed rooms"),
    Choice("outdoor", "Outdoor: open ground"),
    Choice("object", "Object: one thing"),
    Choice("none", "None"),
)


@dataclass
class Form:
    """What the user asked for so far; any text can be in it, `problem` says what is missing or wrong."""

    source: str = "text"
    prompt: str = ""
    picture: str = ""
    seed: int = 0
    model: str = "mini"
    quality: str = "full"
    collider: str = "indoor"
    camera_height: str = ""

    @property
    def takes_file(self) -> bool:
        """Whether the scene is made from a file."""
        return self.source != "text"

    def problem(self) -> str:
        """Why no scene can be made from these inputs; empty if one can."""
        source = self._file_problem() if self.takes_file else self._prompt_problem()
        return source or self._seed_problem() or self._height_problem()

    def file(self) -> Path | None:
        """The chosen file; None if there is none, if it cannot be used, and for a text."""
        usable = self.takes_file and not self._file_problem()
        return local_file(pasted(self.picture)) if usable else None

    def file_problem(self) -> str:
        """What is wrong with the file that was chosen; empty while none is, and for a text."""
        return self._file_problem() if self.takes_file and self.picture.strip() else ""

    def request(self) -> dict[str, Any]:
        """Arguments of `Session.generate`; call it only while there is no `problem`."""
        return {
            "prompt": None if self.takes_file else self.prompt.strip(),
            "image": self.file() if self.source == "image" else None,
            "video": self.file() if self.source == "video" else None,
            "model": self.model,
            "seed": self.seed,
            "max_gaussians": LIGHT_GAUSSIANS if self.quality == "light" else None,
            "collider": self.collider != "none",
            "collider_preset": "indoor" if self.collider == "none" else self.collider,
            "camera_height_m": self._height_m(),
        }

    def _prompt_problem(self) -> str:
        length = len(self.prompt.strip())
        if not length:
            return 'Describe the scene first, for example "a warehouse aisle with blue shelves".'
        if length > LONGEST_PROMPT:
            return f"The prompt has {length:,} characters, the limit is {LONGEST_PROMPT:,}. Shorten it."
        return ""

    def _file_problem(self) -> str:
        text = pasted(self.picture)
        if not text:
            return "Choose a file with Browse…, or paste its path."
        try:
            path = local_file(text)
        except LyraSimError as error:
            return str(error)
        if path.is_dir():
            return f"{path} is a folder. Choose a file in it."
        suffixes = SUFFIXES[self.source]
        if path.suffix.lower() not in suffixes:
            return f"{path.name} is not a kind of file that can be read. Choose one of {', '.join(suffixes)}."
        return ""

    def _seed_problem(self) -> str:
        if 0 <= self.seed <= LARGEST_SEED:
            return ""
        return f"The seed is a whole number from 0 to {LARGEST_SEED}. Press Randomise for one."

    def _height_problem(self) -> str:
        try:
            height = self._height_m()
        except ValueError:
            height = -1.0
        if height is None or LOWEST_CAMERA_M <= height <= HIGHEST_CAMERA_M:
            return ""
        return (
            f"The camera height is a number of metres from {LOWEST_CAMERA_M:g} to {HIGHEST_CAMERA_M:g}, such as 1.6. "
            "Leave it empty to keep the model's own scale."
        )

    def _height_m(self) -> float | None:
        text = self.camera_height.strip().lower().removesuffix("m").strip().replace(",", ".")
        return float(text) if text else None


def pasted(text: str) -> str:
    """The first line of a text, without typographic quotes and without a terminal's backslashes before blanks.

    `local_file` understands the rest: plain quotes, `~` and `file://`.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    path = lines[0].strip("“”‘’`") if lines else ""
    from_windows = re.match(r"""["']?([A-Za-z]:)?\\""", path)
    return path if os.sep == "\\" or from_windows else re.sub(r"\\(.)", r"\1", path)
