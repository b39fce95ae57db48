# SPDX-License-Identifier: Apache-2.0
"""The suites of `lyra evaluate` that run on a folder of data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Clip
from lyra_core.evaluation.datasets.dl3dv import dl3dv_clips
from lyra_core.evaluation.datasets.lyra_set import lyra_clips
from lyra_core.evaluation.datasets.realestate10k import realestate10k_clips
from lyra_core.evaluation.datasets.tanks import tanks_clips
from lyra_core.evaluation.lyra_suite import evaluate_lyra
from lyra_core.evaluation.novel_views import Protocol, evaluate_clips
from lyra_core.evaluation.published import published_rows
from lyra_core.pipeline import LyraPipeline
from lyra_core.progress import Progress, no_progress

READERS: dict[str, Callable[[Path], Iterable[Clip]]] = {
    "re10k": realestate10k_clips,
    "dl3dv": dl3dv_clips,
    "tanks": tanks_clips,
}
"""Single image to novel views: name of the suite to what reads its data."""

DATA_SUITES = (*READERS, "lyra")


def evaluate_data(
    pipeline: LyraPipeline, suite: str, data: Path, protocol: Protocol, *, progress: Progress = no_progress
) -> dict[str, Any]:
    """Scores a model on a folder of real or generated clips.

    Returns:
        the report of `evaluate_clips` with suite, data and published (rows of papers for this suite, not re-run).

    Raises:
        LyraError: no such folder, nothing in it, or data that cannot be read.
    """
    if not data.is_dir():
        raise LyraError(f"data folder {data} does not exist. Give the folder of the data set with --data.")
    if suite == "lyra":
        generated = list(islice(lyra_clips(data), protocol.clips))
        report = evaluate_lyra(pipeline, generated, protocol, progress=progress)
    else:
        recorded = list(islice(READERS[suite](data), protocol.clips))
        report = evaluate_clips(pipeline, recorded, protocol, progress=progress)
    return {"suite": suite, "data": data.name, **report, "published": published_rows(suite)}
