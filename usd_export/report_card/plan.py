# SPDX-License-Identifier: Apache-2.0
"""The picture from above: floor, holes, bodies and route."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from usd_export.report_card.drop_test import RADIUS, Drops
from usd_export.report_card.floor_level import find_holes
from usd_export.report_card.floor_map import FloorMap
from usd_export.report_card.judgement import Picture
from usd_export.report_card.pictures import ALARM, NOTHING, Rgb, png
from usd_export.report_card.rollout import Rollout
from usd_export.report_card.subject import SolidMesh

_MADE_UP, _SEEN, _FREE = (58, 54, 74), (112, 118, 132), (198, 206, 216)
_REST, _WARN, _ROUTE, _EYE = (38, 142, 92), (240, 170, 40), (48, 98, 200), (150, 90, 205)
_INK = (255, 255, 255)
_LONGEST = 900  # pixels
_LEAST_DOT = 5.0  # pixels of radius
_MARGIN = 0.4  # metres around everything that is drawn

CAPTION = (
    "From above, +Y up. Light: free floor; grey: floor under or beside things; dark violet: made up beyond the "
    "picture; red areas: visible floor without collider. Dots: balls and cubes at rest (green), fallen or moving "
    "(red), on unseen matter (amber). Blue: route of the capsule, red where it was not driven. Violet: viewpoints."
)


def draw_plan(
    floor: FloorMap, mesh: SolidMesh, viewpoints: NDArray[np.float64], drops: Drops | None, rollout: Rollout | None
) -> Picture:
    """Draw what was tested where."""
    raster = np.zeros((*floor.seen.shape, 3), np.uint8) + np.array(NOTHING, np.uint8)
    for cells, color in ((floor.made_up, _MADE_UP), (floor.seen, _SEEN), (floor.free, _FREE)):
        raster[cells] = color
    raster[find_holes(floor, mesh)] = ALARM
    sheet = _Sheet(raster, floor, viewpoints)
    if rollout is not None:
        sheet.line(rollout.route, ALARM)
        sheet.line(rollout.route[: rollout.driven], _ROUTE)
    if drops is not None:
        for spot, bad, lifted in zip(drops.spots, drops.through | drops.moving, drops.lifted, strict=True):
            sheet.dot(spot, RADIUS / floor.cell, ALARM if bad else _WARN if lifted else _REST)
    for viewpoint in viewpoints:
        sheet.dot(viewpoint, 0.5, _EYE)
    sheet.ruler()
    return Picture(CAPTION, png(np.asarray(sheet.image)))


class _Sheet:
    """The part of a raster [x, y] in which something is shown, enlarged, to draw on in world metres."""

    def __init__(self, raster: Rgb, floor: FloorMap, viewpoints: NDArray[np.float64]) -> None:
        shown = floor.low + np.argwhere(floor.seen | floor.made_up) * floor.cell
        places = np.concatenate([shown, shown + floor.cell, viewpoints[:, :2]])
        first, last = (
            np.rint((corner - floor.low) / floor.cell).astype(int)
            for corner in (places.min(axis=0) - _MARGIN, places.max(axis=0) + _MARGIN)
        )
        before, after = np.maximum(-first, 0), np.maximum(last - raster.shape[:2], 0)
        padded = np.stack(
            [
                np.pad(raster[..., k], list(zip(before, after, strict=True)), constant_values=NOTHING[k])
                for k in range(3)
            ],
            axis=-1,
        )
        begin, end = first + before, last + before
        cut = padded[begin[0] : end[0], begin[1] : end[1]]
        self.zoom = max(1, _LONGEST // max(cut.shape[:2]))
        self.image = Image.fromarray(
            np.ascontiguousarray(cut.transpose(1, 0, 2)[::-1]).repeat(self.zoom, 0).repeat(self.zoom, 1)
        )
        self._low, self._cell = floor.low + first * floor.cell, floor.cell
        self._pen = ImageDraw.Draw(self.image)

    def line(self, points: NDArray[np.float64], color: tuple[int, int, int]) -> None:
        """A line through world points [S, 3]."""
        if len(points) > 1:
            self._pen.line([self._pixel(point) for point in points], fill=color, width=max(2, self.zoom // 2))

    def dot(self, point: NDArray[np.float64], radius: float, color: tuple[int, int, int]) -> None:
        """A dot at a world point [3]; the radius is in cells."""
        x, y = self._pixel(point)
        radius = max(_LEAST_DOT, radius * self.zoom)
        self._pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=_INK)

    def ruler(self) -> None:
        """One metre, in the lower left corner."""
        left, bottom, length = 12, self.image.height - 12, self.zoom / self._cell
        self._pen.line((left, bottom, left + length, bottom), fill=_INK, width=3)
        self._pen.text((left, bottom - 6), "1 m", fill=_INK, anchor="lb", font=ImageFont.load_default(16))

    def _pixel(self, point: NDArray[np.float64]) -> tuple[float, float]:
        x, y = (point[:2] - self._low) / self._cell * self.zoom
        return float(x), float(self.image.height - y)
