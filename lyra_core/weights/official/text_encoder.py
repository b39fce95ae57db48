# SPDX-License-Identifier: Apache-2.0
"""The two constant text embeddings, computed once with a T5 encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.teacher.text import TEXT_TOKENS, TextEmbeddings


@torch.no_grad()
def encode_prompts(folder: Path) -> TextEmbeddings:
    """Embeddings of the empty prompt and of the negative prompt of the Cosmos family.

    Args:
        folder: a T5 encoder and its tokenizer as transformers saves them.

    Raises LyraError when transformers is not installed or the folder holds no such model.
    """
    try:
        from diffusers.pipelines.cosmos.pipeline_cosmos_text2world import DEFAULT_NEGATIVE_PROMPT
        from transformers import AutoTokenizer, T5EncoderModel
    except ImportError as error:
        raise LyraError(
            "encoding text needs the package transformers (pip install transformers sentencepiece). "
            "Without a text encoder the embeddings are zeros."
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        encoder = T5EncoderModel.from_pretrained(folder, local_files_only=True, dtype="auto").eval()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LyraError(f"{folder} holds no T5 encoder with its tokenizer ({reason}).") from error
    return TextEmbeddings(_embedding("", tokenizer, encoder), _embedding(DEFAULT_NEGATIVE_PROMPT, tokenizer, encoder))


def _embedding(prompt: str, tokenizer: Any, encoder: Any) -> Tensor:
    """[TEXT_TOKENS, D] float32, zero after the prompt's own tokens."""
    tokens = tokenizer(prompt, padding="max_length", max_length=TEXT_TOKENS, truncation=True, return_tensors="pt")
    hidden = encoder(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state[0].float()
    return torch.where(tokens.attention_mask[0, :, None].bool(), hidden, 0.0)
