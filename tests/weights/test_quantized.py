# SPDX-License-Identifier: Apache-2.0
"""Compact weight files: rounding bounds, identity-like rows, byte equality, and files that must be refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lyra_core.errors import LyraError
from lyra_core.weights.manifest import sha256
from lyra_core.weights.quantized import dequantize_rows, load_weights, quantize_rows, read_metadata, save_weights


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 40), st.floats(-6, 6), st.integers(0, 99))
def test_error_is_at_most_half_a_level_of_its_row(rows: int, columns: int, exponent: float, seed: int) -> None:
    tensor = random(rows, columns, seed=seed) * 10**exponent
    restored = dequantize_rows(quantize_rows(tensor))
    bound = tensor.abs().amax(1, keepdim=True) / 254
    assert ((restored - tensor).abs() <= bound * 1.001).all()


def test_rows_of_zeros_stay_zero() -> None:
    assert dequantize_rows(quantize_rows(torch.zeros(3, 40))).eq(0).all()


def test_an_identity_does_not_eat_the_levels_of_the_rest() -> None:
    small = random(128, 128) * 1e-3
    restored = dequantize_rows(quantize_rows(torch.eye(128) + small))
    assert (restored - torch.eye(128) - small).abs().max() < 2e-5
    assert restored.diagonal().equal((torch.eye(128) + small).diagonal())


def test_file_gives_back_names_shapes_and_metadata(tmp_path: Path) -> None:
    tensors = {
        "conv.weight": random(32, 8, 3, 3),
        "conv.bias": random(32),
        "eye.weight": torch.eye(64) + 0.01 * random(64, 64),
        "count": torch.tensor([3, -7]),
    }
    save_weights(tmp_path / "w.safetensors", tensors, metadata={"config": {"width": 8}})
    loaded = load_weights(tmp_path / "w.safetensors")
    assert set(loaded) == set(tensors)
    assert loaded["conv.bias"].equal(tensors["conv.bias"])
    assert loaded["count"].equal(tensors["count"])
    for name in ("conv.weight", "eye.weight"):
        assert loaded[name].shape == tensors[name].shape
        assert loaded[name].dtype == torch.float32
        torch.testing.assert_close(loaded[name], tensors[name], atol=0.02, rtol=0)
    assert read_metadata(tmp_path / "w.safetensors") == {"config": {"width": 8}}


def test_storage_may_be_chosen_per_tensor(tmp_path: Path) -> None:
    tensors = {"a": random(64, 64), "b": random(64, 64, seed=1), "huge": torch.full((64, 64), 1e6)}
    save_weights(tmp_path / "w.safetensors", tensors, lambda name, _: "int8" if name == "a" else "fp16")
    loaded = load_weights(tmp_path / "w.safetensors")
    assert loaded["b"].equal(tensors["b"].half().float())
    assert loaded["huge"].equal(tensors["huge"])
    assert not loaded["a"].equal(tensors["a"].half().float())
    save_weights(tmp_path / "small.safetensors", {"a": tensors["a"]}, "int8")
    save_weights(tmp_path / "large.safetensors", {"a": tensors["a"]}, "fp32")
    assert (tmp_path / "small.safetensors").stat().st_size < 0.3 * (tmp_path / "large.safetensors").stat().st_size


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    metadata = {key: index for index, key in enumerate("fedcba")}
    for name in ("one", "two"):
        save_weights(tmp_path / name, {"w": random(64, 64), "v": random(5)}, metadata=metadata)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")


def test_foreign_safetensors_files_are_read(tmp_path: Path) -> None:
    save_file({"w": random(4, 4).bfloat16()}, tmp_path / "w.safetensors")
    assert load_weights(tmp_path / "w.safetensors")["w"].dtype == torch.float32
    assert read_metadata(tmp_path / "w.safetensors") == {}


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "header"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"w": random(64, 64)})
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "truncated": content[:-7], "header": b"\xff" * 64 + content}[damage])
    with pytest.raises(LyraError, match=str(path)):
        load_weights(path)


def test_values_that_are_not_finite_are_refused_and_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"w": random(4, 4)})
    before = path.read_bytes()
    with pytest.raises(LyraError, match="not finite"):
        save_weights(path, {"w": torch.tensor([[float("nan")]])})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]
