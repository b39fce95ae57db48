# SPDX-License-Identifier: Apache-2.0
"""Shapes, options and refusals of the decoder as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder import Anchors, DecoderConfig, GaussianDecoder, prune, rows_to_gaussians
from lyra_core.errors import LyraError
from lyra_core.gaussians import kept_count

FREE = {"color_anchor": False, "depth_anchor": False, "input_view_gaussians": False}


@pytest.mark.parametrize(
    ("stride", "count"),
    [((1, 8, 8), 17 * 4 * 6), ((2, 4, 8), 9 * 8 * 6), ((8, 2, 2), 3 * 16 * 24), ((4, 16, 16), 5 * 2 * 3)],
)
def test_stride_sets_the_number_of_gaussians(
    config: Callable[..., DecoderConfig],
    cameras: Cameras,
    inputs: dict[str, Tensor],
    stride: tuple[int, int, int],
    count: int,
) -> None:
    rows = GaussianDecoder(config(gaussian_stride=stride, **FREE))(cameras=cameras, **inputs)
    assert rows.shape == (1, 2 * count, 14)
    assert rows.isfinite().all()


def test_log_distances_spread_over_the_range(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor]
) -> None:
    decoder = GaussianDecoder(config(distance_map="log", **FREE))
    with torch.no_grad():
        decoder.deconv.weight.zero_()
        for raw, expected in ((-80.0, 0.12), (0.0, (0.12 * 40.0) ** 0.5), (80.0, 40.0)):
            decoder.deconv.bias.fill_(raw)
            means = decoder(cameras=cameras, **inputs)[0, :100, :3]
            torch.testing.assert_close(means.norm(dim=-1), torch.full((100,), expected), atol=1e-4, rtol=1e-4)


def test_colour_anchor_alone_keeps_the_published_geometry(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors
) -> None:
    colored = GaussianDecoder(config(**FREE | {"color_anchor": True}))
    free = GaussianDecoder(config(**FREE))
    free.load_state_dict(colored.state_dict())
    rows, plain = (model(cameras=cameras, anchors=anchors, **inputs)[0] for model in (colored, free))
    torch.testing.assert_close(rows[:, :11], plain[:, :11])
    cells = anchors.rgb.unflatten(3, (16, 2)).unflatten(5, (24, 2)).mean(dim=(4, 6))
    torch.testing.assert_close(rows[:, 11:], cells.reshape(-1, 3))


def test_order_of_the_views_matters(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor]
) -> None:
    """The scans are causal per direction: swapping the views does not just swap the outputs."""
    decoder = GaussianDecoder(config(**FREE, attention_every=9))
    rows = decoder(cameras=cameras, **inputs)[0].chunk(2)
    swapped = decoder(cameras=cameras[:, [1, 0]], **{name: value.flip(1) for name, value in inputs.items()})[0].chunk(2)
    assert (rows[0] - swapped[1]).abs().max() > 1e-4


def test_batch_elements_do_not_touch_each_other(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor]
) -> None:
    decoder = GaussianDecoder(config(**FREE))
    other = {name: value + 1.0 for name, value in inputs.items()}
    both = decoder(
        cameras=Cameras.cat([cameras, cameras]), **{name: torch.cat((inputs[name], other[name])) for name in inputs}
    )
    torch.testing.assert_close(both[:1], decoder(cameras=cameras, **inputs), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both[1:], decoder(cameras=cameras, **other), atol=1e-4, rtol=1e-4)


def test_weights_depend_on_the_generator_only(config: Callable[..., DecoderConfig]) -> None:
    def weights(seed: int) -> Tensor:
        torch.rand(1)
        decoder = GaussianDecoder(config(), generator=torch.Generator().manual_seed(seed))
        return torch.cat([p.detach().flatten() for p in decoder.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_published_start_ignores_rays_and_times(config: Callable[..., DecoderConfig]) -> None:
    decoder = GaussianDecoder(config(**FREE))
    for name in ("patch_plucker_embed", "patch_time_embed", "patch_time_embed_tgt"):
        assert decoder.get_submodule(name).proj.weight.abs().max() == 0
    assert 0.9 < decoder.patch_embed.proj.weight.std() / (2 / (4 * 32)) ** 0.5 < 1.1


def test_autocast_agrees_with_float32(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor]
) -> None:
    decoder = GaussianDecoder(config(**FREE, distance_map="log"))
    exact = decoder(cameras=cameras, **inputs)
    with torch.autocast("cpu", torch.bfloat16):
        low = decoder(cameras=cameras, **inputs).float()
    low[..., 3:].sum().backward()
    assert (low - exact)[..., 3:].abs().max() < 0.05


def test_inputs_that_do_not_fit_are_refused(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors
) -> None:
    decoder = GaussianDecoder(config())
    good = {"cameras": cameras, "anchors": anchors, **inputs}
    hole = anchors.distance.clone()
    hole[0, 0, 0, 3, 3] = 0.0
    for broken, message in (
        ({"latents": inputs["latents"][:, :, :8]}, "Latents must be"),
        ({"cameras": cameras[..., :9]}, "need cameras"),
        ({"plucker_latents": inputs["latents"]}, "Pluecker"),
        ({"anchors": None}, "needs anchors"),
        ({"anchors": replace(anchors, rgb=anchors.rgb[:, :1])}, "Anchors must be"),
        ({"anchors": replace(anchors, input_rgb=anchors.input_rgb[:, 1:])}, "one image"),
        ({"anchors": replace(anchors, distance=hole)}, "fill the holes"),
    ):
        with pytest.raises(LyraError, match=message):
            decoder(**{**good, **broken})
    with pytest.raises(LyraError, match="time latents"):
        GaussianDecoder(config(use_time_embedding=True, **FREE))(cameras=cameras, **inputs)


def test_pruning_keeps_order_of_ties_and_draws_from_the_generator() -> None:
    rows = torch.zeros(1, 10, 14)
    rows[0, :, 3] = torch.tensor((0.1, 0.5, 0.5, 0.9, 0.2, 0.5, 0.0, 0.3, 0.3, 0.3))
    rows[0, :, 0] = torch.arange(10)
    assert prune(rows, 0.5)[0, :, 0].tolist() == [3, 1, 2, 5, 7]
    drawn = prune(rows, 0.5, random_share=0.4, generator=torch.Generator().manual_seed(0))[0, :, 0].tolist()
    assert drawn[:3] == [3, 1, 2]
    assert len(set(drawn)) == 5
    with pytest.raises(LyraError, match="generator"):
        prune(rows, 0.5, random_share=0.4)
    assert kept_count(10_222_080, 0.8) == 2_044_415


def test_rows_become_gaussians() -> None:
    rows = torch.arange(28.0).reshape(2, 14)
    gaussians = rows_to_gaussians(rows)
    assert gaussians.opacities.tolist() == [3.0, 17.0]
    assert gaussians.quats[0].tolist() == [7.0, 8.0, 9.0, 10.0]
    with pytest.raises(LyraError, match="one batch element"):
        rows_to_gaussians(rows[None])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor]
) -> None:
    decoder = GaussianDecoder(config(**FREE))
    expected = decoder(cameras=cameras, **inputs)
    moved = {name: value.cuda() for name, value in inputs.items()}
    actual = decoder.cuda()(cameras=cameras.to("cuda"), **moved).cpu()
    torch.testing.assert_close(actual[..., 3:], expected[..., 3:], atol=5e-3, rtol=5e-3)
