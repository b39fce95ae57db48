# SPDX-License-Identifier: Apache-2.0
"""Nothing in the corridor meets a tensor of another device: followed on a device without hardware, with real values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache3d import Cache3D
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.fill import fill_holes
from lyra_core.conditioning.point_cache import PointCache
from lyra_core.conditioning.warp import Warp
from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.pipeline import LyraPipeline, camera_paths, normalize
from lyra_core.refinement import refine_colors
from lyra_core.rendering import render
from lyra_core.teacher.transformer import TransformerConfig, VideoTransformer

from ..elsewhere import elsewhere, is_elsewhere


@pytest.fixture
def device() -> Iterator[torch.device]:
    with elsewhere() as device:
        yield device


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> LyraPipeline:
    return LyraPipeline.from_pretrained(str(tiny_model))


@pytest.fixture(scope="module")
def picture() -> Tensor:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(64.0), indexing="ij")
    return torch.stack((0.5 + 0.4 * (x / 5).sin(), 0.5 + 0.4 * (y / 7).cos(), 0.5 + 0.4 * ((x + y) / 9).sin()), -1)


@pytest.fixture(scope="module")
def wall() -> DepthEstimate:
    """A slanted wall with a pillar in front of it."""
    z = 1.0 + 0.3 * torch.linspace(0, 1, 64).expand(32, 64).clone()
    z[:, 28:36] = 0.6
    return DepthEstimate(z, torch.ones_like(z, dtype=torch.bool), torch.tensor((45.0, 45.0, 32.0, 16.0)), "user", True)


@pytest.fixture(scope="module")
def cameras(pipeline: LyraPipeline, wall: DepthEstimate) -> Cameras:
    preset = pipeline.preset.model_copy(update={"image_size": (32, 64), "paths": ("left", "zoom_in")})
    return camera_paths(wall, preset)[:, ::4]


def assert_close(found: Any, expected: Any, *, share: float, limit: float) -> None:
    """All but a share of the numbers within the limit: another kernel decides some pixels at edges otherwise."""
    assert found.shape == expected.shape
    assert ((found.float() - expected.float()).abs() > limit).float().mean() <= share


def test_the_stand_in_refuses_what_a_gpu_refuses(device: torch.device) -> None:
    there = torch.ones(3).to(device)
    assert is_elsewhere(there + 1, there * torch.tensor(2.0), torch.arange(3, device=device))
    assert (there.cumsum(0)[torch.tensor([2])].cpu() == 3).all()
    with pytest.raises(AssertionError, match="main memory meet"):
        there + torch.ones(3)
    with pytest.raises(AssertionError, match="main memory meet"):
        torch.cat((there, torch.ones(3)))
    with pytest.raises(RuntimeError):
        there.numpy()


@pytest.mark.parametrize("footprint", ["bilinear", "adaptive"])
def test_the_cache_is_looked_at_where_it_is_told(
    device: torch.device, picture: Tensor, wall: DepthEstimate, cameras: Cameras, footprint: str
) -> None:
    """Cameras of main memory get frames in main memory, those of the device get them there."""
    expected = Cache3D(picture, wall, footprint, foreground=True).render(cameras)
    cache = Cache3D(picture, wall, footprint, foreground=True, device=device)
    assert is_elsewhere(cache.z, cache.image)
    for target in (cameras, cameras.to(device)):
        found = cache.render(target)
        assert is_elsewhere(found.rgb, found.z, found.mask) == (target is not cameras)
        assert_close(found.mask.cpu(), expected.mask, share=0.002, limit=0.5)
        assert_close(found.rgb.cpu(), expected.rgb, share=0.01, limit=2e-3)


def test_a_view_joins_the_cache(device: torch.device, picture: Tensor, wall: DepthEstimate, cameras: Cameras) -> None:
    def joined(place: torch.device) -> Warp:
        view = [part.to(place) for part in (picture[::2, ::2], wall.z[::2, ::2], wall.intrinsics / 2)]
        cache, small = PointCache(*view, foreground=True), cameras.resized(16, 32).to(place)
        cache.update(view[0], 1.1 * view[1], small[1, 1])
        return cache.render(small[0])[0]

    found, expected = joined(device), joined(torch.device("cpu"))
    assert is_elsewhere(found.rgb) and expected.mask.any()
    assert_close(found.rgb.cpu(), expected.rgb, share=0.01, limit=1e-2)


def test_holes_are_filled_by_the_twin_of_the_kernel(
    device: torch.device, picture: Tensor, wall: DepthEstimate, cameras: Cameras
) -> None:
    warp = Cache3D(picture, wall, "adaptive").render(cameras)
    there = Warp(*(part if part is None else part.to(device) for part in warp))
    found, expected = fill_holes(there, "background"), fill_holes(warp, "background")
    assert is_elsewhere(found.rgb, found.z)
    assert_close(found.rgb.cpu(), expected.rgb, share=0.002, limit=1e-3)


def test_rendering_and_refinement(device: torch.device, pipeline: LyraPipeline, picture: Tensor) -> None:
    """With gradients; the torch renderer is what a device without gsplat is left with."""
    scene = pipeline(image=picture)
    camera, image = scene.input_camera.reshape(1).resized(32, 64), picture[None]
    for projection in ("ewa", "ut"):
        found = render(scene.gaussians.to(device), camera, projection=projection)
        assert is_elsewhere(*found)
        expected = render(scene.gaussians, camera, projection=projection)
        assert_close(found.color.cpu(), expected.color, share=0.001, limit=1e-3)
    there = (scene.gaussians.to(device), image.to(device), camera.to(device))
    refined = refine_colors(*there, iterations=2, projection="ut")
    expected = refine_colors(scene.gaussians, image, camera, iterations=2, projection="ut")
    assert is_elsewhere(refined.colors)
    assert_close(refined.colors.cpu(), expected.colors, share=0.001, limit=1e-3)


@pytest.mark.parametrize("published", [False, True], ids=["embedded", "published"])
def test_the_whole_corridor(
    device: torch.device, pipeline: LyraPipeline, picture: Tensor, wall: DepthEstimate, published: bool
) -> None:
    """Geometry and colours on the device, results in main memory; the provenance says where."""
    preset, changes = pipeline.preset, {"paths": ("left",), "image_size": (32, 64)}
    if published:
        changes |= {"warp_footprint": "bilinear", "movement": "published"}
    pipeline.preset = preset.model_copy(update=changes)
    try:
        expected = pipeline(image=picture, depth=wall)
        pipeline.device = device
        scene = pipeline(image=picture, depth=wall)
    finally:
        pipeline.preset, pipeline.device = preset, torch.device("cpu")
    assert scene.provenance["device"] == str(device)
    parts = [getattr(scene.gaussians, field.name) for field in fields(scene.gaussians)]
    assert not any(is_elsewhere(part) for part in parts)
    assert_close(scene.gaussians.means, expected.gaussians.means, share=0.02, limit=1e-2)
    assert_close(scene.gaussians.colors, expected.gaussians.colors, share=0.02, limit=2e-2)


@pytest.fixture
def moved() -> Iterator[None]:
    """Lets `Module.to` replace parameters by tensors of another class."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(before)


def small_decoder(cameras: Cameras) -> tuple[GaussianDecoder, dict[str, Any]]:
    """A decoder of the published kind, and latents for it."""
    config = DecoderConfig(width=64, depth=2, heads=2, attention_every=2, state_dim=16, ray_dtype="float32")
    decoder = GaussianDecoder(config).eval()
    views, latent = cameras.shape[0], 2
    generator = torch.Generator().manual_seed(0)
    return decoder, {
        "latents": torch.rand(1, views, 16, latent, 4, 8, generator=generator),
        "plucker_latents": torch.rand(1, views, 32, latent, 4, 8, generator=generator),
    }


@torch.no_grad()
@pytest.mark.parametrize("chunk", [None, 16])
def test_the_decoder(device: torch.device, moved: None, cameras: Cameras, chunk: int | None) -> None:
    cameras = Cameras(cameras.c2w[:, :1].expand(-1, 9, 4, 4), cameras.intrinsics[:, :1].expand(-1, 9, 4), 64, 32)
    decoder, inputs = small_decoder(cameras)
    expected = decoder.prune(decoder(cameras=cameras[None], **inputs))
    decoder.to(device).work_in_chunks(chunk)
    rows = decoder(cameras=cameras[None].to(device), **{name: part.to(device) for name, part in inputs.items()})
    found = decoder.prune(rows)
    assert is_elsewhere(found)
    torch.testing.assert_close(found.cpu(), expected, atol=1e-2, rtol=1e-3)


@torch.no_grad()
def test_the_transformer(device: torch.device, moved: None) -> None:
    torch.manual_seed(0)
    sizes = {"heads": 2, "head_dim": 24, "layers": 1, "text_dim": 8, "adaln_lora_dim": 4, "max_size": (4, 16, 16)}
    for dtype in ("float32", "bfloat16"):
        network: nn.Module = VideoTransformer(TransformerConfig(**sizes, rope_dtype=dtype))
        shapes = ((1, 16, 2, 4, 8), (1,), (1, 1, 2, 4, 8), (1, 64, 2, 4, 8), (1, 6, 8))
        inputs = [torch.rand(shape) for shape in shapes]
        expected = network(*inputs)
        found = network.to(device)(*(part.to(device) for part in inputs))
        assert is_elsewhere(found)
        torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("tiles", [None, 1])
def test_the_tokenizer(device: torch.device, moved: None, tiny_model: Path, tiles: int | None) -> None:
    tokenizer = LyraPipeline.from_pretrained(str(tiny_model)).teacher.tokenizer
    video = torch.rand(1, 3, 17, 16, 16) * 2 - 1
    latents = tokenizer.encode(video)
    frames = tokenizer.decode(tokenizer.denormalize(tokenizer.normalize(latents)))
    tokenizer.to(device).tile_frames = tiles
    found = tokenizer.encode(video.to(device))
    assert is_elsewhere(found)
    torch.testing.assert_close(found.cpu(), latents, atol=1e-4, rtol=1e-4)
    again = tokenizer.decode(tokenizer.denormalize(tokenizer.normalize(found)))
    torch.testing.assert_close(again.cpu(), frames, atol=1e-3, rtol=1e-3)


def test_depth_of_a_masked_map_follows_its_device(device: torch.device, wall: DepthEstimate) -> None:
    there = replace(wall, z=3 * wall.z.to(device), mask=wall.mask.to(device), intrinsics=wall.intrinsics.to(device))
    normalized, unit = normalize(there)
    assert is_elsewhere(normalized.z) and unit == pytest.approx(3 * float(wall.z.median()))
