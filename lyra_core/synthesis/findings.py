# SPDX-License-Identifier: Apache-2.0
"""What an examination of a data set found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lyra_core.errors import LyraError


@dataclass
class CheckReport:
    """What an examination found.

    Attributes:
        samples: how many were examined.
        errors: what makes samples unusable, one sentence each, with the place.
        warnings: what may be meant so, or could not be examined.
    """

    samples: int = 0
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turns an error of the block into a finding, so that the examination goes on."""
        try:
            yield
        except LyraError as error:
            self.errors.append(str(error))
