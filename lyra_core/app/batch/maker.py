# SPDX-License-Identifier: Apache-2.0
"""Makes one scene after another with models that stay loaded, in a process of this machine or on a cluster."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lyra_core.app.batch.store import REPORT_FOLDER, SCENE_FILE, Store
from lyra_core.app.batch.wishes import Wish
from lyra_core.app.generate import GenerateRequest, Summary, generate
from lyra_core.app.jobs.failures import failure
from lyra_core.app.jobs.warm import Pipelines
from lyra_core.app.phases import PhaseListener

End = Literal["made", "failed", "again", "disk full"]
"""What became of a wish: "again" is worth another try at once, "disk full" is once there is space."""

_SUMMARY = ("gaussians", "bounds_m", "metric", "scale_source", "model", "warnings")


class Outcome(NamedTuple):
    """How a try ended."""

    end: End
    reason: str = ""


@dataclass(frozen=True)
class Orders:
    """What holds for all scenes of a run.

    Attributes:
        root: folder of the batch.
        threads: CPU threads of each worker.
        judge: whether every scene gets a report card.
    """

    root: Path
    threads: int = 1
    judge: bool = True


class Maker:
    """Makes scenes."""

    def __init__(self, orders: Orders) -> None:
        import torch

        torch.set_num_threads(orders.threads)
        self._store, self._judge = Store(orders.root), orders.judge
        self._pipelines = Pipelines()

    def __call__(self, wish: Wish) -> Outcome:
        """Makes a scene, or says why not; nothing is raised for what concerns this scene alone."""
        listener = PhaseListener()
        try:
            self._make(wish, listener)
        except Exception as error:
            problem = failure(error, listener.phase)
            if problem.code == "disk_full":
                return Outcome("disk full", problem.msg)
            worth_a_try = problem.retryable or problem.code == "internal"
            return Outcome("again" if worth_a_try else "failed", problem.msg)
        return Outcome("made")

    def _make(self, wish: Wish, listener: PhaseListener) -> None:
        work = self._store.workplace(wish.name)
        work.mkdir(exist_ok=True)
        about = _about(wish, generate(_request(wish, work / SCENE_FILE), listener, self._pipelines))
        if self._judge:
            from usd_export.report_card import report_card

            listener("check", 0, 1)
            card = report_card(work / SCENE_FILE, directory=work / REPORT_FOLDER)
            about |= {"verdict": card.verdict, "findings": [finding.message for finding in card.findings]}
        self._store.finish(wish, about)


def _request(wish: Wish, output: Path) -> GenerateRequest:
    from usd_export.arguments import parse_length

    line = wish.text
    height = line.camera_height
    return GenerateRequest(
        output,
        prompt=line.prompt,
        image=line.image,
        depth=line.depth,
        model=line.model,
        seed=wish.seed,
        quality=line.quality,
        max_gaussians=line.max_gaussians,
        collider_preset=line.collider_preset,
        encoding=line.encoding,
        camera_height=None if height is None else parse_length(height, "camera_height"),
    )


def _about(wish: Wish, summary: Summary) -> dict[str, Any]:
    facts = asdict(summary)
    seconds = round(sum(summary.seconds.values()), 1)
    return {
        "title": wish.title, "seed": wish.seed, "line": wish.line, "seconds": seconds, "process": os.getpid(),
        **{name: facts[name] for name in _SUMMARY},
    }  # fmt: skip
