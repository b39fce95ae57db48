# SPDX-License-Identifier: Apache-2.0
"""Depth from optional libraries: real networks, tiny and random, saved to disk by the tests themselves."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from lyra_core.conditioning.depth_adapters import MogeDepth, TransformersDepth
from lyra_core.errors import LyraError
from lyra_core.pipeline import normalize

IMAGE = torch.rand(30, 44, 3, generator=torch.Generator().manual_seed(0))


def assumed(height: int, width: int) -> tuple[float, float, float, float]:
    return 100.0, 90.0, 0.5 * width, 0.5 * height


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture
def save(library: Any, tmp_path: Path) -> Callable[..., str]:
    """Writes a Depth Anything model with its image processor."""

    def build(kind: str) -> str:
        torch.manual_seed(0)
        backbone = library.Dinov2Config(
            hidden_size=16, num_hidden_layers=4, num_attention_heads=2, image_size=28, patch_size=14,
            out_indices=[1, 2, 3, 4], apply_layernorm=True, reshape_hidden_states=False,
        )  # fmt: skip
        config = library.DepthAnythingConfig(
            backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[4, 8, 8, 8],
            fusion_hidden_size=8, head_hidden_size=4, depth_estimation_type=kind,
            max_depth=20 if kind == "metric" else 1,
        )  # fmt: skip
        library.DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
        size = {"height": 42, "width": 42}
        library.DPTImageProcessor(size=size, ensure_multiple_of=14).save_pretrained(tmp_path)
        return str(tmp_path)

    return build


def test_metric_models_keep_their_metres(save: Callable[..., str]) -> None:
    folder = save("metric")
    depth = TransformersDepth(assumed, folder)(IMAGE)
    assert depth.metric
    assert depth.z.shape == depth.mask.shape == (30, 44)
    assert depth.mask.all()
    assert 0 < depth.z.min() < depth.z.max() < 20
    assert depth.source == f"transformers:{Path(folder).name}", "the place on this machine is nobody's business"
    assert depth.guessed
    assert depth.intrinsics.tolist() == [100.0, 90.0, 22.0, 15.0]
    normalized, unit = normalize(depth)
    assert float(normalized.z.median()) == pytest.approx(1.0)
    torch.testing.assert_close(normalized.z * unit, depth.z)


def test_relative_models_are_turned_over_and_bounded(save: Callable[..., str]) -> None:
    estimator = TransformersDepth(assumed, save("relative"))
    depth = estimator(IMAGE)
    assert not depth.metric
    assert depth.mask.all()
    assert depth.z.min() == pytest.approx(1.0)
    assert depth.z.max() <= 50.0
    inputs = estimator.processor(images=IMAGE.movedim(-1, 0), do_rescale=False, return_tensors="pt")
    with torch.no_grad():
        inverse = estimator.model(**inputs).predicted_depth
    assert inverse.max() > 0, "a network that predicts zeros would prove nothing"


def test_a_model_that_predicts_its_lens(library: Any, tmp_path: Path) -> None:
    """Depth Pro: inverse depth for a unit lens, and a field of view that gives metres and the focal length."""
    torch.manual_seed(0)
    vit = {"model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
    vit |= {"image_size": 32, "patch_size": 8, "use_mask_token": False}
    config = library.DepthProConfig(
        fusion_hidden_size=8, patch_size=32, intermediate_hook_ids=[3, 1], intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.25, 0.5, 1.0], scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[16, 8, 8], image_model_config=vit, patch_model_config=vit, fov_model_config=vit,
        use_fov_model=True,
    )  # fmt: skip
    model = library.DepthProForDepthEstimation(config)
    with torch.no_grad():  # biases that leave positive inverse depth and a field of view of about 60 degrees
        model.head.layers[-2].bias.fill_(0.5)
        model.fov_model.head.layers[-1].bias.fill_(60.0)
    model.save_pretrained(tmp_path)
    processor = library.DPTImageProcessor(size={"height": 128, "width": 128})
    processor.save_pretrained(tmp_path)
    depth = TransformersDepth(assumed, str(tmp_path))(IMAGE)
    assert depth.metric
    focal = float(depth.intrinsics[0])
    inputs = processor(images=IMAGE.movedim(-1, 0), do_rescale=False, return_tensors="pt")
    with torch.no_grad():
        output = library.DepthProForDepthEstimation.from_pretrained(tmp_path).eval()(**inputs)
    half = torch.deg2rad(output.field_of_view[0]) / 2
    assert focal == pytest.approx(22 / float(half.tan()), rel=1e-5)
    assert depth.intrinsics.tolist() == pytest.approx([focal, focal, 22.0, 15.0])
    inverse = functional.interpolate(output.predicted_depth[:, None], (30, 44), mode="bilinear")[0, 0] * 44 / focal
    assert depth.mask.float().mean() > 0.2
    assert depth.mask.equal(inverse > 1e-4), "the sky has no depth"
    torch.testing.assert_close(depth.z[depth.mask], 1 / inverse[depth.mask])


def test_a_model_that_is_not_there_is_not_downloaded(library: Any) -> None:
    with pytest.raises(LyraError, match="`hf download nobody/nothing`"):
        TransformersDepth(assumed, "nobody/nothing")


@pytest.mark.skipif(find_spec("moge") is not None, reason="MoGe is installed")
@pytest.mark.parametrize("version", [1, 2])
def test_moge_missing(version: int) -> None:
    with pytest.raises(LyraError, match="needs the package MoGe"):
        MogeDepth("weights.pt", version)  # type: ignore[arg-type]


@pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is installed")
def test_transformers_missing() -> None:
    with pytest.raises(LyraError, match="needs the package transformers"):
        TransformersDepth(assumed)
