# SPDX-License-Identifier: Apache-2.0
"""Every plan gives the same scene, weights are where it says, and running out of memory leads to the next plan."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians
from lyra_core.memory.budget import Budget
from lyra_core.memory.placement import placed, run_with_plans
from lyra_core.memory.plan import (
    CHUNKS,
    DECODER_CHUNK,
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
    assert plans[1] == (TILE_FRAMES, DECODER_CHUNK)
    assert len(told) == 1
    assert told[0].startswith("out of memory with everything resident")
    assert "trying again with tiled tokenizer" in told[0]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), MemoryError(), RuntimeError("can't allocate memory")]
)
def test_out_of_memory_twice_is_said_plainly(pipeline: Build, error: Exception) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise error

    with pytest.raises(LyraError, match="out of memory, also with tiled tokenizer"):
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
