# SPDX-License-Identifier: Apache-2.0
"""`catalog.json` and `catalog.usda`: the scenes of a batch, for domain randomisation.

The JSON lists scenes with their files, relative to itself. The USD file has one prim `/Scenes` with a variant set
`scene`, one variant per scene, each a payload: nothing is loaded but the variant that is selected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from lyra_core.app.batch.store import SCENE_FILE, Store
from lyra_core.app.batch.wishes import Wish
from lyra_core.files import replacing

CATALOG_JSON, CATALOG_USD = "catalog.json", "catalog.usda"
_VERSION = 1


def write_catalog(store: Store, wishes: Sequence[Wish]) -> None:
    """Writes both files, for scenes that are finished."""
    entries = [{"name": wish.name, "usd": f"scenes/{wish.name}/{SCENE_FILE}", **store.about(wish)} for wish in wishes]
    with replacing(store.root / CATALOG_JSON) as temporary:
        content = json.dumps({"version": _VERSION, "scenes": entries}, indent=2, ensure_ascii=False)
        temporary.write_text(content + "\n", encoding="utf-8")
    with replacing(store.root / CATALOG_USD) as temporary:
        temporary.write_text(_usd(entries), encoding="utf-8")


def _usd(entries: Sequence[dict[str, Any]]) -> str:
    from pxr import Sdf, Usd, UsdGeom

    stage = Usd.Stage.CreateInMemory(Usd.Stage.LoadNone)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/Scenes").GetPrim()
    stage.SetDefaultPrim(root)
    scenes = root.GetVariantSets().AddVariantSet("scene")
    for entry in entries:
        name = re.sub(r"\W", "_", entry["name"])
        scenes.AddVariant(name)
        scenes.SetVariantSelection(name)
        with scenes.GetVariantEditContext():
            root.GetPayloads().AddPayload(Sdf.Payload(f"./{entry['usd']}"))
    if entries:
        scenes.SetVariantSelection(re.sub(r"\W", "_", entries[0]["name"]))
    return str(stage.GetRootLayer().ExportToString())
