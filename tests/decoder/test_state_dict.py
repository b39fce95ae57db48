# SPDX-License-Identifier: Apache-2.0
"""Names and shapes of the released weights."""

from __future__ import annotations

import torch

from lyra_core.decoder import DecoderConfig, GaussianDecoder

WIDTH, INNER, STATE, HEADS, DEPTH = 512, 1024, 256, 16, 16


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The list of the published model (254 tensors)."""
    shapes: dict[str, tuple[int, ...]] = {
        "enc_norm.weight": (WIDTH,),
        "enc_norm.bias": (WIDTH,),
        "deconv.weight": (WIDTH, 12, 9, 2, 2),
        "deconv.bias": (12,),
    }
    channels = {"patch_embed": 16, "patch_plucker_embed": 32, "patch_time_embed": 16, "patch_time_embed_tgt": 16}
    for name, count in channels.items():
        shapes[f"{name}.proj.weight"] = (WIDTH, count, 1, 2, 2)
        shapes |= dict.fromkeys((f"{name}.proj.bias", f"{name}.norm.weight", f"{name}.norm.bias"), (WIDTH,))
    for index in range(DEPTH):
        block = attention_shapes() if index in (7, 15) else mamba_shapes()
        shapes |= {f"enc_blocks.{index}.{name}": shape for name, shape in block.items()}
    return shapes


def attention_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, rows, columns in (("attn.qkv", 1536, 512), ("attn.proj", 512, 512), ("mlp.fc1", 2048, 512)):
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    shapes |= {"mlp.fc2.weight": (512, 2048), "mlp.fc2.bias": (512,)}
    return shapes | {f"{norm}.{part}": (WIDTH,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}


def mamba_shapes() -> dict[str, tuple[int, ...]]:
    scan: dict[str, tuple[int, ...]] = {
        "dt_bias": (HEADS,),
        "A_log": (HEADS,),
        "D": (HEADS,),
        "conv1d.weight": (INNER + 2 * STATE, 1, 4),
        "conv1d.bias": (INNER + 2 * STATE,),
        "norm.weight": (INNER,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "norm.weight": (WIDTH,),
        "mamba.in_proj.weight": (2 * INNER + 2 * STATE + HEADS, WIDTH),
        "mamba.out_proj.weight": (WIDTH, INNER),
    }
    return shapes | {f"mamba.mamba_scans.{s}.{name}": shape for s in (0, 1) for name, shape in scan.items()}


def test_default_config_has_the_released_tensors() -> None:
    with torch.device("meta"):
        decoder = GaussianDecoder(DecoderConfig())
    assert {name: tuple(value.shape) for name, value in decoder.state_dict().items()} == published_shapes()
    assert len(published_shapes()) == 254
    assert sum(p.numel() for p in decoder.parameters()) == 32_753_996


def test_dynamic_and_static_models_share_their_tensors() -> None:
    with torch.device("meta"):
        dynamic = GaussianDecoder(DecoderConfig(use_time_embedding=True))
    assert {name: tuple(value.shape) for name, value in dynamic.state_dict().items()} == published_shapes()
