# SPDX-License-Identifier: Apache-2.0
"""The training presets: the nine published stages, and the embedded one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.distillation.cost import cost_lines, decoder_flops, kept_bytes, stage_cost, utilisation
from lyra_core.distillation.stage_run import load_start, start_of
from lyra_core.distillation.stages import load_stage, published_stages, stage_names
from lyra_core.distillation.train_decoder import DecoderTraining
from lyra_core.errors import LyraError
from lyra_core.weights.quantized import save_weights

PUBLISHED = [  # name, size, frames, pictures of the largest sample, views, batch, stored, steps, opacity, pruned
    ("176_320_views_17", (176, 320), 17, 17, 1, 4, False, 10_000, 0.0, 0.0),
    ("176_320_views_49", (176, 320), 49, 49, 1, 4, False, 12_500, 0.0, 0.0),
    ("352_640_views_49", (352, 640), 49, 49, 1, 2, False, 15_000, 0.0, 0.0),
    ("704_1280_views_49", (704, 1280), 49, 49, 1, 1, False, 17_500, 0.0, 0.0),
    ("704_1280_views_121", (704, 1280), 121, 9, 1, 1, True, 75_000, 0.0, 0.0),
    ("704_1280_views_121_multi_6", (704, 1280), 121, 54, 6, 1, True, 82_000, 0.0, 0.0),
    ("704_1280_views_121_multi_6_prune", (704, 1280), 121, 54, 6, 1, True, 83_000, 0.1, 0.8),
    ("704_1280_views_121_multi_6_dynamic", (704, 1280), 121, 12, 6, 1, True, 90_000, 0.0, 0.0),
    ("704_1280_views_121_multi_6_dynamic_prune", (704, 1280), 121, 12, 6, 1, True, 91_000, 0.1, 0.8),
]


def test_the_nine_stages_are_the_published_ones() -> None:
    found = [
        (
            stage.name, stage.size, stage.frames, stage.target_pictures, stage.views, stage.batch,
            stage.stored_latents, stage.steps, stage.losses.opacity, stage.decoder_config().prune_ratio,
        )
        for stage in published_stages()
    ]  # fmt: skip
    assert found == PUBLISHED
    for stage in published_stages():
        weights = stage.losses
        assert (weights.squared, weights.perceptual, weights.depth, weights.absolute) == (1.0, 0.5, 0.05, 0.0)
        assert (stage.learning_rate, stage.betas, stage.weight_decay) == (1e-4, (0.9, 0.999), 1e-2)
        assert (stage.warmup_steps, stage.clip_norm, stage.ema_decay, stage.constant_share) == (100, 1.0, 0.0, 1.0)
        assert stage.dynamic == ("dynamic" in stage.name)


def test_stages_follow_each_other_without_gaps() -> None:
    added = {stage.name: (stage.steps or 0) - stage.first_step for stage in published_stages()}
    assert list(added.values()) == [10_000, 2_500, 2_500, 2_500, 57_500, 7_000, 1_000, 8_000, 1_000]
    assert load_stage("704_1280_views_121_multi_6_dynamic").follows == "704_1280_views_121_multi_6"


def test_the_embedded_stage_is_the_recipe_in_code() -> None:
    assert DecoderTraining.of(load_stage("mini-decoder")) == DecoderTraining()


def test_wrong_presets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match=r"unknown training preset 'nothing'. Known: .*mini-decoder"):
        load_stage("nothing")
    path = tmp_path / "stage.yaml"
    for text, complaint in (
        ("name: a\nsummary: b\nsteps: 3\nlearning_rat: 1", "learning_rat"),
        ("name: a\nsummary: b\nsteps: 3\nframes: 16", "1 modulo 8"),
        ("name: a\nsummary: b", "steps or minutes"),
        ("name: a\nsummary: b\nsteps: 3\ndecoder: {with: 3}", "unknown field with"),
    ):
        path.write_text(text)
        with pytest.raises(LyraError, match=complaint):
            load_stage(str(path))


def test_weights_must_fit_the_stage(tmp_path: Path) -> None:
    stage = load_stage("176_320_views_49")
    with pytest.raises(LyraError, match="starts from the weights of '176_320_views_17'"):
        start_of(stage, tmp_path / "here", None)
    small = GaussianDecoder(DecoderConfig(width=64, depth=2, heads=2, attention_every=2, state_dim=16))
    save_weights(tmp_path / "small.safetensors", small.state_dict(), "fp32")
    wider = GaussianDecoder(DecoderConfig(width=128, depth=2, heads=2, attention_every=2, state_dim=16))
    with pytest.raises(LyraError, match="do not fit the decoder of stage '176_320_views_49'"):
        load_start(wider, stage, start_of(stage, tmp_path, tmp_path / "small.safetensors"))


def test_cost_of_the_largest_stage() -> None:
    """Against the specification: 337,920 tokens, 10,222,080 Gaussians, 4.7e14 FLOP in the two attentions."""
    stage = load_stage("704_1280_views_121_multi_6_prune")
    cost = stage_cost(stage)
    assert (cost.tokens, cost.gaussians, cost.parameters) == (337_920, (10_222_080, 2_044_415), 32_753_996)
    config = stage.decoder_config()
    quadratic = decoder_flops(config, 2 * 337_920) - 2 * decoder_flops(config, 337_920)
    assert quadratic / 2 == pytest.approx(4.7e14, rel=0.01)
    assert cost.recomputed_bytes < 0.2 * cost.kept_bytes
    assert 0.02 < utilisation() < 0.6
    text = "\n".join(cost_lines(stage))
    assert "337,920 tokens" in text and "too little memory" not in text and "Assumed" in text


def test_linear_flops_are_those_torch_counts() -> None:
    """One attention block; torch does not count fused attention on a CPU, so its 4 L^2 D are taken off."""
    from torch.utils.flop_counter import FlopCounterMode

    one, two = (DecoderConfig(width=64, depth=depth, heads=2, attention_every=1, state_dim=16) for depth in (1, 2))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        GaussianDecoder(one).enc_blocks[0](torch.randn(1, 128, 64))
    block = decoder_flops(two, 128) - decoder_flops(one, 128)
    assert counter.get_total_flops() == block - 4 * 128**2 * 64


def test_kept_memory_is_what_a_real_block_keeps() -> None:
    config = DecoderConfig(width=64, depth=2, heads=2, attention_every=2, state_dim=16)
    with torch.device("meta"):
        block = GaussianDecoder(config).enc_blocks[0]
    estimate = kept_bytes(block, 64, 2048)
    real, sizes = GaussianDecoder(config).enc_blocks[0].bfloat16(), {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes.setdefault(tensor.untyped_storage().data_ptr(), (tensor, tensor.untyped_storage().nbytes()))
        return tensor

    weights = {parameter.data_ptr() for parameter in real.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        real(torch.randn(1, 2048, 64, dtype=torch.bfloat16, requires_grad=True))
    assert estimate == pytest.approx(sum(size for key, (_, size) in sizes.items() if key not in weights), rel=0.1)


def test_every_stage_has_a_file_of_its_name() -> None:
    assert all(load_stage(name).name == name for name in stage_names())
    assert len(stage_names()) >= 10
