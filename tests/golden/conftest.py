# SPDX-License-Identifier: Apache-2.0
"""Golden vectors of the published method: files in the folder `LYRA_GOLDEN_DIR` (default: this one)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from torch import Tensor

DIRECTORY = Path(os.environ.get("LYRA_GOLDEN_DIR", Path(__file__).parent))


@dataclass(frozen=True)
class Golden:
    """One safetensors file: its tensors and the text beside them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def json(self, name: str) -> Any:
        """One metadata entry that holds JSON."""
        return json.loads(self.metadata[name])

    def named(self, prefix: str) -> dict[str, Tensor]:
        """All tensors under a prefix, without it."""
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


@pytest.fixture(scope="session")
def golden_path() -> Callable[[str], Path]:
    """Finds a golden file; the test skips where it is absent."""

    def find(name: str) -> Path:
        path = DIRECTORY / name
        if not path.is_file():
            pytest.skip(f"golden file {name} is not in {DIRECTORY}")
        return path

    return find


@pytest.fixture(scope="session")
def golden(golden_path: Callable[[str], Path]) -> Callable[[str], Golden]:
    """Reads a golden file by its stem."""

    def read(name: str) -> Golden:
        with safe_open(golden_path(f"{name}.safetensors"), framework="pt") as file:
            return Golden({key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {})  # noqa: SIM118

    return read


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run decoder tests on the two shipped files and on any other decoder file that was dropped in."""
    if "decoder_file" in metafunc.fixturenames:
        found = {path.stem for path in DIRECTORY.glob("decoder_*.safetensors") if not path.stem.endswith("_grads")}
        names = sorted(found | {"decoder_static_tiny", "decoder_dynamic_tiny"})
        metafunc.parametrize("decoder_file", names, scope="module")
