# SPDX-License-Identifier: Apache-2.0
"""Both extension.toml say what is so: sections in order, dependencies that are used, files that exist, one version."""

from __future__ import annotations

import re
import shutil
import struct
import tomllib
from pathlib import Path
from typing import Any

import pytest

import lyra_core
from fake_kit.places import Place, extension_files
from fake_kit.symbol_use import modules_used

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "exts" / "lyra.sim"

# The order that the extensions of Isaac Sim keep.
SECTIONS = (
    *("core", "package", "deprecation", "dependencies", "python.module", "native.library", "python.pipapi"),
    *("native.plugin", "settings", "trigger", "fswatcher", "test", "documentation"),
)
PACKAGE_KEYS = (
    *("version", "category", "title", "description", "authors", "repository", "keywords", "changelog", "readme"),
    *("preview_image", "icon"),
)
FILE_KEYS = ("changelog", "readme", "preview_image", "icon")
NOT_SET = ("target", "writeTarget")  # they would keep the extension out of some of the Kit versions we support
HARD = {"omni.kit.async_engine", "omni.kit.commands", "omni.usd"}
COMES_WITH = {"omni.kit.undo": "omni.kit.commands"}
ALWAYS_THERE = ("carb", "omni.ext", "omni.kit.app")
FOR_THEIR_EFFECT = {"omni.kit.uiapp", "omni.usd.schema.usd_particle_field"}  # no module of theirs is imported


def order_problems(text: str) -> list[str]:
    """Sections and keys that are not where they belong."""
    values = tomllib.loads(text)
    headers: list[str] = re.findall(r"^\[+([^\]]+)\]+", text, re.MULTILINE)
    in_order = [header for section in SECTIONS for header in headers if _in_section(header, section)]
    problems = [f"the sections are {headers}"] if headers != in_order else []
    keys = [key for key in PACKAGE_KEYS if key in values["package"]]
    problems += [f"the keys of [package] are {list(values['package'])}"] if keys != list(values["package"]) else []
    names = list(values.get("dependencies", {}))
    return problems + ([f"the dependencies are {names}"] if names != sorted(names) else [])


def _in_section(header: str, section: str) -> bool:
    return header == section or header.startswith(f"{section}.")


def file_problems(folder: Path, values: dict[str, Any]) -> list[str]:
    """Files that are named and not there."""
    named = [values["package"][key] for key in FILE_KEYS if key in values["package"]]
    named += values.get("documentation", {}).get("pages", [])
    problems = [f"{name} does not exist" for name in named if not (folder / name).is_file()]
    for module in values["python"]["module"]:
        path = folder / module.get("path", ".") / module.get("name", "").replace(".", "/")
        problems += (
            [f"module {module} does not exist"] if not (path.is_dir() or path.with_suffix(".py").is_file()) else []
        )
    icon = folder / values["package"]["icon"]
    if icon.is_file() and png_size(icon.read_bytes()) != (256, 256):
        problems.append(f"{icon.name} is not a PNG of 256 x 256 pixels")
    preview = folder / values["package"]["preview_image"]
    if preview.is_file() and png_size(preview.read_bytes()) is None:
        problems.append(f"{preview.name} is not a PNG")
    return problems


def png_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG; None for anything else."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        return None
    return struct.unpack(">II", data[16:24])


def dependency_problems(values: dict[str, Any], used: set[str]) -> list[str]:
    """Dependencies that no code needs, and code that needs one that is not there."""
    apart = {module for module in used if not f"{module}.".startswith(tuple(f"{name}." for name in ALWAYS_THERE))}
    needed = {COMES_WITH.get(module, module) for module in apart}
    listed = values["dependencies"]
    problems = [f"{name} is used and not a dependency" for name in sorted(needed - set(listed))]
    problems += [f"{name} is a dependency and not used" for name in sorted(set(listed) - needed - FOR_THEIR_EFFECT)]
    for name, options in listed.items():
        expected = {} if name in HARD else {"optional": True}
        problems += [f"{name} should be {expected}, not {options}"] if options != expected else []
    return problems


def version_problems(folder: Path, values: dict[str, Any], version: str) -> list[str]:
    """Places where another version stands."""
    package = values["package"]
    changelog = (folder / package["changelog"]).read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    stated = {"[package] version": package["version"], package["changelog"]: newest.group(1) if newest else None}
    return [f"{place} says {found}, not {version}" for place, found in stated.items() if found != version]


def used_modules() -> set[str]:
    files = [path for path, place in extension_files(EXTENSION) if place in (Place.KIT, Place.LAZY)]
    return {module for path in files for module in modules_used(path.read_text(encoding="utf-8"))}


def extension_problems(folder: Path) -> list[str]:
    """Everything that is wrong with the extension's file."""
    text = (folder / "config" / "extension.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    unset = [f"[package.{key}] is set" for key in NOT_SET if key in values["package"]]
    return [
        *order_problems(text),
        *unset,
        *file_problems(folder, values),
        *dependency_problems(values, used_modules()),
        *version_problems(folder, values, lyra_core.__version__),
    ]


def test_extension_toml() -> None:
    assert extension_problems(EXTENSION) == []


def test_bundle_toml() -> None:
    text = (ROOT / "extension.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    assert order_problems(text) == []
    assert file_problems(ROOT, values) == []
    assert version_problems(ROOT, values, lyra_core.__version__) == []
    assert values["dependencies"] == {"lyra.sim": {"optional": True}}
    assert "pipapi" not in values["python"]


def test_defaults_of_the_settings_are_those_of_the_code(extension_path: Path) -> None:
    from lyra.sim.settings_schema import SETTINGS

    values = tomllib.loads((extension_path / "config" / "extension.toml").read_text(encoding="utf-8"))
    written = {f"/exts/lyra.sim/{name}": value for name, value in values["settings"]["exts"]["lyra.sim"].items()}
    in_code = {row.path: row.default for row in SETTINGS if row.path.startswith("/exts/")}
    assert written == in_code


def test_every_setting_has_a_comment(extension_path: Path) -> None:
    lines = (extension_path / "config" / "extension.toml").read_text(encoding="utf-8").splitlines()
    settings = [number for number, line in enumerate(lines) if line.startswith('exts."lyra.sim".')]
    assert settings
    assert all(lines[number - 1].startswith("# ") for number in settings)


def test_the_package_states_the_same_version(extension_path: Path) -> None:
    import lyra.sim

    assert lyra.sim.__version__ == lyra_core.__version__


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The extension without its code, to break."""
    folder = tmp_path / "lyra.sim"
    for part in ("config", "data", "docs"):
        shutil.copytree(EXTENSION / part, folder / part)
    (folder / "lyra" / "sim" / "tests").mkdir(parents=True)
    assert extension_problems(folder) == []
    return folder


BROKEN = {
    "order of sections": ("[core]\nreloadable = true\n", "", "\n[core]\nreloadable = true\n", "the sections are"),
    "unknown section": ("", "", "\n[extras]\na = 1\n", "the sections are"),
    "order of keys": (
        'version = "0.1.0"\ncategory = "Simulation"\n',
        'category = "Simulation"\nversion = "0.1.0"\n',
        "",
        "keys",
    ),
    "another version": ('version = "0.1.0"', 'version = "0.1.1"', "", "[package] version says 0.1.1"),
    "missing file": ("docs/README.md", "docs/NOTHING.md", "", "docs/NOTHING.md does not exist"),
    "missing page": ("docs/Overview.md", "docs/Nothing.md", "", "docs/Nothing.md does not exist"),
    "missing module": ('name = "lyra.sim.tests"', 'name = "lyra.sim.checks"', "", "does not exist"),
    "missing dependency": ('"omni.usd" = {}\n', "", "", "omni.usd is used and not a dependency"),
    "dependency nobody uses": (
        '"omni.usd" = {}\n',
        '"omni.usd" = {}\n"omni.warp" = {}\n',
        "",
        "omni.warp is a dependency",
    ),
    "hard dependency on the window": ('"omni.ui" = { optional = true }', '"omni.ui" = {}', "", "omni.ui should be"),
    "one Kit version": (
        "[dependencies]",
        '[package.target]\nkit = ["110"]\n\n[dependencies]',
        "",
        "[package.target] is set",
    ),
}


@pytest.mark.parametrize(("old", "new", "appended", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_found(copy: Path, old: str, new: str, appended: str, problem: str) -> None:
    toml = copy / "config" / "extension.toml"
    text = toml.read_text(encoding="utf-8")
    assert old in text
    toml.write_text(text.replace(old, new) + appended, encoding="utf-8")
    assert any(problem in found for found in extension_problems(copy)), extension_problems(copy)


def test_a_changelog_of_another_version_is_found(copy: Path) -> None:
    (copy / "docs" / "CHANGELOG.md").write_text("# Changelog\n\n## [9.9.9] - 2030-01-01\n")
    assert any("CHANGELOG.md says 9.9.9" in found for found in extension_problems(copy))


def test_a_wrong_icon_is_found(copy: Path) -> None:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 255, 256)
    for data in (header, b"\xff\xd8\xff"):
        (copy / "data" / "icon.png").write_bytes(data)
        assert any("256 x 256" in found for found in extension_problems(copy))
