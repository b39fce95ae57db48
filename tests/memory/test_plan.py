# SPDX-License-Identifier: Apache-2.0
"""Estimates against networks of full size, which on the meta device cost no memory; and the choice of a plan."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from lyra_core.memory.budget import Budget, free_main_memory
from lyra_core.memory.plan import (
    CHUNKS,
    EIGHT_BITS,
    MEASURES,
    OFFLOAD,
    RESERVE,
    SEQUENTIAL,
    TILES,
    Plan,
    choose,
    choose_plan,
    describe,
    estimate,
    next_choice,
    plan_lines,
)
from lyra_core.memory.rehearsal import Rehearsal
from lyra_core.memory.sizes import ModelSizes, model_sizes
from lyra_core.weights.presets import Component, load_preset

GIB = 2**30


@pytest.fixture(scope="module")
def published() -> ModelSizes:
    return model_sizes(load_preset("lyra"))


def test_the_published_sizes(published: ModelSizes) -> None:
    assert published.tokenizer.parameters == 105_653_696
    assert published.transformer is not None
    assert published.transformer.parameters == 7_237_257_216
    assert published.decoder.parameters == 32_753_996
    assert (published.decoder.gaussians, published.decoder.kept) == (10_222_080, 2_044_415)


def work(sizes: ModelSizes, stage: str, plan: Plan) -> int:
    """The estimated intermediates of a stage alone."""
    weights = {
        "tokenizer encode": sizes.tokenizer.parameters,
        "tokenizer decode": sizes.tokenizer.parameters,
        "transformer": sizes.transformer.parameters if sizes.transformer else 0,
        "decoder": sizes.decoder.parameters,
    }
    alone = Plan((SEQUENTIAL, *plan.measures))
    return estimate(sizes, alone).stages[stage] - weights[stage] * sizes.word - RESERVE


@pytest.mark.parametrize(
    ("stage", "plan"),
    [
        ("tokenizer encode", Plan()),
        ("tokenizer encode", Plan((TILES,))),
        ("tokenizer decode", Plan()),
        ("tokenizer decode", Plan((TILES,))),
        ("transformer", Plan()),
        ("decoder", Plan()),
        ("decoder", Plan((CHUNKS,))),
    ],
    ids=str,
)
def test_estimates_hold_at_full_size(published: ModelSizes, stage: str, plan: Plan) -> None:
    """Never more than 2 % too low, never more than 25 % too high."""
    shallow = {"decoder": Component(kind="lyra", config={"depth": 2, "attention_every": 2})}  # depth costs time only
    peak = Rehearsal(load_preset("lyra").model_copy(update=shallow)).peak(stage, plan)
    assert 0.98 * peak < work(published, stage, plan) < 1.25 * peak


def test_the_targets_of_24_gigabytes(published: ModelSizes) -> None:
    """Decoder of 6 x 121 frames at 704 x 1280, and the offloaded teacher: each within 24e9 bytes."""
    offloaded = estimate(published, Plan((SEQUENTIAL, OFFLOAD))).stages
    assert offloaded["decoder"] < 24e9
    assert max(offloaded["transformer"], offloaded["tokenizer encode"], offloaded["tokenizer decode"]) < 24e9
    assert estimate(published, Plan((SEQUENTIAL, CHUNKS))).stages["decoder"] < 6e9
    assert choose(published, gpu(24)).fits
    assert not choose(published, gpu(6)).fits


def gpu(gibibytes: float) -> Budget:
    return Budget(int(gibibytes * GIB), 64 * GIB, gpu=True)


def test_every_measure_lowers_its_stage(published: ModelSizes) -> None:
    stages = {
        SEQUENTIAL: "transformer", TILES: "tokenizer decode", OFFLOAD: "transformer",
        EIGHT_BITS: "transformer", CHUNKS: "decoder",
    }  # fmt: skip
    assert set(stages) == set(MEASURES)
    before = estimate(published, Plan()).stages
    for measure, stage in stages.items():
        assert estimate(published, Plan((measure,))).stages[stage] < before[stage]


def test_8_bits_halve_the_large_matrices(published: ModelSizes) -> None:
    network = published.transformer
    assert network is not None
    plain, small = (estimate(published, Plan(measures)).stages["transformer"] for measures in ((), (EIGHT_BITS,)))
    assert plain - small == network.blocks * network.castable - 4 * network.largest


@pytest.mark.parametrize("gibibytes", [80, 48, 32, 28, 24, 20, 16, 12, 10, 9])
def test_the_chosen_plan_fits_and_takes_nothing_in_vain(published: ModelSizes, gibibytes: int) -> None:
    choice = choose(published, gpu(gibibytes))
    assert choice.fits
    assert choice.estimate.peak <= gibibytes * GIB
    for measure in choice.plan.measures:
        assert estimate(published, choice.plan.without(measure)).peak > gibibytes * GIB
    assert EIGHT_BITS not in choice.plan, "what costs quality comes last"


def test_a_large_gpu_needs_no_measures(published: ModelSizes) -> None:
    assert choose(published, gpu(80)).plan == Plan()


def test_the_next_plan_needs_clearly_less(published: ModelSizes) -> None:
    choice, needed = choose(published, gpu(80)), []
    while choice is not None:
        needed.append(choice.estimate.peak)
        choice = next_choice(published, choice)
    assert len(needed) > 2
    assert all(after < before for before, after in pairwise(needed))
    assert next_choice(published, choose(published, gpu(1))) is None


def test_without_a_gpu_only_what_helps_there_is_chosen(published: ModelSizes) -> None:
    single = replace(published, word=4)
    choice = choose(single, Budget(40 * GIB, 40 * GIB, gpu=False))
    assert SEQUENTIAL not in choice.plan
    assert OFFLOAD not in choice.plan
    assert choice.estimate.stages["transformer"] > single.transformer.parameters if single.transformer else False


def test_a_model_without_weights_prints_its_plan() -> None:
    """Nothing of `lyra` is on this machine; its networks are built on the meta device."""
    lines = plan_lines(load_preset("lyra"), 24 * GIB)
    assert lines[0].startswith("lyra in 24.0 GiB of GPU memory: ")
    text = "\n".join(lines)
    for stage in ("tokenizer encode", "transformer", "tokenizer decode", "decoder", "rendering", "main memory"):
        assert stage in text
    assert "because with everything resident the stage" in text
    assert "!" not in lines[1]


def test_a_plan_that_does_not_fit_says_so() -> None:
    lines = plan_lines(load_preset("lyra"), 4 * GIB)
    assert lines[1].startswith("! probably not enough: 'transformer' needs")
    poor = replace(gpu(24), host=GIB)
    assert describe(choose_plan(load_preset("lyra"), poor), "lyra")[-1].startswith("! only 1.0 GiB of main memory")


def test_the_embedded_model_runs_anywhere() -> None:
    choice = choose_plan(load_preset("mini"), Budget(4 * GIB, 4 * GIB, gpu=False))
    assert choice.plan == Plan()
    assert choice.fits
    assert "transformer" not in choice.estimate.stages


def test_free_memory_is_found() -> None:
    assert 2**26 < free_main_memory() < 2**50
    budget = Budget.read()
    assert budget.gpu == torch.cuda.is_available()
    assert budget.device > 0
