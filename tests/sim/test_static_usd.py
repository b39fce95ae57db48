# SPDX-License-Identifier: Apache-2.0
"""The extension calls only what OpenUSD 24.05, that of Isaac Sim 5, has: newer names are known, and not used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from fake_kit.places import extension_files

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tests" / "fake_kit" / "newer_usd_names.txt"
NEWER = {name for line in LIST.read_text().splitlines() if not line.startswith("#") for name in line.split()}
FILES = [path for path, _place in extension_files(ROOT / "exts" / "lyra.sim")]


def newer_names(source: str) -> set[object]:
    """Names that a file takes from an object or a module and that old USD does not have."""
    tree = ast.parse(source)
    attributes: set[object] = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    texts = {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "getattr"
        and len(node.args) == 2  # with a default it asks whether there is such a name
        and isinstance(node.args[1], ast.Constant)
    }
    return (attributes | texts) & NEWER


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_newer_name_is_used(path: Path) -> None:
    assert newer_names(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "call",
    [
        "UsdVol.ParticleField3DGaussianSplat.Define(stage, '/a')",
        "form.AddTranslateXOp()",
        "getattr(attribute, 'SetSpline')()",
        "Usd.Attribute.ClearArraySizeConstraint",
    ],
)
def test_a_newer_name_is_found(call: str) -> None:
    assert newer_names(f"def f(stage):\n    from pxr import Usd, UsdVol\n    {call}")


def test_older_names_are_let_through() -> None:
    assert newer_names("stage.DefinePrim('/a', 'ParticleField3DGaussianSplat').GetPayloads().AddPayload('b')") == set()
    assert newer_names("getattr(UsdVol, 'ParticleField3DGaussianSplat', None)") == set()
