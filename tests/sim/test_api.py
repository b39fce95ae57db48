# SPDX-License-Identifier: Apache-2.0
"""The scripting interface: in plain Python, in Kit's Script Editor, in a stand-alone script."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pxr import Usd, UsdGeom
from sim.fake_worker import make_interpreter
from sim.started_kit import start, stop, store_scene

from fake_kit import FakeKit
from lyra.sim import api
from lyra.sim.jobs import Job, JobState


@pytest.fixture(autouse=True)
def no_session() -> Iterator[None]:
    """No extension of another test is used."""
    api.detach()
    yield
    api.detach()


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Plain Python with a worker that does what the prompt says; the folder that holds the scenes."""
    monkeypatch.setenv("LYRA_WORKER_PYTHON", str(make_interpreter(tmp_path)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lyra"


# ----------------------------------------------------------------------------------------------------- plain Python


def test_generate_waits_and_reports(plain: Path) -> None:
    phases: list[str] = []
    scene = api.generate("a small kitchen", seed=5, on_progress=lambda job: phases.append(job.phase))
    assert scene.folder.parent == plain
    assert scene.manifest.seed == 5
    assert "paint" in phases
    assert [found.folder for found in api.list_scenes()] == [scene.folder]


def test_generate_async_in_plain_python(plain: Path) -> None:
    scene = asyncio.run(api.generate_async("a small kitchen"))
    assert scene.title == "a small kitchen"


def test_a_failure_has_a_code(plain: Path) -> None:
    with pytest.raises(api.GenerationError, match="choose mini") as caught:
        api.generate("do: out_of_memory")
    assert (caught.value.code, caught.value.retryable) == ("out_of_memory", True)
    assert caught.value.job.folder.is_dir()


def test_a_request_that_cannot_be_used_raises(plain: Path) -> None:
    with pytest.raises(api.LyraSimError, match="Describe the scene"):
        api.generate()


def test_without_a_worker_the_way_to_one_is_told(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYRA_WORKER_PYTHON", str(plain / "python"))
    with pytest.raises(api.LyraSimError, match=r"LYRA_WORKER_PYTHON names .* which does not exist"):
        api.generate("a yard")
    with pytest.raises(api.LyraSimError, match="LYRA_WORKER_PYTHON"):
        api.probe_worker()


def pid_of(job: Job) -> int:
    """Of the worker, 0 before it said so."""
    said = re.search(r"worker (\d+)", "\n".join(job.log))
    return int(said[1]) if said else 0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_interrupted_script_leaves_no_worker(plain: Path) -> None:
    jobs: list[Job] = []

    def interrupt() -> None:
        if jobs and pid_of(jobs[0]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.generate("do: stubborn", on_progress=jobs.append, poll_fn=interrupt)
    assert not is_alive(pid_of(jobs[0]))


def test_a_cancelled_task_cancels_the_job(plain: Path) -> None:
    jobs: list[Job] = []

    async def main() -> None:
        task = asyncio.ensure_future(api.generate_async("do: slow", on_progress=jobs.append))
        while not (jobs and pid_of(jobs[0])):
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert jobs[0].state is JobState.CANCELLED
    assert not is_alive(pid_of(jobs[0]))


def test_probe_worker(plain: Path) -> None:
    report = api.probe_worker()
    assert report.models[0].name == "mini"
    assert asyncio.run(api.probe_worker_async()) == report


def test_load_scene_takes_a_folder_or_its_manifest(tmp_path: Path) -> None:
    folder = store_scene(tmp_path / "kitchen")
    assert api.load_scene(folder).folder == folder
    assert api.load_scene(str(folder / "manifest.json")).folder == folder
    with pytest.raises(api.LyraSimError, match="holds no scene"):
        api.load_scene(tmp_path)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(api.LyraSimError, match="holds no scene"):
        api.load_scene(folder)


def test_spawn_on_a_stage_of_ones_own(tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "world.usda"))
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    path = api.spawn(store_scene(tmp_path / "kitchen"), stage=stage, translate=(100.0, 0.0, 0.0), encoding="nurec")
    assert stage.GetPrimAtPath(f"{path}/Asset/Scene/Gaussians").GetTypeName() == "Volume"
    stage.Save()
    text = (tmp_path / "world.usda").read_text()
    assert "@./kitchen/scene/scene_isaac5.usda@" in text or "@kitchen/scene/scene_isaac5.usda@" in text
    assert 'prompt = "a small kitchen"' in text


def test_spawn_needs_a_stage_and_known_options(tmp_path: Path) -> None:
    folder = store_scene(tmp_path / "kitchen")
    with pytest.raises(api.LyraSimError, match="No stage is open"):
        api.spawn(folder)
    with pytest.raises(api.LyraSimError, match="There is no option 'colour'"):
        api.spawn(folder, stage=Usd.Stage.CreateInMemory(), colour="red")


def test_a_scene_that_lost_a_file_is_not_spawned(tmp_path: Path) -> None:
    folder = store_scene(tmp_path / "kitchen")
    (folder / "scene" / "scene.usda").unlink()
    stage = Usd.Stage.CreateInMemory()
    with pytest.raises(api.LyraSimError, match="is gone"):
        api.spawn(folder, stage=stage, encoding="particlefield")
    assert not list(stage.Traverse())


def test_export_raises_what_the_converter_said(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYRA_WORKER_PYTHON", sys.executable)
    folder = store_scene(tmp_path / "kitchen")
    (folder / "scene" / "scene.usda").write_text("#usda 1.0\n")
    with pytest.raises(api.LyraSimError, match=r"kitchen.usdz was not written: "):
        api.export_usdz(folder, tmp_path / "kitchen.usdz")


# ----------------------------------------------------------------------------------------------------------- in Kit


@pytest.mark.parametrize("call", ["generate('a yard')", "probe_worker()", "export_usdz('kitchen', 'kitchen.usdz')"])
def test_a_call_that_would_freeze_kit_is_refused(kit: FakeKit, tmp_path: Path, call: str) -> None:
    start(kit, tmp_path)
    with pytest.raises(api.LyraSimError, match=r"would freeze Kit.*_async"):
        eval(f"api.{call}")
    assert kit.children.started == []
    kit.stop_extension()


def test_the_script_editor_shares_the_session_of_the_window(kit: FakeKit, tmp_path: Path) -> None:
    session = start(kit, tmp_path)

    async def script() -> str:
        scene = await api.generate_async("a small kitchen")
        return api.spawn(scene)

    task = kit.engine.run_coroutine(script())
    kit.app.pump_until(task.done)
    assert task.result() == "/World/LyraScene_01"
    assert session.latest is not None
    assert kit.stage.GetPrimAtPath("/World/LyraScene_01/Asset/Scene/Gaussians")
    assert kit.undo()
    assert not kit.stage.GetPrimAtPath("/World/LyraScene_01")
    assert stop(kit) == []


def test_a_stand_alone_script_pumps_kit_itself(kit: FakeKit, tmp_path: Path) -> None:
    start(kit, tmp_path)
    scene = api.generate("a small kitchen", poll_fn=kit.app.pump)
    assert api.spawn(scene) == "/World/LyraScene_01"
    assert api.probe_worker(poll_fn=kit.app.pump).python == "3.11.9"
    assert stop(kit) == []


def test_a_script_that_waits_is_told_when_the_extension_stops(kit: FakeKit, tmp_path: Path) -> None:
    session = start(kit, tmp_path)
    task = kit.engine.run_coroutine(api.generate_async("do: slow"))
    kit.app.pump_until(lambda: session.job and pid_of(session.job))
    kit.stop_extension()
    kit.app.pump_until(task.done)
    error = task.exception()
    assert isinstance(error, api.GenerationError)
    assert error.code == "cancelled"


def test_after_the_extension_stopped_scripts_have_a_session_of_their_own(
    kit: FakeKit, tmp_path: Path, plain: Path
) -> None:
    start(kit, tmp_path)
    kit.stop_extension()
    scene = api.generate("a small kitchen", poll_fn=kit.app.pump)
    assert scene.folder.parent == plain
    with pytest.raises(api.LyraSimError, match="No stage is open"):
        api.spawn(scene)
