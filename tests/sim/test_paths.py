# SPDX-License-Identifier: Apache-2.0
"""Interpreters, repositories, folders and files: found where they should be, refused with a way out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lyra.sim._paths import WorkerNotFound, local_file, repo_root, resolve_interpreter, scenes_folder
from lyra.sim.errors import LyraSimError


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def repository(folder: Path) -> Path:
    (folder / "usd_export").mkdir(parents=True)
    (folder / "usd_export" / "__init__.py").write_text("WHERE = 'found'\n")
    return folder


# ------------------------------------------------------------------------------------------------------ interpreter


def test_the_setting_comes_first_then_the_variable_then_the_repository(tmp_path: Path) -> None:
    setting, variable = executable(tmp_path / "setting" / "python"), executable(tmp_path / "variable" / "python")
    own = executable(tmp_path / "repository" / ".venv" / "bin" / "python")
    environ, root = {"LYRA_WORKER_PYTHON": str(variable)}, tmp_path / "repository"
    assert resolve_interpreter(f" {setting} ", environ, root) == setting
    assert resolve_interpreter("", environ, root) == variable
    assert resolve_interpreter(" ", {"LYRA_WORKER_PYTHON": ""}, root) == own


def test_windows_keeps_its_interpreter_elsewhere(tmp_path: Path) -> None:
    own = executable(tmp_path / ".venv" / "Scripts" / "python.exe")
    assert resolve_interpreter("", {}, tmp_path, platform="win32") == own


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Python finds its virtual environment by the path it is started with."""
    link = tmp_path / "python"
    link.symlink_to(executable(tmp_path / "real" / "python3.11"))
    assert resolve_interpreter(str(link), {}, None) == link


def test_home_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = executable(tmp_path / "venv" / "bin" / "python")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert resolve_interpreter("~/venv/bin/python", {}, None) == python
    assert resolve_interpreter("venv/bin/python", {}, None) == python


def test_nothing_found_says_how_to_make_one(tmp_path: Path) -> None:
    for root in (None, tmp_path):
        with pytest.raises(WorkerNotFound, match=r"python3 -m venv.*worker_python.*LYRA_WORKER_PYTHON"):
            resolve_interpreter("", {}, root)


def test_a_wrong_setting_is_not_passed_over(tmp_path: Path) -> None:
    executable(tmp_path / ".venv" / "bin" / "python")
    plain = tmp_path / "plain.txt"
    plain.write_text("")
    for path, text in ((tmp_path / "gone", "does not exist"), (tmp_path, "folder"), (plain, "may not be executed")):
        with pytest.raises(WorkerNotFound, match=f"setting worker_python names .*{text}"):
            resolve_interpreter(str(path), {}, tmp_path)
        with pytest.raises(WorkerNotFound, match=f"variable LYRA_WORKER_PYTHON names .*{text}"):
            resolve_interpreter("", {"LYRA_WORKER_PYTHON": str(path)}, tmp_path)


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "omniverse://host/python", "~nobody-of-that-name/python"])
def test_impossible_interpreters(text: str) -> None:
    with pytest.raises(LyraSimError):
        resolve_interpreter(text, {}, None)


# ------------------------------------------------------------------------------------------------------- repository


def test_the_repository_is_two_folders_up(tmp_path: Path) -> None:
    root = repository(tmp_path / "clone")
    extension = root / "exts" / "lyra.sim"
    extension.mkdir(parents=True)
    linked = tmp_path / "extsUser"
    linked.symlink_to(extension)
    assert repo_root("", extension) == root
    assert repo_root("", linked) == root


def test_an_extension_without_its_repository(tmp_path: Path) -> None:
    assert repo_root("", tmp_path / "extsUser" / "lyra.sim") is None


def test_the_setting_names_the_repository(tmp_path: Path) -> None:
    root = repository(tmp_path / "clone")
    assert repo_root(str(root), tmp_path / "x" / "lyra.sim") == root
    with pytest.raises(LyraSimError, match=r"repo_root names .*no usd_export"):
        repo_root(str(tmp_path), root / "exts" / "lyra.sim")


def test_this_repository_is_found(extension_path: Path) -> None:
    assert repo_root("", extension_path) == extension_path.parents[1]


IMPORT = """
import sys
sys.path.append(sys.argv[1])
from lyra.sim._paths import import_usd_export
before = list(sys.path)
module = import_usd_export(sys.argv[2])
assert sys.path[: len(before)] == before, "the front of the search path belongs to the application"
print(module.__file__)
print(len(sys.path) - len(before))
"""


def import_in_bare_python(extension: Path, setting: str) -> subprocess.CompletedProcess[str]:
    """Isolated, without site-packages: nothing of this environment is importable."""
    command = [sys.executable, "-I", "-S", "-c", IMPORT, str(extension), setting]
    return subprocess.run(command, capture_output=True, text=True)


def test_usd_export_is_imported_from_the_repository(extension_path: Path) -> None:
    done = import_in_bare_python(extension_path, "")
    assert done.stdout.split() == [str(extension_path.parents[1] / "usd_export" / "__init__.py"), "1"], done.stderr


def test_usd_export_is_imported_from_the_setting(extension_path: Path, tmp_path: Path) -> None:
    root = repository(tmp_path / "clone")
    done = import_in_bare_python(extension_path, str(root))
    assert done.stdout.split() == [str(root / "usd_export" / "__init__.py"), "1"], done.stderr


def test_usd_export_that_cannot_be_found(extension_path: Path, tmp_path: Path) -> None:
    done = import_in_bare_python(extension_path, str(tmp_path))
    assert "LyraSimError: The setting repo_root names" in done.stderr


# ------------------------------------------------------------------------------------------------- files and folders


@pytest.mark.parametrize("form", ["{}", "  {}\n", '"{}"', "'{}'", "file://{}"])
def test_pasted_paths(tmp_path: Path, form: str) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"x")
    assert local_file(form.format(picture)) == picture
    assert local_file(picture) == picture


def test_an_escaped_file_address(tmp_path: Path) -> None:
    picture = tmp_path / "my picture #1.png"
    picture.write_bytes(b"x")
    assert local_file(picture.as_uri()) == picture


def test_a_colon_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo:2.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert local_file("photo:2.png") == tmp_path / "photo:2.png"


@pytest.mark.parametrize(
    "address", ["omniverse://localhost/a.png", "OMNIVERSE:/a.png", "https://x.org/a.png", "s3://bucket/a.png"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(LyraSimError, match=r"not on this computer\. Copy it to a local folder"):
        local_file(address)
    with pytest.raises(LyraSimError, match="not on this computer"):
        scenes_folder(address, "/cache")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "empty"),
        (' "" ', "empty"),
        ("/nowhere/a.png", "does not exist. Was it moved"),
        ("/", "is a folder"),
        ("a\0.png", "not valid"),
        ("/" + "x" * 5000, "cannot be read"),
        ("/dev/null/a.png", "does not exist"),
    ],
)
def test_files_that_are_not_there(path: str, text: str) -> None:
    with pytest.raises(LyraSimError, match=text):
        local_file(path)


def test_the_folder_of_scenes(tmp_path: Path) -> None:
    assert scenes_folder("", str(tmp_path)) == tmp_path / "lyra"
    assert scenes_folder(f" {tmp_path}/mine ", "/cache") == tmp_path / "mine"
