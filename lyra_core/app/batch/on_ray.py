# SPDX-License-Identifier: Apache-2.0
"""Workers as actors of a Ray cluster, fed by Ray Data; the batch's folder must be shared by all machines.

Ray restarts actors that die and gives their work to others without end, so every try is noted in the folder first: a
scene that ends its actor again and again is let go.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lyra_core.app.batch.maker import Maker, Orders, Outcome
from lyra_core.app.batch.processes import Result
from lyra_core.app.batch.wishes import Wish
from lyra_core.errors import LyraError

_TRIES = ".tries"


class _Actor:
    """A worker; rows are plain dictionaries."""

    def __init__(self, orders: Orders, tries: int, run: str) -> None:
        self._maker, self._tries = Maker(orders), tries
        self._notes = orders.root / f"{_TRIES}-{run}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        wish = Wish.model_validate_json(row["wish"])
        outcome = Outcome("again", "it ended its worker")
        note = self._notes / wish.name
        for _ in range(_count(note), self._tries):
            with note.open("ab") as file:
                file.write(b".")
            outcome = self._maker(wish)
            if outcome.end != "again":
                break
        return {"wish": row["wish"], **outcome._asdict()}


def _count(note: Path) -> int:
    return note.stat().st_size if note.exists() else 0


def run_on_ray(
    orders: Orders, wishes: Sequence[Wish], *, address: str, workers: int, tries: int, run: str
) -> Iterator[Result]:
    """What becomes of the wishes, in the order in which they are done.

    Args:
        orders: for every worker.
        wishes: to be made.
        address: of the cluster, as `ray.init` takes it.
        workers: actors; each gets a GPU where the cluster has some.
        tries: of one scene.
        run: name of this run.

    Raises LyraError when Ray is not installed or the cluster cannot be reached.
    """
    try:
        ray, data = import_module("ray"), import_module("ray.data")
    except ImportError as error:
        raise LyraError("--ray needs Ray: `pip install 'lyra-sim[batch]'`.") from error
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LyraError(f"no Ray cluster at {address} ({error}). `ray start --head` starts one.") from error
    notes = orders.root / f"{_TRIES}-{run}"
    notes.mkdir(exist_ok=True)
    gpus = 1 if ray.cluster_resources().get("GPU", 0) >= workers else 0
    rows = data.from_items([{"wish": wish.model_dump_json()} for wish in wishes])
    made = rows.map(
        _Actor, fn_constructor_args=(orders, tries, run), compute=data.ActorPoolStrategy(size=workers),
        num_cpus=orders.threads, num_gpus=gpus,
    )  # fmt: skip
    for row in made.iter_rows():
        yield Wish.model_validate_json(row["wish"]), Outcome(row["end"], row["reason"])
    shutil.rmtree(notes, ignore_errors=True)
