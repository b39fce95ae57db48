# SPDX-License-Identifier: Apache-2.0
"""The storeys of the house: an import only points down, and importing a package is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "lyra_core": {"pxr"},
    "usd_export": {"torch", "lyra_core"},
    "exts/lyra.sim/lyra/sim": {"torch", "numpy", "lyra_core", "usd_export"},
}
PACKAGES = ("lyra_core", "usd_export")


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_down(package: str) -> None:
    files = [path for path in (ROOT / package).rglob("*.py") if "app" not in path.relative_to(ROOT / package).parts]
    assert files
    for path in files:
        assert not imported_modules(path) & FORBIDDEN[package], path


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_the_package_is_light(package: str) -> None:
    code = f"import sys, {package}; print([m for m in ('torch', 'pxr', 'diffusers', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_source_file_names_its_licence() -> None:
    for package in (*PACKAGES, "exts", "examples", "tests", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            assert path.read_text().startswith("# SPDX-License-Identifier: Apache-2.0\n"), path


def test_packages_carry_one_version() -> None:
    import lyra_core
    import usd_export

    assert lyra_core.__version__ == usd_export.__version__
    assert f"## [{lyra_core.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
