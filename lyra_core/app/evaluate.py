# SPDX-License-Identifier: Apache-2.0
"""`lyra evaluate`: score a model on views it never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lyra_core.errors import LyraError
from lyra_core.evaluation.synthetic import SUITES
from lyra_core.files import replacing, require_writable_folder
from lyra_core.pipeline import LyraPipeline
from lyra_core.progress import Progress

ROWS = ("exact_depth", "net_depth", "untrained", "swapped", "lift", "lift_ewa")
"""Rows of the table, as `evaluate_synthetic` names them."""


def evaluate(
    suite: str, model: str, first_seed: int, scenes: int, json_out: Path | None, progress: Progress
) -> dict[str, Any]:
    """Run a suite; the report also goes to `json_out`. Raises LyraError for an unknown suite."""
    if suite not in SUITES:
        raise LyraError(f"there is no suite {suite!r}. Known: {', '.join(sorted(SUITES))}.")
    if json_out is not None:
        require_writable_folder(json_out)
    report = SUITES[suite](LyraPipeline.from_pretrained(model), first_seed=first_seed, worlds=scenes, progress=progress)
    if json_out is not None:
        with replacing(json_out) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def show(report: dict[str, Any]) -> str:
    """The report as a table for a person."""
    lines = [
        f"{report['model']}, suite {report['suite']}: {report['worlds']} worlds from seed {report['first_seed']}, "
        f"projection {report['projection']}",
        f"{'row':<14}{'PSNR dB':>9}{'SSIM':>8}",
    ]
    for row in ROWS:
        if f"psnr_{row}" in report:
            lines.append(f"{row:<14}{report[f'psnr_{row}']:>9.2f}{report[f'ssim_{row}']:>8.3f}")
    if report["swap_cost"] is not None:
        lines.append(f"another world's latents cost {report['swap_cost']:.2f} dB")
    lines.append(
        f"depth network AbsRel {report['depth_abs_rel']:.3f}, rendered depth error {report['depth_rendered']:.4f}, "
        f"{report['gaussians']:,} Gaussians, {report['seconds']:.1f} s a world"
    )
    return "\n".join(lines)
