# SPDX-License-Identifier: Apache-2.0
"""Which files of the extension may use Kit, and how."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path, PurePath


class Place(Enum):
    """Where a file lies, which decides what it may use."""

    KIT = "a module that only Kit imports"
    LAZY = "a module that may use Kit inside functions"
    FREE = "a module without Kit"
    TESTS = "lyra/sim/tests"
    ISAAC_LAB = "lyra/sim/isaaclab"
    EXAMPLE = "examples"

    @property
    def in_extension(self) -> bool:
        """Whether the file is a part of the extension."""
        return self is not Place.EXAMPLE


KIT_MODULES = {"commands.py", "extension.py", "kit_bridge.py", "menu.py"}
LAZY_MODULES = {"__init__.py", "api.py"}
FREE_UI_MODULES = {"__init__.py", "form.py", "pasted_path.py", "texts.py", "thumbnail.py", "view_model.py"}


def place_of(path: PurePath) -> Place:
    """Place of a file by its path below `lyra/sim`. A file that is not named here does without Kit."""
    match path.parts:
        case ("tests", *_):
            return Place.TESTS
        case ("isaaclab", *_):
            return Place.ISAAC_LAB
        case ("ui", name):
            return Place.FREE if name in FREE_UI_MODULES else Place.KIT
        case (name,) if name in KIT_MODULES:
            return Place.KIT
        case (name,) if name in LAZY_MODULES:
            return Place.LAZY
    return Place.FREE


def extension_files(extension: Path) -> Iterator[tuple[Path, Place]]:
    """Every source file of the extension."""
    package = extension / "lyra" / "sim"
    for path in sorted(package.rglob("*.py")):
        yield path, place_of(path.relative_to(package))
