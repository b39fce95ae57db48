# SPDX-License-Identifier: Apache-2.0
"""A complete model, small enough to build in a test: real parts, random weights, one preset file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

TINY = {
    "name": "tiny",
    "summary": "random weights for tests",
    "quality_tier": "test",
    "trained_on": "nothing",
    "weights": ".",
    "image": {"kind": "procedural-grammar", "config": {"supersample": 1}},
    "depth": {"kind": "embedded", "file": "depth.safetensors"},
    "tokenizer": {"kind": "cosmos", "file": "tokenizer.safetensors"},
    "teacher": {"kind": "guidance"},
    "decoder": {
        "kind": "lyra",
        "file": "decoder.safetensors",
        "config": {
            "width": 64, "depth": 2, "heads": 2, "attention_every": 2, "state_dim": 16, "ray_dtype": "float32",
            "gaussian_stride": [8, 2, 2], "distance_range": [0.12, 40.0], "distance_map": "log", "prune_ratio": 0.0,
            "color_anchor": True, "depth_anchor": True, "input_view_gaussians": True,
        },
    },
    "image_size": [64, 128],
    "video_size": [32, 64],
    "frames": 9,
    "paths": ["clockwise", "left", "right", "zoom_in"],
    "movement": "clearance",
    "warp_footprint": "adaptive",
    "hole_fill": "background",
    "start_strength": 0.0,
    "projection": "ut",
    "refine_iterations": 2,
}  # fmt: skip


def write_tiny_model(folder: Path) -> Path:
    """Writes weights and preset to `folder`; returns the preset's path."""
    import torch

    from lyra_core.conditioning.depth_net import DepthNet
    from lyra_core.decoder import DecoderConfig, GaussianDecoder
    from lyra_core.distillation.tokenizer_start import calibrate, start_as_components
    from lyra_core.teacher.tokenizer import Tokenizer
    from lyra_core.teacher.tokenizer_factored import MINI_CONFIG, factored_network
    from lyra_core.weights.quantized import save_weights

    generator = torch.Generator().manual_seed(0)
    small = {**MINI_CONFIG, "encoder_block_out_channels": (64, 64), "decode_block_out_channels": (64, 64)}
    directions = torch.linalg.qr(torch.randn(1536, 40, generator=generator))[0].T.contiguous()
    network = factored_network(small, (directions, torch.full((40,), 0.1), torch.zeros(1536)))
    start_as_components(network, generator)
    calibrate(network, torch.rand(1, 3, 9, 32, 64, generator=generator) * 2 - 1)
    Tokenizer(network).save(folder / "tokenizer.safetensors")
    torch.manual_seed(0)
    save_weights(folder / "depth.safetensors", DepthNet().state_dict())
    decoder = GaussianDecoder(DecoderConfig.from_dict(TINY["decoder"]["config"]), generator=generator)
    save_weights(folder / "decoder.safetensors", decoder.state_dict())
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a preset whose model runs in a second."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))
