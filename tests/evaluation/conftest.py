# SPDX-License-Identifier: Apache-2.0
"""One recording for all tests of this folder."""

from __future__ import annotations

import pytest

from .recording import Recording, record


@pytest.fixture(scope="session")
def recording() -> Recording:
    return record()
