# SPDX-License-Identifier: Apache-2.0
"""Options of `lyra generate` about effort and memory. Imports nothing heavy, so that help is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from lyra_core.weights.quality import QUALITIES, QualityName

_MEANING = "; ".join(f"`{name}`: {quality.text}" for name, quality in QUALITIES.items())

Quality = Annotated[
    QualityName, typer.Option(metavar="HOW", help=f"{_MEANING}. It never changes the number of Gaussians.")
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Steps of the teacher's sampler, whatever the quality says; its time is proportional to them. As "
        "published: 35. A model without a sampler, such as `mini`, refuses it.",
    ),
]
Vram = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=65536,
        metavar="GIB",
        help="Plan for this much GPU memory instead of all that is free, e.g. `--vram 24`: less memory takes longer. "
        "What is chosen, and why, is printed; `lyra models info MODEL --plan --vram GIB` shows it without a run.",
    ),
]
Ram = Annotated[
    float | None,
    typer.Option(
        min=0.5,
        max=65536,
        metavar="GIB",
        help="The same for main memory, which is what counts where there is no GPU, e.g. `--ram 8`.",
    ),
]
