# SPDX-License-Identifier: Apache-2.0
"""Videos of prompts, as the dynamic half of a data set begins; ViPE then gives them cameras and depth.

`<out>/<name>.mp4`, and `videos.jsonl` that says which prompt, seed and model each was made of.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.progress import Progress, no_progress
from lyra_core.synthesis.items import Item
from lyra_core.synthesis.video_file import encode_mp4
from lyra_core.video.text_to_video import DiffusersVideos
from lyra_core.weights.presets import load_preset

LIST_NAME = "videos.jsonl"


def film(items: Sequence[Item], generator: str, model: str, output: Path, progress: Progress = no_progress) -> int:
    """Makes the videos that are not there yet, in the size and length that a model takes; returns how many.

    Args:
        items: with prompts.
        generator: text-to-video pipeline, a downloaded name or a folder.
        model: preset that the data is for.
        output: folder of the videos; it is gone on with.
        progress: listens to the videos.

    Raises LyraError for items without prompt, a generator that is not there, and a folder made with other prompts.
    """
    if any(item.prompt is None for item in items):
        raise LyraError("videos are made of prompts: give --prompts, --worlds or --llm with --text-to-video.")
    preset = load_preset(model)
    output.mkdir(parents=True, exist_ok=True)
    rows = [{"name": item.name, "prompt": item.prompt, "seed": item.seed, "generator": generator} for item in items]
    _require_same(output / LIST_NAME, "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    todo = [item for item in items if not (output / f"{item.name}.mp4").exists()]
    videos = DiffusersVideos(generator) if todo else None
    for done, item in enumerate(todo):
        progress("videos", done, len(todo))
        assert videos is not None
        frames = videos(str(item.prompt), preset.frames, *preset.video_size, seed=item.seed)
        with replacing(output / f"{item.name}.mp4") as temporary:
            temporary.write_bytes(encode_mp4(frames))
    progress("videos", len(todo), len(todo))
    return len(todo)


def _require_same(path: Path, text: str) -> None:
    """Writes the list of a new folder, or compares it with what is there."""
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise LyraError(
                f"{path} lists other videos. Repeat the command it was begun with, or choose another folder."
            )
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
