# SPDX-License-Identifier: Apache-2.0
"""Child processes that were started while the fake Kit ran, and whether anything of them is left."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from pathlib import Path
from typing import Any


class ChildProcesses:
    """Notes every `subprocess.Popen` until it is uninstalled."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[Any]] = []
        self._original = subprocess.Popen.__init__

    def install(self) -> None:
        """Note the processes from here on."""
        original, started = self._original, self.started

        @functools.wraps(original)
        def noted(process: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
            original(process, *args, **kwargs)
            started.append(process)

        subprocess.Popen.__init__ = noted  # type: ignore[method-assign,assignment]

    def uninstall(self) -> None:
        """Note no more."""
        subprocess.Popen.__init__ = self._original  # type: ignore[method-assign]

    def leaks(self) -> list[str]:
        """Processes that run, that ended without anybody asking how, or that left members of their group behind."""
        found = []
        for process in self.started:
            reaped = process.returncode is not None
            if process.poll() is None:
                found.append(f"child process {process.pid} still runs: {process.args!r}")
            elif not reaped:
                found.append(f"child process {process.pid} ended and was never reaped: {process.args!r}")
            found += [f"process {pid} of the group of child {process.pid} still runs" for pid in _group(process.pid)]
        return found

    def kill(self) -> None:
        """End what is left, so that a failing test leaves no orphan."""
        for process in self.started:
            for pid in _group(process.pid):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if process.poll() is None:
                process.kill()
                process.wait()


def _group(leader: int) -> list[int]:
    """Living members of a process group other than its leader (Linux; elsewhere none are seen)."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            state, _parent, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group) == leader and int(folder.name) != leader and state != "Z":
                members.append(int(folder.name))
    return members
