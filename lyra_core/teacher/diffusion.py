# SPDX-License-Identifier: Apache-2.0
"""The teacher's diffusion model: transformer and sampler, from encoded guidance to the latents of the videos."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Lock

import torch
from torch import Tensor

from lyra_core.checkpoints import Recall, StageResult, recompute
from lyra_core.errors import LyraError
from lyra_core.progress import Progress, no_progress
from lyra_core.teacher.sampler import Branch, Network, SamplerConfig, augmentation_noise, sample
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.teacher.transformer import VideoTransformer


class GuidedDiffusion:
    """Samples one video after another; as published, all start from the same noise, so their order does not matter.

    Attributes:
        twins: the same transformer on other devices; each then works on videos of its own, at the same time.
    """

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
        self.twins: tuple[VideoTransformer, ...] = ()

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
            recall: may know a video already; called from several threads where there are twins.
        """
        shape = tuple(condition.shape)
        noise = torch.randn(shape, generator=generator).to(condition)
        augment_noise = augmentation_noise(shape, generator.initial_seed() % 2**32).to(condition)
        told = _AllSteps(progress, len(guidance))

        def video(index: int, transformer: VideoTransformer) -> Tensor:
            own = guidance[index : index + 1]

            def make() -> StageResult:
                latents = sample(
                    self._network(transformer, own, condition),
                    condition,
                    noise,
                    augment_noise,
                    self.sampler,
                    start=own[:, : condition.shape[1]],
                    start_strength=start_strength,
                    listener=lambda step, total: told.step(index, step, total),
                )
                return StageResult({"latents": latents}, {})

            inputs = {
                "guidance": own, "condition": condition, "noise": noise, "augment_noise": augment_noise,
                "strength": start_strength, "sampler": self.sampler.model_dump(),
                "prompt": self.text.prompt, "negative": self.text.negative,
            }  # fmt: skip
            latents = recall(f"video_{index}", inputs, make).tensors["latents"]
            told.finished(index)
            return latents

        return torch.cat(self._shared(video, len(guidance)))

    def _shared(self, video: Callable[[int, VideoTransformer], Tensor], count: int) -> list[Tensor]:
        """All videos, each made by the transformer that is free next."""
        if not self.twins:
            return [video(index, self.transformer) for index in range(count)]
        free: SimpleQueue[VideoTransformer] = SimpleQueue()
        for transformer in (self.transformer, *self.twins):
            free.put(transformer)

        @torch.no_grad()  # threads do not inherit it
        def work(index: int) -> Tensor:
            transformer = free.get()
            try:
                return video(index, transformer)
            finally:
                free.put(transformer)

        with ThreadPoolExecutor(1 + len(self.twins)) as pool:
            return list(pool.map(work, range(count)))

    def _network(self, transformer: VideoTransformer, guidance: Tensor, condition: Tensor) -> Network:
        """The transformer as the sampler asks it: the second branch sees neither prompt nor guidance."""
        mask = torch.zeros_like(condition[:, :1])
        mask[:, :, 0] = 1

        def network(latents: Tensor, noise_code: Tensor, branch: Branch) -> Tensor:
            shown = guidance if branch == "conditional" else torch.zeros_like(guidance)
            text = self.text.of(branch)[None].to(latents)
            return transformer(latents, noise_code, mask, shown, text)

        return network


class _AllSteps:
    """Adds up the steps of videos that may be made at the same time."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress = progress
        self._shares = [0.0] * count
        self._lock = Lock()

    def step(self, index: int, step: int, total: int) -> None:
        """A step of one video is done."""
        with self._lock:
            self._shares[index] = step / total
            self._progress("latents", round(sum(self._shares) * total), len(self._shares) * total)

    def finished(self, index: int) -> None:
        """A video is there, made now or earlier."""
        self._shares[index] = 1.0
