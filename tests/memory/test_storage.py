# SPDX-License-Identifier: Apache-2.0
"""Weights on loan, and weights in 8 bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lyra_core.memory.storage import Loan, cast_weights, lend_per_call, store_in_8_bits, tensors_of
from lyra_core.teacher.transformer import TransformerConfig


@pytest.fixture
def layer() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(64, 32)


def test_a_loan_changes_the_form_and_gives_the_same_memory_back(layer: nn.Linear) -> None:
    place, value = layer.weight.data_ptr(), layer.weight.detach().clone()
    loan = Loan(tensors_of(layer), lambda data: data.bfloat16())
    loan.take()
    loan.take()
    assert layer.weight.dtype == torch.bfloat16
    loan.give_back()
    assert layer.weight.data_ptr() == place
    assert layer.weight.equal(value)


def test_a_loan_that_fails_half_way_is_undone(layer: nn.Linear) -> None:
    """As when a GPU is full after the first tensors."""

    def form(data: Tensor) -> Tensor:
        if data.ndim == 1:
            raise torch.OutOfMemoryError("full")
        return data.bfloat16()

    loan = Loan(tensors_of(layer), form)
    with pytest.raises(torch.OutOfMemoryError):
        loan.take()
    assert layer.weight.dtype == layer.bias.dtype == torch.float32


def test_weights_come_home_after_a_failed_call(layer: nn.Linear) -> None:
    place = layer.weight.data_ptr()
    lend_per_call(layer, Loan(tensors_of(layer), torch.clone))
    with pytest.raises(RuntimeError, match="shapes"):
        layer(torch.ones(1, 3))
    assert layer.weight.data_ptr() == place
    assert layer(torch.ones(1, 64)).shape == (1, 32)


def test_8_bits_keep_four_of_every_weight() -> None:
    """e4m3 has three bits behind the leading one: an error of at most 1/16, whatever the scale of a row."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TransformerConfig(
            heads=2, head_dim=24, layers=1, text_dim=8, adaln_lora_dim=4, max_size=(4, 8, 8)
        ).network()
    block = network.transformer_blocks[0]
    layer = block.ff.net[0].proj
    layer.weight.data *= torch.logspace(-4, 2, len(layer.weight))[:, None]
    weight = layer.weight.detach().clone()
    expected = torch.nn.functional.linear(torch.eye(48), weight)
    steering = block.norm1.linear_2.weight.detach().clone()
    store_in_8_bits([block])
    assert layer.weight.dtype == torch.float8_e4m3fn
    assert block.norm1.linear_2.weight.equal(steering), "what steers normalisation stays as it is"
    large = expected.abs() > 0.02 * weight.abs().amax(1)  # what is far below its row loses more
    found = layer(torch.eye(48))
    error = (found - expected).abs() / expected.abs()
    assert 0.01 < error[large].max() < 1 / 16
    assert layer.weight.dtype == torch.float8_e4m3fn, "it stays small after use"

    assert store_in_8_bits([block]) == [], "a second time changes nothing"
    cast_weights(block, torch.float64)
    assert layer.weight.dtype == torch.float8_e4m3fn
    assert block.norm1.linear_2.weight.dtype == torch.float64
