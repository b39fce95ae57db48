# SPDX-License-Identifier: Apache-2.0
"""A trained file replaces a shipped one only when its held-out figure is better."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.weights.manifest import Manifest, record
from lyra_core.weights.presets import load_preset


def accept_weights(weights: Path, *, command: str, metric: str, data_seeds: str, model: str = "mini") -> str:
    """Copy a trained file into a model's weights folder and enter it into the manifest.

    Args:
        weights: `.safetensors` file; its metrics lie beside it under the same name with `.json`.
        command: what made it.
        metric: name of the figure to compare; a leading "-" says that less is better.
        data_seeds: worlds it was trained on, for the manifest.
        model: preset that receives the file.

    Returns:
        what happened, in one line. Raises LyraError when the shipped file is as good or better.
    """
    metrics_path = weights.with_suffix(".json")
    if not metrics_path.exists():
        raise LyraError(f"{metrics_path} is missing: a file without its held-out figures is not shipped.")
    report = json.loads(metrics_path.read_text(encoding="utf-8"))
    metrics = flat_figures(report)
    sign, name = (-1.0, metric[1:]) if metric.startswith("-") else (1.0, metric)
    if name not in metrics:
        raise LyraError(f"{metrics_path} has no figure {name!r}; it has {', '.join(sorted(metrics))}.")
    folder = load_preset(model).weights_folder
    folder.mkdir(parents=True, exist_ok=True)
    shipped = Manifest.load(folder).files.get(weights.name)
    old = shipped.metrics.get(name) if shipped is not None and shipped.trained else None
    if old is not None and sign * metrics[name] <= sign * old:
        raise LyraError(f"{weights.name} stays: {name} {metrics[name]:.3f} is not better than the shipped {old:.3f}.")
    with replacing(folder / weights.name) as temporary:
        shutil.copyfile(weights, temporary)
    seeds = {"run": str(report.pop("seed", 0)), "data": data_seeds}
    metrics.pop("seed", None)
    record(folder / weights.name, trained=True, command=command, seeds=seeds, metrics=metrics)
    before = "none" if old is None else f"{old:.3f}"
    return f"accepted {weights.name}: {name} {metrics[name]:.3f} (before: {before})"


def flat_figures(report: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """All numbers of a nested report, named by their path."""
    figures: dict[str, float] = {}
    for key, value in report.items():
        if isinstance(value, dict):
            figures |= flat_figures(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            figures[prefix + key] = float(value)
    return figures
