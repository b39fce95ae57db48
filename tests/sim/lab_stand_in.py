# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the few parts of Isaac Lab that `lyra.sim.isaaclab` uses, built from facts in isaaclab_fields.json.

Configuration classes have exactly the fields that Isaac Lab's source has, so an invented one is a TypeError. Spawning
works on a real stage. The order of quaternions can be that of Isaac Lab 2 or 3.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
from copy import deepcopy
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from pxr import Gf, Usd, UsdGeom

FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("isaaclab_fields.json").read_text(encoding="utf-8"))
IDENTITY = {"2": (1.0, 0.0, 0.0, 0.0), "3": (0.0, 0.0, 0.0, 1.0)}
"""The default rotation in Isaac Lab 2 and 3, from the source of both."""


def configclass(cls: type) -> type:
    """A dataclass whose mutable defaults are copied, and whose instances share nothing with what they were given."""
    inherited = [inspect.get_annotations(base) for base in reversed(cls.__mro__)]
    cls.__annotations__ = {name: kind for names in inherited for name, kind in names.items()}
    for name in cls.__annotations__:
        default = _default(cls, name)
        is_field = isinstance(default, dataclasses.Field)
        setattr(cls, name, default if is_field else dataclasses.field(default_factory=partial(deepcopy, default)))
    cls.__post_init__ = _copy_members  # type: ignore[attr-defined]
    cls.replace = dataclasses.replace  # type: ignore[attr-defined]
    cls.copy = lambda self: dataclasses.replace(self)  # type: ignore[attr-defined]
    return dataclasses.dataclass(cls)


def _default(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
        fields = base.__dict__.get("__dataclass_fields__", {})
        if name in fields:
            return fields[name]
    raise TypeError(f"{cls.__name__}.{name} has no default; Isaac Lab's configclass refuses that")


def _copy_members(self: Any) -> None:
    for field in dataclasses.fields(self):
        value = getattr(self, field.name)
        if not callable(value):
            setattr(self, field.name, deepcopy(value))


def all_fields(name: str) -> dict[str, str]:
    """Fields of a class with those of its bases: name to default as source text."""
    facts = FACTS["classes"][name]
    known = [base for base in facts["bases"] if base in FACTS["classes"]]
    inherited = {field: default for base in known for field, default in all_fields(base).items()}
    return {**inherited, **facts["fields"]}


def make_class(name: str, **defaults: Any) -> type:
    """A configuration class with exactly the fields of Isaac Lab's; `defaults` replace what is no plain value there."""
    fields = all_fields(name)
    values = {field: defaults.get(field, _plain(text)) for field, text in fields.items()}
    return configclass(type(name, (), {**values, "__annotations__": dict.fromkeys(fields, "Any")}))


def _plain(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return dataclasses.MISSING if text == "MISSING" else None


class Lab:
    """The modules, and the stage that spawning works on."""

    def __init__(self, version: str) -> None:
        self.stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageUpAxis(self.stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(self.stage, 1.0)
        self.spawned: list[tuple[str, Any, Any]] = []
        state = make_class("InitialStateCfg", rot=IDENTITY[version])
        asset = make_class("AssetBaseCfg", init_state=state())
        asset.InitialStateCfg = state  # type: ignore[attr-defined]
        self.modules = {
            "isaaclab": ModuleType("isaaclab"),
            "isaaclab.assets": _module("isaaclab.assets", AssetBaseCfg=asset),
            "isaaclab.utils": _module("isaaclab.utils", configclass=configclass),
            "isaaclab.sim": _module(
                "isaaclab.sim", UsdFileCfg=make_class("UsdFileCfg"), spawn_from_usd=self._spawn_from_usd
            ),
        }

    def _spawn_from_usd(
        self, prim_path: str, cfg: Any, translation: Any = None, orientation: Any = None, **kwargs: Any
    ) -> Usd.Prim:
        """The real one's reference and translation; orientation is recorded as it came."""
        self.spawned.append((prim_path, translation, orientation))
        prim = self.stage.DefinePrim(prim_path, "Xform")
        prim.GetReferences().AddReference(cfg.usd_path)
        if translation is not None:
            UsdGeom.XformCommonAPI(prim).SetTranslate(Gf.Vec3d(*translation))
        return prim


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module
