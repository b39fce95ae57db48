# SPDX-License-Identifier: Apache-2.0
"""A training that other processes can start, kill and start again: `python regression_run.py OUT STEPS [--slow]`.

Prints the final weights. Each step takes four samples, so that two processes can share them.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lyra_core.distillation.trainer import LegConfig, train_leg


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def main() -> None:
    out, steps, slow = Path(sys.argv[1]), int(sys.argv[2]), "--slow" in sys.argv
    torch.set_num_threads(1)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        time.sleep(0.02 if slow else 0.0)
        x = torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32))
        return (model(x)[:, 0] - x.prod(dim=1)).square().mean(), {"size": float(x.norm())}

    config = LegConfig(
        minutes=math.inf, learning_rate=0.02, warmup_steps=5, ema_decay=0.9, steps=steps, samples=4, log_every=1,
        save_every_steps=5, evaluate_every_steps=15, precision="no",
    )  # fmt: skip
    train_leg(model, optimizer, loss, lambda: {"mean": float(model[0].weight.mean())}, out, config)
    torch.save(model.state_dict(), out / "final.pt")


if __name__ == "__main__":
    main()
    os._exit(0)  # gloo's threads may abort a process that ends in the ordinary way
