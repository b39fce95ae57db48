# SPDX-License-Identifier: Apache-2.0
"""A job: its folder on disk and what is known about its progress."""

from __future__ import annotations

import enum
import errno
import hashlib
import re
import secrets
import shutil
import stat
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from .errors import LyraSimError
from .protocol import (
    LOG_CHARACTERS,
    REQUEST_FILE,
    Artifact,
    Cancelled,
    Failure,
    Heartbeat,
    Hello,
    Log,
    Manifest,
    Message,
    Progress,
    ProtocolError,
    Request,
    Result,
)

PROMPT_CHARACTERS = 10_000
"""Longest prompt that is accepted [characters]."""
INPUT_BYTES = 256 << 20
"""Largest picture or video that is copied [bytes]: the copy is made while the window waits."""
LOG_LINES = 500

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class JobState(enum.Enum):
    """Life of a job: idle, starting, running (cancelling), then one of the last three."""

    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job:
    """One scene to be generated. The client that runs it changes the state; everything else only reads.

    Times are those of the client's clock [s], monotonic by default.
    """

    def __init__(self, folder: Path, request: Request) -> None:
        self.folder = folder
        self.request = request
        self.state = JobState.IDLE
        self.phase = ""
        self.step = 0
        self.total = 0
        self.fraction: float | None = None
        """Part of the job that is done, 0 to 1; `None` where the worker cannot know it."""
        self.eta_s: float | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.manifest: Manifest | None = None
        self.failure: Failure | None = None
        self.responding = True
        """False while the worker has been silent for longer than the heartbeat time-out."""
        self.outcome: JobState | None = None
        """How the worker says it ended; the state follows once the process is gone."""

    @property
    def id(self) -> str:
        """Name of the job and of its folder."""
        return self.request.job

    @property
    def is_over(self) -> bool:
        """Whether the state is final."""
        return self.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

    def elapsed_s(self, now: float) -> float:
        """Seconds since the start, or from start to end; `now` is of the client's clock."""
        if self.started_at is None:
            return 0.0
        return max(0.0, (now if self.ended_at is None else self.ended_at) - self.started_at)

    def observe(self, message: Message) -> None:
        """Take in a message. Of several outcomes the first one counts."""
        if self.state is JobState.STARTING and not isinstance(message, Log | Failure | Cancelled):
            self.state = JobState.RUNNING
        match message:
            case Progress():
                self._progress(message)
            case Log():
                self._note(message.msg if message.level in ("raw", "info") else f"{message.level}: {message.msg}")
            case Hello():
                self._note(f"worker {message.pid} on {message.device or 'an unknown device'}")
            case Artifact():
                self._note(f"{message.kind}: {message.path}")
            case Result() | Failure() | Cancelled():
                self._end(message)
            case Heartbeat():
                pass

    def finish(self, state: JobState, now: float) -> None:
        """Make the state final. Called by the client, once."""
        self.state, self.ended_at = state, now
        self.eta_s, self.responding = None, True

    def fail(self, failure: Failure) -> None:
        """Record why the job failed, unless the worker has already said how it ended."""
        if self.outcome is None:
            self.outcome, self.failure = JobState.FAILED, failure
            self._note(f"error: {failure.msg}")

    def _progress(self, message: Progress) -> None:
        self.phase, self.step, self.total = message.phase[:LOG_CHARACTERS], message.step, message.total
        self.fraction = None if message.fraction is None else min(1.0, max(0.0, message.fraction))
        self.eta_s = None if message.eta_s is None else max(0.0, message.eta_s)

    def _end(self, message: Result | Failure | Cancelled) -> None:
        if self.outcome is not None:
            return
        match message:
            case Cancelled() | Failure(code="cancelled"):
                self.outcome = JobState.CANCELLED
            case Failure():
                self.fail(message)
            case Result():
                try:
                    self.manifest = Manifest.read(self.folder)
                    self.outcome = JobState.DONE
                except ProtocolError as error:
                    self.fail(Failure(code="internal", msg=f"The worker finished, but {error}", retryable=True))

    def _note(self, text: str) -> None:
        self.log.append(text[:LOG_CHARACTERS])


def create_job(scenes_folder: Path, request: Request, *, source: Path | None = None, depth: Path | None = None) -> Job:
    """Folder of a new job, with copies of its inputs, so that nothing that happens to the originals matters later.

    Args:
        scenes_folder: Where jobs live; made if missing.
        request: What to generate; `job`, `input`, `input_sha256` and `depth` are filled in here.
        source: Picture or video, for the modes `image` and `video`.
        depth: Depth map that belongs to the picture.

    Raises LyraSimError for a request that no worker would take, for an input that is gone, and if the folder cannot be
    written or the disk is full; then no folder is left.
    """
    _require_sensible(request, source, depth)
    name = request.job or f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder, part = scenes_folder / name, scenes_folder / f".{name}.part"
    try:
        part.mkdir(parents=True)
        if source is not None:
            copy, digest = _copy_in(source, part, "input")
            request = replace(request, input=copy, input_sha256=digest)
        if depth is not None:
            request = replace(request, depth=_copy_in(depth, part, "depth")[0])
        request = replace(request, job=name)
        (part / REQUEST_FILE).write_text(request.to_json(), encoding="utf-8")
        part.rename(folder)
    except OSError as error:
        raise LyraSimError(_explain(error, scenes_folder)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Job(folder, request)


def _require_sensible(request: Request, source: Path | None, depth: Path | None) -> None:
    """Refuses what the worker would refuse too, before anything is written."""
    if request.job and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", request.job):
        raise LyraSimError("The name of a job may hold letters, digits, - and _ only. Leave it empty to get one.")
    _require_prompt(request.prompt or "", required=request.mode == "text")
    if request.mode not in ("text", "image", "video"):
        raise LyraSimError(f"The source {request.mode!r} is unknown. Use text, image or video.")
    if request.mode == "text" and (source is not None or depth is not None):
        raise LyraSimError("A picture was given, but the source is text. Choose image as the source.")
    if request.mode != "text" and source is None:
        raise LyraSimError(f"No {'picture' if request.mode == 'image' else 'video'} is chosen. Choose a file.")
    if not 0 <= request.seed < 2**63:
        raise LyraSimError("The seed must be a whole number from 0 on.")
    if request.max_gaussians is not None and not 1 <= request.max_gaussians < 2**31:
        raise LyraSimError("The number of Gaussians must be at least 1. Leave it empty to keep all.")
    height = request.camera_height_m
    if height is not None and not 0 < height <= 1000:
        raise LyraSimError("The camera height must be in metres, above 0 and up to 1000. Leave it empty if unknown.")


def _require_prompt(prompt: str, *, required: bool) -> None:
    if len(prompt) > PROMPT_CHARACTERS:
        raise LyraSimError(
            f"The prompt has {len(prompt):,} characters, more than {PROMPT_CHARACTERS:,}. A sentence or two is enough."
        )
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise LyraSimError("The prompt holds characters that are not valid text. Type it instead of pasting it.")
    if required and not prompt.strip():
        raise LyraSimError('The prompt is empty. Describe the scene, for example "a warehouse with blue shelves".')


def _copy_in(source: Path, folder: Path, stem: str) -> tuple[str, str]:
    """Copies a file into a folder; its name there and its SHA-256. LyraSimError is about reading, OSError writing."""
    suffix = source.suffix.lower()
    name = stem + (suffix if len(suffix) <= 6 and suffix[1:].isascii() and suffix[1:].isalnum() else ".bin")
    digest = hashlib.sha256()
    with _opened(source) as file, (folder / name).open("xb") as copy:
        while block := _read(file, source):
            digest.update(block)
            copy.write(block)
    return name, digest.hexdigest()


def _opened(source: Path) -> BinaryIO:
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise LyraSimError(f"{source} is not a file. Choose a picture or a video.")
        if status.st_size > INPUT_BYTES:
            raise LyraSimError(
                f"{source} has {status.st_size >> 20} MiB. Make it smaller than {INPUT_BYTES >> 20} MiB first."
            )
        return source.open("rb")
    except (OSError, ValueError) as error:
        raise LyraSimError(f"{source} cannot be read: {_reason(error)}. Choose the file again.") from error


def _read(file: BinaryIO, source: Path) -> bytes:
    try:
        return file.read(1 << 20)
    except OSError as error:
        raise LyraSimError(f"{source} cannot be read: {_reason(error)}. Choose the file again.") from error


def _explain(error: OSError, folder: Path) -> str:
    """What to do about a folder that could not be written."""
    if error.errno in _FULL:
        return f"No room is left in {folder}. Free some space, or choose another output folder in the settings."
    return f"{folder} cannot be written: {_reason(error)}. Choose another output folder in the settings."


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
