# SPDX-License-Identifier: Apache-2.0
"""From a posed video to a moving scene, on a tiny model of real parts, with and without a clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lyra_core.conditioning.cache4d import Cache4D
from lyra_core.decoder import DecoderConfig, GaussianDecoder, encode_plucker, encode_time
from lyra_core.dynamic.instants import InstantDecoder
from lyra_core.dynamic.pipeline import NO_MOTION, reconstruct_video
from lyra_core.dynamic.prepared import PreparedVideo, prepare
from lyra_core.dynamic.scene import DynamicScene
from lyra_core.pipeline import Cancelled, LyraPipeline
from lyra_core.scene import Scene
from lyra_core.video.posed import PosedVideo

INSTANTS = [0, 4, 8]


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * (a.clamp(0, 1) - b).square().mean().log10())


@pytest.fixture(scope="module")
def static_model(tiny_model: Path) -> LyraPipeline:
    return LyraPipeline.from_pretrained(str(tiny_model))


@pytest.fixture(scope="module")
def timed_model(tiny_model: Path) -> LyraPipeline:
    """The same weights under a clock whose embeddings are not silent."""
    config = yaml.safe_load(tiny_model.read_text())
    config["decoder"]["config"]["use_time_embedding"] = True
    path = tiny_model.with_name("timed.yaml")
    path.write_text(yaml.safe_dump(config))
    pipeline = LyraPipeline.from_pretrained(str(path))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for embed in (pipeline.decoder.patch_time_embed, pipeline.decoder.patch_time_embed_tgt):
            embed.proj.weight.normal_(0.0, 0.1, generator=generator)
        pipeline.decoder.deconv.weight.normal_(0.0, 0.02, generator=generator)
    return pipeline


@pytest.fixture(scope="module")
def prepared(static_model: LyraPipeline, clip: PosedVideo) -> PreparedVideo:
    return prepare(clip, static_model.preset)


@pytest.fixture(scope="module")
def scene(static_model: LyraPipeline, clip: PosedVideo) -> DynamicScene:
    scene = reconstruct_video(static_model, clip, INSTANTS)
    assert isinstance(scene, DynamicScene)
    return scene


def test_the_paths_follow_the_camera(static_model: LyraPipeline, walked_clip: PosedVideo) -> None:
    """w2c of a path's step = path w2c @ w2c of its source frame, as published."""
    walked = prepare(walked_clip, static_model.preset)
    sources = walked.sources()
    assert sources.tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4] and float(walked.video.depth[0].median()) == 1.0
    expected = walked.paths.w2c @ walked.video.cameras.w2c[sources]
    torch.testing.assert_close(walked.played_paths().w2c, expected, atol=1e-5, rtol=0)
    frozen = walked.paths.w2c @ walked.video.cameras.w2c[4]
    torch.testing.assert_close(walked.frozen_paths(4).w2c, frozen, atol=1e-5, rtol=0)


@torch.no_grad()
def test_instants_that_share_a_pass_are_those_that_go_alone(
    timed_model: LyraPipeline, prepared: PreparedVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = list(InstantDecoder(timed_model, prepared).decoded(INSTANTS))
    monkeypatch.setattr("lyra_core.dynamic.instants.TOKENS_PER_PASS", 1)
    alone = list(InstantDecoder(timed_model, prepared).decoded(INSTANTS))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a.rows, b.rows, atol=2e-4, rtol=1e-4)
        assert a.own == 64 * 128 and len(a.rows) == 64 * 128 + 4 * 16 * 32


@torch.no_grad()
def test_the_clock_changes_what_the_decoder_says(timed_model: LyraPipeline, prepared: PreparedVideo) -> None:
    """Two instants whose frames were made equal still differ, because their times do."""
    same = torch.zeros(len(prepared.video), dtype=torch.long)
    video = replace(prepared.video, frames=prepared.video.frames[same], depth=prepared.video.depth[same])
    frozen = prepare(video, timed_model.preset)
    first, last = InstantDecoder(timed_model, frozen).decoded([0, 8])
    assert float((first.rows - last.rows).abs().max()) > 1e-3


@torch.no_grad()
def test_the_published_form_is_told_the_published_things(timed_model: LyraPipeline, clip: PosedVideo) -> None:
    """Without anchors: guidance of each frame's own time alone, with holes; times encoded; every ray."""
    published = {"video_size": (64, 128), "warp_footprint": "bilinear", "hole_fill": "none"}
    preset = timed_model.preset.model_copy(update=published)
    config = DecoderConfig(width=64, depth=2, heads=2, attention_every=2, state_dim=16, use_time_embedding=True)
    decoder = GaussianDecoder(config, generator=torch.Generator().manual_seed(0)).eval()
    decoder.patch_time_embed_tgt.proj.weight.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(1))
    pipeline = LyraPipeline(preset, timed_model.images, timed_model.depth_estimator, timed_model.teacher, decoder)
    told = prepare(clip, preset)
    instants = list(InstantDecoder(pipeline, told).decoded([0, 6]))

    cameras, sources = told.played_paths(), told.sources()
    warp = Cache4D(told.video, "bilinear", foreground=True).render(cameras, sources)
    encode = timed_model.teacher.tokenizer.encode
    latents = encode(warp.rgb.permute(0, 4, 1, 2, 3) * 2 - 1)[None]
    rays = encode_plucker(encode, cameras[None], torch.bfloat16)
    for instant in instants:
        times = encode_time(encode, sources, torch.tensor(instant.frame), 64, 128)
        rows = decoder(latents, cameras[None], plucker_latents=rays, time_latents=times)[0]
        torch.testing.assert_close(instant.rows, rows, atol=2e-3, rtol=1e-3)
        assert instant.own == 0 and not bool(instant.guessed.any()) and len(rows) == 4 * 9 * 8 * 16
        assert int(instant.alive.sum()) == int(len(rows) * (1 - 0.8))
    assert not torch.allclose(instants[0].rows, instants[1].rows, atol=1e-3)


@torch.no_grad()
def test_a_static_decoder_reconstructs_each_instant_by_itself(
    static_model: LyraPipeline, prepared: PreparedVideo, clip: PosedVideo
) -> None:
    """At the first frame, whose camera is the identity, it is a picture's corridor, but for the remembered room."""
    (instant,) = InstantDecoder(static_model, prepared).decoded([0])
    with torch.no_grad():
        told = static_model.condition(prepared.video.frames[0], prepared.cache.depth(0))
        rows = static_model.decode_rows(told)[0]
    own = slice(0, instant.own)
    assert instant.rows.shape == rows.shape
    torch.testing.assert_close(instant.rows[own, :3], rows[own, :3], atol=1e-2, rtol=0)


def test_a_scene_shows_every_instant(scene: DynamicScene, clip: PosedVideo) -> None:
    seen = scene.render(scene.cameras, scene.times).color
    for picture, frame in zip(seen, INSTANTS, strict=True):
        assert psnr(picture, clip.frames[frame]) > 24, frame
    assert scene.times.tolist() == [0.0, 2.0, 4.0] and scene.duration == 4.0
    wrong = scene.render(scene.cameras, scene.times.flip(0)).color
    assert psnr(wrong[0], clip.frames[0]) < psnr(seen[0], clip.frames[0]) - 1


def test_a_scene_from_a_walking_camera(static_model: LyraPipeline, walked_clip: PosedVideo) -> None:
    scene = reconstruct_video(static_model, walked_clip, [0, 4])
    assert isinstance(scene, DynamicScene)
    for picture, frame in zip(scene.render(scene.cameras, scene.times).color, (0, 4), strict=True):
        assert psnr(picture, walked_clip.frames[frame]) > 22


def test_the_clock_decoder_makes_a_scene_too(timed_model: LyraPipeline, clip: PosedVideo) -> None:
    scene = reconstruct_video(timed_model, clip, [0, 8])
    assert isinstance(scene, DynamicScene) and "time-conditioned" in scene.provenance["motion"]["method"]


def test_between_instants_it_is_a_blend(scene: DynamicScene) -> None:
    half = scene.moving_at(1.0)
    expected = (scene.moving[0].means + scene.moving[1].means) / 2
    torch.testing.assert_close(half.means, expected)
    assert torch.equal(scene.moving_at(-5.0).means, scene.moving[0].means)
    assert torch.equal(scene.moving_at(50.0).means, scene.moving[-1].means)


def test_the_provenance_tells_how_and_how_much(scene: DynamicScene) -> None:
    facts = scene.provenance["motion"]
    assert facts["method"].startswith("static decoder") and facts["instants"] == 3
    assert facts["static_share"] == round(scene.report.static_share, 4) and 0.3 < facts["static_share"] < 1
    assert scene.still.frame.metric and scene.still.metres_per_unit == pytest.approx(
        float(scene.still.measured_depth.z.median()), rel=0.2
    )


def test_it_keeps_to_a_number_of_gaussians(scene: DynamicScene) -> None:
    fewer = scene.pruned(len(scene.moving[0]) + 500)
    assert len(fewer.at(0.0)) == len(scene.moving[0]) + 500


def test_a_clip_without_motion_becomes_a_static_scene(static_model: LyraPipeline, clip: PosedVideo) -> None:
    first = torch.zeros(9, dtype=torch.long)
    still = replace(clip, frames=clip.frames[first], depth=clip.depth[first], notes=("trimmed to 9 frames",))
    scene = reconstruct_video(static_model, still, INSTANTS)
    assert isinstance(scene, Scene)
    assert scene.provenance["warnings"][0] == "trimmed to 9 frames" and NO_MOTION in scene.provenance["warnings"]


def test_it_can_be_cancelled(static_model: LyraPipeline, clip: PosedVideo) -> None:
    with pytest.raises(Cancelled, match="instant 4"):
        heard: list[int] = []
        reconstruct_video(
            static_model, clip, INSTANTS, cancelled=lambda: bool(heard),
            progress=lambda phase, step, total: heard.append(step) if phase == "gaussians" else None,
        )  # fmt: skip


def test_files_hold_the_motion(scene: DynamicScene, tmp_path: Path) -> None:
    from usd_export.dynamic.reader import open_dynamic_scene

    (package,) = scene.save(tmp_path / "scene.usdz", collider=False)
    cloud, record, _ = open_dynamic_scene(package)
    assert cloud.times.tolist() == pytest.approx([0.0, 2.0, 4.0])
    assert len(cloud.moving[0]) == scene.report.moving and record.provenance["motion"]["instants"] == 3
    files = scene.save(tmp_path / "walk.ply")
    assert [file.name for file in files] == ["walk_0000.ply", "walk_0001.ply", "walk_0002.ply"]
    assert all(file.stat().st_size > 0 for file in files)


def test_a_film_plays_the_motion(scene: DynamicScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    from lyra_core.app import motion_preview
    from lyra_core.synthesis.video_file import decode_mp4

    monkeypatch.setattr(motion_preview, "MAX_SECONDS", 0.25)
    motion_preview.write_film(tmp_path / "film.mp4", scene)
    frames = decode_mp4((tmp_path / "film.mp4").read_bytes())
    assert frames.shape == (6, 64, 128, 3)
    assert np.abs(frames[0].astype(int) - frames[3]).mean() > 1


def test_the_sheet_shows_each_instant_once(scene: DynamicScene, clip: PosedVideo, tmp_path: Path) -> None:
    from lyra_core.app.motion_preview import write_motion_preview
    from lyra_core.images import read_image

    write_motion_preview(tmp_path / "sheet.png", scene, clip.frames[INSTANTS], "a clip")
    assert read_image(tmp_path / "sheet.png").shape == (704, 2 * 28 + 3 * 540 + 2 * 14, 3)
