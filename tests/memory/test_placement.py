# SPDX-License-Identifier: Apache-2.0
"""Every plan gives the same scene, weights are where it says, and running out of memory leads to the next plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lyra_core.checkpoints import Checkpoints
from lyra_core.faults import GpuLost, OutOfMemory
from lyra_core.gaussians import Gaussians
from lyra_core.memory.budget import Budget
from lyra_core.memory.placement import placed, run_with_plans
from lyra_core.memory.plan import (
    CHUNKS,
    EIGHT_BITS,
    MEASURES,
    OFFLOAD,
    SEQUENTIAL,
    TILE_FRAMES,
    TILES,
    Plan,
)
from lyra_core.pipeline import LyraPipeline

Build = Callable[[], LyraPipeline]
CPU = torch.device("cpu")
PICTURE = torch.rand(32, 64, 3, generator=torch.Generator().manual_seed(0))


def scene(pipeline: LyraPipeline) -> Gaussians:
    return pipeline(image=PICTURE, seed=4).gaussians


def weights(module: nn.Module) -> list[int]:
    return [parameter.data_ptr() for parameter in module.parameters()]


@pytest.fixture
def expected(pipeline: Build) -> Gaussians:
    return scene(pipeline())


@pytest.mark.parametrize(
    ("plan", "tolerance"),
    [
        (Plan(), 0.0),
        (Plan((SEQUENTIAL,)), 0.0),
        (Plan((OFFLOAD,)), 0.0),
        (Plan((SEQUENTIAL, OFFLOAD)), 0.0),
        (Plan((TILES,)), 1e-3),
        (Plan((CHUNKS,)), 1e-3),
        (Plan((SEQUENTIAL, TILES, OFFLOAD, CHUNKS)), 1e-3),
    ],
    ids=str,
)
def test_every_plan_gives_the_same_scene(
    pipeline: Build, expected: Gaussians, plan: Plan, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lyra_core.memory.placement.DECODER_CHUNK", 20)
    monkeypatch.setattr("lyra_core.memory.placement.TILE_FRAMES", 1)
    model = pipeline()
    with placed(model, plan, CPU):
        found = scene(model)
    assert_close(found, expected, tolerance)
    assert_close(scene(model), expected, 0.0)


def assert_close(found: Gaussians, expected: Gaussians, tolerance: float) -> None:
    """Positions reach hundreds of units, so all is relative to the spread of its kind."""
    for name in ("means", "scales", "opacities", "colors"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one - other).abs().max() <= tolerance * other.abs().max(), name


def test_8_bits_stay_near(pipeline: Build, expected: Gaussians) -> None:
    """Within the tolerance, and not equal: the weights were really rounded. It stays so after the plan."""
    model = pipeline()
    with placed(model, Plan((EIGHT_BITS, OFFLOAD, SEQUENTIAL)), CPU):
        found = scene(model)
    difference = (found.colors - expected.colors).square().mean().sqrt()
    assert 0 < difference < 0.05 * expected.colors.std()
    with placed(model, Plan((EIGHT_BITS,)), CPU):
        assert_close(scene(model), found, 0.0)


def test_weights_are_where_the_plan_says(pipeline: Build) -> None:
    """One network at a time is away from home, and of the transformer one block at a time."""
    model = pipeline()
    transformer = model.teacher.diffusion.transformer
    networks = {"tokenizer": model.teacher.tokenizer, "transformer": transformer, "decoder": model.decoder}
    blocks = list(transformer.network.transformer_blocks)
    home = {name: weights(network) for name, network in networks.items()}
    block_home = [weights(block) for block in blocks]
    seen: list[set[str]] = []
    blocks_seen: list[int] = []

    def look(*_: object) -> None:
        seen.append({name for name, network in networks.items() if weights(network) != home[name]})

    def look_at_blocks(*_: object) -> None:
        blocks_seen.append(sum(weights(block) != there for block, there in zip(blocks, block_home, strict=True)))

    with placed(model, Plan((SEQUENTIAL, OFFLOAD)), CPU):
        watched = (
            model.teacher.tokenizer.network.encoder.conv_in,
            transformer.network.norm_out,
            model.decoder.enc_norm,
        )
        for module in watched:
            module.register_forward_pre_hook(look)
        for block in blocks:
            block.attn1.register_forward_pre_hook(look_at_blocks)
        scene(model)
    assert {frozenset(names) for names in seen} == {
        frozenset({"tokenizer"}), frozenset({"transformer"}), frozenset({"decoder"}),
    }  # fmt: skip
    assert set(blocks_seen) == {1}
    assert {name: weights(network) for name, network in networks.items()} == home


def test_a_failure_brings_everything_home(pipeline: Build) -> None:
    model = pipeline()
    before = weights(model.decoder)
    with pytest.raises(ValueError, match="stop"), placed(model, Plan(MEASURES), CPU):
        scene(model)
        raise ValueError("stop")
    assert weights(model.decoder) == before
    assert model.teacher.tokenizer.tile_frames is None
    assert model.decoder.chunk is None


BUDGET = Budget(2**31, 2**34, gpu=False)


def test_out_of_memory_leads_to_the_next_plan(pipeline: Build) -> None:
    model, told, plans = pipeline(), [], []

    def work() -> str:
        plans.append((model.teacher.tokenizer.tile_frames, model.decoder.chunk))
        if len(plans) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "scene"

    assert run_with_plans(model, work, budget=BUDGET, tell=told.append) == "scene"
    assert plans[0] == (None, None)
    assert plans[1] == (TILE_FRAMES, None), "a decoder of so few tokens needs no chunks"
    assert told[0].startswith("memory plan: everything resident; needs about ")
    assert told[1].startswith("working on cpu: ")
    assert told[2].startswith("out of memory with everything resident (estimated ")
    assert "trying again with tiled tokenizer + 8-bit storage (estimated " in told[2]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), MemoryError(), RuntimeError("can't allocate memory")]
)
def test_out_of_memory_twice_is_said_plainly(pipeline: Build, error: Exception) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise error

    with pytest.raises(OutOfMemory, match="out of memory, also with tiled tokenizer"):
        run_with_plans(pipeline(), work, budget=BUDGET)
    assert len(tries) == 2


def test_other_errors_pass_and_are_not_repeated(pipeline: Build) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        run_with_plans(pipeline(), work, budget=BUDGET)
    assert len(tries) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits its address space")
def test_a_process_that_really_has_too_little_memory(tiny_model: Path, tmp_path: Path) -> None:
    """Both plans are tried, finished stages are not made again, and the smaller plan makes the scene that fits."""
    script = Path(__file__).with_name("little_memory.py")
    # every tensor in pages of its own, given back at once: what is counted is what the process takes
    allocator = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, script, tiny_model, tmp_path],
        capture_output=True, text=True, env={**os.environ, **allocator, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    needed, failed, made = map(json.loads, done.stdout.splitlines())
    assert needed["tiled"] < 0.8 * needed["resident"]
    assert failed["error"].startswith("out of memory, also with tiled tokenizer")
    assert sum(line.startswith("out of memory with everything resident") for line in made["told"]) == 1
    assert set(made["recalled"]) == {"view"}  # by the second plan, and by the first if the run before got that far
    assert made["difference"] < 1e-3


LOST = """CUDA error: unspecified launch failure
CUDA kernel errors might be asynchronously reported at some other API call."""


def test_a_lost_gpu_is_one_line_and_finished_videos_stay(pipeline: Build, expected: Gaussians, tmp_path: Path) -> None:
    """In the middle of the third video, with torch's own words; the next run goes on at that video."""
    model = pipeline()

    def lose(phase: str, step: int, total: int) -> None:
        if (phase, step) == ("latents", 8):
            raise RuntimeError(LOST)

    with pytest.raises(GpuLost, match=r"the GPU failed while it worked \(CUDA error: unspecified") as failure:
        run_with_plans(
            model,
            lambda: model(image=PICTURE, seed=4, progress=lose, recall=Checkpoints(tmp_path)),
            budget=BUDGET,
        )
    assert "\n" not in str(failure.value)
    stages = Checkpoints(tmp_path)
    found = run_with_plans(model, lambda: model(image=PICTURE, seed=4, recall=stages), budget=BUDGET).gaussians
    assert stages.recalled == ["view", "video_0", "video_1"]
    assert_close(found, expected, 0.0)


@pytest.mark.parametrize("measures", [(), (SEQUENTIAL, OFFLOAD)], ids=["resident", "visiting"])
def test_videos_shared_among_devices_are_the_same(
    pipeline: Build, expected: Gaussians, measures: tuple, tmp_path: Path
) -> None:
    """Two further places of work: three transformers over the same memory make the four videos."""
    model, steps, stages = pipeline(), [], Checkpoints(tmp_path)
    diffusion = model.teacher.diffusion
    with placed(model, Plan(measures), CPU, [CPU, CPU]):
        assert len(diffusion.twins) == 2
        assert all(weights(twin) == weights(diffusion.transformer) for twin in diffusion.twins)
        used = [0, 0, 0]
        for index, network in enumerate((diffusion.transformer, *diffusion.twins)):
            network.register_forward_pre_hook(lambda *_, index=index: used.__setitem__(index, used[index] + 1))
        found = model(
            image=PICTURE, seed=4, recall=stages,
            progress=lambda phase, step, total: steps.append(step) if phase == "latents" else None,
        ).gaussians  # fmt: skip
    assert_close(found, expected, 0.0)
    assert sum(used) == 4 * 3 * 2 and min(used) >= 6, "every one made a video: three steps of two branches"
    assert steps == [0, *range(1, 13)]
    assert diffusion.twins == ()
    again = Checkpoints(tmp_path)
    assert_close(model(image=PICTURE, seed=4, recall=again).gaussians, expected, 0.0)
    assert again.recalled == ["view", "video_0", "video_1", "video_2", "video_3", "decoded", "gaussians"]


def test_a_failure_of_one_device_ends_the_run(pipeline: Build) -> None:
    model = pipeline()

    def lose(phase: str, step: int, total: int) -> None:
        if (phase, step) == ("latents", 5):
            raise RuntimeError(LOST)

    with pytest.raises(RuntimeError, match="launch failure"), placed(model, Plan(), CPU, [CPU]):
        model(image=PICTURE, seed=4, progress=lose)


def test_weights_in_8_bits_have_no_twin(pipeline: Build) -> None:
    model = pipeline()
    with placed(model, Plan((EIGHT_BITS,)), CPU, [CPU]):
        assert model.teacher.diffusion.twins == ()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_gpu_the_scene_is_that_of_the_cpu(pipeline: Build, expected: Gaussians) -> None:
    """In float32, so that only the order of sums differs; the plan is said, the backends are named."""
    model, told = pipeline(), []
    model.preset = model.preset.model_copy(update={"precision": "float32"})
    made = run_with_plans(model, lambda: model(image=PICTURE, seed=4), tell=told.append)
    assert made.provenance["device"].startswith("cuda:0 (")
    assert told[1].startswith("working on cuda:0 (") and "warp torch on cuda" in told[1]
    assert_close(made.gaussians, expected, 1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("measures", [(), MEASURES], ids=["resident", "all"])
def test_on_a_gpu_everything_comes_back(pipeline: Build, measures: tuple) -> None:
    model = pipeline()
    with placed(model, Plan(measures), torch.device("cuda")):
        gaussians = scene(model)
    parts: tuple[Tensor, ...] = (gaussians.means, gaussians.colors)
    assert all(part.device == CPU and part.isfinite().all() for part in parts)
    assert all(parameter.device == CPU for parameter in model.decoder.parameters())
