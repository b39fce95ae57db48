# SPDX-License-Identifier: Apache-2.0
"""`lyra generate` with a quality, a number of steps and a memory budget, and when the machine gives out."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from lyra_core.app.generate import GenerateRequest, generate
from lyra_core.app.jobs.failures import failure
from lyra_core.app.phases import PhaseListener
from lyra_core.faults import GpuLost, OutOfMemory
from usd_export.scene_reader import open_scene

from .conftest import Lyra

PROMPT = "a small kitchen"


def scene_of(lyra: Lyra, model: Path, name: str, *options: object) -> tuple[dict[str, Any], Any]:
    done = lyra(
        "generate", PROMPT, "-o", f"{name}.usdz", "--model", model, "--no-collider", "--keep-intermediates",
        "--json", *options,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout), open_scene(f"{name}.usdz")[0]


def test_quality_is_seen_and_recorded(lyra: Lyra, tiny_model: Path) -> None:
    """Twice the refinement per grade. Each run begins with the kept stages of the one before: only colours change."""
    counts, before = set(), None
    for quality in ("draft", "standard", "best"):
        summary, cloud = scene_of(lyra, tiny_model, "scene", "--quality", quality)
        assert summary["provenance"]["quality"] == quality
        assert "sampler_steps" not in summary["provenance"]
        assert "colours" in summary["seconds"]
        assert ("gaussians" in summary["seconds"]) == (quality == "draft"), "the decoder is asked once"
        if before is not None:
            assert np.array_equal(cloud.positions, before.positions)
            assert not np.array_equal(cloud.sh, before.sh)
        before = cloud
        counts.add(summary["gaussians"])
    assert len(counts) == 1, "the number of Gaussians is not a matter of quality"


def test_the_preset_limits_the_gaussians_unless_told_otherwise(lyra: Lyra, tiny_model: Path) -> None:
    preset = yaml.safe_load(tiny_model.read_text(encoding="utf-8")) | {"weights": str(tiny_model.parent)}
    few = Path("few.yaml")
    few.write_text(yaml.safe_dump(preset | {"max_gaussians": 300}), encoding="utf-8")
    assert len(scene_of(lyra, few, "scene")[1]) == 300
    summary, cloud = scene_of(lyra, few, "scene", "--max-gaussians", "400")
    assert len(cloud) == 400 and "gaussians" not in summary["seconds"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--steps", "10"), "model 'tiny' has no sampler"),
        (("--steps", "0"), "--steps"),
        (("--quality", "superb"), "draft"),
        (("--vram", "0"), "--vram"),
        (("--ram", "nan"), "--ram"),
        (("--ram", "inf"), "--ram"),
    ],
)
def test_refused_in_one_line(lyra: Lyra, tiny_model: Path, options: tuple[str, ...], expected: str) -> None:
    done = lyra("generate", PROMPT, "-o", "scene.usdz", "--model", tiny_model, *options)
    assert done.exit_code != 0
    assert expected in done.stderr and "Traceback" not in done.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_limit_for_a_gpu_that_is_not_there(lyra: Lyra, tiny_model: Path) -> None:
    done = lyra("generate", PROMPT, "-o", "scene.usdz", "--model", tiny_model, "--vram", "24")
    assert done.exit_code == 1 and "finds no GPU" in done.stderr
    assert list(Path().iterdir()) == []


def test_the_plan_is_said_and_recorded(lyra: Lyra, tiny_model: Path) -> None:
    """With room, and with so little that the strictest plan is tried although it probably does not fit."""
    for name, options, plan in (("room", (), "everything resident"), ("tight", ("--ram", "0.5"), "tiled tokenizer")):
        done = lyra("generate", PROMPT, "-o", f"{name}.ply", "--no-collider", "--model", tiny_model, *options)
        assert done.exit_code == 0, done.stderr
        assert f"memory plan: {plan}; needs about " in done.stderr
        assert ("probably not enough" in done.stderr) == (name == "tight")
        assert "working on " in done.stderr and "rendering " in done.stderr
        assert json.loads(Path(f"{name}.json").read_text(encoding="utf-8"))["memory_plan"] == plan


def broken(model: Path, folder: Path, error: Exception) -> GenerateRequest:
    """A run that ends with `error` while colours are refined."""

    class Fails(PhaseListener):
        def begun(self, phase: str) -> None:
            if phase == "colours":
                raise error

    request = GenerateRequest(folder / "scene.usdz", prompt=PROMPT, model=str(model), collider=False)
    with pytest.raises((OutOfMemory, GpuLost, OSError)) as failed:
        generate(request, Fails())
    message = failure(failed.value, "colours")
    assert message.retryable and message.msg == str(failed.value)
    told = message.msg.endswith(f"waits in {request.stages}: the next run goes on from there.")
    assert told or message.code == "disk_full"
    return request


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be ..."),
        torch.AcceleratorError("CUDA error: unspecified launch failure", 719)
        if hasattr(torch, "AcceleratorError")
        else RuntimeError("CUDA error: unspecified launch failure"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=["access", "launch", "memory", "disk"],
)
def test_the_machine_gives_out_and_the_next_run_goes_on(tiny_model: Path, tmp_path: Path, error: Exception) -> None:
    """What was finished waits in a hidden folder, which goes once the scene is there."""
    request = broken(tiny_model, tmp_path, error)
    assert [path.name for path in tmp_path.iterdir()] == [".scene.stages"]
    listener = PhaseListener()
    generate(request, listener)
    assert not {"image", "depth", "gaussians"} & set(listener.seconds) and "colours" in listener.seconds
    assert {path.name for path in tmp_path.iterdir()} == {"scene.usdz", "scene.json", "scene.preview.png"}
