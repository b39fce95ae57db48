# SPDX-License-Identifier: Apache-2.0
"""One job: from `request.json` to `manifest.json`, or to nothing but a log."""

from __future__ import annotations

import contextlib
import os
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lyra_core import __version__
from lyra_core.app.jobs.failures import JobError, failure
from lyra_core.app.jobs.forecast import Forecast, earlier_seconds, keep_seconds
from lyra_core.app.jobs.output import MessageWriter, output_to
from lyra_core.app.jobs.results import PREVIEW, PROVENANCE, SCENE, STAGED, artifacts, finished_manifest
from lyra_core.app.jobs.watch import JobCancelled, Watch
from lyra_core.app.phases import PhaseListener
from lyra_core.app.worker_protocol import (
    Cancelled,
    Hello,
    JobRequest,
    Log,
    Message,
    Progress,
    ProtocolError,
    Result,
    SceneManifest,
    read_request,
)
from lyra_core.errors import LyraError
from lyra_core.files import replacing

if TYPE_CHECKING:
    from lyra_core.app.generate import GenerateRequest, Load

MANIFEST, LOG = "manifest.json", "worker.log"
_PACKAGES = ("torch", "numpy", "numba", "diffusers", "usd-core")
_NO_DEVICE = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES that hide every GPU; the last one is Slurm's."""


def job_name(folder: Path) -> str:
    """The job of a folder as its request has it, else as the folder is called."""
    try:
        return read_request(folder).job
    except ProtocolError:
        return folder.name


def run_job(folder: Path, writer: MessageWriter, watch: Watch, load: Load) -> Message:
    """Runs the job that `writer` was opened for and returns its last message, which has been sent.

    Args:
        folder: job folder with a request.
        writer: where messages go.
        watch: who may stop the job.
        load: where models come from.
    """
    job = _Job(folder, writer, watch)
    watch.begin(folder, job.remove_all)
    try:
        with output_to(folder / LOG), _tracebacks():
            return job.run(load)
    except JobCancelled:
        last: Message = Cancelled()
    except Exception as error:
        last = failure(error, job.phase)
    finally:
        watch.end()
    job.remove_all()
    writer.end(lambda: last)
    return last


@contextmanager
def _tracebacks() -> Iterator[None]:
    """Prints where a failure happened."""
    try:
        yield
    except JobCancelled:
        raise
    except Exception:
        with contextlib.suppress(OSError):  # a full disk must not hide the failure itself
            traceback.print_exc()
        raise


class _Job(PhaseListener):
    """The work in one folder; as a listener it reports progress and lets the job be cancelled at every step."""

    def __init__(self, folder: Path, writer: MessageWriter, watch: Watch) -> None:
        super().__init__()
        self._folder = folder
        self._writer = writer
        self._watch = watch
        self._forecast = Forecast({})
        self._began = False

    def run(self, load: Load) -> Result:
        """Everything from the request to the manifest."""
        from lyra_core.app.generate import generate

        self._writer.send(Hello(pid=os.getpid(), versions=_versions(), device=_device()))
        request = read_request(self._folder)
        self._require_fresh_folder()
        self._forecast = Forecast(earlier_seconds(self._folder, request))
        wish = self._wish(request)
        _require_device()
        _require_weights(request.model)
        (self._folder / STAGED).mkdir()
        summary = generate(wish, self, load)
        self._watch.check()
        (self._folder / STAGED).rename(self._folder / SCENE)
        files = artifacts(self._folder)
        for artifact in files:
            self._writer.send(artifact)
        manifest = finished_manifest(request, summary, files)
        with contextlib.suppress(OSError):
            keep_seconds(self._folder, request, summary.seconds)
        self._writer.end(lambda: self._commit(manifest))
        return Result(manifest=MANIFEST)

    def __call__(self, phase: str, step: int, total: int) -> None:
        """Raises JobCancelled when the job is no longer wanted."""
        self._watch.check()
        super().__call__(phase, step, total)

    def note(self, text: str) -> None:
        """Sends it as a log message."""
        self._writer.send(Log(level="info", msg=text))

    def stepped(self, step: int, total: int) -> None:
        """Sends one message."""
        fraction, eta = self._forecast.at(self.seconds, self.phase, self.elapsed)
        self._writer.send(Progress(phase=self.phase or "", step=step, total=total, fraction=fraction, eta_s=eta))

    def remove_all(self) -> None:
        """Removes what an unfinished job has made, its log excepted."""
        if not self._began:
            return
        left = [self._folder / name for name in (SCENE, STAGED, PREVIEW, PROVENANCE)]
        for path in (*left, *self._folder.glob(".*.part*")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _require_fresh_folder(self) -> None:
        """Refuses a finished job; what a crashed one has left is removed."""
        if (self._folder / MANIFEST).exists():
            raise JobError("bad_request", f"{self._folder} holds a finished job. Make a new folder for a new one.")
        self._began = True
        self.remove_all()

    def _wish(self, request: JobRequest) -> GenerateRequest:
        """The request as `lyra generate` has it."""
        from lyra_core.app.generate import GenerateRequest
        from usd_export.arguments import parse_length

        if request.mode == "video":
            raise JobError("bad_request", "no model for video is installed yet. Give a prompt or a picture.")
        height = request.camera_height_m
        return GenerateRequest(
            self._folder / STAGED,  # exists already, hence a folder to `Scene.save` in spite of its suffix
            prompt=request.prompt if request.mode == "text" else None,
            image=self._input(request.input, request.input_sha256),
            depth=self._input(request.depth),
            model=request.model,
            seed=request.seed,
            max_gaussians=request.max_gaussians,
            collider=request.collider,
            collider_preset=request.collider_preset,
            encoding=request.encoding,
            camera_height=None if height is None else parse_length(repr(height), "camera_height_m"),
            preview=self._folder / PREVIEW,
        )

    def _input(self, name: str | None, digest: str | None = None) -> Path | None:
        """The path of an input, if there is one, after a look at what it is."""
        from lyra_core.weights.manifest import sha256

        if name is None:
            return None
        path = self._folder / name
        if path.is_symlink():
            raise JobError("bad_request", f"{name} is a link. Copy the file itself into the job folder.")
        if not path.is_file():
            raise JobError("input_unreadable", f"{name} is not in the job folder.")
        try:
            changed = digest is not None and sha256(path) != digest
        except OSError as error:
            raise JobError("input_unreadable", f"{name} cannot be read ({error.strerror}).") from error
        if changed:
            raise JobError("input_unreadable", f"{name} is not the file that was chosen: its SHA-256 differs.")
        return path

    def _commit(self, manifest: SceneManifest) -> Result:
        """Makes the job a finished one."""
        with replacing(self._folder / MANIFEST) as temporary:
            temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return Result(manifest=MANIFEST)


def _versions() -> dict[str, str]:
    """What is installed, without loading it."""
    versions = {"lyra-sim": __version__}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _device() -> str:
    """Where the work will be done, for `Hello`; torch is not loaded where no GPU is visible."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in _NO_DEVICE:
        return "cpu"
    from lyra_core.devices import device_name, working_device

    return device_name(working_device())


def _require_device() -> None:
    """Refuses to run on the CPU where a GPU was asked for."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if wanted in _NO_DEVICE:
        return
    from lyra_core.devices import HOME, working_device

    if working_device() == HOME:
        raise JobError("no_gpu", f"CUDA_VISIBLE_DEVICES asks for GPU {wanted!r}, but torch finds none.")


def _require_weights(model: str) -> None:
    from lyra_core.weights.presets import load_preset

    preset = load_preset(model)
    try:
        preset.require_files()
    except LyraError as error:
        raise JobError("weights_missing", str(error)) from error
