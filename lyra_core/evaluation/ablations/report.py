# SPDX-License-Identifier: Apache-2.0
"""The table of an ablation: means and spreads over seeds, the distance of each row to the first, beside the paper's."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.stats import t as student_t

from lyra_core.evaluation.ablations.data import Sets, load_truth
from lyra_core.evaluation.ablations.plan import Plan, Row
from lyra_core.evaluation.ablations.run import PICTURE_NAME, Key, Work
from lyra_core.evaluation.ablations.scoring import SHOWN
from lyra_core.evaluation.published import published_tables
from lyra_core.files import replacing
from lyra_core.images import to_bytes

CERTAINTY = 0.975
"""One-sided: a sign counts as decided at 95 %."""

_ENLARGED = 2
_GAP, _LABEL = 4, 26


def ablation_report(plan: Plan, work: Work) -> dict[str, Any]:
    """What is finished of a table.

    Returns:
        tables: for every setting of the anchors its rows in the plan's order, each with the number of seeds, figures
        (`teacher` and `truth`: metric to mean and spread over seeds), the distance to the first row in PSNR against
        the teacher's frames, seed by seed (delta, with mean and spread), the paper's distance, and `verdict`.
    """
    results = work.results()
    tables = {
        anchors: [row for row in (_row(plan, anchors, row, results) for row in plan.rows) if row["seeds"]]
        for anchors in plan.anchors
    }
    first = next(iter(results.values()), {})
    return {
        "suite": "ablations",
        "steps": plan.stage["steps"],
        "worlds": plan.worlds,
        "heldout": plan.heldout,
        "seeds": plan.seeds,
        "finished": len(results),
        "planned": len(plan.runs()),
        "perceptual": first.get("perceptual"),
        "processor_seconds": sum(result["processor_seconds"] for result in results.values()),
        "tables": tables,
    }


def _row(plan: Plan, anchors: str, row: Row, results: dict[Key, dict[str, Any]]) -> dict[str, Any]:
    found = [results[key] for seed in range(plan.seeds) if (key := (anchors, row.name, seed)) in results]
    deltas = [
        results[anchors, row.name, seed]["teacher"]["psnr"]
        - results[anchors, plan.rows[0].name, seed]["teacher"]["psnr"]
        for seed in range(plan.seeds)
        if (anchors, row.name, seed) in results and (anchors, plan.rows[0].name, seed) in results
    ]
    delta = _spread(deltas) if row != plan.rows[0] else None
    published = _published_delta(row, plan.rows[0])
    return {
        "row": row.name,
        "seeds": len(found),
        "figures": {
            side: {metric: _spread([result[side][metric] for result in found]) for metric in found[0][side]}
            for side in ("teacher", "truth")
            if found
        },
        "gaussians": found[0]["gaussians"] if found else None,
        "parameters": found[0]["parameters"] if found else None,
        "delta": delta,
        "published_delta": published,
        "verdict": _verdict(delta, published),
    }


def _spread(values: list[float]) -> dict[str, Any] | None:
    """Mean and sample standard deviation over seeds (None of a single one); None of nothing."""
    if not values:
        return None
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": std, "seeds": len(values)}


def _published_delta(row: Row, reference: Row) -> float | None:
    """The paper's PSNR of a row minus that of its full model [dB]; None where it has no number."""
    (table,) = (table for table in published_tables() if table["name"] == "ablations")
    scores = {entry["method"]: entry["lyra"] for entry in table["rows"]}
    ours, full = scores.get(row.published), scores.get(reference.published)
    if row.published == reference.published or not isinstance(ours, dict) or not isinstance(full, dict):
        return None
    return round(ours["psnr"] - full["psnr"], 2)


def _verdict(delta: dict[str, Any] | None, published: float | None) -> str:
    """Whether the sign of ours is the paper's; `undecided` where a t-test over the seeds does not tell it from 0."""
    if delta is None or published is None:
        return ""
    seeds = delta["seeds"]
    if seeds < 2 or abs(delta["mean"]) <= student_t.ppf(CERTAINTY, seeds - 1) * delta["std"] / math.sqrt(seeds):
        return "undecided"
    return "agrees" if (delta["mean"] > 0) == (published > 0) else "disagrees"


def write_sheets(plan: Plan, work: Work, folder: Path) -> list[Path]:
    """One picture per setting of the anchors: unseen views of held-out worlds, the truth first, then every row."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for anchors in plan.anchors:
        columns = [("truth", _true_column(Sets(work.sets)))]
        for row in plan.rows:
            path = work.run(anchors, row, 0) / PICTURE_NAME
            if path.exists():
                columns.append((row.name, np.asarray(Image.open(path))))
        if len(columns) > 1:
            written.append(folder / f"ablations-anchors-{anchors}.png")
            with replacing(written[-1]) as temporary:
                _sheet(columns).save(temporary)
    return written


def _true_column(sets: Sets) -> np.ndarray:
    paths = sorted((sets.root / "truth").glob("*.npz"))[:SHOWN]
    return np.concatenate([to_bytes(load_truth(path).rgb[0]) for path in paths])


def _sheet(columns: list[tuple[str, np.ndarray]]) -> Image.Image:
    height, width = (_ENLARGED * side for side in columns[0][1].shape[:2])
    cell = width + _GAP
    whole = Image.new("RGB", (cell * len(columns) - _GAP, height + _LABEL), "white")
    draw = ImageDraw.Draw(whole)
    for index, (name, column) in enumerate(columns):
        draw.multiline_text((index * cell, 0), _two_lines(name), fill="black", spacing=1)
        picture = Image.fromarray(column).resize((width, height), Image.Resampling.NEAREST)
        whole.paste(picture, (index * cell, _LABEL))
    return whole


def _two_lines(name: str) -> str:
    """A label broken at the space nearest to its middle."""
    spaces = [index for index, letter in enumerate(name) if letter == " "]
    if len(name) < _LABEL or not spaces:
        return name
    middle = min(spaces, key=lambda index: abs(index - len(name) // 2))
    return f"{name[:middle]}\n{name[middle + 1 :]}"
