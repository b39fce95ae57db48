# SPDX-License-Identifier: Apache-2.0
"""Where things are: the worker's Python, the repository, the folder of scenes, files the user names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .errors import LyraSimError

EXTENSION_FOLDER = Path(__file__).resolve().parents[2]
WORKER_PYTHON_VARIABLE = "LYRA_WORKER_PYTHON"


class WorkerNotFound(LyraSimError):
    """No Python interpreter for the worker; the message says where it was looked for and how to name one."""


def resolve_interpreter(
    setting: str, environ: Mapping[str, str], repo_root: Path | None, platform: str = sys.platform
) -> Path:
    """Absolute path of the Python that runs the worker.

    Looked for in the setting, in the environment variable LYRA_WORKER_PYTHON, in `.venv` of the repository. The first
    one that is named is used or refused: a wrong setting is never passed over silently. The path is not resolved,
    because an interpreter of a virtual environment is a link that must stay one.

    Raises WorkerNotFound.
    """
    named = {
        "The setting worker_python": setting,
        f"The variable {WORKER_PYTHON_VARIABLE}": environ.get(WORKER_PYTHON_VARIABLE, ""),
    }
    for what, text in named.items():
        if text.strip():
            return _executable(_path(text), what)
    if repo_root is not None:
        python = repo_root / ".venv" / ("Scripts/python.exe" if platform == "win32" else "bin/python")
        if python.exists():
            return _executable(python, "The repository")
    raise WorkerNotFound(
        "No Python for the worker was found. Run `python3 -m venv .venv` and `.venv/bin/python -m pip install .` in "
        f"the Lyra-Sim repository, then name that Python in the setting worker_python or in {WORKER_PYTHON_VARIABLE}."
    )


def _executable(path: Path, what: str) -> Path:
    try:
        if path.is_dir():
            raise WorkerNotFound(f"{what} names the folder {path}. Name the interpreter in it, such as bin/python.")
        if not path.is_file():
            raise WorkerNotFound(f"{what} names {path}, which does not exist. Name a Python that has lyra-sim.")
    except OSError as error:
        raise WorkerNotFound(f"{what} names {path}, which cannot be read: {error.strerror}.") from error
    if not os.access(path, os.X_OK):
        raise WorkerNotFound(f"{what} names {path}, which may not be executed. Name a Python that has lyra-sim.")
    return path


def repo_root(setting: str, extension_folder: Path) -> Path | None:
    """Checkout of the repository: the setting, or two folders above the extension, links resolved.

    `None` if the extension was installed alone. Raises LyraSimError if the setting names anything but a checkout.
    """
    if setting.strip():
        folder = _path(setting)
        if _is_repository(folder):
            return folder
        raise LyraSimError(f"The setting repo_root names {folder}, which holds no usd_export. Correct or empty it.")
    folder = extension_folder.resolve().parents[1]
    return folder if _is_repository(folder) else None


def import_usd_export(setting: str = "", extension_folder: Path = EXTENSION_FOLDER) -> ModuleType:
    """The package `usd_export`: as installed, or from the repository, which is then appended to `sys.path`.

    Appended, never put first, so that the packages the application brings along keep priority. Raises LyraSimError.
    """
    if importlib.util.find_spec("usd_export") is None:
        folder = repo_root(setting, extension_folder)
        if folder is None:
            raise LyraSimError("usd_export was not found. Name the repository's folder in the setting repo_root.")
        sys.path.append(str(folder))
        importlib.invalidate_caches()
    return importlib.import_module("usd_export")


def local_file(path_or_url: str | Path) -> Path:
    """Absolute path of an existing file that the user typed, pasted or picked.

    Quotes around it, `~` and `file://` are understood. Raises LyraSimError for other addresses, above all
    `omniverse://`, and if there is no such file or it cannot be read.
    """
    path = _path(str(path_or_url))
    try:
        if path.is_file():
            if os.access(path, os.R_OK):
                return path
            raise LyraSimError(f"{path} may not be read. Change its permissions or choose another file.")
        if path.is_dir():
            raise LyraSimError(f"{path} is a folder. Choose a file in it.")
    except OSError as error:
        raise LyraSimError(f"{str(path)[:300]} cannot be read: {error.strerror}. Choose another file.") from error
    raise LyraSimError(f"{str(path)[:300]} does not exist. Was it moved? Choose the file again.")


def scenes_folder(setting: str, cache_token: str) -> Path:
    """Absolute path of the folder with one sub-folder per scene; need not exist yet.

    Args:
        setting: The setting output_dir; if empty, `lyra` in the cache folder is used.
        cache_token: Kit's cache folder, resolved from its token.

    Raises LyraSimError for an address that is no local folder.
    """
    return _path(setting) if setting.strip() else _path(cache_token) / "lyra"


def _path(text: str) -> Path:
    """Absolute path of a text; its links are kept."""
    text = text.strip().strip("\"'").strip()
    if text.lower().startswith("file:"):
        text = url2pathname(urlsplit(text).path)
    scheme = re.match(r"(?i:omniverse(?=:)|[a-z][a-z0-9+.-]+(?=://))", text)
    if scheme:
        raise LyraSimError(
            f"{text[:300]} is not on this computer. Copy it to a local folder first: {scheme[0]} is not supported."
        )
    if not text or "\0" in text:
        raise LyraSimError("The path is empty. Choose a file or a folder." if not text else "The path is not valid.")
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError) as error:  # no home folder; the current folder is gone
        raise LyraSimError(f"{text[:300]} is not a usable path: {error}. Give the full path.") from error


def _is_repository(folder: Path) -> bool:
    return (folder / "usd_export" / "__init__.py").is_file()
