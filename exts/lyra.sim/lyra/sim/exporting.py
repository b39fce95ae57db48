# SPDX-License-Identifier: Apache-2.0
"""A stored scene as one `.usdz`: `python -m usd_export` in the worker's Python, followed without blocking."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ._process import ChildProcess, scrubbed_environment
from .errors import LyraSimError

ENCODINGS = ("auto", "universal", "particlefield", "nurec")


class Export:
    """One conversion in a child process.

    The converter writes beside its target and renames, so that an end at any time leaves no half package.

    Args:
        interpreter: A Python that has `usd_export`.
        source: Root layer of the scene.
        target: The package; an older one is replaced.
        encoding: auto (a particle field), universal, particlefield or nurec.
        environ: Environment of the application; it is scrubbed here.

    Raises:
        LyraSimError: If the target or the encoding cannot be used, or the interpreter does not start.

    Attributes:
        target: The package, an absolute path.
        result: The package once it is written, what went wrong, or None while the conversion runs.
    """

    def __init__(
        self, interpreter: Path, *, source: Path, target: Path | str, encoding: str, environ: Mapping[str, str]
    ) -> None:
        self.target = _checked_target(target)
        self.result: Path | LyraSimError | None = None
        if encoding not in ENCODINGS:
            raise LyraSimError(f"There is no encoding {encoding!r}. Choose one of {', '.join(ENCODINGS)}.")
        command = [str(interpreter), "-m", "usd_export", str(source), str(self.target), "--encoding", encoding]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the child is gone
        try:
            self._process = ChildProcess(
                command, environ=scrubbed_environment(environ, ""), cwd=self.target.parent, stderr=self._errors
            )
        except (OSError, ValueError) as error:
            self._errors.close()
            raise LyraSimError(f"{interpreter} could not be started: {error}. Name another Python.") from error

    def poll(self) -> Path | LyraSimError | None:
        """The result, None while the conversion runs."""
        if self.result is None:
            self._process.lines()
            status = self._process.reap()
            if status is not None:
                self._finish(self._outcome(status))
        return self.result

    def close(self, timeout_s: float = 1.0) -> None:
        """End the conversion and wait for that, at most `timeout_s` [s]."""
        if self.result is None:
            self._process.close(timeout_s)
            self._finish(LyraSimError(f"{self.target.name} was not written: the export was cancelled."))

    def _finish(self, result: Path | LyraSimError) -> None:
        self.result = result
        self._errors.close()

    def _outcome(self, status: int) -> Path | LyraSimError:
        if status == 0 and self.target.is_file():
            return self.target
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1].removeprefix("usd_export: ") if lines else f"the converter ended with status {status}"
        return LyraSimError(f"{self.target.name} was not written: {reason}")


def _checked_target(target: Path | str) -> Path:
    """Absolute path of a package that can be written."""
    if "://" in str(target) or str(target).lower().startswith("omniverse:"):
        raise LyraSimError(f"{target} is not on this computer. Export to a local folder and upload the package then.")
    path = Path(target).expanduser().absolute()
    if path.suffix.lower() != ".usdz":
        raise LyraSimError(f"{path.name} does not end in .usdz. Choose a name such as kitchen.usdz.")
    if not path.parent.is_dir():
        raise LyraSimError(f"The folder {path.parent} does not exist. Choose another one.")
    if path.is_dir():
        raise LyraSimError(f"{path} is a folder. Choose another name.")
    return path
