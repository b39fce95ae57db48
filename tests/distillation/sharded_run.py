# SPDX-License-Identifier: Apache-2.0
"""One of two processes that train a sharded network (FSDP2), save it, and read it back: `python sharded_run.py OUT`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from lyra_core.distillation.ema import Ema
from lyra_core.distillation.run_folder import TrainingState, whole


def sharded(seed: int) -> tuple[nn.Module, torch.optim.Optimizer, Ema]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    return model, torch.optim.AdamW(model.parameters(), lr=0.1), Ema(model, 0.9)


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema, steps: int) -> None:
    for step in range(steps):
        inputs = torch.randn(5, 6, generator=torch.Generator().manual_seed(step))
        model(inputs).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        ema.update(model)


def main() -> None:
    out = Path(sys.argv[1])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    first = sharded(seed=0)
    trained(*first, steps=3)
    saved = TrainingState(*first, out, sharded=True)
    saved.save()
    distributed.barrier()
    second = sharded(seed=1)
    assert TrainingState(*second, out, sharded=True).load()
    for run in (first, second):
        trained(*run, steps=2)
    for one, other in zip(first[0].parameters(), second[0].parameters(), strict=True):
        assert one.to_local().numel() < whole(one).numel()
        assert torch.equal(whole(one), whole(other))
    for name, average in first[2].shadow.items():
        assert torch.equal(whole(average), whole(second[2].shadow[name]))
    distributed.barrier()
    os._exit(0)  # gloo's threads may abort a process that ends in the ordinary way


if __name__ == "__main__":
    main()
