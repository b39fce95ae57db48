# SPDX-License-Identifier: Apache-2.0
"""The warm worker: orders from stdin, one at a time, and models that stay loaded between them."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lyra_core.app.generate import load_pipeline
from lyra_core.app.jobs.failures import JobError, failure
from lyra_core.app.jobs.output import MessageWriter
from lyra_core.app.jobs.run import job_name
from lyra_core.app.worker_protocol import Error, JobOrder, Message

if TYPE_CHECKING:
    from lyra_core.pipeline import LyraPipeline
    from lyra_core.weights.presets import Preset


class Orders:
    """Jobs that came in on stdin; at most one is open."""

    def __init__(self, writer: MessageWriter) -> None:
        self._writer = writer
        self._folders: queue.SimpleQueue[Path | None] = queue.SimpleQueue()

    def take(self, line: bytes) -> None:
        """One line of stdin: accepts its job, or answers with an error."""
        if not line.strip():
            return
        try:
            folder = Path(JobOrder.model_validate_json(line).job_dir)
        except ValidationError as error:
            detail = error.errors(include_url=False, include_input=False)[0]["msg"]
            self._refuse("", f"stdin has a line that is no order: {detail}")
            return
        name = job_name(folder)
        if self._writer.begin(name):
            self._folders.put(folder)
        else:
            self._refuse(name, "another job is running. Wait for its end.")

    def close(self) -> None:
        """No more orders."""
        self._folders.put(None)

    def next(self, timeout: float) -> Path | None:
        """The folder of the next job; None when `timeout` [s] passed without one, or no more will come."""
        try:
            return self._folders.get(timeout=timeout)
        except queue.Empty:
            idle = self._writer.begin("")  # from here on nothing is accepted
            return None if idle else self._folders.get()

    def _refuse(self, job: str, text: str) -> None:
        self._writer.send(failure(JobError("bad_request", text)), job=job)


class Pipelines:
    """Models that stay loaded, one per preset.

    Args:
        loaded: called after a model was loaded.
    """

    def __init__(self, loaded: Callable[[Preset], None] = lambda preset: None) -> None:
        self._tell = loaded
        self._loaded: list[LyraPipeline] = []

    def __call__(self, preset: Preset) -> LyraPipeline:
        """The model; raises LyraError when its weights are not there."""
        for pipeline in self._loaded:
            if pipeline.preset == preset:
                return pipeline
        self._loaded.append(load_pipeline(preset))
        self._tell(preset)
        return self._loaded[-1]

    def after(self, last: Message) -> bool:
        """Gives the memory back after a job that had too little of it; False when the process cannot go on."""
        if isinstance(last, Error) and last.code == "out_of_memory":
            self._loaded.clear()
        return not (isinstance(last, Error) and last.code == "no_gpu")
