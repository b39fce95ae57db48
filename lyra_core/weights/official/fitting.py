# SPDX-License-Identifier: Apache-2.0
"""Do these weights fit that network? If not: which ones, and what they are instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from lyra_core.errors import LyraError

Kind = Literal["diffusion transformer", "tokenizer", "3DGS decoder"]

_NAMED = 3
"""Tensors a message names of each sort."""

_SIGNS: dict[Kind, tuple[str, ...]] = {
    "diffusion transformer": ("transformer_blocks.", "blocks.block", "net.blocks.block"),
    "tokenizer": ("encoder.", "decoder.", "quant_conv", "post_quant_conv"),
    "3DGS decoder": ("enc_blocks.",),
}

_PATCH_PIXELS = 4
"""Latent pixels per token of the diffusion transformer."""

_GEN3C_CHANNELS = 82
_INPUTS = {
    17: "plain Cosmos text-to-world",
    18: "plain Cosmos video-to-world, which reads no guidance",
    50: "a GEN3C with one cache slot (`slots: 1` in the preset's transformer config)",
    _GEN3C_CHANNELS: "the published GEN3C with two cache slots (model: lyra)",
}
"""Input channels of known transformers, padding mask included."""


def require_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], origin: str, target: str) -> None:
    """Checks names and shapes; both sides may be on the meta device.

    Args:
        state: the weights.
        expected: the network's own `state_dict`.
        origin: of the weights, for the message.
        target: what they should fit, e.g. "the teacher of preset 'lyra'".

    Raises LyraError naming missing, unexpected and misshaped tensors, and what the weights seem to be.
    """
    shapes = {
        name: f"{name} {_size(state[name])} instead of {_size(value)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    }
    findings = [
        _finding("missing", [name for name in expected if name not in state]),
        _finding("unexpected", [name for name in state if name not in expected]),
        _finding("misshaped", shapes.values()),
    ]
    if any(findings):
        hint = _hint(state, expected)
        raise LyraError(f"weights {origin} do not fit {target}: {'; '.join(filter(None, findings))}.{hint}")


def kind_of(names: Iterable[str]) -> Kind | None:
    """Which network names like these belong to."""
    names = tuple(names)
    return next((kind for kind, signs in _SIGNS.items() if any(name.startswith(signs) for name in names)), None)


def time_is_trained(state: Mapping[str, Tensor]) -> bool:
    """Whether a decoder was trained with time: its time embeddings start as zeros and stay that in the static model."""
    names = ("patch_time_embed.proj.weight", "patch_time_embed_tgt.proj.weight")
    return any(bool(torch.any(state[name])) for name in names)


def _hint(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    found, wanted = kind_of(state), kind_of(expected)
    if found != wanted:
        return f" These are weights of {f'a {found}' if found else 'something else'}, not of a {wanted}."
    if wanted != "diffusion transformer":
        return " The preset's config has other numbers, or this is another release."
    inputs = state.get("patch_embed.proj.weight")
    channels = 0 if inputs is None or inputs.ndim != 2 else inputs.shape[1] // _PATCH_PIXELS
    if channels in _INPUTS and inputs is not None and inputs.shape != expected["patch_embed.proj.weight"].shape:
        return f" With {channels} input channels this is {_INPUTS[channels]}; take the file that the preset names."
    return " The preset's transformer config has other numbers, or this is another release."


def _finding(sort: str, items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return f"{len(items)} {sort} ({', '.join(items[:_NAMED])}{more})" if items else ""


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
