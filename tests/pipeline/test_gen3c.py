# SPDX-License-Identifier: Apache-2.0
"""The published corridor - splatted cache, diffusion teacher, unanchored decoder - on a tiny model of real parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lyra_core.checkpoints import Checkpoints
from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.errors import LyraError
from lyra_core.pipeline import LyraPipeline
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.teacher.transformer import TransformerConfig, VideoTransformer
from lyra_core.weights.quantized import save_weights

TRANSFORMER = {
    "heads": 2, "head_dim": 24, "layers": 1, "text_dim": 8, "adaln_lora_dim": 4, "max_size": [4, 16, 16],
}  # fmt: skip
DECODER = {
    "width": 64, "depth": 2, "heads": 2, "attention_every": 2, "state_dim": 16, "prune_ratio": 0.5,
    "gaussian_stride": [1, 8, 8],
}  # fmt: skip


@pytest.fixture(scope="module")
def published(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A preset as the released model has it, with small networks and three steps."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    save_weights(
        folder / "transformer.safetensors", VideoTransformer(TransformerConfig(**TRANSFORMER)).network.state_dict()
    )
    save_weights(folder / "decoder.safetensors", GaussianDecoder(DecoderConfig.from_dict(DECODER)).state_dict())
    TextEmbeddings(torch.rand(4, 8), torch.rand(4, 8)).save(folder / "text.safetensors")
    for name in ("tokenizer.safetensors", "depth.safetensors"):
        (folder / name).write_bytes((tiny_model.parent / name).read_bytes())
    preset = yaml.safe_load(tiny_model.read_text(encoding="utf-8"))
    return preset | {
        "weights": str(folder),
        "teacher": {
            "kind": "gen3c",
            "file": "transformer.safetensors",
            "config": {"transformer": TRANSFORMER, "sampler": {"steps": 3}, "text": "text.safetensors"},
        },
        "decoder": {"kind": "lyra", "file": "decoder.safetensors", "config": DECODER},
        "image_size": [32, 64],
        "video_size": [32, 64],
        "movement": "published",
        "warp_footprint": "bilinear",
        "hole_fill": "none",
        "start_strength": 1.0,
        "refine_iterations": 0,
    }


def build(preset: dict[str, Any], folder: Path) -> LyraPipeline:
    path = folder / "published.yaml"
    path.write_text(yaml.safe_dump(preset), encoding="utf-8")
    return LyraPipeline.from_pretrained(str(path))


def test_a_picture_becomes_a_scene(published: dict[str, Any], tmp_path: Path) -> None:
    pipeline, phases = build(published, tmp_path), []
    picture = torch.rand(32, 64, 3, generator=torch.Generator().manual_seed(0))
    scene = pipeline(image=picture, seed=4, progress=lambda *phase: phases.append(phase))
    assert len(scene.gaussians) == round(0.5 * 4 * 9 * 32 * 64 / 64)
    assert [phase for phase in phases if phase[0] == "latents"][-1] == ("latents", 12, 12)
    again = pipeline(image=picture, seed=4)
    assert torch.equal(again.gaussians.means, scene.gaussians.means)
    other = pipeline(image=picture, seed=5)
    assert not torch.equal(other.gaussians.colors, scene.gaussians.colors)


def test_a_killed_run_goes_on_at_the_last_finished_video(published: dict[str, Any], tmp_path: Path) -> None:
    """The same scene as a run in one go; another guidance weight repeats the videos, but not the depth."""
    pipeline, picture = build(published, tmp_path), torch.rand(32, 64, 3, generator=torch.Generator().manual_seed(0))
    whole = pipeline(image=picture, seed=4)

    def killed(phase: str, step: int, total: int) -> None:
        if (phase, step) == ("latents", 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline(image=picture, seed=4, progress=killed, recall=Checkpoints(tmp_path / "stages"))
    steps: list[int] = []
    stages = Checkpoints(tmp_path / "stages")
    scene = pipeline(
        image=picture, seed=4, recall=stages,
        progress=lambda phase, step, total: steps.append(step) if phase == "latents" else None,
    )  # fmt: skip
    assert stages.recalled == ["view", "video_0", "video_1"]
    assert steps == [0, 7, 8, 9, 10, 11, 12]
    assert torch.equal(scene.gaussians.means, whole.gaussians.means)
    assert scene.provenance == whole.provenance
    config = {**published["teacher"]["config"], "sampler": {"steps": 3, "guidance": 0.0}}
    other = build({**published, "teacher": {**published["teacher"], "config": config}}, tmp_path)
    stages = Checkpoints(tmp_path / "stages")
    other(image=picture, seed=4, recall=stages)
    assert stages.recalled == ["view"]


def test_weights_and_config_that_do_not_fit_are_named(published: dict[str, Any], tmp_path: Path) -> None:
    wrong = {**TRANSFORMER, "layers": 2}
    config = {**published["teacher"]["config"], "transformer": wrong}
    with pytest.raises(LyraError, match=r"transformer\.safetensors do not fit the teacher"):
        build({**published, "teacher": {**published["teacher"], "config": config}}, tmp_path)
    config = {**published["teacher"]["config"], "transformer": {**TRANSFORMER, "wings": 2}}
    with pytest.raises(LyraError, match=r"wrong teacher config: transformer\.wings"):
        build({**published, "teacher": {**published["teacher"], "config": config}}, tmp_path)
