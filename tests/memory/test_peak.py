# SPDX-License-Identifier: Apache-2.0
"""Memory counted tensor by tensor."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lyra_core.memory.peak import PeakMemory

MEGABYTE = 2**20


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_counts_what_comes_and_goes(device: str) -> None:
    given = torch.empty(MEGABYTE, dtype=torch.uint8, device=device)
    with PeakMemory() as memory:
        first = given + 1
        view = first[: MEGABYTE // 2]
        second = torch.cat((first, first))
        del first
        assert memory.live == 3 * MEGABYTE, "a view keeps the whole alive"
        del view
        assert memory.live == 2 * MEGABYTE
        second.add_(1)
    assert memory.peak == 3 * MEGABYTE
    assert memory.largest == 2 * MEGABYTE


def test_attention_counts_as_fused_on_the_meta_device() -> None:
    query = torch.empty(1, 2, 4096, 16, device="meta")
    with PeakMemory() as memory:
        output = functional.scaled_dot_product_attention(query, key=query, value=query[..., :8])
    assert output.shape == (1, 2, 4096, 8)
    assert memory.peak == output.untyped_storage().nbytes()


def test_real_attention_is_computed() -> None:
    query = torch.rand(1, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = functional.scaled_dot_product_attention(query, query, query)
    with PeakMemory():
        assert functional.scaled_dot_product_attention(query, query, query).equal(expected)
