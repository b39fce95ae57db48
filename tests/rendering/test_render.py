# SPDX-License-Identifier: Apache-2.0
"""What `render` promises beyond the formulas: windows, batches, depth, odd input, messages, sameness of results."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import render
from lyra_core.rotations import quaternion_to_matrix

PROJECTIONS = pytest.mark.parametrize("projection", ["ewa", "ut"])
BACKENDS = pytest.mark.parametrize("backend", ["numba", "torch"])

FRONT = Cameras(torch.eye(4), torch.tensor((30.0, 30.0, 16.0, 12.0)), 32, 24)


def ball(z: float, opacity: float = 0.9, scale: float = 0.1) -> Gaussians:
    """One round white Gaussian on the axis of `FRONT`, whose centre projects to a corner between four pixels."""
    return Gaussians(
        means=torch.tensor(((0.0, 0.0, z),)),
        scales=torch.full((1, 3), scale),
        quats=torch.tensor(((1.0, 0.0, 0.0, 0.0),)),
        opacities=torch.tensor((opacity,)),
        colors=torch.ones(1, 3),
    )


def leaves(gaussians: Gaussians) -> list[torch.Tensor]:
    parts = (gaussians.means, gaussians.scales, gaussians.quats, gaussians.opacities, gaussians.colors)
    return [part.clone().requires_grad_() for part in parts]


@PROJECTIONS
@BACKENDS
def test_a_crop_is_the_same_as_the_slice(make_scene, camera, projection, backend) -> None:
    x, y, width, height = window = (7, 3, 19, 26)
    options = {"projection": projection, "backend": backend}
    whole_parts, crop_parts = leaves(make_scene(size=0.05)), leaves(make_scene(size=0.05))
    whole = render(Gaussians(*whole_parts), camera, **options)
    crop = render(Gaussians(*crop_parts), camera, crop=window, **options)
    for image, expected in zip(crop, whole, strict=True):
        slice_ = expected[y : y + height, x : x + width]
        assert image.shape == slice_.shape
        if backend == "numba":
            assert torch.equal(image, slice_)
        torch.testing.assert_close(image, slice_)
    whole.color[y : y + height, x : x + width].square().sum().backward()
    crop.color.square().sum().backward()
    for part, expected in zip(crop_parts, whole_parts, strict=True):
        torch.testing.assert_close(part.grad, expected.grad, rtol=1e-3, atol=1e-4)


@BACKENDS
def test_leading_dimensions_follow_the_cameras(make_scene, camera, backend) -> None:
    shift = torch.eye(4).repeat(2, 3, 1, 1)
    shift[..., 0, 3] = torch.arange(6.0).reshape(2, 3) / 10
    cameras = Cameras(shift @ camera.c2w, camera.intrinsics, camera.width, camera.height)
    backgrounds = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    output = render(make_scene(), cameras, background=backgrounds, backend=backend)
    assert output.color.shape == (2, 3, 34, 40, 3)
    assert output.depth.shape == output.alpha.shape == (2, 3, 34, 40)
    alone = render(make_scene(), cameras[1, 2], background=backgrounds[1, 2], backend=backend)
    assert torch.equal(output.color[1, 2], alone.color)
    output.color.sum().backward()
    expected = (1 - output.alpha).sum((-1, -2))[..., None].expand(2, 3, 3)
    torch.testing.assert_close(backgrounds.grad, expected)
    assert render(make_scene(), cameras[:0], backend=backend).color.shape == (0, 3, 34, 40, 3)


@PROJECTIONS
@BACKENDS
def test_values_of_one_gaussian(projection, backend) -> None:
    output = render(ball(2.0), FRONT, projection=projection, backend=backend)
    sigma = 1.5  # 30 * 0.1 / 2 pixels
    square = 0.5 / (sigma**2 + 0.3) if projection == "ewa" else 400 * (0.5 / 900) / (1 + 0.5 / 900) / 1.0
    expected = 0.9 * math.exp(-0.5 * square)
    assert output.alpha[12, 16].item() == pytest.approx(expected, rel=1e-4)
    assert output.depth[12, 16].item() == pytest.approx(2.0, rel=1e-6)
    assert output.alpha[0, 0] == output.depth[0, 0] == 0.0
    assert output.alpha[output.alpha > 0].min() >= 1 / 255 - 1e-6


@BACKENDS
def test_depth_is_the_expected_one(backend) -> None:
    both = Gaussians.cat([ball(4.0, scale=3.0), ball(2.0, 0.5, scale=1.5)])
    output = render(both, FRONT, backend=backend)
    near, far = 0.5, 0.5 * 0.9
    assert output.depth[12, 16].item() == pytest.approx((2 * near + 4 * far) / (near + far), rel=1e-3)


@PROJECTIONS
@BACKENDS
def test_near_and_far(projection, backend) -> None:
    options = {"projection": projection, "backend": backend, "near": 1.0, "far": 3.0}
    assert render(ball(2.0), FRONT, **options).alpha.max() > 0.5
    for z in (0.5, 3.5, -2.0, 0.0):
        assert render(ball(z), FRONT, **options).alpha.max() == 0.0


@PROJECTIONS
@BACKENDS
def test_nothing_bad_comes_from_odd_gaussians(make_scene, camera, projection, backend) -> None:
    """NaN and infinity are left out; zero quaternions mean no rotation; zero scales are thin; gradients stay finite."""
    good = make_scene()
    odd = make_scene(14, seed=9)
    odd.means[0, 1] = torch.nan
    odd.means[1, 2] = torch.inf
    odd.scales[2, 0] = torch.nan
    odd.scales[3, 0] = torch.inf
    odd.quats[4, 2] = torch.nan
    odd.quats[5, 2] = torch.inf
    odd.opacities[6] = torch.nan
    odd.colors[7, 0] = torch.nan
    odd.colors[8, 0] = torch.inf
    odd.opacities[9] = 0.0
    odd.means[:10] = torch.where(odd.means[:10].isfinite(), 0.1 * odd.means[:10], odd.means[:10])
    expected = render(good, camera, projection=projection, backend=backend)
    parts = leaves(Gaussians.cat([good, odd[:10]]))
    output = render(Gaussians(*parts), camera, projection=projection, backend=backend)
    for image, value in zip(output, expected, strict=True):
        torch.testing.assert_close(image, value)
    (output.color.sum() + output.depth.sum()).backward()
    assert all(part.grad.isfinite().all() and not part.grad[len(good) :].any() for part in parts)

    odd.quats[10] = 0.0
    odd.scales[11] = 0.0
    odd.scales[12, 1] = 0.0
    odd.scales[13] = 1e4
    odd.means[10:] = 0.1 * odd.means[10:]
    parts = leaves(odd[10:])
    output = render(Gaussians(*parts), camera, projection=projection, backend=backend)
    assert output.alpha.max() > 0
    (output.color.sum() + output.depth.sum()).backward()
    assert all(image.isfinite().all() for image in output)
    assert all(part.grad.isfinite().all() for part in parts)


@BACKENDS
def test_no_gaussian_in_sight_still_gives_a_differentiable_picture(backend) -> None:
    parts = leaves(ball(-2.0))
    output = render(Gaussians(*parts), FRONT, background=torch.tensor((0.0, 0.5, 1.0)), backend=backend)
    assert torch.equal(output.color[3, 4], torch.tensor((0.0, 0.5, 1.0)))
    (output.color.sum() + output.depth.sum() + output.alpha.sum()).backward()
    assert all(torch.equal(part.grad, torch.zeros_like(part)) for part in parts)


@BACKENDS
def test_an_empty_set_is_drawn(backend) -> None:
    output = render(ball(2.0)[:0], FRONT, backend=backend)
    assert output.color.shape == (24, 32, 3)
    assert not output.alpha.any()


@BACKENDS
def test_half_precision_gaussians_are_drawn_in_single(make_scene, camera, backend) -> None:
    rounded = make_scene().to(torch.bfloat16)
    output = render(rounded, camera, backend=backend)
    assert output.color.dtype == torch.float32
    assert torch.equal(output.color, render(rounded.to(torch.float32), camera, backend=backend).color)


@BACKENDS
def test_harmonics_are_seen_from_the_camera(make_scene, camera, backend) -> None:
    scene = make_scene()
    harmonics = torch.randn(len(scene), 4, 3, generator=torch.Generator().manual_seed(2)) * 0.2
    colored = Gaussians(scene.means, scene.scales, scene.quats, scene.opacities, harmonics.requires_grad_())
    plain = Gaussians(
        scene.means, scene.scales, scene.quats, scene.opacities, colored.view_colors(camera.c2w[:3, 3]).detach()
    )
    output = render(colored, camera, backend=backend)
    assert torch.equal(output.color, render(plain, camera, backend=backend).color)
    output.color.sum().backward()
    assert harmonics.grad.abs().sum() > 0


@PROJECTIONS
@settings(max_examples=8, deadline=None, derandomize=True)
@given(turn=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(x * x for x in q) > 0.1), scale=st.floats(0.3, 3.0))
def test_moving_the_world_changes_nothing(projection, turn, scale) -> None:
    generator = torch.Generator().manual_seed(3)
    scene = Gaussians(
        means=torch.rand(30, 3, generator=generator) - 0.5 + torch.tensor((0.0, 0.0, 2.0)),
        scales=0.02 + 0.1 * torch.rand(30, 3, generator=generator),
        quats=torch.nn.functional.normalize(torch.randn(30, 4, generator=generator), dim=-1),
        opacities=torch.rand(30, generator=generator),
        colors=torch.rand(30, 3, generator=generator),
    )
    matrix = torch.eye(4)
    matrix[:3, :3] = quaternion_to_matrix(torch.nn.functional.normalize(torch.tensor(turn), dim=0))
    matrix[:3, 3] = torch.tensor((1.0, -2.0, 0.5))
    stretched = matrix.clone()
    stretched[:3, :3] *= scale
    pose = matrix.clone()
    expected = render(scene, FRONT, projection=projection)
    moved = render(scene.transformed(stretched), Cameras(pose, FRONT.intrinsics, 32, 24), projection=projection)
    difference = (moved.color - expected.color).abs()
    assert difference.mean() < 1e-4
    torch.testing.assert_close(moved.depth.median(), scale * expected.depth.median(), rtol=1e-3, atol=1e-4)


@PROJECTIONS
def test_the_number_of_threads_changes_no_bit(make_scene, camera, projection) -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            parts = leaves(make_scene(size=0.1))
            output = render(Gaussians(*parts), camera, projection=projection)
            output.color.square().sum().backward()
            results.append([*output, *(part.grad for part in parts)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_gradients_reach_strided_views(make_scene, camera) -> None:
    """Decoders hand in slices of one wide tensor."""
    scene = make_scene()
    wide = torch.cat((scene.means, scene.scales, scene.quats, scene.opacities[:, None], scene.colors), dim=1)
    wide.requires_grad_()
    means, scales, quats, opacities, colors = wide.split((3, 3, 4, 1, 3), dim=1)
    render(Gaussians(means, scales, quats, opacities[:, 0], colors), camera).color.sum().backward()
    parts = leaves(scene)
    render(Gaussians(*parts), camera).color.sum().backward()
    assert torch.equal(wide.grad[:, :3], parts[0].grad)
    assert torch.equal(wide.grad[:, 11:], parts[4].grad)


def test_the_backend_is_logged(caplog) -> None:
    with caplog.at_level(logging.INFO, logger="lyra_core.rendering"):
        render(ball(2.0), FRONT)
    assert "numba" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"projection": "3dgut"}, "projection"),
        ({"backend": "opengl"}, "backend"),
        ({"backend": "gsplat"}, "gsplat"),
        ({"crop": (30, 0, 8, 8)}, "crop"),
        ({"crop": (0, 0, 0, 8)}, "crop"),
    ],
)
def test_mistakes_are_named(options, message) -> None:
    with pytest.raises(LyraError, match=message):
        render(ball(2.0), FRONT, **options)
