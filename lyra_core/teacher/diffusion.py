# SPDX-License-Identifier: Apache-2.0
"""The teacher's diffusion model: transformer and sampler, from encoded guidance to the latents of the videos."""

from __future__ import annotations

import torch
from torch import Tensor

from lyra_core.checkpoints import Recall, StageResult, recompute
from lyra_core.errors import LyraError
from lyra_core.progress import Progress, no_progress
from lyra_core.teacher.sampler import Branch, Network, SamplerConfig, augmentation_noise, sample
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.teacher.transformer import VideoTransformer


class GuidedDiffusion:
    """Samples one video after another; as published, all start from the same noise, so their order does not matter."""

    def __init__(self, transformer: VideoTransformer, text: TextEmbeddings, sampler: SamplerConfig) -> None:
        """Raises LyraError for text embeddings that do not fit the transformer."""
        if text.prompt.shape[-1] != transformer.config.text_dim:
            raise LyraError(
                f"text embeddings have {text.prompt.shape[-1]} channels, but the transformer reads "
                f"{transformer.config.text_dim}. Convert the text embeddings of this model."
            )
        self.transformer = transformer
        self.text = text
        self.sampler = sampler

    @property
    def slots(self) -> int:
        """Source views of the 3D cache it sees at once."""
        return self.transformer.config.slots

    @torch.no_grad()
    def __call__(
        self,
        guidance: Tensor,
        condition: Tensor,
        *,
        start_strength: float,
        generator: torch.Generator,
        progress: Progress = no_progress,
        recall: Recall = recompute,
    ) -> Tensor:
        """Latents [V, C, T, h, w] in diffusion space.

        Args:
            guidance: [V, 2 * slots * C, T, h, w] (see `guidance`); its first C channels are the warp itself.
            condition: [1, C, T, h, w], the input image in latent frame 0.
            start_strength: 1 starts from noise, less from the encoded warp and less noise.
            generator: source of all noise; its seed is also that of the augmentation noise.
            progress: told after every step, over all videos.
            recall: may know a video already.
        """
        shape = tuple(condition.shape)
        noise = torch.randn(shape, generator=generator).to(condition)
        augment_noise = augmentation_noise(shape, generator.initial_seed() % 2**32).to(condition)
        count = len(guidance)

        def video(index: int) -> Tensor:
            own = guidance[index : index + 1]

            def make() -> StageResult:
                latents = sample(
                    self._network(own, condition),
                    condition,
                    noise,
                    augment_noise,
                    self.sampler,
                    start=own[:, : condition.shape[1]],
                    start_strength=start_strength,
                    listener=lambda step, total: progress("latents", index * total + step, count * total),
                )
                return StageResult({"latents": latents}, {})

            inputs = {
                "guidance": own, "condition": condition, "noise": noise, "augment_noise": augment_noise,
                "strength": start_strength, "sampler": self.sampler.model_dump(),
                "prompt": self.text.prompt, "negative": self.text.negative,
            }  # fmt: skip
            return recall(f"video_{index}", inputs, make).tensors["latents"]

        return torch.cat([video(index) for index in range(count)])

    def _network(self, guidance: Tensor, condition: Tensor) -> Network:
        """The transformer as the sampler asks it: the second branch sees neither prompt nor guidance."""
        mask = torch.zeros_like(condition[:, :1])
        mask[:, :, 0] = 1

        def network(latents: Tensor, noise_code: Tensor, branch: Branch) -> Tensor:
            shown = guidance if branch == "conditional" else torch.zeros_like(guidance)
            text = self.text.of(branch)[None].to(latents)
            return self.transformer(latents, noise_code, mask, shown, text)

        return network
