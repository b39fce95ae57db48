# SPDX-License-Identifier: Apache-2.0
"""Contact sheets: a few frames of a scene, the truth above, ours below."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lyra_core.files import replacing
from lyra_core.images import to_bytes

_GAP, _TEXT = 4, 14


class ContactSheet:
    """Collects pairs of equal size and writes them side by side.

    Attributes:
        columns: pairs that fit.
    """

    columns = 6

    def __init__(self, title: str) -> None:
        self.title = title
        self.pairs: list[tuple[Tensor, Tensor, str]] = []

    def add(self, truth: Tensor, ours: Tensor, label: str) -> None:
        """One pair of pictures `[H, W, 3]` in [0, 1]."""
        self.pairs.append((truth, ours, label))

    def save(self, path: Path) -> None:
        """Writes the sheet as a picture; the folder is made."""
        height, width = self.pairs[0][0].shape[:2]
        cell = width + _GAP
        sheet = Image.new("RGB", (cell * len(self.pairs) + _GAP, 2 * (height + _GAP) + 2 * _TEXT + _GAP), "white")
        draw = ImageDraw.Draw(sheet)
        draw.text((_GAP, 1), f"{self.title}: truth above, ours below", fill="black")
        for column, (truth, ours, label) in enumerate(self.pairs):
            left, top = _GAP + column * cell, 2 * _TEXT
            draw.text((left, _TEXT), label, fill="black")
            column_picture = torch.cat((truth, torch.ones(_GAP, width, 3), ours.cpu()))
            sheet.paste(Image.fromarray(to_bytes(column_picture)), (left, top))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            sheet.save(temporary)
