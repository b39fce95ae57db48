# SPDX-License-Identifier: Apache-2.0
"""The picture from above: floor, holes, bodies and route."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from usd_export.report_card.drop_test import RADIUS, Drops
from usd_export.report_card.floor_level import find_holes
from usd_export.report_card.floor_map import FloorMap
from usd_export.report_card.judgement import Picture
from usd_export.report_card.pictures import ALARM, NOTHING, png
from usd_export.report_card.rollout import Rollout
from usd_export.report_card.subject import SolidMesh

_SEEN, _FREE = (92, 98, 112), (198, 206, 216)
_REST, _WARN, _ROUTE, _EYE = (38, 142, 92), (240, 170, 40), (48, 98, 200), (120, 60, 170)
_LONGEST = 900  # pixels

CAPTION = (
    "From above, +Y up. Light: free floor; dark grey: floor under or beside things; red areas: visible floor without "
    "collider. Dots: balls and cubes at rest (green), fallen or moving (red), on unseen matter (amber). "
    "Blue: route of the capsule, red where it was not driven. Violet: viewpoints."
)


def draw_plan(
    floor: FloorMap, mesh: SolidMesh, viewpoints: NDArray[np.float64], drops: Drops | None, rollout: Rollout | None
) -> Picture:
    """Draw what was tested where."""
    zoom = max(1, _LONGEST // max(floor.seen.shape))
    raster = np.zeros((*floor.seen.shape, 3), np.uint8) + np.array(NOTHING, np.uint8)
    raster[floor.seen], raster[floor.free] = _SEEN, _FREE
    raster[find_holes(floor, mesh)] = ALARM
    image = Image.fromarray(np.ascontiguousarray(raster.transpose(1, 0, 2)[::-1]).repeat(zoom, 0).repeat(zoom, 1))
    pen = ImageDraw.Draw(image)

    def pixel(point: NDArray[np.float64]) -> tuple[float, float]:
        x, y = (point[:2] - floor.low) / floor.cell * zoom
        return float(x), float(image.height - y)

    def dot(point: NDArray[np.float64], radius: float, color: tuple[int, int, int]) -> None:
        x, y = pixel(point)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=(255, 255, 255))

    if rollout is not None:
        way = [pixel(point) for point in rollout.route]
        pen.line(way, fill=ALARM, width=max(2, zoom // 2))
        if rollout.driven > 1:
            pen.line(way[: rollout.driven], fill=_ROUTE, width=max(2, zoom // 2))
    if drops is not None:
        for spot, bad, lifted in zip(drops.spots, drops.through | drops.moving, drops.lifted, strict=True):
            dot(spot, RADIUS / floor.cell * zoom, ALARM if bad else _WARN if lifted else _REST)
    for viewpoint in viewpoints:
        dot(viewpoint, max(3.0, zoom / 2), _EYE)
    return Picture(CAPTION, png(np.asarray(image)))
