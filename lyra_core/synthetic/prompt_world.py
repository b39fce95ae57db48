# SPDX-License-Identifier: Apache-2.0
"""From a sentence to a world in which what was asked for can be seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from lyra_core.progress import Progress, no_progress

from .grammar import World, make_world, plural
from .prompt import PromptReading, read_prompt
from .request import Item
from .tracer import object_pixels

_ATTEMPTS = 12
_PROBE = (176, 99)  # size of the picture in which visibility is counted
_SEEN = 12  # pixels of the probe that make a thing "in view"
_SEED_STEP = 1_000_003


@dataclass(frozen=True)
class _Tally:
    """How well one world serves the request: missing things, and how large the wanted ones appear."""

    missing: Counter[str]
    pixels: int


def world_from_prompt(text: str, seed: int, progress: Progress = no_progress) -> tuple[World, PromptReading]:
    """Build the world a prompt describes.

    Several layouts are tried; the one in which most of the wanted things are visible from the base camera is kept,
    and whatever is still missing is named in `reading.notices`.

    Raises:
        LyraError: the prompt is empty.
    """
    reading = read_prompt(text)
    best: tuple[World, _Tally] | None = None
    for attempt in range(_ATTEMPTS):
        progress("world", attempt, _ATTEMPTS)
        roomier = 1.0 if attempt < _ATTEMPTS // 2 else 1.12
        request = replace(reading.request, size=reading.request.size * roomier)
        world = make_world(seed + attempt * _SEED_STEP, reading.theme, request)
        tally = _tally(world, reading.request.items)
        if best is None or (tally.missing.total(), -tally.pixels) < (best[1].missing.total(), -best[1].pixels):
            best = (world, tally)
        if not tally.missing:
            break
    assert best is not None
    progress("world", _ATTEMPTS, _ATTEMPTS)
    notices = [*reading.notices, *_complaints(best[1].missing, reading.theme)]
    return best[0], replace(reading, notices=tuple(notices))


def _tally(world: World, items: tuple[Item, ...]) -> _Tally:
    """Count the wanted things that are in view, in the wanted colours."""
    pixels = object_pixels(world.packed, world.base_camera(*_PROBE))
    seen = [thing for thing in world.placed if pixels.get(thing.object_id, 0) >= _SEEN]
    missing: Counter[str] = Counter()
    total = 0
    for item in items:
        for index in range(item.count):
            color = item.color(index)
            match = next((t for t in seen if t.name == item.name and color in (None, t.color)), None)
            if match is not None:
                seen.remove(match)
                total += pixels[match.object_id]
            elif not (world.theme == "tabletop" and item.name in ("table", "desk")):
                missing[item.name if color is None else f"{color} {item.name}"] += 1
    return _Tally(missing, total)


def _complaints(missing: Counter[str], theme: str) -> list[str]:
    return [
        f"No good place in view for {count} {plural(name) if count > 1 else name} ({theme}, 70 degrees of view)."
        for name, count in missing.items()
    ]
