# SPDX-License-Identifier: Apache-2.0
"""Fields of Isaac Lab's configuration classes and methods of its classes, read from its source without importing it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path("isaaclab/source/isaaclab/isaaclab")
"""Where the wheel has the package, below site-packages."""

SOURCES = {
    "SpawnerCfg": "sim/spawners/spawner_cfg.py",
    "RigidObjectSpawnerCfg": "sim/spawners/spawner_cfg.py",
    "DeformableObjectSpawnerCfg": "sim/spawners/spawner_cfg.py",
    "FileCfg": "sim/spawners/from_files/from_files_cfg.py",
    "UsdFileCfg": "sim/spawners/from_files/from_files_cfg.py",
    "ShapeCfg": "sim/spawners/shapes/shapes_cfg.py",
    "CuboidCfg": "sim/spawners/shapes/shapes_cfg.py",
    "VisualMaterialCfg": "sim/spawners/materials/visual_materials_cfg.py",
    "PreviewSurfaceCfg": "sim/spawners/materials/visual_materials_cfg.py",
    "RigidBodyPropertiesCfg": "sim/schemas/schemas_cfg.py",
    "MassPropertiesCfg": "sim/schemas/schemas_cfg.py",
    "CollisionPropertiesCfg": "sim/schemas/schemas_cfg.py",
    "SimulationCfg": "sim/simulation_cfg.py",
    "SimulationContext": "sim/simulation_context.py",
    "AssetBase": "assets/asset_base.py",
    "AssetBaseCfg": "assets/asset_base_cfg.py",
    "InitialStateCfg": "assets/asset_base_cfg.py",
    "RigidObject": "assets/rigid_object/rigid_object.py",
    "RigidObjectCfg": "assets/rigid_object/rigid_object_cfg.py",
    "RigidObjectData": "assets/rigid_object/rigid_object_data.py",
    "InteractiveScene": "scene/interactive_scene.py",
    "InteractiveSceneCfg": "scene/interactive_scene_cfg.py",
    "TerrainImporterCfg": "terrains/terrain_importer_cfg.py",
    "DirectRLEnv": "envs/direct_rl_env.py",
    "DirectRLEnvCfg": "envs/direct_rl_env_cfg.py",
    "AppLauncher": "app/app_launcher.py",
}
"""Class -> file below the package."""

FUNCTIONS = {"spawn_from_usd": "sim/spawners/from_files/from_files.py", "clone": "sim/utils/prims.py"}
"""Function -> file below the package."""


@dataclass(frozen=True)
class LabClass:
    """A class as its source has it: bases by name, fields with their default as source text, methods."""

    bases: tuple[str, ...]
    fields: dict[str, str]
    methods: tuple[str, ...]


def read_class(package: Path, name: str) -> LabClass:
    """One class of the package."""
    for node in ast.walk(ast.parse((package / SOURCES[name]).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _described(node)
    raise LookupError(f"{SOURCES[name]} has no class {name}")


def _described(node: ast.ClassDef) -> LabClass:
    fields: dict[str, str] = {}
    methods = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            fields[item.target.id] = ast.unparse(item.value) if item.value else ""
        elif isinstance(item, ast.Assign):
            fields.update(
                {target.id: ast.unparse(item.value) for target in item.targets if isinstance(target, ast.Name)}
            )
        elif isinstance(item, ast.FunctionDef):
            methods.append(item.name)
    bases = tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)
    return LabClass(bases, fields, tuple(dict.fromkeys(methods)))


def read_parameters(package: Path, name: str) -> list[str]:
    """Names of the parameters of one function of the package, `**` before the one that takes the rest."""
    for node in ast.walk(ast.parse((package / FUNCTIONS[name]).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            rest = [f"**{node.args.kwarg.arg}"] if node.args.kwarg else []
            return [argument.arg for argument in node.args.args] + rest
    raise LookupError(f"{FUNCTIONS[name]} has no function {name}")
