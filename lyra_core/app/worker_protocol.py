# SPDX-License-Identifier: Apache-2.0
"""What the worker and its client say to each other, version 1.

The client writes `request.json` into a job folder. The worker answers with one JSON object per line on stdout,
`{"v": 1, "job": ID, "seq": N, "t": SECONDS, "type": NAME, ...}`, ending with exactly one of `result`, `error` and
`cancelled`, and leaves `manifest.json` in the folder. Everything here is refused unless it is exactly as described:
types are not converted, unknown fields and numbers that are not finite do not pass.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lyra_core.errors import LyraError

VERSION = 1
MAX_LINE = 1 << 20
"""Longest message and longest request [bytes]."""
MAX_PROMPT = 10_000
"""Longest prompt [characters]."""

ErrorCode = Literal[
    "bad_request", "no_gpu", "out_of_memory", "weights_missing", "input_unreadable", "disk_full", "cancelled",
    "internal",
]  # fmt: skip


class ProtocolError(LyraError):
    """A request that is not one; the message names the field."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class JobRequest(_Strict):
    """Content of `request.json`: what to generate. File names are those of files in the job folder."""

    v: int = Field(ge=VERSION, le=VERSION)
    """Version of the protocol."""
    job: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    """Name of the job; comes back in every message."""
    mode: Literal["text", "image", "video"]
    """What the scene is made from."""
    prompt: str | None = Field(default=None, max_length=MAX_PROMPT)
    """Sentence of a text job."""
    input: str | None = Field(default=None, max_length=255)
    """Picture of an image job."""
    input_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 the picture must have; None skips the check."""
    depth: str | None = Field(default=None, max_length=255)
    """Depth map of the picture."""
    model: str = Field(default="mini", min_length=1, max_length=4096)
    """Preset name, or the path of a preset `.yaml`."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Same seed, same machine: same scene."""
    max_gaussians: int | None = Field(default=None, ge=1, lt=2**31)
    """Keep at most this many; None keeps all."""
    encoding: Literal["universal", "particlefield", "nurec"] = "universal"
    """How the Gaussians are stored."""
    collider: bool = True
    """Whether to write a collision mesh."""
    collider_preset: Literal["indoor", "outdoor", "object"] = "indoor"
    """Kind of scene the collider is built for."""
    camera_height_m: float | None = Field(default=None, gt=0, le=1000)
    """Height of the camera above the floor [m]; None keeps the model's own scale."""

    @field_validator("input", "depth")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        """A name that leads out of the job folder on no system."""
        if name is not None and (name in ("", ".", "..") or any(char in name for char in "/\\:\0")):
            raise ValueError("must be the name of a file in the job folder")
        return name

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "text" and not (self.prompt or "").strip():
            raise ValueError("a text job needs a prompt")
        if self.mode == "text" and (self.input or self.depth):
            raise ValueError("a text job has no picture; use mode image")
        if self.mode != "text" and self.input is None:
            raise ValueError(f"a job of mode {self.mode} needs the name of its input")
        return self


class JobOrder(_Strict):
    """A line on the stdin of a warm worker."""

    v: int = Field(ge=VERSION, le=VERSION)
    type: Literal["job"]
    job_dir: str = Field(min_length=1, max_length=4096)
    """Absolute path of a job folder."""

    @field_validator("job_dir")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if "\0" in path or not Path(path).is_absolute():
            raise ValueError("job_dir must be an absolute path")
        return path


class Message(_Strict):
    """One line of the worker, without the fields that all lines have."""

    type: ClassVar[str]


class Hello(Message):
    """Who works on a job, and where; only heartbeats come before it."""

    type = "hello"
    pid: int
    versions: dict[str, str]
    device: str


class Progress(Message):
    """Where the job is. `fraction` and `eta_s` [s] are null unless earlier runs were measured."""

    type = "progress"
    phase: str
    step: int
    total: int
    fraction: float | None
    eta_s: float | None


class Log(Message):
    """Something a person may want to read."""

    type = "log"
    level: Literal["info", "warning", "error"]
    msg: str


class Artifact(Message):
    """A finished file; the path is relative to the job folder."""

    type = "artifact"
    kind: str
    path: str
    bytes: int
    sha256: str


class Heartbeat(Message):
    """The worker lives."""

    type = "heartbeat"


class Result(Message):
    """The job is done; `manifest` is the name of the file that describes the scene."""

    type = "result"
    manifest: str


class Error(Message):
    """The job failed; nothing of it is left but its log."""

    type = "error"
    code: ErrorCode
    msg: str
    hint: str
    retryable: bool


class Cancelled(Message):
    """The job was stopped on demand."""

    type = "cancelled"


class SceneManifest(_Strict):
    """Content of `manifest.json`. Paths are relative to the job folder and have forward slashes."""

    v: int
    job: str
    mode: str
    prompt: str | None
    input: str | None
    seed: int
    model: str
    quality_tier: str
    models: dict[str, str]
    """Weight file to SHA-256."""
    usd: str
    """The file to open or to refer to."""
    usd_isaac5: str | None
    """The same scene for Isaac Sim 5."""
    encodings: list[str]
    preview: str
    provenance: str
    gaussians: int
    sh_degree: int
    bounds_m: dict[str, list[float]]
    """`min` and `max` of all Gaussian centres, Z-up world [m]."""
    trusted_viewpoints_m: dict[str, Any] | None
    """`min`, `max` and `count` of the viewpoints the picture can be trusted from, Z-up world [m]."""
    collider: dict[str, Any] | None
    """Report of the collider."""
    metric: bool
    """Whether the scale was measured."""
    scale_source: str
    warnings: list[str]
    up_axis: str
    meters_per_unit: float
    time_range: dict[str, float] | None
    """`start`, `end` and `time_codes_per_second` of a scene that moves."""
    files: list[dict[str, Any]]
    """`kind`, `path`, `bytes` and `sha256` of every file."""
    bytes: int
    """Size of all files."""


def read_request(folder: Path) -> JobRequest:
    """The request of a job folder.

    Raises:
        ProtocolError: when there is none, or it is not exactly as `JobRequest` describes it.
    """
    path = folder / "request.json"
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_LINE + 1)
    except OSError as error:
        raise ProtocolError(f"{path} cannot be read ({error.strerror}). Write the request first.") from error
    if len(content) > MAX_LINE:
        raise ProtocolError(f"{path} has more than {MAX_LINE:,} bytes. Shorten the request.")
    try:
        return JobRequest.model_validate_json(content)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, detail["loc"])) or "content"
        raise ProtocolError(
            f"{path} is not a request: {place}: {detail['msg'].removeprefix('Value error, ')}."
        ) from error


def type_text(annotation: Any) -> str:
    """A field's type as the name of its JSON type; `?` for one that may be null."""
    origin, choices = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return type_text(next(choice for choice in choices if choice is not types.NoneType)) + "?"
    if origin is Literal:
        return type(choices[0]).__name__
    return (origin or annotation).__name__


def _fields(model: type[BaseModel]) -> dict[str, str]:
    return {name: type_text(field.annotation) for name, field in model.model_fields.items()}


MESSAGES: tuple[type[Message], ...] = (Hello, Progress, Log, Artifact, Heartbeat, Result, Error, Cancelled)

SCHEMA: dict[str, dict[str, str]] = {
    "request": _fields(JobRequest),
    **{message.type: _fields(message) for message in MESSAGES},
    "manifest": _fields(SceneManifest),
}
"""Message type to field to type, as text; the client's own table must equal it."""
