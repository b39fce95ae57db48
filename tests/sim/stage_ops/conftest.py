# SPDX-License-Identifier: Apache-2.0
"""A real scene folder, and stages to put it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from lyra.sim import stage_ops
from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh, ColliderReport
from usd_export.frame import Frame
from usd_export.prims.cameras import CameraPath
from usd_export.scene_writer import write_scene

MakeStage = Callable[..., Usd.Stage]


def gaussians(count: int = 30) -> GaussianCloud:
    """Random Gaussians of degree 0."""
    random = np.random.default_rng(3)
    rotations = random.normal(size=(count, 4))
    arrays = (
        random.normal(size=(count, 3)),
        np.exp(random.uniform(-5, -1, size=(count, 3))),
        rotations / np.linalg.norm(rotations, axis=1, keepdims=True),
        random.uniform(size=count),
        random.normal(size=(count, 1, 3)),
    )
    return GaussianCloud(*(array.astype(np.float32) for array in arrays))


def labelled_floor() -> ColliderMesh:
    """A tetrahedron whose first side is a floor and whose others are walls."""
    vertices = np.array([[-1, -1, 0], [2, -1, 0], [-1, 2, 0], [-1, -1, 2]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    report = ColliderReport(1.5, 0.5, 4, True, 0.05, ())
    return ColliderMesh(vertices, triangles, report, np.array([0, 1, 1, 1], np.uint8))


def tilted_frame() -> Frame:
    """A frame whose rotation is not symmetric, so that a transposed matrix shows."""
    a = 0.7
    matrix = np.eye(4)
    matrix[:3, :3] = 2.5 * np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    matrix[:3, 3] = [0.3, -1.2, 1.6]
    return Frame(matrix, "measured", "floor", "plane", metric=True)


@pytest.fixture(scope="session")
def written_asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a universal scene: both encodings, labelled collider, cameras."""
    folder = tmp_path_factory.mktemp("written") / "scene"
    poses = np.stack([np.eye(4), np.eye(4)])
    cameras = [CameraPath("path", poses, np.array([50.0, 50, 32, 24]), 64, 48)]
    write_scene(folder, gaussians(), tilted_frame(), collider=labelled_floor(), cameras=cameras, encoding="universal")
    return folder


@pytest.fixture
def asset(written_asset: Path, tmp_path: Path) -> Path:
    """Root layer of a copy of that scene, which a test may move or damage."""
    folder = tmp_path / "job" / "scene"
    folder.mkdir(parents=True)
    for file in written_asset.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / "scene.usda"


@pytest.fixture
def make_stage() -> MakeStage:
    """Stages by unit [m], up axis and, unless they live in memory, file; with a default prim and two other prims."""

    def make(unit: float = 1.0, axis: str = "Z", file: Path | None = None) -> Usd.Stage:
        stage = Usd.Stage.CreateNew(str(file)) if file else Usd.Stage.CreateInMemory()
        UsdGeom.SetStageMetersPerUnit(stage, unit)
        UsdGeom.SetStageUpAxis(stage, axis)
        stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
        UsdGeom.Cube.Define(stage, "/World/Robot").AddTranslateOp().Set((1, 0, 0))
        UsdGeom.Sphere.Define(stage, "/Ball")
        return stage

    return make


@pytest.fixture
def stage(make_stage: MakeStage) -> Usd.Stage:
    """A stage in metres, Z up, in memory."""
    return make_stage()


@pytest.fixture
def spawn(asset: Path) -> Callable[..., stage_ops.Spawned]:
    """Spawns the scene with chosen fields of the request."""

    def put(stage: Usd.Stage, **fields: object) -> stage_ops.Spawned:
        return stage_ops.spawn(stage, stage_ops.SpawnRequest(**{"usd_file": asset, **fields}))

    return put


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Path]:
    """Writes USD files of other programs: one mesh below a default prim, with chosen metadata."""

    def write(name: str = "foreign.usda", metadata: str = "", body: str = "", default: str = "Thing") -> Path:
        file = tmp_path / name
        default_prim = f'defaultPrim = "{default}"' if default else ""
        file.write_text(f'#usda 1.0\n(\n{default_prim}\n{metadata}\n)\ndef Xform "Thing"\n{{\n{body}\n}}\n')
        return file

    return write


@pytest.fixture
def texts() -> Callable[[Usd.Stage], dict[str, str]]:
    """The text of every layer of a stage that can be edited."""

    def export(stage: Usd.Stage) -> dict[str, str]:
        layers: list[Sdf.Layer] = stage.GetLayerStack()
        return {layer.identifier: layer.ExportToString() for layer in layers}

    return export
