# SPDX-License-Identifier: Apache-2.0
"""The commands: a training of a minute that must learn, and the forecast of one that takes days."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from lyra_core.distillation.smoke import LEAST_GAIN


def lyra(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lyra_core.app.cli", "train", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def test_the_smoke_test_lowers_the_heldout_error(tmp_path: Path) -> None:
    done = lyra("--preset", "mini-decoder", "--smoke", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = map(float, re.search(r"held-out PSNR (\S+) -> (\S+) dB", done.stdout).groups())
    assert after > before + LEAST_GAIN
    run = tmp_path / "runs" / "smoke"
    assert json.loads((run / "decoder.json").read_text())["heldout_worlds"] == 2
    assert list((run / "sheets").glob("*.png"))


def test_the_dry_run_tells_what_a_stage_costs(tmp_path: Path) -> None:
    done = lyra("decoder", "--preset", "704_1280_views_121_multi_6", "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in ("337,920 tokens", "TFLOP per sample", "7,000 steps x 8 samples", "H100 80GB", "Assumed"):
        assert part in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_stage_without_a_smoke_test_says_so(tmp_path: Path) -> None:
    done = lyra("--preset", "176_320_views_17", "--smoke", folder=tmp_path)
    assert done.returncode == 1
    assert "has no smoke test" in done.stderr
