# SPDX-License-Identifier: Apache-2.0
"""The pair of files that ROS' map_server loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usd_export.files import replacing

OCCUPIED_THRESHOLD = 0.65
FREE_THRESHOLD = 0.196
"""The thresholds and grey values that map_saver writes: unknown, (255 - 205) / 255 = 0.1961, is just not free."""
_FREE, _OCCUPIED, _UNKNOWN = np.uint8(254), np.uint8(0), np.uint8(205)


def write_ros_map(
    folder: Path, free: NDArray[np.bool_], occupied: NDArray[np.bool_], origin: NDArray[np.float64], resolution: float
) -> list[Path]:
    """Write `map.yaml` and `map.pgm` in mode trinary.

    Args:
        folder: Existing folder; older maps in it are replaced.
        free: Cells [rows, columns], row 0 at the lowest y. The image has the top row, the highest y, first.
        occupied: Cells [rows, columns]; what is neither is unknown.
        origin: x, y of the lower-left corner of the map, metres.
        resolution: Metres per pixel.

    Returns:
        The yaml, which refers to the image beside it, and the image.

    Raises:
        UsdExportError: If the folder does not exist or cannot be written.
    """
    grey = np.select([occupied, free], [_OCCUPIED, _FREE], _UNKNOWN)
    description, image = folder / "map.yaml", folder / "map.pgm"
    with replacing(image) as file:
        header = f"P5\n{grey.shape[1]} {grey.shape[0]}\n255\n"
        file.write_bytes(header.encode("ascii") + np.ascontiguousarray(grey[::-1]).tobytes())
    with replacing(description) as file:
        file.write_text(
            f"image: {image.name}\n"
            "mode: trinary\n"
            f"resolution: {resolution:.6f}\n"
            f"origin: [{origin[0]:.6f}, {origin[1]:.6f}, 0.000000]\n"
            "negate: 0\n"
            f"occupied_thresh: {OCCUPIED_THRESHOLD}\n"
            f"free_thresh: {FREE_THRESHOLD}\n",
            encoding="ascii",
        )
    return [description, image]
