# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a long run, and what must survive it."""

from __future__ import annotations

import json
import math
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.distillation.memory_plans import KEEP_ALL, PLAN_NAME, MemoryPlan, recompute_blocks
from lyra_core.distillation.run_folder import STATE_NAME, locked, open_run
from lyra_core.distillation.trainer import LegConfig, Loss, train_leg
from lyra_core.errors import LyraError

CONFIG = LegConfig(minutes=math.inf, learning_rate=0.01, warmup_steps=1, steps=10, save_every_steps=5, log_every=1)


def run(
    out: Path, loss: Loss, model: nn.Module, *, identity: str = "", plans: tuple[MemoryPlan, ...] = (KEEP_ALL,),
    config: LegConfig = CONFIG,
) -> dict[str, float]:  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters())
    return train_leg(model, optimizer, loss, dict, out, config, identity=identity, plans=plans)


@pytest.fixture
def model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 4)


def square(model: nn.Linear) -> Loss:
    return lambda rng: (model.weight.square().mean(), {})


def saved_step(out: Path) -> int:
    return torch.load(out / STATE_NAME, weights_only=True)["step"]


def test_not_a_number_names_its_batch_and_keeps_the_last_state(model: nn.Linear, tmp_path: Path) -> None:
    calls = iter(range(100))

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float | str]]:
        step = next(calls)
        return model.weight.square().mean() * (math.nan if step == 7 else 1.0), {"batch": f"clip {step}"}

    with pytest.raises(LyraError, match=r"diverged at step 7.*clip 7.*state of step 5 is kept"):
        run(tmp_path, loss, model)
    assert saved_step(tmp_path) == 5
    assert model.weight.isfinite().all()


def test_an_explosion_stops_the_run_and_is_not_saved(model: nn.Linear, tmp_path: Path) -> None:
    calls = iter(range(1000))

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return (model.weight.sum() * 0 + 1) * (1.0 if (step := next(calls)) < 42 else 3.0 ** (step - 40)), {}

    config = LegConfig(minutes=math.inf, learning_rate=0.01, steps=200, save_every_steps=1)
    with pytest.raises(LyraError, match=r"running loss .* its lowest was 1"):
        run(tmp_path, loss, model, config=config)
    state = torch.load(tmp_path / STATE_NAME, weights_only=True)
    assert 40 < state["step"] < 60
    assert state["smooth"]["loss"] <= 15


def test_two_trainers_do_not_share_a_folder(model: nn.Linear, tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(LyraError, match=r"another trainer \(process \d+\) works in"):
            run(tmp_path, square(model), model)
        with pytest.raises(LyraError, match="another trainer"):
            open_run(tmp_path, threads=1, resume=False)
    run(tmp_path, square(model), model)


def test_a_state_of_another_training_is_refused(model: nn.Linear, tmp_path: Path) -> None:
    run(tmp_path, square(model), model, identity="stage a")
    with pytest.raises(LyraError, match=r"belongs to another training \(stage a\), not to this one \(stage b\)"):
        run(tmp_path, square(model), model, identity="stage b")
    other = nn.Linear(5, 4)
    with pytest.raises(LyraError, match=r"cannot resume from .*size mismatch"):
        run(tmp_path, square(other), other, identity="stage a")


@pytest.fixture
def small_files() -> Iterator[None]:
    """The system refuses files of more than 20 kB, as a full disk would."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_keeps_the_last_state(tmp_path: Path, small_files: None) -> None:
    model = nn.Linear(4, 4)
    run(tmp_path, square(model), model)
    before = (tmp_path / STATE_NAME).read_bytes()
    grown = nn.Linear(4, 4)
    config = LegConfig(minutes=math.inf, learning_rate=0.01, steps=20, save_every_steps=5, samples=1)

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return grown.weight.square().mean(), {f"figure {rng.random()} {'x' * 6000}": 1.0}

    with pytest.raises(LyraError, match=r"cannot save the training state of step 15.*the one of step 10 stays.*Free"):
        run(tmp_path, loss, grown, config=config)
    assert (tmp_path / STATE_NAME).read_bytes() == before
    assert not list(tmp_path.glob("*.part*")) and not list(tmp_path.glob(".*.part*"))


def test_out_of_memory_takes_the_next_plan_and_says_so(model: nn.Linear, tmp_path: Path) -> None:
    taken: list[str] = []
    small = MemoryPlan("less", lambda model: taken.append("less"))

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if not taken:
            torch.empty(1 << 60, dtype=torch.uint8)  # more than any machine has
        return model.weight.square().mean(), {"drawn": float(rng.integers(1000))}

    run(tmp_path, loss, model, plans=(KEEP_ALL, small))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    events = [line for line in lines if line.get("event") == "out_of_memory"]
    assert [(event["step"], event["was"], event["now"]) for event in events] == [(0, "everything kept", "less")]
    assert (tmp_path / PLAN_NAME).read_text() == "less\n"
    taken.clear()
    run(tmp_path, loss, model, plans=(KEEP_ALL, small), config=LegConfig(minutes=math.inf, learning_rate=0.0, steps=12))
    assert taken == ["less"]


def test_out_of_memory_under_the_last_plan(model: nn.Linear, tmp_path: Path) -> None:
    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return torch.empty(1 << 60, dtype=torch.uint8).float().mean(), {}

    with pytest.raises(LyraError, match="out of memory at step 0 even with everything kept"):
        run(tmp_path, loss, model)


def test_recomputed_blocks_keep_less_and_give_the_same_gradients() -> None:
    decoder = GaussianDecoder(DecoderConfig(width=64, depth=4, heads=2, attention_every=2, state_dim=16))
    tokens = torch.randn(1, 96, 64, generator=torch.Generator().manual_seed(0))

    def gradients() -> tuple[int, list[Tensor]]:
        kept: list[int] = []

        def keep(tensor: Tensor) -> Tensor:
            kept.append(tensor.numel())
            return tensor

        decoder.zero_grad()
        x = tokens
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            for block in decoder.enc_blocks:
                x = block(x)
            size = sum(kept)
            x.square().mean().backward()
        return size, [parameter.grad.clone() for parameter in decoder.enc_blocks.parameters()]

    size, expected = gradients()
    recompute_blocks(decoder)
    less, found = gradients()
    assert less < 0.2 * size
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-5)
