# SPDX-License-Identifier: Apache-2.0
"""The released files at full size: official names and shapes, on the meta device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.errors import LyraError
from lyra_core.teacher.transformer import TransformerConfig
from lyra_core.weights.components import diffusion_config
from lyra_core.weights.official.fitting import kind_of, require_fit
from lyra_core.weights.official.names import tokenizer_names, transformer_names
from lyra_core.weights.official.sources import load_sources
from lyra_core.weights.official.tokenizer_files import empty_tokenizer
from lyra_core.weights.presets import load_preset

from .official_files import released_state

WIDTH, TEXT, LORA, BLOCKS = 4096, 1024, 256, 28
TOKENIZER_WIDTHS = {6: 128, 12: 256, 24: 512}
"""Channels of the golden tokenizer, and those of the released one."""


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def modulation(prefix: str, chunks: int) -> Iterator[tuple[str, Tensor]]:
    yield f"{prefix}.adaLN_modulation.1.weight", meta(LORA, WIDTH)
    yield f"{prefix}.adaLN_modulation.2.weight", meta(chunks * WIDTH, LORA)


def attention(prefix: str, context: int) -> Iterator[tuple[str, Tensor]]:
    for part, columns in (("q", WIDTH), ("k", context), ("v", context), ("out", WIDTH)):
        yield f"{prefix}.attn.to_{part}.0.weight", meta(WIDTH, columns)
    for part in "qk":
        yield f"{prefix}.attn.to_{part}.1.weight", meta(128)


def released_transformer(columns: int = 328, blocks: int = BLOCKS) -> dict[str, Tensor]:
    """Names and shapes of GEN3C-Cosmos-7B as its file has them, with what is to be dropped."""
    state = {
        "logvar.0.freqs": meta(128),
        "net.pos_embedder.seq": meta(240),
        "net.x_embedder.proj.1.weight": meta(WIDTH, columns),
        "net.t_embedder.1.linear_1.weight": meta(WIDTH, WIDTH),
        "net.t_embedder.1.linear_2.weight": meta(3 * WIDTH, WIDTH),
        "net.affline_norm.weight": meta(WIDTH),
        "net.final_layer.linear.weight": meta(64, WIDTH),
    }
    for axis, size in (("t", 128), ("h", 120), ("w", 120)):
        state[f"net.extra_pos_embedder.pos_emb_{axis}"] = meta(size, WIDTH)
    state |= modulation("net.final_layer", 2)
    for index in range(blocks):
        block = f"net.blocks.block{index}.blocks"
        state |= attention(f"{block}.0.block", WIDTH)
        state |= attention(f"{block}.1.block", TEXT)
        state[f"{block}.0.block.attn.attn_op._extra_state"] = meta(0)
        state[f"{block}.2.block.layer1.weight"] = meta(4 * WIDTH, WIDTH)
        state[f"{block}.2.block.layer2.weight"] = meta(WIDTH, 4 * WIDTH)
        for part in range(3):
            state |= modulation(f"{block}.{part}", 3)
    return state


def released_tokenizer() -> dict[str, Tensor]:
    """Names and shapes of Cosmos-Tokenize1-CV8x8x8-720p: those of the golden one, which is narrower."""
    return {
        name: meta(*(TOKENIZER_WIDTHS.get(side, side) for side in value.shape))
        for name, value in released_state("teacher_vae_tiny").items()
    }


def expected_transformer() -> dict[str, Tensor]:
    with torch.device("meta"):
        return diffusion_config(load_preset("lyra")).transformer.network().state_dict()


def test_released_transformer_fits_the_preset() -> None:
    state = transformer_names(released_transformer())
    assert len(state) == 570
    require_fit(state, expected_transformer(), "model.pt", "the teacher")
    assert sum(value.numel() for value in state.values()) == pytest.approx(7.237e9, rel=1e-3)


def test_released_tokenizer_fits_the_preset() -> None:
    config = load_preset("lyra").tokenizer.config
    expected = {
        name: value for name, value in empty_tokenizer(config).state_dict().items() if "patch_embed." not in name
    }
    state = tokenizer_names(released_tokenizer())
    require_fit(state, expected, "encoder.jit + decoder.jit", "the tokenizer")
    assert sum(value.numel() for value in state.values()) == pytest.approx(105.65e6, rel=1e-3)


@pytest.mark.parametrize(
    ("columns", "blocks", "expected"),
    [
        (72, BLOCKS, r"patch_embed\.proj\.weight 4096x72 instead of 4096x328.*plain Cosmos video-to-world"),
        (68, BLOCKS, "plain Cosmos text-to-world"),
        (200, BLOCKS, "one cache slot"),
        (328, BLOCKS - 1, r"20 missing \(transformer_blocks\.27\..* and 17 more\).*other numbers"),
    ],
)
def test_other_cosmos_models_are_recognised(columns: int, blocks: int, expected: str) -> None:
    state = transformer_names(released_transformer(columns, blocks))
    with pytest.raises(LyraError, match=expected):
        require_fit(state, expected_transformer(), "model.pt", "the teacher")


def test_a_one_slot_preset_is_told_about_the_published_model() -> None:
    with torch.device("meta"):
        expected = TransformerConfig(slots=1).network().state_dict()
    with pytest.raises(LyraError, match="the published GEN3C with two cache slots"):
        require_fit(transformer_names(released_transformer()), expected, "model.pt", "the teacher")


def test_kinds_are_told_apart() -> None:
    with torch.device("meta"):
        decoder = GaussianDecoder(DecoderConfig()).state_dict()
    assert kind_of(decoder) == "3DGS decoder"
    assert kind_of(released_transformer()) == kind_of(transformer_names(released_transformer()))
    assert kind_of(released_transformer()) == "diffusion transformer"
    assert kind_of(released_tokenizer()) == "tokenizer"
    assert kind_of(["lm_head.weight"]) is None


def test_every_part_of_the_lyra_preset_has_a_released_file() -> None:
    sources = load_sources(load_preset("lyra"))
    wanted = sources.wanted(text_encoder=False)
    assert {source.file.role for source in wanted} == {"teacher", "tokenizer", "statistics", "decoder"}
    extra = [source for source in sources.wanted(text_encoder=True) if source not in wanted]
    assert {source.file.role for source in extra} == {"text"}
    assert sum(source.file.expected_bytes for source in wanted) == pytest.approx(14.75e9, rel=0.01)


def test_a_list_that_is_none_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("list")
    source = load_preset("lyra")._path
    (folder / "own.yaml").write_text(source.read_text())
    with pytest.raises(LyraError, match=r"not made from released files.*own\.toml"):
        load_sources(load_preset(str(folder / "own.yaml")))
    listed = source.with_suffix(".toml").read_text()
    for old, new, expected in (
        ('sha256 = "unknown"', 'sha256 = "abc"', "sha256"),
        ('path = "model.pt"', 'path = "../model.pt"', "path"),
        ("[[repository]]", "[[repository", "no list"),
    ):
        (folder / "own.toml").write_text(listed.replace(old, new))
        with pytest.raises(LyraError, match=rf"own\.toml is no list of released files.*{expected}|{expected}"):
            load_sources(load_preset(str(folder / "own.yaml")))
