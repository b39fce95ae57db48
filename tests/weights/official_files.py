# SPDX-License-Identifier: Apache-2.0
"""Released files in small: official names, layout and containers, with the weights of the golden vectors."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[1] / "golden"

TRANSFORMER = {
    "heads": 2, "head_dim": 32, "layers": 2, "text_dim": 48, "adaln_lora_dim": 16, "max_size": [16, 32, 48],
}  # fmt: skip
TOKENIZER = {"encoder_block_out_channels": [6, 12, 24, 24], "decode_block_out_channels": [12, 24, 24, 24]}

REPOSITORIES = {"acme/teacher": ["model.pt"], "acme/Tok": ["encoder.jit", "decoder.jit", "mean_std.pt"]}
REPOSITORIES["acme/decoders"] = ["static.pt"]
ROLES = {
    "acme/teacher/model.pt": "teacher",
    "acme/Tok/encoder.jit": "tokenizer",
    "acme/Tok/decoder.jit": "tokenizer",
    "acme/Tok/mean_std.pt": "statistics",
    "acme/decoders/static.pt": "decoder",
}


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a golden file; the test skips where it is absent."""
    path = GOLDEN / f"{name}.safetensors"
    if not path.is_file():
        pytest.skip(f"golden file {name} is not in {GOLDEN}")
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def released_state(name: str) -> dict[str, Tensor]:
    """The weights in a golden file under their official names."""
    tensors, _ = golden(name)
    return {key.removeprefix("sd."): value for key, value in tensors.items() if key.startswith("sd.")}


def decoder_config() -> dict[str, Any]:
    """Config of the golden static decoder."""
    published = json.loads(golden("decoder_static_tiny")[1]["config"])
    return {
        "width": published["enc_embed_dim"],
        "depth": published["enc_depth"],
        "heads": published["enc_num_heads"],
        "attention_every": published["llrm_7m1t_index"],
        "ray_dtype": "float32",
        "gaussian_stride": list(published["patch_size_out_factor"]),
        "prune_ratio": published["gaussians_prune_ratio"],
    }


def write_preset(folder: Path, **sources: Any) -> Path:
    """A preset of the golden networks and the list of its released files; the weights go to `folder`/weights."""
    preset = {
        "name": "small", "summary": "golden networks", "quality_tier": "test", "trained_on": "nothing",
        "weights": "weights",
        "image": {"kind": "none"}, "depth": {"kind": "moge"},
        "tokenizer": {"kind": "cosmos", "file": "tokenizer", "config": TOKENIZER},
        "teacher": {
            "kind": "gen3c", "file": "transformer.safetensors",
            "config": {"transformer": TRANSFORMER, "text": "text.safetensors"},
        },
        "decoder": {"kind": "lyra", "file": "decoder.safetensors", "config": decoder_config()},
        "frames": 17,
    }  # fmt: skip
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(preset), encoding="utf-8")
    (folder / "small.toml").write_text(source_list(**sources), encoding="utf-8")
    return path


def source_list(revision: str = "unknown", digests: Mapping[str, str] | None = None) -> str:
    """The list of released files; `digests` are known sha256 by name."""
    lines = []
    for repository, files in REPOSITORIES.items():
        lines += ["[[repository]]", f'id = "{repository}"', f'revision = "{revision}"']
        lines += ['licence = "Test Licence"', 'licence_url = "https://example.org/licence"']
        for file in files:
            name = f"{repository}/{file}"
            sha256 = (digests or {}).get(name, "unknown")
            lines += ["[[repository.file]]", f'path = "{file}"', f'role = "{ROLES[name]}"']
            lines += ['bytes = "unknown"', "estimated_bytes = 1000", f'sha256 = "{sha256}"', 'md5 = "unknown"']
    return "\n".join(lines) + "\n"


def write_released(folder: Path) -> Path:
    """All released files below `folder`, as their publishers lay them out; returns `folder`."""
    for repository in REPOSITORIES:
        (folder / repository).mkdir(parents=True)
    teacher = released_state("teacher_dit_tiny") | {
        "logvar.0.weight": torch.ones(3),
        "net.pos_embedder.seq": torch.arange(7),
        "net.blocks.block0.blocks.0.block.attn.attn_op._extra_state": io.BytesIO(b"state"),
    }
    torch.save({"model": teacher}, folder / "acme/teacher/model.pt")
    tokenizer = released_state("teacher_vae_tiny")
    for part in ("encoder", "decoder"):
        own = {name: value for name, value in tokenizer.items() if name.startswith((part, PROJECTIONS[part]))}
        torch.jit.script(module_tree(own)).save(folder / f"acme/Tok/{part}.jit")
    torch.save(statistics(), folder / "acme/Tok/mean_std.pt")
    decoder = {"module": released_state("decoder_static_tiny"), "ds_version": "0.17.5", "global_steps": 83000}
    torch.save(decoder, folder / "acme/decoders/static.pt")
    return folder


PROJECTIONS = {"encoder": "quant_conv", "decoder": "post_quant_conv"}


def statistics() -> tuple[Tensor, Tensor]:
    """mean and std of 16 channels x 3 latent frames, as `mean_std.pt` has them."""
    tensors, _ = golden("teacher_vae_tiny")
    return tensors["in.mean_flat"], tensors["in.std_flat"]


class Branch(nn.Module):
    """A module that holds others, and computes nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def module_tree(state: Mapping[str, Tensor]) -> nn.Module:
    """Nested modules whose parameters and buffers have the names of `state`."""
    root = Branch()
    for name, value in state.items():
        *path, leaf = name.split(".")
        module: nn.Module = root
        for step in path:
            if not hasattr(module, step):
                module.add_module(step, Branch())
            module = getattr(module, step)
        if value.is_floating_point():
            module.register_parameter(leaf, nn.Parameter(value, requires_grad=False))
        else:
            module.register_buffer(leaf, value)
    return root
