# SPDX-License-Identifier: Apache-2.0
"""The optional guardrail: what happens with, without and with a broken one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

from lyra_core.errors import LyraError
from lyra_core.pipeline import LyraPipeline
from lyra_core.teacher.guardrail import PACKAGE, build_guardrail
from lyra_core.weights.presets import load_preset

Install = Callable[..., None]

CHECKER = """
class CosmosSafetyChecker:
    def __init__(self):
        {start}

    def check_text_safety(self, prompt):
        return "weapon" not in prompt

    def check_video_safety(self, frames):
        assert frames.dtype == "uint8" and frames.ndim == 4 and frames.shape[-1] == 3
        {frames}
"""
"""A stand-in with the interface of the package, whose own models are gated and large."""

PASS, REFUSE, PAINT = "return frames", "return None", "frames[:, :8, :8] = 0; return frames"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package under the guardrail's name whose checks are given as code."""

    def install(frames: str = PASS, start: str = "pass") -> None:
        (tmp_path / f"{PACKAGE}.py").write_text(CHECKER.format(start=start, frames=frames))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, PACKAGE, raising=False)

    yield install
    sys.modules.pop(PACKAGE, None)


@pytest.fixture
def guarded(tiny_model: Path) -> str:
    """The tiny model with the guardrail on."""
    preset = yaml.safe_load(tiny_model.read_text()) | {"guardrail": "cosmos"}
    path = tiny_model.with_name("guarded.yaml")
    path.write_text(yaml.safe_dump(preset))
    return str(path)


PICTURE = torch.rand(64, 128, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.4


def test_released_model_asks_for_it_and_the_embedded_one_does_not() -> None:
    assert load_preset("lyra").guardrail == "cosmos"
    assert load_preset("mini").guardrail == "none"


def test_absence_is_recorded_and_reported(guarded: str) -> None:
    scene = LyraPipeline.from_pretrained(guarded)(image=PICTURE)
    assert scene.provenance["guardrail"] == f"{PACKAGE} (not installed)"
    assert any(PACKAGE in warning for warning in scene.provenance["warnings"])


def test_model_without_guardrail_does_not_warn(tiny_model: Path) -> None:
    scene = LyraPipeline.from_pretrained(str(tiny_model))(image=PICTURE)
    assert scene.provenance["guardrail"] == "none"
    assert not any(PACKAGE in warning for warning in scene.provenance["warnings"])


def test_passing_content_is_left_as_it_is(guarded: str, tiny_model: Path, installed: Install) -> None:
    plain = LyraPipeline.from_pretrained(str(tiny_model))(image=PICTURE)
    installed()
    scene = LyraPipeline.from_pretrained(guarded)(image=PICTURE)
    assert scene.provenance["guardrail"] == PACKAGE
    assert torch.equal(scene.gaussians.colors, plain.gaussians.colors)
    assert not any(PACKAGE in warning for warning in scene.provenance["warnings"])


def test_refused_prompts_and_videos_make_no_scene(guarded: str, installed: Install) -> None:
    installed(REFUSE)
    pipeline = LyraPipeline.from_pretrained(guarded)
    with pytest.raises(LyraError, match="refused the prompt"):
        pipeline("a weapon on a table")
    with pytest.raises(LyraError, match="refused a generated video"):
        pipeline("a table")


def test_what_it_paints_over_is_gone_from_the_latents(guarded: str, installed: Install) -> None:
    installed(PAINT)
    pipeline = LyraPipeline.from_pretrained(guarded)
    depth = pipeline.estimate_depth(pipeline.base_view(None, PICTURE))
    video = pipeline.condition(PICTURE, depth).video
    assert video.frames[:, :, :8, :8].eq(0).all()
    assert video.frames[:, :, 16:, 16:].gt(0).any()
    encoded = pipeline.teacher.tokenizer.encode(video.frames[:1].permute(0, 4, 1, 2, 3) * 2 - 1)
    torch.testing.assert_close(video.latents[:1], encoded)


def test_broken_guardrail_is_not_passed_over(installed: Install) -> None:
    installed(start="raise OSError('no access to the gated models')")
    with pytest.raises(LyraError, match=r"installed but does not start.*no access to the gated"):
        build_guardrail("cosmos")
