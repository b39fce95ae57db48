# SPDX-License-Identifier: Apache-2.0
"""Who makes samples: this process, several processes of this machine, or the actors of a Ray cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Literal, NamedTuple

import torch

from lyra_core.checkpoints import Checkpoints
from lyra_core.errors import LyraError
from lyra_core.faults import GpuLost, OutOfMemory
from lyra_core.memory.placement import run_with_plans
from lyra_core.pipeline import LyraPipeline
from lyra_core.synthesis.engine import make_sample
from lyra_core.synthesis.items import Item
from lyra_core.synthesis.job import Job
from lyra_core.synthesis.store import open_store, remove_stages
from lyra_core.synthesis.video_engine import make_video_sample

Runner = Literal["processes", "ray"]


@dataclass(frozen=True)
class Effort:
    """How a run works; nothing here changes what it makes.

    Attributes:
        workers: processes here, or actors on the cluster.
        threads: CPU threads of each; other numbers may change last digits.
        retries: immediate further tries after an unexpected failure.
        accept_failures: close shards without the samples that could not be made; their index names them.
        runner: "processes" on this machine, "ray" on a cluster that shares the folder.
    """

    workers: int = 1
    threads: int = 1
    retries: int = 1
    accept_failures: bool = False
    runner: Runner = "processes"


class Outcome(NamedTuple):
    """What became of an item; `reason` is None where it was made."""

    name: str
    reason: str | None


class Worker:
    """Makes samples one after another; the model is loaded once, with the first of them."""

    def __init__(self, job: Job, retries: int) -> None:
        self.retries = retries
        self.model = job.model
        self.store = open_store(job)

    @cached_property
    def pipeline(self) -> LyraPipeline:
        """The model."""
        return LyraPipeline.from_pretrained(self.model)

    def __call__(self, item: Item) -> Outcome:
        """Makes and keeps a sample, or records why not.

        Raises what concerns all samples: OSError where files cannot be written, GpuLost, LyraError where there is no
        model.
        """
        pipeline = self.pipeline
        reason = None
        for _ in range(1 + self.retries):
            try:
                self._make(pipeline, item)
            except (OSError, GpuLost):
                raise
            except OutOfMemory as error:  # what is finished of the sample is good
                reason = str(error)
            except LyraError as error:  # it would fail in the same way again, and what is kept of it is no good
                reason = str(error)
                remove_stages(self.store, item.name)
                break
            except Exception as error:  # the other samples are worth going on for
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            else:
                self.store.forget_failure(item.name)
                return Outcome(item.name, None)
        self.store.record_failure(item.name, reason or "")
        return Outcome(item.name, reason)

    def _make(self, pipeline: LyraPipeline, item: Item) -> None:
        stages = Checkpoints(self.store.stages_folder(item.name))
        make = make_sample if item.video is None else make_video_sample
        self.store.write(run_with_plans(pipeline, lambda: make(pipeline, item, recall=stages)))
        remove_stages(self.store, item.name)


def outcomes(job: Job, items: Sequence[Item], effort: Effort) -> Iterator[Outcome]:
    """What becomes of items, in the order in which they are done.

    Raises what `Worker` raises, and LyraError when one was killed.
    """
    if not items:
        return
    if effort.runner == "ray":
        yield from _on_ray(job, items, effort)
    elif effort.workers == 1:
        with _threads(effort.threads):
            yield from map(Worker(job, effort.retries), items)
    else:
        yield from _in_processes(job, items, effort)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_worker: Worker
"""The one of this process, in processes that `_in_processes` starts."""


def _start(job: Job, effort: Effort) -> None:
    global _worker
    torch.set_num_threads(effort.threads)
    _worker = Worker(job, effort.retries)


def _work(item: Item) -> Outcome:
    return _worker(item)


def _in_processes(job: Job, items: Sequence[Item], effort: Effort) -> Iterator[Outcome]:
    pool = ProcessPoolExecutor(
        effort.workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(job, effort)
    )
    try:
        for future in as_completed([pool.submit(_work, item) for item in items]):
            yield future.result()
    except BrokenProcessPool as error:
        raise LyraError(
            "a worker process was killed, most likely for lack of memory. What is finished is kept: run the command "
            "again with fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Actor:
    """A worker of the Ray cluster; rows are plain dictionaries."""

    def __init__(self, job: Job, effort: Effort) -> None:
        torch.set_num_threads(effort.threads)
        self.worker = Worker(job, effort.retries)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return self.worker(Item.model_validate_json(row["item"]))._asdict()


def _on_ray(job: Job, items: Sequence[Item], effort: Effort) -> Iterator[Outcome]:
    try:
        data = import_module("ray.data")
    except ImportError as error:
        raise LyraError("--runner ray needs Ray: `pip install 'lyra-sim[batch]'`.") from error
    rows = data.from_items([{"item": item.model_dump_json()} for item in items])
    made = rows.map(
        _Actor, fn_constructor_args=(job, effort), compute=data.ActorPoolStrategy(size=effort.workers),
        num_cpus=effort.threads, num_gpus=1 if torch.cuda.is_available() else 0,
    )  # fmt: skip
    for row in made.iter_rows():
        yield Outcome(**row)
