# SPDX-License-Identifier: Apache-2.0
"""The worker from request to manifest: once with the shipped model, else with a tiny one of real parts."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import Usd, UsdGeom

from lyra_core.app.worker_protocol import SCHEMA
from lyra_core.devices import device_name, working_device
from usd_export.rules.validation import check
from usd_export.scene_reader import open_scene

from .conftest import Lyra
from .running_worker import COMMAND, RunningWorker, Said, make_job, names, run_worker

CPU = {"CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Said]]:
    """One job of the shipped model: its folder and messages."""
    folder = make_job(tmp_path_factory.mktemp("jobs") / "kitchen", camera_height_m=1.5, max_gaussians=60_000)
    status, messages = run_worker(folder)
    assert status == 0, (messages[-1], (folder / "worker.log").read_text())
    return folder, messages


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest) == set(SCHEMA["manifest"])
    return manifest


def test_messages_tell_the_whole_story(finished: tuple[Path, list[Said]]) -> None:
    folder, messages = finished
    assert all(message["job"] == "kitchen" for message in messages)
    hello = next(message for message in messages if message["type"] != "heartbeat")
    assert hello["type"] == "hello" and hello["versions"]["lyra-sim"]
    assert hello["device"] == device_name(working_device()) == json.loads((folder / "scene.json").read_text())["device"]
    notes = [message["msg"] for message in messages if message["type"] == "log"]
    assert notes[0].startswith("memory plan: everything resident; needs about ")
    assert notes[1].startswith(f"working on {hello['device']}: ")
    phases = list(dict.fromkeys(message["phase"] for message in messages if message["type"] == "progress"))
    assert phases == [
        "inputs", "model", "image", "depth", "paths", "warp", "latents", "gaussians", "colours", "frame", "collider",
        "robotics", "preview", "write",
    ]  # fmt: skip
    assert all(m["fraction"] is None and m["eta_s"] is None for m in messages if m["type"] == "progress")
    assert sum(message["type"] == "heartbeat" for message in messages) >= 2
    assert messages[-1]["type"] == "result" and messages[-1]["manifest"] == "manifest.json"


def test_the_manifest_describes_what_lies_there(finished: tuple[Path, list[Said]]) -> None:
    folder, messages = finished
    manifest = manifest_of(folder)
    told = [{key: m[key] for key in SCHEMA["artifact"]} for m in messages if m["type"] == "artifact"]
    assert manifest["files"] == told
    for file in told:
        content = (folder / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    assert manifest["bytes"] == sum(file["bytes"] for file in told)
    assert {Path(file["path"]).name for file in told} == names(folder / "scene") | {"preview.png", "scene.json"}
    left = {"request.json", "worker.log", "timings.json", "manifest.json", "scene", "preview.png", "scene.json"}
    assert names(folder) == left


def test_the_manifest_says_what_the_scene_is_good_for(finished: tuple[Path, list[Said]]) -> None:
    folder, _ = finished
    manifest = manifest_of(folder)
    assert manifest["encodings"] == ["particlefield", "nurec"] and manifest["usd_isaac5"] == "scene/scene_isaac5.usda"
    assert any("dragon" in warning for warning in manifest["warnings"])
    assert manifest["metric"] and "camera above the floor" in manifest["scale_source"]
    assert manifest["collider"]["triangles"] > 100
    viewpoints, bounds = manifest["trusted_viewpoints_m"], manifest["bounds_m"]
    assert viewpoints["min"][2] < 1.5 < viewpoints["max"][2] and viewpoints["count"] == 102
    assert all(low < high for low, high in zip(bounds["min"], bounds["max"], strict=True))
    assert (manifest["up_axis"], manifest["meters_per_unit"], manifest["time_range"]) == ("Z", 1.0, None)
    assert set(manifest["models"]) == {"decoder.safetensors", "depth.safetensors", "tokenizer.safetensors"}


def test_the_scene_is_complete_and_valid(finished: tuple[Path, list[Said]]) -> None:
    folder, _ = finished
    manifest = manifest_of(folder)
    assert not [found for found in check(folder / manifest["usd"]) if found.severity == "error"]
    cloud, record, collider = open_scene(folder / manifest["usd"])
    assert len(cloud) == manifest["gaussians"] == 60_000 and collider is not None
    assert record.frame.apply(np.zeros((1, 3)))[0, 2] == pytest.approx(1.5, abs=1e-4)
    assert record.frame.scale_uncertainty == pytest.approx(0.1 / np.sqrt(12) / 1.5)
    stage = Usd.Stage.Open(str(folder / manifest["usd"]))
    cameras = [prim.GetName() for prim in stage.GetPrimAtPath("/World/Scene/Cameras").GetChildren()]
    assert sorted(cameras) == sorted(record.provenance["camera_paths"])
    assert stage.GetPrimAtPath("/World/Scene/Robotics")
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0


def test_command_line_and_worker_make_the_same_files(lyra: Lyra, tiny_model: Path, tmp_path: Path) -> None:
    """Bytes of the scene folder; the second job of a kind knows how long it will take."""
    done = lyra(
        "generate", "a small kitchen with a dragon", "-o", "scene", "--model", tiny_model, "--preset", "outdoor"
    )
    assert done.exit_code == 0, done.stderr
    shares = []
    for name in ("first", "second"):
        folder = make_job(tmp_path / "jobs" / name, model=str(tiny_model), collider_preset="outdoor")
        status, messages = run_worker(folder)
        assert status == 0, messages[-1]
        assert names(folder / "scene") == names(Path("scene"))
        for file in Path("scene").iterdir():
            assert (folder / "scene" / file.name).read_bytes() == file.read_bytes(), file.name
        assert (folder / "scene.json").read_bytes() == Path("scene.json").read_bytes()
        shares.append([(m["fraction"], m["eta_s"]) for m in messages if m["type"] == "progress"])
    assert set(shares[0]) == {(None, None)}
    fractions = [fraction for fraction, _ in shares[1]]
    assert fractions == sorted(fractions) and 0 <= fractions[0] < 0.5 < fractions[-1] < 1
    assert all(eta >= 0 for _, eta in shares[1])


def test_a_picture_with_its_hash(tiny_model: Path, photo: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()
    folder = make_job(
        tmp_path / "job", mode="image", input="input.png", input_sha256=digest, model=str(tiny_model),
        encoding="nurec", collider=False,
    )  # fmt: skip
    photo.rename(folder / "input.png")
    status, messages = run_worker(folder)
    assert status == 0, messages[-1]
    manifest = manifest_of(folder)
    assert manifest["input"] == "input.png" and not manifest["metric"] and manifest["collider"] is None
    assert any("guess" in warning for warning in manifest["warnings"])
    assert any("prompt was not used" in warning for warning in manifest["warnings"])
    assert (manifest["encodings"], manifest["usd_isaac5"]) == (["nurec"], None)
    assert "collision.usdc" not in names(folder / "scene")


def assert_leaves_nothing(folder: Path, before: set[str]) -> None:
    assert names(folder) == before | {"worker.log"}


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"mode": "video", "prompt": None, "input": "input.mp4"}, "bad_request", "no model for video"),
        ({"model": "maxi"}, "bad_request", "unknown model"),
        ({"model": "lyra"}, "weights_missing", "lyra_static.pt"),
        ({"mode": "image", "input": "absent.png"}, "input_unreadable", "not in the job folder"),
        ({"mode": "image", "input": "text.png"}, "input_unreadable", "is not a picture"),
        ({"mode": "image", "input": "text.png", "input_sha256": "0" * 64}, "input_unreadable", "SHA-256 differs"),
        ({"mode": "image", "input": "link.png"}, "bad_request", "is a link"),
        ({"seed": 1.5}, "bad_request", "seed"),
    ],
)
def test_failures_have_codes_and_leave_a_log(tmp_path: Path, fields: dict[str, Any], code: str, text: str) -> None:
    folder = make_job(tmp_path / "job", **fields)
    (folder / "text.png").write_text("not a picture")
    (folder / "link.png").symlink_to("/etc/hostname")
    before = names(folder)
    status, messages = run_worker(folder, CPU)
    assert (status, messages[-1]["type"], messages[-1]["code"]) == (1, "error", code)
    assert text in messages[-1]["msg"] and messages[-1]["hint"]
    assert "Traceback" in (folder / "worker.log").read_text()
    assert_leaves_nothing(folder, before)


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "job")
    status, messages = run_worker(folder, {"CUDA_VISIBLE_DEVICES": str(torch.cuda.device_count() + 7)})
    assert (status, messages[-1]["code"], messages[-1]["retryable"]) == (1, "no_gpu", True)
    assert_leaves_nothing(folder, {"request.json"})


def test_a_finished_job_is_not_run_again(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "job")
    (folder / "scene").mkdir()
    (folder / "manifest.json").write_text("{}")
    status, messages = run_worker(folder)
    assert (status, messages[-1]["code"]) == (1, "bad_request")
    assert names(folder) == {"request.json", "worker.log", "scene", "manifest.json"}


def test_what_a_crash_has_left_is_removed(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "job", model="maxi")
    for name in ("scene", "scene.part", ".scene.part.x1"):
        (folder / name).mkdir()
        (folder / name / "scene.usda").write_text("half")
    (folder / "preview.png").write_text("half")
    assert run_worker(folder)[0] == 1
    assert_leaves_nothing(folder, {"request.json"})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    status, messages = run_worker(tmp_path / "nowhere")
    assert (status, messages[-1]["type"], messages[-1]["job"]) == (1, "error", "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [(), ("--job",), ("--probe", "--serve"), ("--serve", "--idle-timeout", "-1"), ("--job", "x", "y")]
)
def test_bad_arguments(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: " in done.stderr and "Traceback" not in done.stderr


def test_help_teaches() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert '"mode": "text"' in done.stdout and "job/cancel" in done.stdout and "exit status" in done.stdout


def test_the_probe_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "--probe"], capture_output=True, text=True, cwd=tmp_path, check=True)
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert report["v"] == 1 and report["versions"]["lyra-sim"] and report["disk_free_bytes"] > 0
    ready = {model["name"]: model["ready"] for model in report["models"]}
    assert ready["mini"] and not ready["lyra"]
    assert report["cuda"] == bool(report["gpus"]) == torch.cuda.is_available()
    assert report["problems"] == []
    assert list(tmp_path.iterdir()) == []


def test_the_probe_lists_what_is_broken(tmp_path: Path) -> None:
    """A torch that cannot be imported, as after a failed update."""
    (tmp_path / "torch.py").write_text("raise OSError('libtorch.so: cannot open shared object file')")
    done = subprocess.run([*COMMAND, "--probe"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert any("libtorch.so" in problem for problem in report["problems"])
    assert report["gpus"] == [] and report["versions"]["usd-core"]


def test_a_crash_at_import_is_an_internal_error(tmp_path: Path) -> None:
    """Two failures in one: the broken library, and its noise on stdout."""
    folder = make_job(tmp_path / "job")
    (tmp_path / "numba.py").write_text("print('noise'); raise ImportError('half installed')")
    done = subprocess.run([*COMMAND, "--job", "job"], capture_output=True, text=True, cwd=tmp_path)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["code"]) == (1, "internal")
    assert "half installed" in last["msg"] and "worker.log" in last["hint"]
    assert "noise" in (folder / "worker.log").read_text()
    assert_leaves_nothing(folder, {"request.json"})


def test_a_warm_worker_loads_a_model_once(tiny_model: Path, tmp_path: Path) -> None:
    """Two jobs, the same scene; an order while one is running and a line of nonsense are refused."""
    tiny = {"model": str(tiny_model), "collider": False}
    first, second, third = (make_job(tmp_path / name, **tiny) for name in ("one", "two", "three"))
    with RunningWorker("--serve") as worker:
        for line in (
            "nonsense",
            "x" * 100_000,
            '{"v": 1, "type": "job", "job_dir": "relative"}',
            r'{"v": 1, "type": "job", "job_dir": "/\u0000"}',
        ):
            worker.say(line)
            assert worker.until("error")["job"] == ""
        worker.order(first)
        worker.until("progress", job="one")
        worker.order(third)
        assert worker.until("error")["job"] == "three"
        worker.until("result", job="one")
        worker.order(second)
        worker.until("result", job="two")
        worker.until("heartbeat", job="")
        worker.hang_up()
        assert worker.process.wait() == 0
    said = [message["msg"] for message in worker.messages if message["type"] == "log"]
    assert sum("is loaded" in text for text in said) == 1
    assert sum(text.startswith("memory plan: ") for text in said) == 2, "each job has its own"
    assert manifest_of(first)["files"] == manifest_of(second)["files"]
    assert names(third) == {"request.json"}


def test_a_warm_worker_lives_through_failures_and_cancels(tiny_model: Path, tmp_path: Path) -> None:
    broken = make_job(tmp_path / "broken", seed=-1)
    stopped = make_job(tmp_path / "stopped", model=str(tiny_model))
    (stopped / "cancel").touch()
    good = make_job(tmp_path / "good", model=str(tiny_model), collider=False)
    with RunningWorker("--serve") as worker:
        for folder, end in ((broken, "error"), (stopped, "cancelled"), (good, "result")):
            worker.order(folder)
            assert worker.until(end)["job"] == folder.name
        worker.hang_up()
        assert worker.process.wait() == 0
    assert_leaves_nothing(stopped, {"request.json", "cancel"})


def test_a_warm_worker_ends_when_nobody_needs_it() -> None:
    with RunningWorker("--serve", "--idle-timeout", "0.5") as worker:
        assert worker.process.wait() == 0
