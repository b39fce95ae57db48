# SPDX-License-Identifier: Apache-2.0
"""LPIPS: computed as defined from weights in the two files' own formats, or named as missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.errors import LyraError
from lyra_core.evaluation.lpips import BACKBONE_FILE, FOLDER_VARIABLE, LINEAR_FILE, Lpips, load_lpips
from lyra_core.evaluation.scores import Scorer

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
LAST = (2, 7, 14, 21, 28)
CHANNELS = 4


def states() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """VGG-16 with four channels everywhere, and positive 1x1 layers."""
    generator = torch.Generator().manual_seed(0)
    backbone = {}
    for number in CONVOLUTIONS:
        inputs = 3 if number == 0 else CHANNELS
        backbone[f"features.{number}.weight"] = torch.randn(CHANNELS, inputs, 3, 3, generator=generator)
        backbone[f"features.{number}.bias"] = torch.randn(CHANNELS, generator=generator)
    linear = {f"lin{n}.model.1.weight": torch.rand(1, CHANNELS, 1, 1, generator=generator) for n in range(5)}
    return backbone, linear


def by_hand(first: Tensor, second: Tensor) -> Tensor:
    """The definition, layer by layer as torchvision counts them."""
    backbone, linear = states()
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = torch.stack([((2 * image - 1 - shift) / scale).movedim(-1, 0) for image in (first, second)])
    total, stage = torch.zeros(()), 0
    for number in range(30):
        if number in (4, 9, 16, 23):
            x = functional.max_pool2d(x, 2)
        if number in CONVOLUTIONS:
            x = functional.conv2d(x, backbone[f"features.{number}.weight"], backbone[f"features.{number}.bias"], 1, 1)
            x = x.relu()
        if number in LAST:
            unit = x / (x.norm(dim=1, keepdim=True) + 1e-10)
            weights = linear[f"lin{stage}.model.1.weight"][0]
            total, stage = total + (weights * (unit[0] - unit[1]).square()).sum(0).mean(), stage + 1
    return total


def pictures() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 32, 48, 3, generator=generator), torch.rand(2, 32, 48, 3, generator=generator)


def test_distances_follow_the_definition() -> None:
    a, b = pictures()
    distances = Lpips(*states())(a, b)
    assert distances.shape == (2,)
    for index in range(2):
        assert distances[index] == pytest.approx(float(by_hand(a[index], b[index])), rel=1e-5)
    assert Lpips(*states())(a, a).abs().max() == 0


def test_it_is_differentiable() -> None:
    a, b = pictures()
    a.requires_grad_()
    Lpips(*states())(a, b).sum().backward()
    assert a.grad is not None and a.grad.abs().sum() > 0


def test_weights_are_found_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, linear = states()
    torch.save(backbone, tmp_path / BACKBONE_FILE)
    torch.save(linear, tmp_path / LINEAR_FILE)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    a, b = pictures()
    scorer = Scorer.available()
    assert scorer.missing == {}
    assert scorer(a[0], b[0])["lpips"] == pytest.approx(float(by_hand(a[0], b[0])), rel=1e-5)


def test_missing_weights_are_named_and_nothing_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    torch.save(states()[1], tmp_path / LINEAR_FILE)
    network, reason = load_lpips()
    assert network is None
    assert BACKBONE_FILE in reason and LINEAR_FILE not in reason.split(" and ")[0]
    a, b = pictures()
    assert set(Scorer.available()(a[0], b[0])) == {"psnr", "ssim"}


def test_files_that_are_no_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / BACKBONE_FILE).write_bytes(b"no weights")
    torch.save(states()[1], tmp_path / LINEAR_FILE)
    with pytest.raises(LyraError, match="no LPIPS weights"):
        load_lpips()
