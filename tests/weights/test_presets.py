# SPDX-License-Identifier: Apache-2.0
"""Presets and the manifest of weight files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lyra_core.decoder import DecoderConfig
from lyra_core.errors import LyraError
from lyra_core.weights.components import diffusion_config
from lyra_core.weights.manifest import Manifest, record, verified
from lyra_core.weights.presets import QUALITIES, Preset, load_preset, preset_names, with_quality


def test_defaults_are_the_published_behaviour() -> None:
    """The released model's preset sets no number: everything it needs is a default."""
    preset = load_preset("lyra")
    for name in ("warp_footprint", "hole_fill", "start_strength", "movement", "frames", "video_size", "projection"):
        assert getattr(preset, name) == Preset.model_fields[name].default
    assert preset.decoder.config == {}
    assert preset.refine_iterations == 0


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_describes_a_buildable_decoder(name: str) -> None:
    preset = load_preset(name)
    DecoderConfig.from_dict(preset.decoder.config)
    assert preset.frames % 8 == 1
    assert [2 * side for side in preset.video_size] == list(preset.image_size) or preset.video_size == preset.image_size


@pytest.mark.parametrize("name", ["maxi", "../mini", "", "mini.yml", "presets/mini"])
def test_unknown_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(LyraError, match="Known: lyra, mini"):
        load_preset(name)


@pytest.mark.parametrize("change", [{"frames": "many"}, {"colour": "red"}, {"start_strength": 2.0}])
def test_a_preset_file_is_checked(tmp_path: Path, change: dict[str, object]) -> None:
    source = Path(load_preset("mini")._path)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(source.read_text()), **change}))
    with pytest.raises(LyraError, match=f"{path} is not a preset: {next(iter(change))}"):
        load_preset(str(path))


def test_a_changed_weight_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"weights")
    record(path, trained=True, command="lyra train net", seeds={"run": "0"}, metrics={"psnr": 24.0})
    assert verified(tmp_path, path.name) == path
    assert Manifest.load(tmp_path).files[path.name].metrics == {"psnr": 24.0}
    path.write_bytes(b"Weights")
    with pytest.raises(LyraError, match="differ from manifest"):
        verified(tmp_path, path.name)


def test_a_missing_weight_file_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match=str(tmp_path)):
        verified(tmp_path, "net.safetensors")


def test_equal_manifests_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_bytes(b"x")
        record(tmp_path / name, trained=False, command="start")
    first = (tmp_path / "manifest.json").read_bytes()
    for name in ("a", "b"):
        record(tmp_path / name, trained=False, command="start")
    assert (tmp_path / "manifest.json").read_bytes() == first


def test_standard_quality_is_the_preset_itself() -> None:
    for name in preset_names():
        preset = load_preset(name)
        standard = with_quality(preset)
        assert standard.model_dump(exclude={"teacher"}) == preset.model_dump(exclude={"teacher"})
        assert standard.teacher.kind == preset.teacher.kind
        assert standard.weights_folder == preset.weights_folder


@pytest.mark.parametrize(("quality", "steps"), [("draft", 14), ("standard", 35), ("best", 52)])
def test_quality_changes_the_published_number_of_steps(quality: str, steps: int) -> None:
    preset = load_preset("lyra")
    assert diffusion_config(with_quality(preset, quality)).sampler.steps == steps
    assert diffusion_config(with_quality(preset, quality, 7)).sampler.steps == 7
    assert diffusion_config(preset).sampler.steps == 35, "the preset itself stays"
    assert with_quality(preset, quality).teacher.config["text"] == preset.teacher.config["text"]


def test_quality_changes_refinement_and_keeps_its_name() -> None:
    preset = load_preset("mini")
    changed = {name: with_quality(preset, name) for name in QUALITIES}
    assert {name: each.refine_iterations for name, each in changed.items()} == {"draft": 4, "standard": 8, "best": 16}
    assert all(each.quality == name for name, each in changed.items())
    assert preset.quality == "standard" and changed["draft"] != preset


def test_steps_that_mean_nothing_are_refused() -> None:
    with pytest.raises(LyraError, match="has no sampler"):
        with_quality(load_preset("mini"), steps=10)
    with pytest.raises(LyraError, match="at least 1"):
        with_quality(load_preset("lyra"), steps=0)
