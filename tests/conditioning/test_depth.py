# SPDX-License-Identifier: Apache-2.0
"""The embedded depth estimator and the sharpening of its silhouettes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.conditioning.depth import EmbeddedDepth
from lyra_core.conditioning.depth_edges import sharpen_edges
from lyra_core.conditioning.depth_net import DepthNet, predict
from lyra_core.errors import LyraError
from lyra_core.weights.quantized import save_weights


def assumed(height: int, width: int) -> tuple[float, float, float, float]:
    return 100.0, 100.0, 0.5 * width, 0.5 * height


@pytest.fixture(scope="module")
def network() -> DepthNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DepthNet()
        for parameter in network.head.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.mark.parametrize("size", [(352, 640), (150, 84), (33, 70)])
def test_any_size_gives_positive_depth_of_median_one(network: DepthNet, size: tuple[int, int]) -> None:
    image = torch.rand(*size, 3, generator=torch.Generator().manual_seed(1))
    depth = EmbeddedDepth(network, assumed)(image)
    assert depth.z.shape == size and depth.mask.all() and depth.mask.shape == size
    assert depth.z.isfinite().all() and (depth.z > 0).all() and depth.z.std() > 0
    assert float(depth.z.median()) == pytest.approx(1.0, abs=1e-6)
    assert depth.intrinsics.tolist() == list(assumed(*size)) and depth.source == "mini" and not depth.metric
    assert torch.equal(depth.z, EmbeddedDepth(network, assumed)(image).z)


def test_a_mirrored_image_gives_mirrored_depth(network: DepthNet) -> None:
    image = torch.rand(64, 96, 3, generator=torch.Generator().manual_seed(2))
    estimator = EmbeddedDepth(network, assumed)
    torch.testing.assert_close(estimator(image.flip(1)).z, estimator(image).z.flip(1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("size", "seen"), [((352, 640), (62, 112)), ((200, 100), (112, 56)), ((31, 56), (62, 112))])
def test_the_network_sees_pictures_at_the_size_it_was_trained_at(
    network: DepthNet, size: tuple[int, int], seen: tuple[int, int]
) -> None:
    sizes: list[torch.Size] = []
    handle = network.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-2:]))
    depth = predict(network, torch.rand(1, 3, *size))
    handle.remove()
    assert [tuple(one) for one in sizes] == [seen] and depth.shape == (1, *size)


def test_transformer_blocks_change_nothing_before_they_are_trained(network: DepthNet) -> None:
    without = DepthNet(blocks=0)
    without.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("blocks.")})
    images = torch.rand(1, 3, 62, 112, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(without.eval()(images), network(images))
        bias = network.get_parameter("blocks.0.out.bias")
        bias[0] += 1.0
        assert not torch.allclose(without(images), network(images))
        bias[0] -= 1.0


def test_weights_from_a_file(network: DepthNet, tmp_path: Path) -> None:
    image = torch.rand(64, 96, 3, generator=torch.Generator().manual_seed(3))
    save_weights(tmp_path / "depth.safetensors", network.state_dict(), "fp32")
    loaded = EmbeddedDepth.load(tmp_path / "depth.safetensors", assumed)
    assert torch.equal(loaded(image).z, EmbeddedDepth(network, assumed)(image).z)
    save_weights(tmp_path / "other.safetensors", {"weight": torch.ones(3)})
    with pytest.raises(LyraError, match="do not fit the depth network"):
        EmbeddedDepth.load(tmp_path / "other.safetensors", assumed)


def blurred_box() -> tuple[Tensor, Tensor, Tensor]:
    """A near box before a receding floor: true depth, its blurred version, and the image."""
    inverse = torch.linspace(0.5, 1.0, 60)[:, None].expand(60, 80).clone()
    inverse[15:40, 25:55] = 2.0
    image = torch.full((60, 80, 3), 0.2)
    image[15:40, 25:55] = torch.tensor((0.8, 0.5, 0.1))
    kernel = torch.ones(1, 1, 7, 7) / 49
    blurred = functional.conv2d(functional.pad(inverse[None, None], (3,) * 4, mode="replicate"), kernel)[0, 0]
    return 1 / inverse, 1 / blurred, image


def test_ramps_become_steps_along_the_colours() -> None:
    true, blurred, image = blurred_box()
    sharp = sharpen_edges(blurred, image)
    error = (sharp.log() - true.log()).abs()
    assert ((blurred.log() - true.log()).abs() > 0.3).sum() > 200, "the test needs flying pixels"
    assert (error > 0.3).sum() <= 4, "every pixel belongs to one side"
    box = torch.zeros(60, 80, dtype=torch.bool)
    box[15:40, 25:55] = True
    assert torch.equal(sharp < 0.75, box) or ((sharp < 0.75) != box).sum() <= 4


def test_slopes_stay_untouched() -> None:
    z = 1 / torch.linspace(0.2, 2.0, 90)[:, None].expand(90, 70)
    image = torch.rand(90, 70, 3, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(sharpen_edges(z, image), z)
