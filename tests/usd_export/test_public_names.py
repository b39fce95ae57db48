# SPDX-License-Identifier: Apache-2.0
"""The package offers its names without loading what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

import usd_export


@pytest.mark.parametrize("name", usd_export.__all__)
def test_every_public_name_resolves(name: str) -> None:
    value = getattr(usd_export, name)
    assert value.__name__ == name
    assert value.__module__.startswith("usd_export.")
    assert name in dir(usd_export)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = usd_export.unknown


def test_import_is_light_and_names_are_loaded_on_use() -> None:
    heavy = "[name for name in ('torch', 'pxr', 'numpy', 'scipy', 'trimesh', 'lyra_core') if name in sys.modules]"
    code = (
        f"import sys, usd_export; print({heavy});"
        f"from usd_export import GaussianCloud; print({heavy});"
        f"usd_export.open_scene; print('pxr' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['numpy']", "True False"]
