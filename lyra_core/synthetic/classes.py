# SPDX-License-Identifier: Apache-2.0
"""Names behind the per-pixel class ids."""

from __future__ import annotations

from .objects import CATALOG

STRUCTURE = ("background", "wall", "floor", "ceiling", "grass", "road", "pavement", "hill")
_PARTS = ("pot", "monitor", "tv", "vise", "box", "tote")

CLASSES: tuple[str, ...] = (*STRUCTURE, *sorted({*CATALOG, *_PARTS}))
"""Class names; `RenderedViews.class_id` indexes this tuple."""

CLASS_INDEX: dict[str, int] = {name: index for index, name in enumerate(CLASSES)}
