# SPDX-License-Identifier: Apache-2.0
"""Tensor names of the released Cosmos files, as the diffusers classes call them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_Rules = tuple[tuple[str, str], ...]

_TRANSFORMER_DROPPED = re.compile(r"pos_embedder\.(seq|dim_.*)|logvar\..*|.*_extra_state.*")
_TRANSFORMER: _Rules = (
    (r"^x_embedder\.proj\.1\.", "patch_embed.proj."),
    (r"^extra_pos_embedder\.", "learnable_pos_embed."),
    (r"^t_embedder\.1\.", "time_embed.t_embedder."),
    (r"^affline_norm\.", "time_embed.norm."),
    (r"^final_layer\.adaLN_modulation\.", "norm_out.linear_"),
    (r"^final_layer\.linear\.", "proj_out."),
    (r"^blocks\.block(\d+)\.blocks\.0\.block\.attn\.", r"transformer_blocks.\1.attn1."),
    (r"^blocks\.block(\d+)\.blocks\.1\.block\.attn\.", r"transformer_blocks.\1.attn2."),
    (r"^blocks\.block(\d+)\.blocks\.2\.block\.layer1\.", r"transformer_blocks.\1.ff.net.0.proj."),
    (r"^blocks\.block(\d+)\.blocks\.2\.block\.layer2\.", r"transformer_blocks.\1.ff.net.2."),
    (r"^blocks\.block(\d+)\.blocks\.0\.adaLN_modulation\.", r"transformer_blocks.\1.norm1.linear_"),
    (r"^blocks\.block(\d+)\.blocks\.1\.adaLN_modulation\.", r"transformer_blocks.\1.norm2.linear_"),
    (r"^blocks\.block(\d+)\.blocks\.2\.adaLN_modulation\.", r"transformer_blocks.\1.norm3.linear_"),
    (r"\.to_([qk])\.1\.", r".norm_\1."),
    (r"\.to_([qkv])\.0\.", r".to_\1."),
)

_TOKENIZER_DROPPED = re.compile(r".*(wavelets|_arange|patch_size_buffer)$")
_TOKENIZER: _Rules = (
    (r"^encoder\.down\.(\d+)\.", r"encoder.down_blocks.\1."),
    (r"^decoder\.up\.0\.", "decoder.up_blocks.2."),
    (r"^decoder\.up\.1\.", "decoder.up_blocks.1_."),
    (r"^decoder\.up\.2\.", "decoder.up_blocks.0."),
    (r"^decoder\.up_blocks\.1_\.", "decoder.up_blocks.1."),
    (r"\.block\.", ".resnets."),
    (r"\.(down|up)sample\.", r".\1samplers.0."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.0\.", ".mid_block.attentions.0."),
    (r"\.mid\.attn_1\.1\.", ".mid_block.temp_attentions.0."),
    (r"\.([qkv])\.conv3d\.", r".to_\1."),
    (r"\.proj_out\.conv3d\.", ".to_out.0."),
    (r"\.0\.conv3d\.", ".conv_s."),
    (r"\.1\.conv3d\.", ".conv_t."),
    (r"\.nin_shortcut\.conv3d\.", ".conv_shortcut."),
    (r"\.conv3d\.", "."),
)


def transformer_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the released diffusion transformer under the names of `CosmosTransformer3DModel`."""
    networks = {name.removeprefix("net."): value for name, value in state.items() if not name.startswith("logvar.")}
    return _renamed(networks, _TRANSFORMER, _TRANSFORMER_DROPPED)


def tokenizer_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the released tokenizer under the names of `AutoencoderKLCosmos`."""
    return _renamed(state, _TOKENIZER, _TOKENIZER_DROPPED)


def _renamed(state: Mapping[str, Tensor], rules: _Rules, dropped: re.Pattern[str]) -> dict[str, Tensor]:
    kept = {name: value for name, value in state.items() if not dropped.fullmatch(name)}
    return {_rename(name, rules): value for name, value in kept.items()}


def _rename(name: str, rules: _Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
