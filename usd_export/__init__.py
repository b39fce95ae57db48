# SPDX-License-Identifier: Apache-2.0
"""Gaussian clouds to USD scenes with colliders: numpy and usd-core, no torch.

Importing the package loads nothing heavy: the names below are looked up in their modules when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from usd_export.cloud import GaussianCloud
    from usd_export.collision import ColliderMesh, ColliderReport, DepthView, build_collider
    from usd_export.convert import Conversion, convert_scene
    from usd_export.dynamic.cloud import DynamicCloud
    from usd_export.dynamic.motion import Motion
    from usd_export.dynamic.reader import open_dynamic_scene
    from usd_export.errors import UsdExportError
    from usd_export.formats.compressed_ply import read_compressed_ply, write_compressed_ply
    from usd_export.formats.ply import read_ply, write_ply
    from usd_export.formats.spz import read_spz, write_spz
    from usd_export.frame import Frame, estimate_frame
    from usd_export.info import scene_info
    from usd_export.placement.baking import bake_frame
    from usd_export.provenance import SceneRecord
    from usd_export.rules.validation import Finding, check
    from usd_export.scene_reader import open_scene
    from usd_export.scene_writer import write_scene

__version__ = "0.1.0"

__all__ = [
    "ColliderMesh",
    "ColliderReport",
    "Conversion",
    "DepthView",
    "DynamicCloud",
    "Finding",
    "Frame",
    "GaussianCloud",
    "Motion",
    "SceneRecord",
    "UsdExportError",
    "bake_frame",
    "build_collider",
    "check",
    "convert_scene",
    "estimate_frame",
    "open_dynamic_scene",
    "open_scene",
    "read_compressed_ply",
    "read_ply",
    "read_spz",
    "scene_info",
    "write_compressed_ply",
    "write_ply",
    "write_scene",
    "write_spz",
]

_HOMES = {
    "placement.baking": ("bake_frame",),
    "cloud": ("GaussianCloud",),
    "collision": ("ColliderMesh", "ColliderReport", "DepthView", "build_collider"),
    "formats.compressed_ply": ("read_compressed_ply", "write_compressed_ply"),
    "convert": ("Conversion", "convert_scene"),
    "dynamic.cloud": ("DynamicCloud",),
    "dynamic.motion": ("Motion",),
    "dynamic.reader": ("open_dynamic_scene",),
    "errors": ("UsdExportError",),
    "frame": ("Frame", "estimate_frame"),
    "info": ("scene_info",),
    "formats.ply": ("read_ply", "write_ply"),
    "provenance": ("SceneRecord",),
    "scene_reader": ("open_scene",),
    "scene_writer": ("write_scene",),
    "formats.spz": ("read_spz", "write_spz"),
    "rules.validation": ("Finding", "check"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'usd_export' has no attribute '{name}'")
    return getattr(import_module(f"usd_export.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
