# SPDX-License-Identifier: Apache-2.0
"""One user's work: the running job, the scenes made so far, spawning and exporting. Window and scripts share it.

Nothing here blocks and nothing here knows Kit: `tick` is called once per frame and drains what child processes said;
what Kit does for us comes in through the host.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from . import _paths, stage_ops
from .errors import LyraSimError
from .exporting import Export
from .generate_options import GenerateOptions, RequestOptions
from .host import Host, PlainHost
from .jobs import Job, JobState, create_job
from .library import SceneLibrary, StoredScene
from .protocol import LOG_FILE, ProbeReport, Request, existing_file
from .settings_schema import SETTINGS, Settings
from .spawning import spawn_request
from .worker_client import Probe, WorkerClient

if TYPE_CHECKING:
    from .stage_ops import Spawned

__all__ = ["GenerateOptions", "Host", "Message", "PlainHost", "Session"]

WORKER_CLOSE_S = 3.0
PAUSE_S = 0.02
UNSAVED = "anon:"
"""How the address of a stage begins that was never saved."""
SHUTTING_DOWN = "The extension is shutting down."


@dataclass(frozen=True)
class Message:
    """The latest thing the user should know."""

    text: str = ""
    warning: bool = False


class Session:
    """Owns the settings, the worker, the stored scenes and the current job.

    Methods are called on the main thread and return at once. What cannot be done raises LyraSimError with a text that
    says what to do; the same text is in `message`, and the session can be used again at once.

    Args:
        host: The application around.
        settings: Read from the host by default.

    Attributes:
        job: The current or the last job.
        latest: The scene of the last job that finished.
        spawned_path: Prim path of the scene spawned last on the stage that is open.
        environment: What the last check of the worker's environment found; None before the first.
        export: The conversion that runs or ran last.
        message: The latest thing the user should know.
        on_change: Called after any of this changed.
    """

    def __init__(self, host: Host, settings: Settings | None = None) -> None:
        self.host = host
        self.job: Job | None = None
        self.latest: StoredScene | None = None
        self.spawned_path: str | None = None
        self.environment: ProbeReport | LyraSimError | None = None
        self.export: Export | None = None
        self.message = Message()
        self.on_change: list[Callable[[], None]] = []
        self._given_settings = settings
        self.settings = self._current_settings()
        self._client: WorkerClient | None = None
        self._client_of: tuple[Any, ...] = ()
        self._retired: list[WorkerClient] = []
        self._probe: Probe | None = None
        self._library: SceneLibrary | None = None
        self._history: list[StoredScene] | None = None
        self._job_open = False
        self._paths_absolute = False
        self._stage_url = ""
        self._next_tick = 0.0
        self._closed = False

    # ---------------------------------------------------------------------------------------------------- settings

    def update_settings(self, **values: Any) -> None:
        """Change settings by field name and store them, for example `update_settings(device="cpu")`."""
        self.settings = replace(self.settings, **values)
        self._given_settings = self._given_settings and self.settings
        for setting in SETTINGS:
            if setting.field in values:
                self.host.set_setting(setting.path, values[setting.field])
        if {"worker_python", "repo_root"} & values.keys():
            self.environment = None
        if "output_dir" in values:
            self._history = None
        self._changed()

    def _current_settings(self) -> Settings:
        """Those that were given, else what the host has now: other parts of the application change them too."""
        if self._given_settings:
            return self._given_settings
        settings, problems = Settings.load(self.host.get_setting)
        for problem in problems:
            self.host.log("warning", problem)
        return settings

    @property
    def scenes_folder(self) -> Path:
        """Folder that holds one folder per scene."""
        return _paths.scenes_folder(self.settings.output_dir, str(self.host.cache_folder()))

    def interpreter(self) -> Path:
        """The Python that runs the models; LyraSimError if there is none."""
        repository = _paths.repo_root(self.settings.repo_root, _paths.EXTENSION_FOLDER)
        return _paths.resolve_interpreter(self.settings.worker_python, self.host.environ(), repository)

    # -------------------------------------------------------------------------------------------------- generating

    @property
    def state(self) -> JobState:
        """State of the current or the last job."""
        return self.job.state if self.job else JobState.IDLE

    @property
    def busy(self) -> bool:
        """Whether a job runs, or ended a moment ago and its process is not gone yet."""
        return self._job_open

    def why_not_generate(self) -> str | None:
        """Why no job can be started now; None if one can."""
        if self._closed:
            return SHUTTING_DOWN
        if self._job_open:
            return "A scene is being generated. Wait for it or cancel it."
        return None

    def generate(
        self,
        prompt: str | None = None,
        *,
        image: Path | str | None = None,
        video: Path | str | None = None,
        depth: Path | str | None = None,
        **options: Unpack[RequestOptions],
    ) -> Job:
        """Start a job; `tick` carries it on. See `GenerateOptions` and `lyra.sim.api.generate`."""
        with self._reporting():
            self._require(self.why_not_generate())
            self.settings = self._current_settings()
            request = Request(mode=_mode(prompt, image, video), prompt=prompt, **options)
            interpreter = self.interpreter()
            job = create_job(self.scenes_folder, request, source=_local(image or video), depth=_local(depth))
        self._client = self._client_for(interpreter)
        self._client.start(job)
        self.job, self._job_open = job, True
        self._tell("")
        return job

    def cancel(self) -> None:
        """Ask the running job to stop; the worker is killed if it does not."""
        if self._client and self._job_open:
            self._client.cancel()
            self._changed()

    def kill(self) -> None:
        """End the worker of the running job now."""
        if self._client and self._job_open:
            self._client.kill()
            self._changed()

    def _client_for(self, interpreter: Path) -> WorkerClient:
        """The worker that keeps its models loaded if it was started with the same settings, else a new one."""
        settings = self.settings
        wanted = (interpreter, settings.device, settings.heartbeat_timeout_s, settings.keep_models_loaded)
        if self._client and self._client_of == wanted:
            return self._client
        if self._client:
            self._client.kill()
            self._retired.append(self._client)
        self._client_of = wanted
        return WorkerClient(
            interpreter,
            environ=self.host.environ(),
            device=settings.device,
            heartbeat_timeout_s=settings.heartbeat_timeout_s,
            warm=settings.keep_models_loaded,
        )

    def check_environment(self) -> None:
        """Ask the worker's Python what it has; the answer arrives in `environment`."""
        if self._probe or self._closed:
            return
        self.settings = self._current_settings()
        try:
            self._probe = Probe(self.interpreter(), self.host.environ(), device=self.settings.device)
        except LyraSimError as error:
            self.environment = error
        self._changed()

    @property
    def checking(self) -> bool:
        """Whether a check of the environment runs."""
        return self._probe is not None

    # ------------------------------------------------------------------------------------------------ using a scene

    @property
    def history(self) -> list[StoredScene]:
        """Scenes made so far, the newest first; empty if the folder for them cannot be used."""
        if self._history is None:
            self.refresh_history()
        return self._history or []

    @property
    def broken(self) -> list[tuple[Path, str]]:
        """Folders that hold no complete scene, and why."""
        return self._library.broken if self._library else []

    def refresh_history(self) -> None:
        """Read the folder of scenes again."""
        try:
            self._library = SceneLibrary(self.scenes_folder)
            self._history = self._library.scenes()
        except LyraSimError:
            self._library, self._history = None, []

    def delete(self, scene: StoredScene) -> None:
        """Remove a stored scene from the disk."""
        SceneLibrary(self.scenes_folder).delete(scene)
        self.refresh_history()
        if self.latest and self.latest.folder == scene.folder:
            self.latest = None
        self._changed()

    def why_not_spawn(self) -> str | None:
        """Why nothing can be spawned now; None if it can."""
        if self._closed:
            return SHUTTING_DOWN
        if self.host.stage() is None:
            return "No stage is open. Create or open one (File menu), then spawn the scene again; it is kept on disk."
        return None

    def spawn(self, scene: StoredScene, *, encoding: str = "auto", **options: Any) -> str:
        """Put a scene on the open stage, select and frame it; returns its prim path.

        Args:
            scene: From `history` or `latest`.
            encoding: auto, particlefield or nurec; auto follows the setting, then the version of Kit.
            options: Further fields of `stage_ops.SpawnRequest`.
        """
        with self._reporting():
            self._require(self.why_not_spawn())
            self.settings = self._current_settings()
            spawned = self.host.spawn(spawn_request(scene, self.chosen_encoding(encoding), options))
        self.spawned_path = spawned.prim_path
        self._paths_absolute = True
        self.host.frame(spawned.prim_path)
        self.message = Message(f"{scene.title} stands at {spawned.prim_path}.")
        self._give_hints(spawned)
        self._changed()
        return spawned.prim_path

    def chosen_encoding(self, encoding: str = "auto") -> str:
        """The encoding a spawn would show: particlefield or nurec."""
        wanted = self.settings.encoding if encoding == "auto" else encoding
        return stage_ops.choose_encoding(wanted, self.host.kit_version())

    def frame(self) -> None:
        """Point the viewport at the scene spawned last."""
        if self.spawned_path:
            self.host.frame(self.spawned_path)

    def _give_hints(self, spawned: Spawned) -> None:
        """What would surprise the user, in one notification; it offers the physics scene that is missing."""
        stage = self.host.stage()
        hints = [*spawned.warnings, *stage_ops.stage_hints(stage)]
        if not hints:
            return
        self.message = Message(f"{self.message.text} {' '.join(hints)}", warning=bool(spawned.warnings))
        missing = stage_ops.find_physics_scene(stage) is None
        offer = ("Add physics scene", self._add_physics_scene) if missing else None
        self.host.notify("\n".join(hints), warning=True, button=offer)

    def _add_physics_scene(self) -> None:
        try:
            self.host.add_physics_scene()
        except LyraSimError as error:
            self.host.notify(str(error), warning=True)

    def why_not_export(self) -> str | None:
        """Why no export can be started now; None if one can."""
        if self._closed:
            return SHUTTING_DOWN
        if self.exporting:
            return "An export is running. Wait for it."
        return None

    @property
    def exporting(self) -> bool:
        """Whether a conversion runs."""
        return self.export is not None and self.export.result is None

    def export_usdz(self, scene: StoredScene, target: Path | str, encoding: str = "auto") -> Export:
        """Start converting a scene to one package; `tick` carries it on. See `lyra.sim.api.export_usdz`."""
        with self._reporting():
            self._require(self.why_not_export())
            self.settings = self._current_settings()
            self.export = Export(
                self.interpreter(),
                source=existing_file(scene.folder, scene.manifest.usd),
                target=target,
                encoding=encoding,
                environ=self.host.environ(),
            )
        self._tell(f"Writing {self.export.target} …")
        return self.export

    # ------------------------------------------------------------------------------------------------- being driven

    def tick(self, now: float) -> None:
        """Drain what the child processes said; called once per frame, works `poll_hz` times per second.

        Args:
            now: Monotonic time [s].
        """
        if self._closed or now < self._next_tick:
            return
        self._next_tick = now + 1.0 / self.settings.poll_hz
        changed = [self._follow_job(), self._follow_probe(), self._follow_export(), self._follow_stage()]
        if any(changed):
            self._changed()

    def wait_for_job(self, poll_fn: Callable[[], Any] | None = None) -> None:
        """Block until the running job is over; for scripts only. A worker that stops responding is ended.

        Args:
            poll_fn: Called every round, for example `simulation_app.update`.
        """
        if self._client and self._job_open:
            self._client.wait(lambda: self._round(poll_fn))
            self._follow_job()
            self._changed()

    def wait(self, is_over: Callable[[], bool], poll_fn: Callable[[], Any] | None = None) -> None:
        """Block until something is over; for scripts only.

        Args:
            is_over: Asked after every round.
            poll_fn: Called every round, for example `simulation_app.update`.
        """
        pause = threading.Event()
        while not is_over():
            self._round(poll_fn)
            pause.wait(PAUSE_S)

    def _round(self, poll_fn: Callable[[], Any] | None = None) -> None:
        if poll_fn:
            poll_fn()
        self.tick(time.monotonic())

    def stage_opened(self) -> None:
        """Another stage is open; controls that need one may change."""
        self._follow_stage()
        self._changed()

    def stage_closing(self) -> None:
        """The open stage goes away. Jobs go on; what was spawned is not there any more."""
        self.spawned_path = None
        self._changed()

    def close(self) -> None:
        """End all child processes; takes a few seconds at most. The session cannot be used afterwards."""
        if self._closed:
            return
        self._closed = True
        self.on_change.clear()
        for client in self._clients():
            client.close(WORKER_CLOSE_S)
        if self._probe:
            self._probe.close()
            self.environment = self._probe.poll()
        if self.export:
            self.export.close()
        self._client = self._probe = None
        self._job_open = False

    def _clients(self) -> list[WorkerClient]:
        """The worker in use, and those whose processes may not be reaped yet."""
        return [*self._retired, *([self._client] if self._client else [])]

    def _follow_job(self) -> bool:
        for client in self._clients():
            client.poll()
        if not (self.job and self._job_open):
            return False
        if self.job.is_over:
            self._job_open = False
            self._finish(self.job)
        return True

    def _finish(self, job: Job) -> None:
        if job.state is JobState.DONE:
            self.refresh_history()
            self.latest = next((scene for scene in self.history if scene.folder == job.folder), None)
            self._announce_scene(job)
        elif job.state is JobState.CANCELLED:
            self.message = Message("Cancelled. Nothing was changed.")
        else:
            self._announce_failure(job)

    def _announce_scene(self, job: Job) -> None:
        scene = self.latest
        if scene is None:
            self._tell(f"The scene in {job.folder} is incomplete. Generate it again.", warning=True)
            return
        text = f"{scene.title}: {scene.manifest.gaussians:,} Gaussians."
        self.message = Message(f"{text} Spawn puts them on the open stage.")
        self.host.notify(text, button=("Spawn", lambda: self._spawn_from_notification(scene)))

    def _spawn_from_notification(self, scene: StoredScene) -> None:
        try:
            self.spawn(scene)
        except LyraSimError as error:
            self.host.notify(str(error), warning=True)

    def _announce_failure(self, job: Job) -> None:
        text = failure_text(job)
        self.message = Message(text, warning=True)
        self.host.notify(text, warning=True, button=("Open log", lambda: self.host.open_folder(job.folder)))

    def _follow_probe(self) -> bool:
        answer = self._probe.poll() if self._probe else None
        if answer is None:
            return False
        self.environment, self._probe = answer, None
        return True

    def _follow_export(self) -> bool:
        if self.export is None or self.export.result is not None:
            return False
        result = self.export.poll()
        if result is None:
            return False
        if isinstance(result, LyraSimError):
            self.message = Message(str(result), warning=True)
            self.host.notify(str(result), warning=True)
        else:
            self.message = Message(f"{result} is written.")
            self.host.notify(f"{result.name} is written.", button=("Open folder", self._open_folder_of(result)))
        return True

    def _open_folder_of(self, file: Path) -> Callable[[], None]:
        return lambda: self.host.open_folder(file.parent)

    def _follow_stage(self) -> bool:
        """Once a stage is saved beside a spawned scene, its paths become relative, so that both can be moved."""
        url = self.host.stage_url()
        if url == self._stage_url:
            return False
        self._stage_url = url
        stage = self.host.stage()
        if self._paths_absolute and stage is not None and not url.startswith(UNSAVED):
            self._paths_absolute = False
            for path in stage_ops.make_paths_relative(stage):
                self.host.log("info", f"{path} now names its file relative to the stage; save once more to keep that")
        return True

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Why something is refused also stands in `message`."""
        try:
            yield
        except LyraSimError as error:
            self._tell(str(error), warning=True)
            raise

    def _require(self, reason: str | None) -> None:
        if reason:
            raise LyraSimError(reason)

    def _tell(self, text: str, *, warning: bool = False) -> None:
        self.message = Message(text, warning)
        self._changed()

    def _changed(self) -> None:
        for callback in list(self.on_change):
            callback()


def failure_text(job: Job) -> str:
    """Why a job failed and what to do."""
    failure = job.failure
    if failure is None:
        return f"The worker ended without a scene. Its last words are in {job.folder / LOG_FILE}."
    return "\n".join(text for text in (failure.msg, failure.hint) if text)


def _mode(prompt: str | None, image: Path | str | None, video: Path | str | None) -> str:
    """Of a request: text, image or video."""
    if image and video:
        raise LyraSimError("Give either an image or a video, not both.")
    if not (image or video or prompt):
        raise LyraSimError('Describe the scene, for example "a small kitchen with a red fridge", or choose a picture.')
    return "image" if image else "video" if video else "text"


def _local(path: Path | str | None) -> Path | None:
    return _paths.local_file(path) if path else None
