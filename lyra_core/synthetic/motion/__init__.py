# SPDX-License-Identifier: Apache-2.0
"""Procedural worlds in which things move, with the exact truth at every time."""

from .moving_world import MovingWorld
from .rigid import Part

__all__ = ["MovingWorld", "Part"]
