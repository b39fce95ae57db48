# SPDX-License-Identifier: Apache-2.0
"""Text embeddings for the diffusion transformer.

Scenes are made without a prompt for the video, as published, so two embeddings serve all of them: that of the empty
prompt and that of the negative prompt. They are computed once with T5 and kept in a file; T5 itself (45 GB) is no part
of making a scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.teacher.sampler import Branch
from lyra_core.weights.quantized import load_weights, save_weights

TEXT_TOKENS = 512
"""Length that prompts are padded or cut to."""


@dataclass(frozen=True)
class TextEmbeddings:
    """What the two branches are told.

    Attributes:
        prompt: [L, D], zero after the prompt's own tokens.
        negative: [L, D], likewise.
    """

    prompt: Tensor
    negative: Tensor

    @classmethod
    def zeros(cls, channels: int) -> TextEmbeddings:
        """Two embeddings of zeros: the published mode without a text encoder."""
        return cls(torch.zeros(TEXT_TOKENS, channels), torch.zeros(TEXT_TOKENS, channels))

    @classmethod
    def load(cls, path: Path) -> TextEmbeddings:
        """From a file of `save`. Raises LyraError when it is missing or holds something else."""
        state = load_weights(path)
        shapes = {value.shape for value in state.values()}
        if set(state) != {"prompt", "negative"} or len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise LyraError(f"{path} holds no text embeddings. Make it with `lyra models convert`.")
        return cls(**state)

    def save(self, path: Path) -> None:
        """Writes both embeddings to one safetensors file."""
        save_weights(path, {"prompt": self.prompt, "negative": self.negative}, "fp32")

    def of(self, branch: Branch) -> Tensor:
        """The embedding `[L, D]` of one branch of the sampler."""
        return self.prompt if branch == "conditional" else self.negative
