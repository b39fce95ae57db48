# SPDX-License-Identifier: Apache-2.0
"""A worker in a process of its own, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lyra_core.app.worker_protocol import SCHEMA

Said = dict[str, Any]
HEAD = {"v", "job", "seq", "t", "type"}
ENDS = {"result", "error", "cancelled"}
COMMAND = (sys.executable, "-u", "-m", "lyra_core.app.worker")


def make_job(folder: Path, **fields: Any) -> Path:
    """A job folder with a request for a text job, unless `fields` say otherwise."""
    folder.mkdir(parents=True)
    request = {"v": 1, "job": folder.name, "mode": "text", "prompt": "a small kitchen with a dragon", **fields}
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    return folder


class RunningWorker:
    """One worker process; its lines are checked against the protocol as they come."""

    def __init__(
        self,
        *arguments: object,
        environ: dict[str, str] | None = None,
        command: tuple[str, ...] = COMMAND,
        folder: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", cwd=folder,
            env={**os.environ, **(environ or {})},
        )  # fmt: skip
        self.messages: list[Said] = []

    def __enter__(self) -> RunningWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Said]:
        """Messages as they come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            assert set(message) == HEAD | set(SCHEMA[message["type"]]), line
            assert (message["v"], message["seq"]) == (1, len(self.messages))
            self.messages.append(message)
            yield message

    def until(self, kind: str, **fields: Any) -> Said:
        """The next message of a type with these values."""
        for message in self:
            if message["type"] == kind and all(message[name] == value for name, value in fields.items()):
                return message
        raise AssertionError(f"no {kind} with {fields} came; the last lines were {self.messages[-3:]}")

    def say(self, line: str) -> None:
        """One line on the worker's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def order(self, folder: Path) -> None:
        """A job for a warm worker."""
        self.say(json.dumps({"v": 1, "type": "job", "job_dir": str(folder)}))

    def hang_up(self) -> None:
        """Ends the worker's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def last(self) -> Said:
        """Waits for the end of the process; its last message, which alone ends a job."""
        assert all(message["type"] not in ENDS for message in self.messages)
        every = [*self.messages, *self]
        self.process.wait()
        assert [message["type"] in ENDS for message in every] == [False] * (len(every) - 1) + [True]
        return every[-1]


def run_worker(folder: Path, environ: dict[str, str] | None = None) -> tuple[int, list[Said]]:
    """Runs one job to its end; exit status and messages."""
    with RunningWorker("--job", folder, environ=environ) as worker:
        worker.last()
        return worker.process.returncode, worker.messages


def names(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in folder.iterdir()}
