# SPDX-License-Identifier: Apache-2.0
"""From a stage to what the trainer takes (start weights, optimiser, leg), and what it leaves behind."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import torch

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.distillation.run_folder import is_main_process, whole
from lyra_core.distillation.stages import Stage
from lyra_core.distillation.trainer import LegConfig, decay_groups
from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.weights.official.fitting import require_fit
from lyra_core.weights.quantized import Storage, load_weights, save_weights

WEIGHTS_NAME = "decoder.safetensors"
METRICS_NAME = "decoder.json"


def leg_of(stage: Stage, *, minutes: float | None, seed: int) -> LegConfig:
    """How a stage runs, as the trainer takes it; without `minutes` its own bound holds."""
    return LegConfig(
        minutes=minutes if minutes is not None else stage.minutes or math.inf,
        learning_rate=stage.learning_rate, warmup_steps=stage.warmup_steps, constant_share=stage.constant_share,
        ema_decay=stage.ema_decay, clip_norm=stage.clip_norm, seed=seed, steps=stage.steps,
        first_step=stage.first_step, samples=stage.batch * stage.processes, log_every=20 if stage.steps else 0,
        save_every_steps=stage.save_every_steps if stage.steps else 0,
        evaluate_every_steps=stage.evaluate_every_steps if stage.steps else 0,
        precision=stage.precision, device="auto",
    )  # fmt: skip


def optimizer_of(decoder: GaussianDecoder, stage: Stage) -> torch.optim.AdamW:
    """AdamW over what is trained; as published, weight decay reaches all of it."""
    groups: Any = [p for p in decoder.parameters() if p.requires_grad]
    if not stage.decay_vectors:
        groups = decay_groups(decoder, stage.weight_decay)
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=stage.betas, weight_decay=stage.weight_decay)


def identity_of(stage: Stage, config: DecoderConfig) -> str:
    """What a saved state must have been made for: the stage, and the decoder it trains."""
    return f"stage {stage.name}, decoder {zlib.crc32(repr(config).encode()):08x}"


def start_of(stage: Stage, out: Path, start: Path | None) -> Path | None:
    """The weights a stage starts from; None for scratch. Raises LyraError where they are not there."""
    if start is None and stage.follows is not None:
        start = out.parent / stage.follows / WEIGHTS_NAME
    if start is not None and not start.is_file():
        raise LyraError(
            f"stage {stage.name!r} starts from the weights of {stage.follows!r}, and {start} is not there. Train that "
            "stage first, or give weights with --start-from."
        )
    return start


def load_start(decoder: GaussianDecoder, stage: Stage, start: Path | None) -> None:
    """Take over weights. Raises LyraError naming what does not fit."""
    if start is None:
        return
    state = load_weights(start)
    require_fit(state, decoder.state_dict(), str(start), f"the decoder of stage {stage.name!r}")
    decoder.load_state_dict(state)


def silence_unused_times(decoder: GaussianDecoder) -> None:
    """A static decoder carries the time embeddings, as the released file does, but they take no part."""
    for parameter in (*decoder.patch_time_embed.parameters(), *decoder.patch_time_embed_tgt.parameters()):
        parameter.requires_grad_(decoder.config.use_time_embedding)


def write_decoder(
    decoder: GaussianDecoder, out: Path, metrics: dict[str, Any], storage: Storage = "fp16"
) -> dict[str, Any]:
    """Write weights and metrics to `out`; of several processes only the first does. Returns the metrics."""
    state = {name: whole(tensor) for name, tensor in decoder.state_dict().items()}
    if is_main_process():
        save_weights(out / WEIGHTS_NAME, state, storage=storage, metadata=metrics)
        with replacing(out / METRICS_NAME) as temporary:
            temporary.write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return metrics
