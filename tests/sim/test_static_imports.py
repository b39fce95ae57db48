# SPDX-License-Identifier: Apache-2.0
"""Importing the extension is light: it loads no Kit module, no pxr, no numpy and no torch, and needs Python only."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fake_kit.places import Place, extension_files

EXTENSION = Path(__file__).parents[2] / "exts" / "lyra.sim"
FILES = dict(extension_files(EXTENSION))
KIT_ROOTS = {"carb", "omni", "isaacsim", "isaaclab"}
HEAVY = sorted({*KIT_ROOTS, "pxr", "numpy", "torch", "lyra_core", "usd_export"})


def imports(source: str) -> list[tuple[str, bool]]:
    """(root module or relative path, whether it is loaded together with the file) of every import."""
    tree = ast.parse(source)
    late = {id(child) for node in ast.walk(tree) if _is_late(node) for child in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], id(node) not in late) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "") if node.level else (node.module or "").split(".")[0]
            found.append((name, id(node) not in late))
    return found


def _is_late(node: ast.AST) -> bool:
    """Whether what lies below runs later than the import of the file, or never."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test).endswith("TYPE_CHECKING")
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def loaded_too_early(source: str, place: Place) -> set[str]:
    """Modules that a file may load inside functions at most, but loads with itself."""
    allowed = KIT_ROOTS if place in (Place.KIT, Place.TESTS, Place.ISAAC_LAB) else set()
    early = {name for name, at_once in imports(source) if at_once and not name.startswith(".")}
    return early - allowed - set(sys.stdlib_module_names) - {"lyra"}


def from_elsewhere(source: str) -> set[str]:
    """Modules that come neither with Python nor with Kit, wherever they are imported."""
    known = {*sys.stdlib_module_names, *KIT_ROOTS, "pxr", "lyra"}
    return {name for name, _at_once in imports(source) if not name.startswith(".")} - known


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXTENSION).as_posix())
def test_modules_load_what_they_may(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert loaded_too_early(source, FILES[path]) == set()
    assert from_elsewhere(source) == set()


@pytest.mark.parametrize("module", ["omni.ui", "carb", "pxr", "numpy", "torch", "isaacsim", "PIL", "lyra_core"])
def test_an_import_that_is_too_early_is_found(module: str) -> None:
    for source in (
        f"import {module}",
        f"from {module} import a",
        f"try:\n    import {module}\nexcept ImportError:\n    a = 1",
    ):
        assert loaded_too_early(source, Place.FREE)
    for source in (f"class A:\n    import {module}", f"if a:\n    import {module}"):
        assert loaded_too_early(source, Place.FREE)


@pytest.mark.parametrize("module", ["numpy", "torch", "pydantic", "lyra_core", "usd_export"])
def test_a_package_from_elsewhere_is_found(module: str) -> None:
    assert from_elsewhere(f"def f():\n    from {module}.a import b") == {module}


def test_late_imports_are_let_through() -> None:
    source = """
        from __future__ import annotations
        import json
        from typing import TYPE_CHECKING
        from . import jobs
        if TYPE_CHECKING:
            from pxr import Usd
        def f():
            from pxr import Sdf
            import omni.ui
        """
    assert loaded_too_early(textwrap.dedent(source), Place.FREE) == set()
    assert loaded_too_early("import omni.ui\nimport pxr", Place.KIT) == {"pxr"}


def loaded_by(code: str, path: Path) -> list[str]:
    """Heavy modules in a fresh Python with one folder on its path, after some code."""
    report = f"import sys; print(*sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n{code}\n{report}"],
        capture_output=True,
        text=True,
        cwd=path,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import lyra.sim", EXTENSION) == []


def test_every_module_without_kit_can_be_imported_in_plain_python() -> None:
    free = [path for path, place in FILES.items() if place in (Place.FREE, Place.LAZY)]
    names = [".".join(path.relative_to(EXTENSION).with_suffix("").parts).removesuffix(".__init__") for path in free]
    assert "lyra.sim.api" in names
    assert loaded_by("\n".join(f"import {name}" for name in names), EXTENSION) == []


def test_a_heavy_import_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "omni").mkdir()
    (tmp_path / "omni" / "ui.py").write_text("")
    (tmp_path / "careless.py").write_text("import omni.ui\n")
    assert loaded_by("import careless", tmp_path) == ["omni"]
