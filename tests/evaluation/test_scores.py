# SPDX-License-Identifier: Apache-2.0
"""Depth metrics, summaries, and the numbers of papers."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from lyra_core.app.cli import app
from lyra_core.evaluation.depth_metrics import depth_scores
from lyra_core.evaluation.published import left_out, published_rows, published_tables
from lyra_core.evaluation.scores import EXACT, Scorer, summary


def test_depth_scores_ignore_scale_only() -> None:
    truth = torch.linspace(1.0, 5.0, 21).reshape(3, 7)
    scaled = depth_scores(truth * 3.7, truth)
    assert scaled == {"abs_rel": pytest.approx(0.0, abs=1e-6), "delta_1": 1.0, "coverage": 1.0}
    bent = depth_scores(truth**2, truth)
    assert bent is not None and bent["abs_rel"] > 0.2 and bent["delta_1"] < 0.7


def test_depth_scores_leave_unknown_pixels_out() -> None:
    truth = torch.tensor([[1.0, 2.0, 3.0, 0.0, torch.inf, torch.nan]])
    guess = torch.tensor([[1.0, 2.0, 0.0, 9.0, 9.0, 9.0]])
    scores = depth_scores(guess, truth)
    assert scores is not None and scores["abs_rel"] == 0.0
    assert scores["coverage"] == pytest.approx(2 / 3)
    assert depth_scores(guess, torch.zeros_like(guess)) is None


def test_summaries_count_only_views_that_have_a_metric() -> None:
    table = summary([{"psnr": 20.0}, {"psnr": 24.0, "abs_rel": 0.1}])
    assert table["psnr"] == {"mean": 22.0, "std": 2.0, "views": 2}
    assert table["abs_rel"] == {"mean": 0.1, "std": 0.0, "views": 1}


def test_equal_pictures_have_a_finite_score() -> None:
    picture = torch.rand(16, 16, 3, generator=torch.Generator().manual_seed(0))
    assert Scorer(None)(picture, picture)["psnr"] == EXACT


def test_published_numbers_are_the_papers() -> None:
    by_suite = {suite: {row["method"]: row["scores"] for row in published_rows(suite)} for suite in ("re10k", "tanks")}
    assert by_suite["re10k"]["Bolt3D"] == {"psnr": 21.54, "ssim": 0.747, "lpips": 0.234}
    assert "Bolt3D" not in by_suite["tanks"]
    assert by_suite["tanks"]["Lyra"]["psnr"] == 19.24
    ablations = {row["method"]: row["scores"] for row in published_rows("lyra")}
    assert ablations["Lyra"] == {"psnr": 24.77, "ssim": 0.837, "lpips": 0.224}
    assert ablations["w/o latents (pixel patches)"] == "out of memory"
    assert len(ablations) == 9


def test_every_published_table_names_its_source_and_status() -> None:
    for table in published_tables():
        assert "arXiv" in table["source"]
        assert table["status"] == "published, not re-run"
        for row in table["rows"]:
            for suite in table["suites"]:
                assert row[suite] is None or isinstance(row[suite], str) or row[suite]["psnr"] > 10
    assert any("BTimer" in row["what"] for row in left_out())


def test_the_published_suite_needs_no_model() -> None:
    done = CliRunner().invoke(app, ["evaluate", "--suite", "published", "--model", "none", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tables"][0]["rows"][-1]["method"] == "Lyra"
    shown = CliRunner().invoke(app, ["evaluate", "--suite", "published"]).stdout
    assert "published, not re-run" in shown and "left out: BTimer (GEN3C)" in shown
