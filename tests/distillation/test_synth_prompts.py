# SPDX-License-Identifier: Apache-2.0
"""Prompts from a language model: a real one of two tiny layers, with a vocabulary of a dozen words."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from lyra_core.errors import LyraError
from lyra_core.synthesis.prompt_writer import PromptWriter, TransformersPrompts, sentences

WORDS = ("a", "room", "with", "red", "chair", "and", "lamp", "old", "door", "yard")


def test_numbers_bullets_and_quotes_are_taken_off() -> None:
    answer = '1. A small kitchen.\n- "A wet street at night"\n\nSure!\n12) “An attic with boxes”\n* a hall with lamps'
    assert sentences(answer.splitlines()) == [
        "A small kitchen.", "A wet street at night", "An attic with boxes", "a hall with lamps",
    ]  # fmt: skip


def test_without_transformers_the_error_names_it(tmp_path: Path) -> None:
    if find_spec("transformers") is not None:
        pytest.skip("transformers is installed")
    with pytest.raises(LyraError, match="need the package transformers"):
        TransformersPrompts(str(tmp_path))


def a_model(folder: Path, words: tuple[str, ...]) -> str:
    """A language model with random weights that knows `words` and the end of a line."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    names = ["<pad>", "<unk>", "\n", *words]
    words_only = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>")
    )
    words_only.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words_only, unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(names), n_positions=1024, n_embd=16, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


def test_a_language_model_writes_different_prompts_by_seed(tmp_path: Path) -> None:
    writer: PromptWriter = TransformersPrompts(a_model(tmp_path, WORDS))
    before = torch.get_rng_state()
    prompts = writer(4, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(set(prompts)) == 4
    assert all(set(prompt.split()) <= {*WORDS, "<unk>"} for prompt in prompts)
    assert writer(4, seed=1) == prompts
    assert writer(4, seed=2) != prompts


def test_a_model_that_has_nothing_to_say_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="wrote 0 of 2 prompts and then nothing new"):
        TransformersPrompts(a_model(tmp_path, ()))(2, seed=0)
