# SPDX-License-Identifier: Apache-2.0
"""A whole batch: what is left to do, who does it, and what is written down about it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lyra_core.app.batch.catalog import write_catalog
from lyra_core.app.batch.gallery import write_gallery
from lyra_core.app.batch.maker import Orders, Outcome
from lyra_core.app.batch.processes import Patience, Result, Supervisor
from lyra_core.app.batch.store import LOCK, Store
from lyra_core.app.batch.wishes import BadLine, Wish
from lyra_core.locks import locked
from lyra_core.progress import Progress, no_progress

PATIENCE = Patience()
_BUSY = "another `lyra batch` (process {holder}) works in {root}. Wait for it, or choose another folder."


@dataclass(frozen=True)
class Effort:
    """How a run works; nothing here changes what it makes.

    Attributes:
        workers: processes here, or actors on the cluster.
        threads: CPU threads of each.
        judge: whether every scene gets a report card.
        ray: address of a Ray cluster; None for processes of this machine.
        patience: when to give up.
    """

    workers: int = 1
    threads: int = 1
    judge: bool = True
    ray: str | None = None
    patience: Patience = PATIENCE


@dataclass
class Report:
    """What a run did.

    Attributes:
        made: scenes that it made.
        kept: scenes that were there before.
        failed: reasons by name, of those that are missing because of what was asked for.
        quarantined: reasons by name, of those that ended their workers, now or earlier.
        left: scenes that nobody has got to.
    """

    made: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    left: int = 0

    @property
    def complete(self) -> bool:
        """Whether every scene is there."""
        return not (self.failed or self.quarantined or self.left)


def run_batch(
    root: Path,
    wishes: Sequence[Wish],
    bad: Sequence[BadLine],
    effort: Effort,
    *,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda line: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Report:
    """Makes what is missing, then writes catalogue and gallery of all that is there.

    Args:
        root: folder of the batch, made if needed.
        wishes: all scenes that are asked for.
        bad: lines that ask for nothing that can be made.
        effort: how to work.
        progress: hears ("scenes", done, total).
        tell: hears what a user should know.
        stopping: asked now and then; True lets the running scenes finish and starts no others.

    Raises LyraError when the folder cannot be used, another run works in it, or the disk stays full.
    """
    store = Store(root)
    store.prepare()
    with locked(root / LOCK, lambda holder: _BUSY.format(holder=holder, root=root)):
        report = Report()
        todo = list(_left_to_do(store, wishes, report))
        for line in bad:
            store.record("failures", line, line.reason)
            report.failed[line.name] = line.reason
        progress("scenes", report.kept, len(wishes))
        report.left = len(todo)
        try:
            for wish, outcome in _results(root, todo, effort, tell, stopping):
                _note(store, wish, outcome, report)
                progress("scenes", len(wishes) - report.left, len(wishes))
        finally:
            there = [wish for wish in wishes if store.is_finished(wish)]
            write_catalog(store, there)
            write_gallery(store, there, {**report.failed, **report.quarantined}, report.left)
    return report


def _left_to_do(store: Store, wishes: Sequence[Wish], report: Report) -> Iterator[Wish]:
    for wish in wishes:
        reason = store.reason("quarantine", wish.name)
        if store.is_finished(wish):
            report.kept += 1
        elif reason is not None:
            report.quarantined[wish.name] = reason
        else:
            yield wish


def _results(
    root: Path, todo: Sequence[Wish], effort: Effort, tell: Callable[[str], None], stopping: Callable[[], bool]
) -> Iterator[Result]:
    orders = Orders(root, effort.threads, effort.judge)
    if not todo:
        return iter(())
    if effort.ray is not None:
        from lyra_core.app.batch.on_ray import run_on_ray

        return run_on_ray(
            orders, todo, address=effort.ray, workers=effort.workers, tries=effort.patience.tries,
            run=secrets.token_hex(4),
        )  # fmt: skip
    return Supervisor(orders, effort.workers, effort.patience, stopping, tell).run(todo)


def _note(store: Store, wish: Wish, outcome: Outcome, report: Report) -> None:
    report.left -= 1
    if outcome.end == "made":
        report.made += 1
    elif outcome.end == "again":
        store.record("quarantine", wish, outcome.reason)
        report.quarantined[wish.name] = outcome.reason
    else:
        store.record("failures", wish, outcome.reason)
        report.failed[wish.name] = outcome.reason
