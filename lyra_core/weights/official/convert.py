# SPDX-License-Identifier: Apache-2.0
"""Released files to ours: checked, renamed, written as safetensors, entered into the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.progress import Progress, no_progress
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.weights.components import diffusion_config
from lyra_core.weights.manifest import Manifest, record, sha256
from lyra_core.weights.official.checkpoints import read_state
from lyra_core.weights.official.fitting import require_fit, time_is_trained
from lyra_core.weights.official.hub import free_bytes
from lyra_core.weights.official.names import transformer_names
from lyra_core.weights.official.pull import gigabytes, recorded_official
from lyra_core.weights.official.sources import (
    UNKNOWN,
    Role,
    Source,
    Sources,
    find_official,
    load_sources,
    official_folder,
)
from lyra_core.weights.official.text_encoder import encode_prompts
from lyra_core.weights.official.tokenizer_files import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    empty_tokenizer,
    read_statistics,
    tokenizer_state,
)
from lyra_core.weights.presets import Preset

_FRAMES_PER_LATENT = 8

ZERO_TEXT = "zeros (no text encoder was given)"
"""Source of text embeddings without a text encoder, in the manifest."""


@dataclass(frozen=True)
class Found:
    """Released files of one role.

    Attributes:
        paths: where they are.
        origin: what they are, for the manifest.
    """

    paths: list[Path]
    origin: str


@dataclass(frozen=True)
class Conversion:
    """What one run did.

    Attributes:
        written: files that are new.
        kept: files that came from the same released files before.
        notes: what the user should know.
    """

    written: list[Path]
    kept: list[Path]
    notes: list[str]


def convert(
    preset: Preset,
    *,
    folder: Path | None = None,
    text_encoder: Path | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Writes all weight files of a preset from the released ones; what is up to date stays.

    Args:
        preset: what they are for; its config decides what fits.
        folder: of the released files; None takes those that were pulled.
        text_encoder: folder of a T5 encoder; None takes a pulled one, else the text embeddings are zeros.
        progress: told after each part.

    Raises:
        LyraError: a released file is missing, is not what was recorded, wants to run code, is damaged, or does not
            fit the preset; nothing is written for that part, and the other parts stay as they are.
    """
    return _Converter(preset, folder).run(text_encoder, progress)


class _Converter:
    def __init__(self, preset: Preset, folder: Path | None) -> None:
        self.preset = preset
        self.sources: Sources = load_sources(preset)
        self.folder = folder or official_folder(preset)
        self.done = Conversion([], [], [])

    def run(self, text_encoder: Path | None, progress: Progress) -> Conversion:
        parts: list[Callable[[], None]] = [
            self._tokenizer, self._decoder, lambda: self._text(text_encoder), self._transformer,
        ]  # fmt: skip
        for index, part in enumerate(parts):
            progress("convert", index, len(parts))
            part()
        progress("convert", len(parts), len(parts))
        manifest = Manifest.load(self.preset.weights_folder)
        manifest.licence = ", ".join(sorted({source.repository.licence for source in self._used()}))
        manifest.save(self.preset.weights_folder)
        return self.done

    def _used(self) -> list[Source]:
        """Released files whose content is part of the result."""
        return [source for source in self.sources.files if source.file.role != "text" and self._find(source)]

    def _find(self, source: Source) -> Path | None:
        return find_official(self.folder, source)

    def _released(self, role: Role) -> Found:
        """The files of a role: those that are fetched by default, or the ones that stand in for them."""
        every = self.sources.of(role)
        for stand_in in (True, False):
            wanted = [source for source in every if (source.file.fetch == "never") == stand_in]
            paths = [path for source in wanted if (path := self._find(source))]
            if wanted and len(paths) == len(wanted):
                return Found(paths, "; ".join(map(self._origin, wanted, paths)))
        missing = [source.name for source in every if source.file.fetch != "never" and not self._find(source)]
        raise LyraError(
            f"released files are not in {self.folder}: {', '.join(missing)}. Run `lyra models pull "
            f"{self.preset.name}` first, or say with --from where they are."
        )

    def _origin(self, source: Source, path: Path) -> str:
        entry = recorded_official(self.preset, source, path)
        commit = entry.source.rpartition("@")[2] if entry else UNKNOWN
        return f"{source.name}@{commit} sha256:{entry.sha256 if entry else sha256(path)}"

    def _tokenizer(self) -> None:
        weights, statistics = self._released("tokenizer"), self._released("statistics")
        target = self.preset.weights_folder / _required(self.preset.tokenizer.file, "tokenizer")
        origin = f"{weights.origin}; {statistics.origin}"
        if self._up_to_date(origin, target / WEIGHTS_NAME, target / CONFIG_NAME):
            return
        config = self.preset.tokenizer.config
        state = tokenizer_state(weights.paths, config, f"the tokenizer of preset {self.preset.name!r}")
        network = empty_tokenizer(config)
        frames = 1 + (self.preset.frames - 1) // _FRAMES_PER_LATENT
        mean, std = read_statistics(statistics.paths[0], network.config["latent_channels"], frames)
        network.register_to_config(latents_mean=mean, latents_std=std)
        target.mkdir(parents=True, exist_ok=True)
        self._write_tensors(target / WEIGHTS_NAME, state, origin)
        with replacing(target / CONFIG_NAME) as temporary:
            temporary.write_text(json.dumps(json.loads(network.to_json_string()), indent=2, sort_keys=True) + "\n")
        self._record(target / CONFIG_NAME, origin)

    def _decoder(self) -> None:
        released = self._released("decoder")
        target = self.preset.weights_folder / _required(self.preset.decoder.file, "decoder")
        if self._up_to_date(released.origin, target):
            return
        config = DecoderConfig.from_dict(self.preset.decoder.config)
        with torch.device("meta"):
            expected = GaussianDecoder(config).state_dict()
        state = read_state(released.paths[0])
        require_fit(state, expected, str(released.paths[0]), f"the decoder of preset {self.preset.name!r}")
        self._check_time(state, config, released.paths[0])
        self._write_tensors(target, state, released.origin)

    def _check_time(self, state: Mapping[str, Tensor], config: DecoderConfig, path: Path) -> None:
        """The static and the dynamic decoder have the same tensors; only one of them has learned what time is."""
        trained = time_is_trained(state)
        if config.use_time_embedding and not trained:
            raise LyraError(
                f"{path} has never learned time: it is a static decoder, but preset {self.preset.name!r} sets "
                "use_time_embedding. Take lyra_dynamic.pt, or remove that line."
            )
        if trained and not config.use_time_embedding:
            self.done.notes.append(
                f"{path} has learned time, as the dynamic decoder (lyra_dynamic.pt) has; preset {self.preset.name!r} "
                "is static and ignores that. The static one is lyra_static.pt."
            )

    def _text(self, text_encoder: Path | None) -> None:
        config = diffusion_config(self.preset)
        if config.text is None:
            return
        target = self.preset.weights_folder / config.text
        encoder = text_encoder or self._pulled_encoder()
        if encoder is None and not target.is_file():
            self._embeddings(target, TextEmbeddings.zeros(config.transformer.text_dim), ZERO_TEXT)
            self.done.notes.append(
                "text embeddings are zeros, as in the published mode without a text encoder; --text-encoder DIR makes "
                "real ones."
            )
        elif encoder is not None and not self._up_to_date(f"encoded by {encoder}", target):
            embeddings = encode_prompts(encoder)
            if embeddings.prompt.shape[1] != config.transformer.text_dim:
                raise LyraError(
                    f"{encoder} encodes to {embeddings.prompt.shape[1]} channels, but the teacher of preset "
                    f"{self.preset.name!r} reads {config.transformer.text_dim}. Take google-t5/t5-11b."
                )
            self._embeddings(target, embeddings, f"encoded by {encoder}")

    def _pulled_encoder(self) -> Path | None:
        paths = [self._find(source) for source in self.sources.of("text")]
        return paths[0].parent if paths and paths[0] and all(paths) else None

    def _embeddings(self, target: Path, embeddings: TextEmbeddings, origin: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        embeddings.save(target)
        self._record(target, origin)

    def _transformer(self) -> None:
        released, config = self._released("teacher"), diffusion_config(self.preset)
        target = self.preset.weights_folder / _required(self.preset.teacher.file, "teacher")
        if self._up_to_date(released.origin, target):
            return
        with torch.device("meta"):
            expected = config.transformer.network().state_dict()
        state = transformer_names(read_state(released.paths[0]))
        require_fit(state, expected, str(released.paths[0]), f"the teacher of preset {self.preset.name!r}")
        dtype = state["patch_embed.proj.weight"].dtype  # one precision for all, as the network computes in one
        self._write_tensors(target, {name: value.to(dtype) for name, value in state.items()}, released.origin)

    def _up_to_date(self, origin: str, *targets: Path) -> bool:
        listed, root = Manifest.load(self.preset.weights_folder).files, self.preset.weights_folder
        for target in targets:
            entry = listed.get(target.relative_to(root).as_posix())
            if entry is None or entry.source != origin or not target.is_file() or target.stat().st_size != entry.bytes:
                return False
        self.done.kept.extend(targets)
        return True

    def _write_tensors(self, target: Path, state: Mapping[str, Tensor], origin: str) -> None:
        """Safetensors in the released precision. Raises LyraError for values that are not finite, or a full disk."""
        spoilt = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
        if spoilt:
            raise LyraError(f"{origin} holds values that are not finite, in {spoilt[0]}. Fetch it again.")
        size = sum(value.numel() * value.element_size() for value in state.values())
        target.parent.mkdir(parents=True, exist_ok=True)
        if free_bytes(target.parent) < size:
            raise LyraError(f"{target} needs {gigabytes(size)}, more than is free there. Free some space.")
        with replacing(target) as temporary:
            save_file({name: value.contiguous() for name, value in state.items()}, temporary)
        self._record(target, origin)

    def _record(self, target: Path, origin: str) -> None:
        command = f"lyra models convert {self.preset.name}"
        root = self.preset.weights_folder
        record(target, trained=origin != ZERO_TEXT, command=command, source=origin, folder=root)
        self.done.written.append(target)


def _required(file: str | None, part: str) -> str:
    if file is None:
        raise LyraError(f"the preset names no file for its {part}. Add `file:`.")
    return file
