# SPDX-License-Identifier: Apache-2.0
"""The worker protocol as the extension speaks it: messages, requests, manifests and the environment report.

The worker has its own copy (`lyra_core.app.worker_protocol`), because extension and worker are installed separately and
may differ in version. What arrives is checked field by field: a worker is another program, and a manifest is a file
that anyone may have edited.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import LyraSimError

VERSION = 1

SCHEMA: dict[str, dict[str, str]] = {
    "request": {
        "v": "int",
        "job": "str",
        "mode": "str",
        "prompt": "str?",
        "input": "str?",
        "input_sha256": "str?",
        "depth": "str?",
        "model": "str",
        "seed": "int",
        "max_gaussians": "int?",
        "encoding": "str",
        "collider": "bool",
        "collider_preset": "str",
        "camera_height_m": "float?",
    },
    "hello": {"pid": "int", "versions": "dict", "device": "str"},
    "progress": {"phase": "str", "step": "int", "total": "int", "fraction": "float?", "eta_s": "float?"},
    "log": {"level": "str", "msg": "str"},
    "artifact": {"kind": "str", "path": "str", "bytes": "int", "sha256": "str"},
    "heartbeat": {},
    "result": {"manifest": "str"},
    "error": {"code": "str", "msg": "str", "hint": "str", "retryable": "bool"},
    "cancelled": {},
    "manifest": {
        "v": "int",
        "job": "str",
        "mode": "str",
        "prompt": "str?",
        "input": "str?",
        "seed": "int",
        "model": "str",
        "quality_tier": "str",
        "models": "dict",
        "usd": "str",
        "usd_isaac5": "str?",
        "encodings": "list",
        "preview": "str",
        "provenance": "str",
        "gaussians": "int",
        "sh_degree": "int",
        "bounds_m": "dict",
        "trusted_viewpoints_m": "dict?",
        "collider": "dict?",
        "metric": "bool",
        "scale_source": "str",
        "warnings": "list",
        "up_axis": "str",
        "meters_per_unit": "float",
        "time_range": "dict?",
        "files": "list",
        "bytes": "int",
    },
}
"""Message type -> field -> type; `?` marks a field that may be null. Fields beyond these are ignored."""

REQUEST_FILE = "request.json"
CANCEL_FILE = "cancel"
LOG_FILE = "worker.log"
MANIFEST_FILE = "manifest.json"

LOG_CHARACTERS = 2000
"""What is kept of one line of foreign output [characters]."""
MANIFEST_BYTES = 4 << 20
"""Largest manifest that is read [bytes]; one of ours is a few thousand."""

_TYPES: dict[str, Callable[[object], bool]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: _is_number(value),
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "dict": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
}


class ProtocolError(ValueError, LyraSimError):
    """A request, message, manifest or report that does not follow the protocol; the text says what to do."""


@dataclass(frozen=True)
class Request:
    """What is to be generated; the content of `request.json`. Paths are relative to the job folder."""

    job: str = ""
    """Name of the job and of its folder; `create_job` chooses one."""
    mode: str = "text"
    """`text`, `image` or `video`."""
    prompt: str | None = None
    input: str | None = None
    """Copy of the picture or video in the job folder."""
    input_sha256: str | None = None
    depth: str | None = None
    """Copy of a depth map that belongs to the picture."""
    model: str = "mini"
    seed: int = 0
    max_gaussians: int | None = None
    """Keep at most this many Gaussians; `None` keeps all."""
    encoding: str = "universal"
    """`universal`, `particlefield` or `nurec`."""
    collider: bool = True
    collider_preset: str = "indoor"
    """`indoor`, `outdoor` or `object`."""
    camera_height_m: float | None = None
    """Height of the camera above the floor [m], which sets the scale; `None` believes the model."""
    v: int = VERSION

    def to_json(self) -> str:
        """One JSON object, ASCII only."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Raises ProtocolError for text that is not a request of this version."""
        return cls(**_read_object(text, "request", "the request"))


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What every message carries."""

    job: str = ""
    """Which job it is about; empty if about the worker itself."""
    seq: int = -1
    """Number of the message, from 0; -1 if it was made on this side."""
    t: float = 0.0
    """When it was sent [s since 1970]."""


@dataclass(frozen=True, kw_only=True)
class Hello(Envelope):
    """The worker runs."""

    pid: int
    versions: dict[str, Any]
    device: str


@dataclass(frozen=True, kw_only=True)
class Progress(Envelope):
    """How far the current phase is; `fraction` is of the whole job and null where nobody can know it."""

    phase: str
    step: int
    total: int
    fraction: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Log(Envelope):
    """A line for the log; `level` is `raw` for output that is no message."""

    level: str
    msg: str


@dataclass(frozen=True, kw_only=True)
class Artifact(Envelope):
    """A finished file; `path` is relative to the job folder."""

    kind: str
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Envelope):
    """The worker is alive."""


@dataclass(frozen=True, kw_only=True)
class Result(Envelope):
    """The scene is complete; `manifest` is the manifest's path in the job folder."""

    manifest: str


@dataclass(frozen=True, kw_only=True)
class Failure(Envelope):
    """The job failed: a code, what happened and what to do."""

    code: str
    """bad_request, no_gpu, out_of_memory, weights_missing, input_unreadable, disk_full, cancelled or internal."""
    msg: str
    hint: str = ""
    retryable: bool = False
    """Whether the same request may succeed if it is tried again."""


@dataclass(frozen=True, kw_only=True)
class Cancelled(Envelope):
    """The job was given up on request."""


_ENVELOPE = {"job": "str", "seq": "int", "t": "float"}

Message = Hello | Progress | Log | Artifact | Heartbeat | Result | Failure | Cancelled

_MESSAGES: dict[str, type[Message]] = {
    "hello": Hello,
    "progress": Progress,
    "log": Log,
    "artifact": Artifact,
    "heartbeat": Heartbeat,
    "result": Result,
    "error": Failure,
    "cancelled": Cancelled,
}


def parse_line(line: str) -> Message:
    """Message in one line of a worker's standard output; never raises.

    Libraries print to standard output too: whatever is no message becomes a `Log` of level `raw`. A message of another
    protocol version becomes a `Failure` about the worker itself.
    """
    # Progress bars of libraries redraw themselves after a carriage return: the last state is what counts.
    raw = Log(level="raw", msg=line.rstrip().rpartition("\r")[2][:LOG_CHARACTERS])
    if not line.startswith("{"):
        return raw
    try:
        data = _load(line)
        kind, envelope = data["type"], _fields(data, "message", _ENVELOPE)
        if data["v"] != VERSION:
            return _other_version(data["v"])
        return _MESSAGES[kind](**envelope, **_fields(data, kind))
    except (ValueError, KeyError, TypeError):
        return raw


def _other_version(version: object) -> Failure:
    return Failure(
        code="internal",
        msg=f"The worker speaks protocol version {str(version)[:20]}, this extension version {VERSION}.",
        hint="Update the extension and the lyra-sim package in the worker's Python to the same release.",
    )


@dataclass(frozen=True)
class Manifest:
    """Description of a finished scene: `manifest.json`. Paths are relative to the job folder, with `/`."""

    job: str
    mode: str
    prompt: str | None
    input: str | None
    seed: int
    model: str
    quality_tier: str
    models: dict[str, Any]
    """Weight file -> SHA-256."""
    usd: str
    """Root layer of the scene."""
    usd_isaac5: str | None
    """Root layer for Isaac Sim 5, if there is one of its own."""
    encodings: list[str]
    """Which of `particlefield` and `nurec` the scene holds."""
    preview: str
    provenance: str
    gaussians: int
    sh_degree: int
    bounds_m: dict[str, list[float]]
    """`min` and `max` corner, world frame, Z up [m]."""
    trusted_viewpoints_m: dict[str, Any] | None
    """Box of the viewpoints the pictures can be trusted from: `min`, `max` [m] and their `count`."""
    collider: dict[str, Any] | None
    metric: bool
    """Whether lengths are claimed to be true metres."""
    scale_source: str
    warnings: list[str]
    up_axis: str
    meters_per_unit: float
    time_range: dict[str, float] | None
    """`start`, `end` [time codes] and `time_codes_per_second` of a scene that moves."""
    files: list[dict[str, Any]]
    """`kind`, `path`, `bytes` and `sha256` of each file."""
    bytes: int
    """Size of all files [bytes]."""
    v: int = VERSION

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Manifest of a job folder.

        Raises ProtocolError if there is none, if it is malformed, or if a path in it leads out of the folder.
        """
        text = _read_small_file(folder, MANIFEST_FILE)
        manifest = cls(**_read_object(text, "manifest", str(folder / MANIFEST_FILE)))
        try:
            manifest._require_consistent(folder)
        except (KeyError, TypeError) as error:
            raise ProtocolError(f"{folder / MANIFEST_FILE} is malformed: {error}. Generate the scene again.") from error
        return manifest

    def root_file(self, folder: Path, encoding: str) -> Path:
        """Layer to put on a stage for `particlefield` or `nurec`.

        Raises ProtocolError if the scene does not hold that encoding or the file is gone.
        """
        if encoding not in self.encodings:
            raise ProtocolError(
                f"The scene in {folder} holds {', '.join(self.encodings)}, not {encoding}. "
                f"Generate it again with the encoding {encoding} or universal."
            )
        name = self.usd_isaac5 if encoding == "nurec" and self.usd_isaac5 else self.usd
        return existing_file(folder, name)

    def _require_consistent(self, folder: Path) -> None:
        paths = [self.usd, self.preview, self.provenance, *(entry["path"] for entry in self.files)]
        for path in [*paths, *(path for path in (self.usd_isaac5, self.input) if path is not None)]:
            inside(folder, path)
        existing_file(folder, self.usd)
        _require_texts("encodings", self.encodings)
        _require_texts("warnings", self.warnings)
        _require_box("bounds_m", self.bounds_m)
        if self.trusted_viewpoints_m is not None:
            _require_box("trusted_viewpoints_m", self.trusted_viewpoints_m)
        if self.time_range is not None:
            _require_numbers("time_range", [self.time_range[key] for key in ("start", "end", "time_codes_per_second")])
        if self.meters_per_unit <= 0:
            raise TypeError("meters_per_unit is not positive")


def inside(folder: Path, name: str) -> Path:
    """File `name` of a job folder, which need not exist.

    Raises ProtocolError if `name` is not a plain relative path with `/`, or a link leads out of the folder.
    """
    path = PurePosixPath(name)
    plain = bool(name) and not path.is_absolute() and ".." not in path.parts
    if not plain or any(character in name for character in "\\:\0"):
        raise ProtocolError(f"{folder} names the file {name[:200]!r} outside of itself. Do not use this scene.")
    file = folder.joinpath(*path.parts)
    try:
        resolved = file.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise ProtocolError(f"{file} cannot be followed: {error}. Do not use this scene.") from error
    if not resolved.is_relative_to(folder.resolve()):
        raise ProtocolError(f"{file} is a link out of the scene's folder. Do not use this scene.")
    return file


def existing_file(folder: Path, name: str) -> Path:
    """File `name` of a job folder. Raises ProtocolError if it is gone, or as `inside`."""
    path = inside(folder, name)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise ProtocolError(f"{path} cannot be read: {error.strerror}.") from error
    raise ProtocolError(f"{path} is gone. Put the folder back where it was, or generate the scene again.")


@dataclass(frozen=True)
class Gpu:
    """A graphics card as the worker sees it."""

    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Model:
    """A model the worker knows, and whether its weights are there."""

    name: str
    summary: str
    quality_tier: str
    ready: bool
    detail: str


@dataclass(frozen=True)
class ProbeReport:
    """What the worker's environment offers."""

    python: str
    executable: str
    versions: dict[str, Any]
    gpus: tuple[Gpu, ...]
    cuda: bool
    models: tuple[Model, ...]
    disk_free_bytes: int
    problems: tuple[str, ...]
    """What is wrong, in words; empty if everything is there."""


_PROBE = {
    "python": "str",
    "executable": "str",
    "versions": "dict",
    "gpus": "list",
    "cuda": "bool",
    "models": "list",
    "disk_free_bytes": "int",
    "problems": "list",
}
_GPU = {"name": "str", "memory_bytes": "int"}
_MODEL = {"name": "str", "summary": "str", "quality_tier": "str", "ready": "bool", "detail": "str"}


def parse_probe(text: str) -> ProbeReport:
    """Report in the output of `--probe`: its last line that is a JSON object; other lines are ignored.

    Raises ProtocolError if there is no such line, or if it is of another version or malformed.
    """
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise ProtocolError("The worker's Python printed no report. Is it really a Python with lyra-sim installed?")
    try:
        data = _load(lines[-1])
        if data.get("v") != VERSION:
            failure = _other_version(data.get("v"))
            raise ProtocolError(f"{failure.msg} {failure.hint}")
        fields = _fields(data, "report", _PROBE)
        _require_texts("problems", fields["problems"])
        fields["problems"] = tuple(fields["problems"])
        fields["gpus"] = tuple(Gpu(**_fields(gpu, "gpu", _GPU)) for gpu in fields["gpus"])
        fields["models"] = tuple(Model(**_fields(model, "model", _MODEL)) for model in fields["models"])
        return ProbeReport(**fields)
    except ProtocolError:
        raise
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"The worker's report cannot be read: {error}. Update lyra-sim in its Python.") from error


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _load(text: str) -> dict[str, Any]:
    """JSON object; ValueError for anything else, NaN and nesting beyond reason included."""
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _fields(data: object, kind: str, schema: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The fields of a schema, checked; TypeError names the first that is wrong."""
    if not isinstance(data, dict):
        raise TypeError(f"{kind} is not an object")
    checked = {}
    for name, expected in (SCHEMA[kind] if schema is None else schema).items():
        value = data.get(name)
        if not (value is None and expected.endswith("?")) and not _TYPES[expected.rstrip("?")](value):
            raise TypeError(f"{kind}: {name} should be {expected}, not {str(value)[:60]!r}")
        checked[name] = float(value) if value is not None and expected.startswith("float") else value
    return checked


def _read_object(text: str, kind: str, where: str) -> dict[str, Any]:
    try:
        data = _load(text)
        if data.get("v") != VERSION:
            raise ProtocolError(
                f"{where} has version {str(data.get('v'))[:20]}, this extension reads {VERSION}. "
                "Update the extension, or generate the scene again."
            )
        return _fields(data, kind)
    except ProtocolError:
        raise
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"{where} is malformed: {error}. Generate the scene again.") from error


def _read_small_file(folder: Path, name: str) -> str:
    path = existing_file(folder, name)
    try:
        with path.open("rb") as file:
            content = file.read(MANIFEST_BYTES + 1)
        if len(content) > MANIFEST_BYTES:
            raise ProtocolError(f"{path} is larger than {MANIFEST_BYTES >> 20} MiB. Generate the scene again.")
        return content.decode("utf-8")
    except OSError as error:
        raise ProtocolError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ProtocolError(f"{path} is not text. Generate the scene again.") from error


def _require_texts(name: str, values: list[Any]) -> None:
    if not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name} holds something else than texts")


def _require_numbers(name: str, values: object, count: int = 3) -> None:
    if not isinstance(values, list) or len(values) != count or not all(map(_is_number, values)):
        raise TypeError(f"{name} should hold {count} numbers")


def _require_box(name: str, box: dict[str, Any]) -> None:
    for corner in ("min", "max"):
        _require_numbers(f"{name}.{corner}", box[corner])
