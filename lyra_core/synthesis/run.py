# SPDX-License-Identifier: Apache-2.0
"""Making a data set, or a machine's share of it; always resumable.

A killed run loses at most the video each worker was at. A sample that cannot be made is recorded with its reason, tried
again by the next run, and never replaced by another; its shard stays open until it is made or its failure is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lyra_core.errors import LyraError
from lyra_core.progress import Progress, no_progress
from lyra_core.synthesis.card import write_card
from lyra_core.synthesis.job import Job
from lyra_core.synthesis.store import open_store
from lyra_core.synthesis.workers import Effort, outcomes


@dataclass(frozen=True)
class Share:
    """Which of `parts` equal parts of a data set a machine makes; `part` runs from 0."""

    part: int = 0
    parts: int = 1

    def groups(self, job: Job) -> range:
        """Numbers of the groups of a job that belong to this part."""
        return range(self.part, len(job.groups), self.parts)

    @classmethod
    def parse(cls, text: str) -> Share:
        """From "i/n". Raises LyraError for anything else, and for i outside 0 .. n - 1."""
        try:
            part, parts = (int(number) for number in text.split("/"))
        except ValueError:
            part, parts = -1, 0
        if not 0 <= part < parts:
            raise LyraError(f"{text!r} is no part of a data set. Give i/n, e.g. 0/4 to 3/4 on four machines.")
        return cls(part, parts)


WHOLE = Share()
ALONE = Effort()


@dataclass
class Report:
    """What a run did with its share.

    Attributes:
        made: how many samples it made.
        kept: how many were there before.
        failed: reasons by name, for those that are still missing.
    """

    made: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def synthesize(job: Job, share: Share = WHOLE, effort: Effort = ALONE, progress: Progress = no_progress) -> Report:
    """Makes a share of a data set, or the rest of it, and brings the card up to date.

    Raises:
        LyraError: wrong settings, a missing model, a worker that was killed.
        OSError: the folder cannot be written to.
    """
    job.prepare()
    work = _Work(job, share.groups(job))
    report = Report(kept=work.total - len(work.todo))
    progress("samples", report.kept, work.total)
    for done, (name, reason) in enumerate(outcomes(job, work.todo, effort), start=report.kept + 1):
        if reason is None:
            report.made += 1
            work.finish(name)
        else:
            report.failed[name] = reason
        progress("samples", done, work.total)
    if effort.accept_failures:
        work.accept(report.failed)
    work.store.clear()
    write_card(job.root)
    return report


class _Work:
    """What is left to do in some groups; groups without are completed at once.

    Attributes:
        store: of the samples.
        total: number of samples in these groups.
        todo: items that are not finished, in order.
    """

    def __init__(self, job: Job, groups: range) -> None:
        self.store = open_store(job)
        self._group = {item.name: group for group in groups for item in job.groups[group]}
        finished = {name for group in groups for name in self.store.finished(group)}
        self.total = len(self._group)
        self.todo = [item for item in job.items if item.name in self._group and item.name not in finished]
        self._left = {group: {item.name for item in job.groups[group]} - finished for group in groups}
        for group in groups:
            self._complete_if_done(group)

    def finish(self, name: str) -> None:
        """A sample has been made."""
        group = self._group[name]
        self._left[group].discard(name)
        self._complete_if_done(group)

    def accept(self, failed: Mapping[str, str]) -> None:
        """Completes the other groups without the samples that failed."""
        for group, names in self._left.items():
            if names:
                self.store.complete(group, {name: failed[name] for name in names})

    def _complete_if_done(self, group: int) -> None:
        if not self._left[group]:
            self.store.complete(group, {})
