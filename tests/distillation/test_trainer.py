# SPDX-License-Identifier: Apache-2.0
"""A leg learns, ends in EMA weights, and can be killed and resumed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lyra_core.distillation.ema import Ema
from lyra_core.distillation.trainer import LegConfig, learning_rate, train_leg
from lyra_core.errors import LyraError

LEG = LegConfig(minutes=0.02, learning_rate=0.05, warmup_steps=5, ema_decay=0.9)
COUNTED = replace(LEG, minutes=math.inf, steps=300)  # however fast the machine is


def regression(seed: int = 0) -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Linear(3, 1)
    return model, torch.optim.Adam(model.parameters())


def run(model: nn.Linear, optimizer: torch.optim.Optimizer, out: Path, leg: LegConfig = LEG) -> dict[str, float]:
    truth = torch.tensor([1.0, -2.0, 0.5])

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        x = torch.from_numpy(rng.normal(size=(16, 3)).astype(np.float32))
        return (model(x)[:, 0] - x @ truth).square().mean(), {}

    return train_leg(model, optimizer, loss, lambda: {"error": float((model.weight[0] - truth).abs().max())}, out, leg)


def test_a_leg_learns_and_logs(tmp_path: Path) -> None:
    result = run(*regression(), tmp_path, COUNTED)
    assert result["steps"] == 300
    assert result["error"] < 0.3
    events = [json.loads(line).get("event") for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert events[0] == "leg"
    assert events[-1] == "end"


def test_a_new_process_goes_on_where_the_last_leg_ended(tmp_path: Path) -> None:
    steps = run(*regression(), tmp_path)["steps"]
    model, optimizer = regression(seed=1)
    assert run(model, optimizer, tmp_path)["steps"] > steps
    legs = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [leg["resumed_at_step"] for leg in legs if leg.get("event") == "leg"] == [0, steps]


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(LyraError, match="cannot resume"):
        run(*regression(), tmp_path)


def test_divergence_stops_the_leg(tmp_path: Path) -> None:
    model, optimizer = regression()
    with pytest.raises(LyraError, match="diverged at step 0"):
        train_leg(model, optimizer, lambda rng: (model.weight.sum() / 0.0, {}), dict, tmp_path, LEG)


def test_ema_swap_is_its_own_inverse() -> None:
    model, _ = regression()
    ema = Ema(model, 0.9)
    before = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    ema.swap(model)
    assert torch.equal(model.weight, before)
    ema.swap(model)
    assert torch.equal(model.weight, before + 1.0)


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = LegConfig(minutes=1.0, learning_rate=1.0, warmup_steps=10)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 100, 0.05) == 1.0
    assert learning_rate(config, 100, 1.0) == pytest.approx(0.0)
