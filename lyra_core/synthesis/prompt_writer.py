# SPDX-License-Identifier: Apache-2.0
"""Prompts from a language model: a protocol, and an adapter to the transformers library."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any, Protocol

import torch

from lyra_core.errors import LyraError

REQUEST = (
    "Describe {count} different places, indoors and outdoors, as a photographer would: one sentence each, with the "
    "main objects, materials and the light; no people, no text. One place per line, nothing else."
)
"""What the model is asked for."""

_AT_ONCE = 10
_TOKENS_PER_PROMPT = 60
_FRUITLESS = 5
"""Answers in a row without a new prompt after which the model is given up."""


class PromptWriter(Protocol):
    """Anything that invents prompts."""

    def __call__(self, count: int, *, seed: int) -> list[str]:
        """`count` different prompts, the same ones for the same seed. Raises LyraError when it cannot."""
        ...


class TransformersPrompts:
    """A causal language model of the transformers library, from a local folder.

    Args:
        folder: of the model and its tokenizer, safetensors only.

    Raises:
        LyraError: transformers is not installed.
    """

    def __init__(self, folder: str) -> None:
        try:
            library: Any = import_module("transformers")
        except ImportError as error:
            raise LyraError("prompts from a language model need the package transformers. Install it first.") from error
        self.tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = library.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self.model = model.eval()

    def __call__(self, count: int, *, seed: int) -> list[str]:
        """See `PromptWriter`; sampled under the seed, which leaves the caller's random numbers alone."""
        found: dict[str, None] = {}
        fruitless = 0
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            while len(found) < count:
                known = len(found)
                found.update(dict.fromkeys(sentences(self._answer(min(_AT_ONCE, count - known)).splitlines())))
                fruitless = 0 if len(found) > known else fruitless + 1
                if fruitless == _FRUITLESS:
                    raise LyraError(
                        f"the language model wrote {len(found)} of {count} prompts and then nothing new. "
                        "Ask for fewer, or take a larger one."
                    )
        return list(found)[:count]

    @torch.no_grad()
    def _answer(self, count: int) -> str:
        inputs = self._asked(REQUEST.format(count=count))
        tokens = self.model.generate(
            **inputs, do_sample=True, max_new_tokens=count * _TOKENS_PER_PROMPT, pad_token_id=self._padding()
        )
        return self.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    def _asked(self, text: str) -> Any:
        """The request as tokens, in the model's own chat format where it has one."""
        if getattr(self.tokenizer, "chat_template", None):
            messages = [{"role": "user", "content": text}]
            return self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        return self.tokenizer(text + "\n", return_tensors="pt")

    def _padding(self) -> int | None:
        padding = self.tokenizer.pad_token_id
        return self.tokenizer.eos_token_id if padding is None else padding


def sentences(lines: Iterable[str]) -> list[str]:
    """The lines that look like prompts, without the numbers, bullets and quotes that models like to add."""
    cleaned = (re.sub(r"^\s*(?:\d+\s*[.):]|[-*•])\s*", "", line).strip(" \t\"'“”") for line in lines)
    return [line for line in cleaned if len(line.split()) >= 3]
