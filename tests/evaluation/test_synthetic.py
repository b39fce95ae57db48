# SPDX-License-Identifier: Apache-2.0
"""The synthetic suite through the command line, on a model that has learned nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lyra_core.app.cli import app


@pytest.fixture(scope="module")
def report(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("evaluation") / "report.json"
    arguments = ["evaluate", "--model", str(tiny_model), "--scenes", "2", "--json-out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--sheets", str(out.parent / "sheets")])
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text()) | {"sheets": sorted(path.name for path in (out.parent / "sheets").iterdir())}


def test_a_head_of_zeros_equals_the_untrained_row_and_hears_no_latents(report: dict) -> None:
    assert report["psnr_exact_depth"] == pytest.approx(report["psnr_untrained"], abs=1e-4)
    assert report["swap_cost"] == pytest.approx(0.0, abs=1e-4)


def test_exact_depth_beats_the_guess_of_random_weights(report: dict) -> None:
    assert report["psnr_exact_depth"] > report["psnr_net_depth"] + 1
    assert report["depth_abs_rel"] > 0.05
    assert report["depth_rendered"] < 0.05


def test_the_report_names_what_it_measured(report: dict) -> None:
    assert (report["model"], report["suite"], report["projection"]) == ("tiny", "synthetic", "ut")
    assert (report["first_seed"], report["worlds"]) == (2_000_000, 2)
    assert len(report["psnr_by_world"]) == 2
    assert report["alignment"] == {"frame": "input camera", "scale": ["median-depth"]}
    assert report["sheets"] == ["2000000.png", "2000001.png"]
    assert {"psnr_lift", "psnr_lift_ewa", "ssim_exact_depth", "seconds"} <= set(report)
