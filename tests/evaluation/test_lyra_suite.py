# SPDX-License-Identifier: Apache-2.0
"""The published test of the decoder on tiny data in the published layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.errors import LyraError
from lyra_core.evaluation.datasets.lyra_set import lyra_clips
from lyra_core.evaluation.lyra_suite import from_latents
from lyra_core.evaluation.novel_views import Protocol
from lyra_core.evaluation.suites import evaluate_data
from lyra_core.pipeline import LyraPipeline
from lyra_core.weights.quantized import save_weights

from .recording import HEIGHT, WIDTH, Recording, write_latents, write_lyra_set

PUBLISHED_FORM = {
    "width": 64, "depth": 2, "heads": 2, "attention_every": 2, "state_dim": 16, "ray_dtype": "float32",
    "prune_ratio": 0.5, "distance_range": [0.1, 5.0],
}  # fmt: skip


@pytest.fixture
def data(recording: Recording, tmp_path: Path) -> Path:
    """Two camera paths with the latents of their own frames, as a teacher would have written them."""
    write_lyra_set(tmp_path / "static", {5: recording, 1: recording.reversed()})
    return tmp_path / "static"


@pytest.fixture
def plain(tiny_model: Path) -> LyraPipeline:
    """The tiny model with a decoder in the published form: no anchors."""
    preset = yaml.safe_load(tiny_model.read_text())
    preset["decoder"] = {"kind": "lyra", "file": "plain.safetensors", "config": PUBLISHED_FORM}
    decoder = GaussianDecoder(DecoderConfig.from_dict(PUBLISHED_FORM), generator=torch.Generator().manual_seed(0))
    save_weights(tiny_model.with_name("plain.safetensors"), decoder.state_dict())
    path = tiny_model.with_name("plain.yaml")
    path.write_text(yaml.safe_dump(preset))
    return LyraPipeline.from_pretrained(str(path))


def add_latents(data: Path, pipeline: LyraPipeline, recording: Recording) -> torch.Tensor:
    """Writes latents in the teacher's scale; returns the tokenizer's own of both paths in the decoder's order."""
    tokenizer = pipeline.teacher.tokenizer
    raw = []
    for number, pictures in ((5, recording.pictures), (1, recording.pictures.flip(0))):
        video = pictures.clamp(0, 1).permute(3, 0, 1, 2)[None] * 2 - 1
        raw.append(tokenizer.encode(video))
        write_latents(data, number, 0.5 * tokenizer.normalize(raw[-1])[0])
    return torch.cat(raw)


def test_latents_are_decoded_and_every_frame_is_scored(data: Path, plain: LyraPipeline, recording: Recording) -> None:
    add_latents(data, plain, recording)
    report = evaluate_data(plain, "lyra", data, Protocol(span=3, scale="9"))
    assert report["source"] == "latents of the data set"
    assert report["protocol"] == {"frames": None, "span": None, "paths": "reference", "score_input": True}
    assert report["alignment"]["scale"] == ["none"]  # poses and latents share a unit, whatever was asked for
    assert report["metrics"]["psnr"]["views"] == 2 * len(recording)
    assert report["clips"][0]["gaussians"] == 2 * len(recording) * HEIGHT * WIDTH // 64 // 2
    assert {row["method"] for row in report["published"]} >= {"Lyra", "w/o Mamba-2", "real data only"}


def test_the_decoder_gets_raw_latents_and_cameras_of_the_first_view(
    data: Path, plain: LyraPipeline, recording: Recording
) -> None:
    raw = add_latents(data, plain, recording)
    calls = []
    plain.decoder.register_forward_pre_hook(lambda module, arguments: calls.append(arguments))
    (clip,) = lyra_clips(data)
    with torch.no_grad():
        scene = from_latents(plain, clip, Protocol())
    ((latents, cameras),) = calls
    assert torch.allclose(latents[0], raw, atol=1e-4)
    assert torch.allclose(cameras.c2w[0, 0], recording.relative.c2w, atol=2e-5)
    assert torch.allclose(cameras.c2w[0, 1], recording.relative.c2w.flip(0), atol=2e-5)
    assert scene.size == (HEIGHT, WIDTH)


def test_a_strided_rendering_cannot_be_scored(data: Path, plain: LyraPipeline, recording: Recording) -> None:
    add_latents(data, plain, recording)
    for number in range(len(recording)):
        if number % 4:
            (data / "5" / "rgb" / "kitchen" / f"{number:05d}.png").unlink()
    with pytest.raises(LyraError, match="has 3 frames, but there are 9 poses"):
        evaluate_data(plain, "lyra", data, Protocol())


def test_an_anchored_decoder_starts_from_the_picture(data: Path, tiny_model: Path, recording: Recording) -> None:
    anchored = LyraPipeline.from_pretrained(str(tiny_model))
    add_latents(data, anchored, recording)
    report = evaluate_data(anchored, "lyra", data, Protocol(frames=2))
    assert report["source"] == "one picture"
    assert report["alignment"]["scale"] == ["triangulation"]
    assert report["metrics"]["psnr"]["views"] == 2
