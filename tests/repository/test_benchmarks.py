# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the full size runs from end to end, with small networks, so that it will where a GPU is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_at_full_size_says_all_it_is_there_for() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "full_size.py"), "--tiny"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(.+?) +([\d.]+) ms +floor +([\d.]+) ms +[\d.]+ %$", done.stdout, re.MULTILINE)
    assert all(float(taken) > 0 for _, taken, _ in rows)
    names = "\n".join(name for name, _, _ in rows)
    for row in (
        "rendering, 345 Gaussians, ut", "as the decoder asks", "decoder, 54 views, everything resident",
        "decoder, 54 views, chunked decoder", "diffusion step, 16 tokens", "warp, 9 frames", "encoding warp and mask",
    ):  # fmt: skip
        assert row in names
    assert re.search(r"times the best backend", done.stdout)
    assert re.search(r"all steps: [\d.]+ % of the teacher", done.stdout)
    assert len(re.findall(r"pixel blocks, \d+ views: [\d.]+ GB counted", done.stdout)) == 2
