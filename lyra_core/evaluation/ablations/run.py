# SPDX-License-Identifier: Apache-2.0
"""Trains and scores every line of an ablation table, in any number of sittings.

`results.jsonl` in the work folder holds one JSON object per finished (anchors, row, seed); a killed training goes on
from the step it had saved.
"""

from __future__ import annotations

import io
import json
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lyra_core.distillation.stage_run import WEIGHTS_NAME
from lyra_core.distillation.stages import Stage
from lyra_core.distillation.train_clips import ClipTraining, train_on_clips
from lyra_core.distillation.train_decoder import training_pipeline
from lyra_core.errors import LyraError
from lyra_core.evaluation.ablations.data import Sets, write_sets
from lyra_core.evaluation.ablations.plan import Plan, Row, slug
from lyra_core.evaluation.ablations.scoring import score
from lyra_core.files import replacing
from lyra_core.images import write_image
from lyra_core.progress import Progress, no_progress
from lyra_core.weights.quantized import load_weights

PLAN_NAME, RESULTS_NAME, PICTURE_NAME = "plan.json", "results.jsonl", "views.png"

Key = tuple[str, str, int]
"""Anchors, row, seed."""


@dataclass(frozen=True)
class Work:
    """The folder of a table in the making."""

    root: Path

    @property
    def sets(self) -> Path:
        """Its clips."""
        return self.root / "data"

    def run(self, anchors: str, row: Row, seed: int) -> Path:
        """Folder of one training."""
        return self.root / "runs" / anchors / slug(row.name) / str(seed)

    def results(self) -> dict[Key, dict[str, Any]]:
        """All finished lines; one that was cut off by a kill counts as not there."""
        path = self.root / RESULTS_NAME
        found = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                result = json.loads(line)
            except json.JSONDecodeError:
                continue
            found[result["anchors"], result["row"], result["seed"]] = result
        return found


def run_table(plan: Plan, root: Path, *, progress: Progress = no_progress) -> Work:
    """Makes what is missing of a table.

    Args:
        plan: rows, seeds, budget.
        root: work folder; made if its parent exists.
        progress: counts worlds, then trainings.

    Raises LyraError for a folder that was begun with another plan, and as `train_on_clips`.
    """
    work = Work(root)
    _claim(work, plan)
    # The corridor is the same for all rows but in what the decoder reads.
    pipeline = training_pipeline(plan.stage_of(plan.rows[0], next(iter(plan.anchors))).model)
    sets = write_sets(pipeline, work.sets, plan.worlds, plan.heldout, progress)
    runs, known = plan.runs(), work.results()
    for done, (anchors, seed, row) in enumerate(runs):
        progress("trainings", done, len(runs))
        if (anchors, row.name, seed) not in known:
            result = train_and_score(plan.stage_of(row, anchors), row, seed, sets, work.run(anchors, row, seed))
            _append(root / RESULTS_NAME, {"anchors": anchors, "row": row.name, "seed": seed, **result})
    progress("trainings", len(runs), len(runs))
    return work


def train_and_score(stage: Stage, row: Row, seed: int, sets: Sets, out: Path) -> dict[str, Any]:
    """One training and its figures; `PICTURE_NAME` in `out` shows unseen views of the first held-out worlds."""
    out.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    with redirect_stdout(io.StringIO()):  # the run's log.jsonl says the same
        train_on_clips(stage, sets.clips(row.data), out, seed=seed, threads=torch.get_num_threads())
    seconds = time.process_time() - began
    training = ClipTraining(stage, sets.clips(row.data), seed=seed, device=_device())
    training.decoder.load_state_dict(load_weights(out / WEIGHTS_NAME))
    training.decoder.eval()
    figures = score(training, row.inputs, sets)
    write_image(out / PICTURE_NAME, figures.pictures.flatten(0, 1))
    return {
        "teacher": figures.teacher,
        "truth": figures.truth,
        "gaussians": figures.gaussians,
        "perceptual": training.distance.name,
        "parameters": sum(p.numel() for p in training.decoder.parameters() if p.requires_grad),
        "steps": stage.steps,
        "processor_seconds": seconds,
    }


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _claim(work: Work, plan: Plan) -> None:
    """Raises LyraError where the folder belongs to another plan."""
    if not work.root.absolute().parent.is_dir():
        raise LyraError(f"folder {work.root.absolute().parent} does not exist. Create it, or choose another --data.")
    work.root.mkdir(exist_ok=True)
    path, wanted = work.root / PLAN_NAME, plan.model_dump(mode="json")
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LyraError(f"{path} is damaged. Choose another --data, or remove the folder.") from error
    differing = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if differing:
        raise LyraError(
            f"{work.root} was begun with another plan ({', '.join(differing)}). Its figures cannot stand in one table "
            "with new ones: give the plan it was begun with, or another --data."
        )


def _append(path: Path, result: dict[str, Any]) -> None:
    """Adds a line; after a torn one, on a line of its own."""
    torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if torn else "") + json.dumps(result) + "\n")
