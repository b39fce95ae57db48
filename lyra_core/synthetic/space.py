# SPDX-License-Identifier: Apache-2.0
"""Who stands where: upright blocks that must not overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .objects.prop import Prop


@dataclass(frozen=True)
class Block:
    """An upright box: centre (x, y), half sizes along its own axes, turn `yaw` [rad], and the height it spans [m]."""

    x: float
    y: float
    half_x: float
    half_y: float
    yaw: float = 0.0
    low: float = 0.0
    high: float = 10.0

    def corners(self) -> list[tuple[float, float]]:
        """The four corners seen from above."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return [
            (self.x + c * a * self.half_x - s * b * self.half_y, self.y + s * a * self.half_x + c * b * self.half_y)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]

    def overlaps(self, other: Block, gap: float = 0.0) -> bool:
        """Whether the two blocks come closer than `gap` [m] (separating axes in plan, intervals in height)."""
        if self.high <= other.low + 1e-6 or other.high <= self.low + 1e-6:
            return False
        mine, theirs = self.corners(), other.corners()
        for yaw in (self.yaw, other.yaw):
            for ax, ay in ((math.cos(yaw), math.sin(yaw)), (-math.sin(yaw), math.cos(yaw))):
                a = [x * ax + y * ay for x, y in mine]
                b = [x * ax + y * ay for x, y in theirs]
                if max(a) + gap <= min(b) or max(b) + gap <= min(a):
                    return False
        return True


def block_of(prop: Prop, x: float, y: float, yaw: float = 0.0, z: float = 0.0) -> Block:
    """The room that `prop` (in its own axes) takes after it is moved to (x, y, z) and turned."""
    low, high = prop.bounds()
    cx, cy = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
    c, s = math.cos(yaw), math.sin(yaw)
    return Block(
        x + c * cx - s * cy,
        y + s * cx + c * cy,
        (high[0] - low[0]) / 2,
        (high[1] - low[1]) / 2,
        yaw,
        low[2] + z,
        high[2] + z,
    )


@dataclass
class Space:
    """A rectangle of floor [m] and the blocks that stand in it."""

    low: tuple[float, float]
    high: tuple[float, float]
    blocks: list[Block] = field(default_factory=list)

    def fits(self, block: Block, gap: float = 0.06) -> bool:
        """Whether the block lies inside the rectangle and keeps `gap` [m] from every other."""
        inside = all(self.low[0] <= x <= self.high[0] and self.low[1] <= y <= self.high[1] for x, y in block.corners())
        return inside and not any(block.overlaps(other, gap) for other in self.blocks)

    def take(self, block: Block) -> None:
        """Mark the block's room as taken."""
        self.blocks.append(block)
