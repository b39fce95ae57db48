# SPDX-License-Identifier: Apache-2.0
"""The dynamic suite scores a model at reconstructed instants and between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lyra_core.evaluation import dynamic
from lyra_core.evaluation.dynamic import dynamic_table, evaluate_dynamic
from lyra_core.pipeline import LyraPipeline


def test_a_report_of_one_world(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic, "KINDS", ("interpolating",))
    pipeline = LyraPipeline.from_pretrained(str(tiny_model))
    report = evaluate_dynamic(pipeline, first_seed=2_000_000, worlds=1, instants=(0, 16), sheets=tmp_path)
    assert 10 < report["psnr_between"] < report["psnr_instants"] < 40
    assert report["psnr"] == pytest.approx((2 * report["psnr_instants"] + report["psnr_between"]) / 3)
    assert report["psnr_by_world"] == [report["psnr"]] and 0 < report["static_share"] < 1
    assert not report["time_conditioned"] and (tmp_path / "2000000.png").exists()
    table = dynamic_table(report)
    assert "no clock" in table and f"{report['psnr']:.2f} dB" in table
