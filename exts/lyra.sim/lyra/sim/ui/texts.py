# SPDX-License-Identifier: Apache-2.0
"""Sentences of the window: plain functions from facts to text, so that every wording can be tested without Kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..jobs import JobState

if TYPE_CHECKING:
    from ..jobs import Job
    from ..protocol import Manifest, Model, ProbeReport

NOT_CHECKED = "The worker has not been checked yet. Press Check to see whether it is ready."
CHECKING = "Checking the worker…"
NO_RESULT = "No scene yet. It will be described here: what it is good for, its size, and what to watch out for."
NOT_RESPONDING = (
    "The worker has been silent for a while. Wait, or press Cancel to stop it; nothing is lost but this job."
)


def duration(seconds: float) -> str:
    """`75.3` -> `1:15`; hours only when there are some."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def file_size(count: int) -> str:
    """Bytes in decimal units, as file managers and disk makers count."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}" if size < 9.95 and unit != "bytes" else f"{size:.0f} {unit}"


def extent(box: Mapping[str, Sequence[float]]) -> str:
    """Edge lengths of a box {"min", "max"} in metres, along x, y and z."""
    edges = [high - low for low, high in zip(box["min"], box["max"], strict=True)]
    return " × ".join(f"{edge:.1f}" if edge < 100 else f"{edge:.0f}" for edge in edges) + " m"


def progress_fraction(job: Job) -> float:
    """Fill of the progress bar in [0, 1]: what the worker reported, 0 while it cannot tell."""
    if job.state is JobState.DONE:
        return 1.0
    return 0.0 if job.is_over or job.fraction is None else job.fraction


def progress(job: Job, now: float) -> str:
    """Phase, step, elapsed and remaining time; what is not known is said to be unknown, never estimated here."""
    elapsed = duration(job.elapsed_s(now))
    if job.state is JobState.DONE:
        return f"Done in {elapsed}."
    if job.state is JobState.FAILED:
        return f"Stopped after {elapsed}: it did not work, see the message above."
    if job.state is JobState.CANCELLED:
        return f"Cancelled after {elapsed}."
    if job.state is JobState.CANCELLING:
        return f"Cancelling, the worker is being stopped · {elapsed} elapsed"
    remaining = "remaining time unknown" if job.eta_s is None else f"about {duration(job.eta_s)} remaining"
    return f"{_phase(job)} · {elapsed} elapsed · {remaining}"


def _phase(job: Job) -> str:
    if job.state is JobState.STARTING or not job.phase:
        return "Starting the worker"
    name = job.phase.replace("_", " ")
    name = name[:1].upper() + name[1:]
    return f"{name}: step {job.step} of {job.total}" if job.total > 1 else name


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def result(manifest: Manifest) -> str:
    """What a finished scene is good for, how big it is, and what to watch out for; one fact a line."""
    lines = [
        f"{manifest.gaussians:,} Gaussians · {extent(manifest.bounds_m)} · {file_size(manifest.bytes)} on disk",
        _viewpoints(manifest.trusted_viewpoints_m),
        _scale(manifest),
        _collider(manifest.collider),
    ]
    if manifest.time_range:
        lines.append(_time(manifest.time_range))
    return "\n".join([*lines, *(f"Note: {_sentence(str(warning))}" for warning in manifest.warnings)])


def _viewpoints(box: Mapping[str, Any] | None) -> str:
    if not box:
        return "Where the picture can be trusted is not known: look around before you place cameras."
    center = [(low + high) / 2 for low, high in zip(box["min"], box["max"], strict=True)]
    middle = ", ".join(f"{axis} {value:.1f}" for axis, value in zip("xyz", center, strict=True))
    return (
        f"Good views: cameras inside a box of {extent(box)} around ({middle}), in the scene's own metres, z up. "
        "Farther out, or looking behind things, surfaces were never seen and are made up."
    )


def _scale(manifest: Manifest) -> str:
    source = f" ({manifest.scale_source})" if manifest.scale_source else ""
    if manifest.metric:
        return f"Scale: metric{source}."
    return f"Scale: not measured{source}. Set the camera height if sizes matter, and generate again."


def _collider(report: Mapping[str, Any] | None) -> str:
    return "Colliders: included." if report else "Colliders: none, objects will fall through."


def _time(time_range: Mapping[str, Any]) -> str:
    first, last, rate = time_range["start"], time_range["end"], time_range["time_codes_per_second"]
    length = f" for {(last - first) / rate:.1f} s" if rate > 0 else ""
    return f"Moves over time{length}: time codes {first:g} to {last:g}."


def scene_summary(manifest: Manifest) -> str:
    """The line below a past scene's title."""
    scale = "metric" if manifest.metric else "assumed scale"
    return f"{manifest.gaussians:,} Gaussians · {extent(manifest.bounds_m)} · {scale} · {manifest.model}"


def broken_scene(folder: str, reason: str) -> str:
    """Why a folder among the scenes cannot be used."""
    return f"{folder} cannot be used: {_sentence(reason)}"


def model_label(model: Model) -> str:
    """A model and whether it can be used."""
    return f"{model.name}: {model.summary or model.quality_tier}" if model.ready else f"{model.name}: not ready"


def environment(report: ProbeReport) -> str:
    """What the worker's Python offers, then what is wrong with it, one problem a line."""
    facts = [f"Python {report.python}"]
    facts += [f"{name} {report.versions[name]}" for name in ("lyra-sim", "torch") if name in report.versions]
    facts += [f"{gpu.name} ({file_size(gpu.memory_bytes)})" for gpu in report.gpus] or [
        "no GPU, everything runs on the CPU"
    ]
    facts.append(f"{file_size(report.disk_free_bytes)} free on disk")
    not_ready = [
        f"Model {model.name} is not ready: {_sentence(model.detail)}" for model in report.models if not model.ready
    ]
    state = "Ready" if any(model.ready for model in report.models) else "No model is ready"
    return "\n".join([f"{state}: {', '.join(facts)}.", *map(_sentence, report.problems), *not_ready])
