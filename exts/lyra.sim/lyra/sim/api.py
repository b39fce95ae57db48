# SPDX-License-Identifier: Apache-2.0
"""Scripting: everything the window does, without it.

In plain Python, on the worker's own machine::

    from lyra.sim import api

    scene = api.generate("a small kitchen with a red fridge", seed=3)
    print(scene.folder, scene.manifest.gaussians)
    api.export_usdz(scene, "kitchen.usdz")

In Kit's Script Editor, where nothing may block::

    import asyncio
    from lyra.sim import api

    async def main():
        scene = await api.generate_async("a small kitchen with a red fridge")
        print(api.spawn(scene))

    asyncio.ensure_future(main())

In a stand-alone script of Isaac Sim::

    scene = api.generate("a small kitchen", poll_fn=simulation_app.update)
    api.spawn(scene)

With the extension enabled, scripts and window share one session: a job that a script starts shows in the window. In
plain Python, set the environment variable LYRA_WORKER_PYTHON to the Python that lyra-sim is installed in.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from .errors import LyraSimError
from .generate_options import GenerateOptions
from .host import PlainHost
from .jobs import Job, JobState
from .library import SceneLibrary, StoredScene
from .protocol import MANIFEST_FILE, ProbeReport
from .session import Session, failure_text
from .spawning import spawn_request

if TYPE_CHECKING:
    from pxr import Usd

__all__ = [
    "GenerateOptions",
    "GenerationError",
    "LyraSimError",
    "ProbeReport",
    "StoredScene",
    "export_usdz",
    "export_usdz_async",
    "generate",
    "generate_async",
    "list_scenes",
    "load_scene",
    "probe_worker",
    "probe_worker_async",
    "spawn",
]

Progress = Callable[[Job], None]
"""Receives the job whenever it changed: `job.phase`, `job.step`, `job.total`, `job.eta_s`."""
Poll = Callable[[], Any]
"""Called while a script waits, for example `simulation_app.update`."""

_attached: list[Session] = []


class GenerationError(LyraSimError):
    """A scene was not made.

    Attributes:
        code: From the worker, for example out_of_memory; cancelled if it was cancelled.
        retryable: Whether the same call may work later.
        job: The job; `job.log` has the worker's last lines.
    """

    def __init__(self, job: Job) -> None:
        cancelled = job.state is JobState.CANCELLED
        super().__init__("The generation was cancelled." if cancelled else failure_text(job))
        self.job = job
        self.code = "cancelled" if cancelled else (job.failure.code if job.failure else "internal")
        self.retryable = cancelled or bool(job.failure and job.failure.retryable)


def generate(
    prompt: str | None = None,
    *,
    on_progress: Progress | None = None,
    poll_fn: Poll | None = None,
    **options: Unpack[GenerateOptions],
) -> StoredScene:
    """Generate a scene and wait for it.

    Args:
        prompt: What the scene shows.
        on_progress: Called whenever something changed.
        poll_fn: Called while waiting. Needed inside Kit, where it must keep the application alive.
        options: `image`, `video`, `depth`, `model`, `seed`, `max_gaussians`, `encoding`, `collider`,
            `collider_preset`, `camera_height_m`: see `GenerateOptions`.

    Returns:
        The scene on disk; `spawn` puts it on a stage.

    Raises:
        LyraSimError: If the request cannot be used, or inside Kit without `poll_fn`.
        GenerationError: If the worker failed or was cancelled.
    """
    _require_poll(poll_fn, "generate")
    with _session() as session:
        job = session.generate(prompt, **options)
        with _watched(session, job, on_progress):
            session.wait_for_job(poll_fn)
        return _made(session, job)


async def generate_async(
    prompt: str | None = None, *, on_progress: Progress | None = None, **options: Unpack[GenerateOptions]
) -> StoredScene:
    """`generate` for coroutines: the application goes on drawing. Cancelling the task cancels the job."""
    with _session() as session:
        job = session.generate(prompt, **options)
        with _watched(session, job, on_progress):
            await _wait_async(session, lambda: not session.busy)
        return _made(session, job)


def spawn(scene: StoredScene | Path | str, *, stage: Usd.Stage | None = None, **options: Any) -> str:
    """Put a scene on a stage.

    Without `stage`, on the one that is open in Kit: undoable, selected and framed. With it, on that stage and nothing
    else, which works in plain Python too::

        stage = Usd.Stage.CreateNew("world.usda")
        api.spawn(scene, stage=stage, translate=(2.0, 0.0, 0.0))

    Args:
        scene: From `generate` or `list_scenes`, or its folder.
        stage: Where to spawn; the current edit target is written to.
        options: `prim_path`, `translate` [units of the stage], `rotate_xyz_deg`, `scale`, `encoding` (auto,
            particlefield, nurec), `collision`, `sensors`, `visible`: see `stage_ops.SpawnRequest`.

    Returns:
        The prim path.

    Raises:
        LyraSimError: If there is no stage, it cannot be written to, or files of the scene are missing.
    """
    stored = scene if isinstance(scene, StoredScene) else load_scene(scene)
    with _session() as session:
        if stage is None:
            return session.spawn(stored, **options)
        encoding = session.chosen_encoding(options.pop("encoding", "auto"))
        from . import stage_ops

        return stage_ops.spawn(stage, spawn_request(stored, encoding, options)).prim_path


def export_usdz(
    scene: StoredScene | Path | str, target: Path | str, *, encoding: str = "auto", poll_fn: Poll | None = None
) -> Path:
    """Write a scene as one `.usdz` and wait for it.

    Args:
        scene: From `generate` or `list_scenes`, or its folder.
        target: The package; an older one is replaced.
        encoding: auto (a particle field), universal, particlefield or nurec.
        poll_fn: Called while waiting; needed inside Kit.

    Returns:
        The absolute path of the package.

    Raises:
        LyraSimError: If the target cannot be written or the conversion failed.
    """
    _require_poll(poll_fn, "export_usdz")
    stored = scene if isinstance(scene, StoredScene) else load_scene(scene)
    with _session() as session:
        export = session.export_usdz(stored, target, encoding)
        session.wait(lambda: export.result is not None, poll_fn)
        return _value(export.result)


async def export_usdz_async(scene: StoredScene | Path | str, target: Path | str, *, encoding: str = "auto") -> Path:
    """`export_usdz` for coroutines."""
    stored = scene if isinstance(scene, StoredScene) else load_scene(scene)
    with _session() as session:
        export = session.export_usdz(stored, target, encoding)
        await _wait_async(session, lambda: export.result is not None)
        return _value(export.result)


def list_scenes() -> list[StoredScene]:
    """Scenes made so far, the newest first."""
    with _session() as session:
        session.refresh_history()
        return session.history


def load_scene(folder: Path | str) -> StoredScene:
    """A scene by its folder, or by its `manifest.json`.

    Raises:
        LyraSimError: If there is no complete scene.
    """
    path = Path(folder).expanduser().absolute()
    path = path.parent if path.name == MANIFEST_FILE else path
    library = SceneLibrary(path.parent)
    found = next((scene for scene in library.scenes() if scene.folder == path), None)
    if found is None:
        reason = next((why for broken, why in library.broken if broken == path), "there is no manifest.json")
        raise LyraSimError(f"{path} holds no scene: {reason} Pass the folder of a scene, see list_scenes().")
    return found


def probe_worker(*, poll_fn: Poll | None = None) -> ProbeReport:
    """What the worker's Python has: versions, GPUs, models and whether their weights are there.

    Raises:
        LyraSimError: If there is no such Python or it does not answer; the text says what to do.
    """
    _require_poll(poll_fn, "probe_worker")
    with _session() as session:
        session.check_environment()
        session.wait(lambda: not session.checking, poll_fn)
        return _value(session.environment)


async def probe_worker_async() -> ProbeReport:
    """`probe_worker` for coroutines."""
    with _session() as session:
        session.check_environment()
        await _wait_async(session, lambda: not session.checking)
        return _value(session.environment)


# ------------------------------------------------------------------------------------------------------ for Kit itself


def attach(session: Session) -> None:
    """Make this the session of all calls; the extension does it when it starts."""
    _attached[:] = [session]


def detach() -> None:
    """Forget the session; the extension does it when it stops."""
    _attached.clear()


@contextmanager
def _session() -> Iterator[Session]:
    """The extension's session, else one for this call."""
    if _attached:
        yield _attached[0]
        return
    session = Session(PlainHost())
    try:
        yield session
    finally:
        session.close()


@contextmanager
def _watched(session: Session, job: Job, on_progress: Progress | None) -> Iterator[None]:
    """Reports the job while a script waits for it, and ends it if the script is interrupted."""

    def report() -> None:
        if on_progress:
            on_progress(job)

    session.on_change.append(report)
    try:
        yield
    except BaseException:
        if session.job is job:
            session.cancel()
        raise
    finally:
        if report in session.on_change:
            session.on_change.remove(report)


async def _wait_async(session: Session, is_over: Callable[[], bool]) -> None:
    while not is_over():
        await session.host.next_frame()
        session.tick(time.monotonic())


def _require_poll(poll_fn: Poll | None, name: str) -> None:
    if poll_fn is None and "omni.kit.app" in sys.modules:
        raise LyraSimError(
            f"{name}() would freeze Kit until it is done. In the Script Editor write `await {name}_async(...)`; "
            f"in a stand-alone script pass poll_fn=simulation_app.update."
        )


def _made(session: Session, job: Job) -> StoredScene:
    if job.state is not JobState.DONE:
        raise GenerationError(job)
    scene = session.latest
    if scene is None or scene.folder != job.folder:
        return load_scene(job.folder)
    return scene


def _value(result: Any) -> Any:
    if isinstance(result, LyraSimError):
        raise result
    return result
