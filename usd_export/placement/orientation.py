# SPDX-License-Identifier: Apache-2.0
"""Which way is up: axis conventions of input files, rotations asked for by a user, and the floor below both."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError
from usd_export.frame import FLOOR_PERCENTILE, Frame, estimate_frame
from usd_export.options import Up
from usd_export.placement.floor import find_floor_height

Array = NDArray[np.float64]
Triple = tuple[float, float, float]


# Shortest rotations that take the named axis to +z; -z keeps x.
_TO_Z_UP = {
    "x": [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    "y": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "z": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "-x": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    "-y": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "-z": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
}


def upright(frame: Frame, up: Up, points: NDArray[np.floating], to_input: Array) -> Frame:
    """Replace the vertical of a frame by what the user says about the input.

    Args:
        frame: Local to world; its scale is kept.
        up: An axis of the input is taken exactly and only the height of the floor is searched; "opencv" is a hint
            (x right, y down, z forward, camera at the origin) that the floor corrects; "auto" keeps the frame.
        points: Opaque local points [N, 3].
        to_input: Matrix [4, 4] from local coordinates to those of the input file.

    Raises:
        UsdExportError: If there are no finite points, or `up` is unknown.
    """
    if up == "auto":
        return frame
    metres = frame.scale / np.linalg.det(to_input[:3, :3]) ** (1 / 3)  # per unit of the input
    if up == "opencv":
        in_input = points @ to_input[:3, :3].T + to_input[:3, 3]
        levelled = estimate_frame(
            in_input, np.eye(4), metres, frame.scale_source,
            metric=frame.metric, scale_uncertainty=frame.scale_uncertainty,
        )  # fmt: skip
        return levelled.after(to_input)
    if up not in _TO_Z_UP:
        raise UsdExportError(f"'{up}' is no vertical; use one of {', '.join(get_args(Up))}")
    matrix = np.eye(4)
    matrix[:3, :3] = metres * np.array(_TO_Z_UP[up])
    turned = replace(frame, matrix=matrix, up_source=f"axis {up} of the input, as the user says")
    return on_floor(turned.after(to_input), points)


def rotated(frame: Frame, degrees: Triple, points: NDArray[np.floating]) -> Frame:
    """Turn the world about its x axis, then y, then z, counter-clockwise; a tilted scene is put on its floor again.

    Args:
        frame: Local to world.
        degrees: Angles about the world axes.
        points: Opaque local points [N, 3].
    """
    rotation = rotation_matrix(degrees)
    angles = ", ".join(f"{angle:g}" for angle in degrees)
    turned = replace(frame.turned(rotation), up_source=f"{frame.up_source}; then rotated by {angles} degrees")
    return turned if np.allclose(rotation[2], [0, 0, 1]) else on_floor(turned, points)


def rotation_matrix(degrees: Triple) -> Array:
    """Rotation [3, 3] about the fixed axes x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def on_floor(frame: Frame, points: NDArray[np.floating]) -> Frame:
    """Move the world along z so that the floor under local points [N, 3] lies at z = 0.

    Raises:
        UsdExportError: If there are no finite points.
    """
    world = frame.apply(points[np.isfinite(points).all(axis=1)])
    if len(world) == 0:
        raise UsdExportError("the scene has no finite points to place a floor under")
    found = find_floor_height(world)
    if found is None:
        height = float(np.percentile(world[:, 2], FLOOR_PERCENTILE))
        source = f"height below which {FLOOR_PERCENTILE:g} % of the points lie: no floor plane was found"
    else:
        height, support = found
        source = f"lowest dominant height, through {100 * support:.0f} % of the points"
    return replace(frame.moved(np.array([0, 0, -height])), floor_source=source)


def recentred(frame: Frame, points: NDArray[np.floating]) -> Frame:
    """Move the world horizontally so that the middle of local points [N, 3] is at x = y = 0; the floor stays.

    The middle is that of the 1st and 99th percentile, lest a few floaters decide.
    """
    low, high = np.percentile(frame.apply(points)[:, :2], [1, 99], axis=0)
    return frame.moved(np.append(-0.5 * (low + high), 0.0))
