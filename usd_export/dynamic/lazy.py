# SPDX-License-Identifier: Apache-2.0
"""Sequences of clouds of which one is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.placement.cropping import select


@dataclass(frozen=True)
class LazyClouds(Sequence[GaussianCloud]):
    """Clouds that are made anew at each access.

    Attributes:
        sources: What each is made from.
        make: Makes one.
    """

    sources: Sequence[Any]
    make: Callable[[Any], GaussianCloud]

    def __len__(self) -> int:
        return len(self.sources)

    @overload
    def __getitem__(self, index: int) -> GaussianCloud: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[GaussianCloud]: ...

    def __getitem__(self, index: int | slice) -> GaussianCloud | Sequence[GaussianCloud]:
        if isinstance(index, slice):
            return replace(self, sources=self.sources[index])
        return self.make(self.sources[index])


def selected(clouds: Sequence[GaussianCloud], rows: NDArray[np.integer]) -> LazyClouds:
    """Some rows of each cloud of a sequence."""
    return LazyClouds(clouds, lambda cloud: select(cloud, rows))
