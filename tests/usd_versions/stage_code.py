# SPDX-License-Identifier: Apache-2.0
"""What `usd_export` does with USD, run under one USD version: `python stage_code.py write FOLDER` and `read FOLDER`.

`write` writes every kind of scene and prints the authored values of all layers; `read` opens scenes that may come from
another version and prints what was read. Both print one JSON document.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf, Usd, Vt

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh, ColliderReport
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.motion import Motion
from usd_export.dynamic.reader import open_dynamic_scene
from usd_export.encodings.particle_field import read_particle_field
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.info import scene_info
from usd_export.prims.cameras import CameraPath
from usd_export.robotics import build_robotics
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

SCENES: dict[str, dict[str, Any]] = {
    "particlefield.usdz": {"encoding": "particlefield"},
    "half.usdz": {"encoding": "particlefield", "half": True},
    "nurec.usdz": {"encoding": "nurec"},
    "universal": {"encoding": "universal"},
}

MOTIONS = {
    "samples": Motion("samples"),
    "clips": Motion("clips", clip_bytes=20_000),
    "rigid": Motion("rigid"),
    "frames": Motion("frames"),
}


def cloud(count: int = 50) -> GaussianCloud:
    """Random Gaussians of degree 2."""
    random = np.random.default_rng(7)
    rotations = random.normal(size=(count, 4))
    arrays = (
        random.normal(size=(count, 3)),
        np.exp(random.uniform(-5, -1, size=(count, 3))),
        rotations / np.linalg.norm(rotations, axis=1, keepdims=True),
        random.uniform(size=count),
        random.normal(size=(count, 9, 3)),
    )
    return GaussianCloud(*(array.astype(np.float32) for array in arrays))


def moving() -> DynamicCloud:
    """Gaussians that change in every way over four instants, in two clusters and none."""
    instants = [cloud() for _ in range(4)]
    for number, instant in enumerate(instants):
        for name in ("positions", "scales", "rotations", "opacities", "sh"):
            values = getattr(instant, name)
            values[:] = np.roll(values, number, axis=0)
    return DynamicCloud(cloud(9), instants, np.array([0, 0.25, 0.5, 1.0]), np.repeat([0, 1, -1], [20, 20, 10]))


def slab() -> ColliderMesh:
    """A floor of 6 by 6 metres, 0.1 m thick, whose top lies at z = 0."""
    corners = np.array([[x, y, z] for z in (-0.1, 0.0) for y in (-3, 3) for x in (-3, 3)], np.float32)
    sides = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    triangles = np.array([[s[0], s[i], s[i + 1]] for s in sides for i in (1, 2)], np.int32)
    labels = np.array([3, 3, 0, 0] + [1] * 8, np.uint8)
    report = ColliderReport(36.0, 0.0, len(triangles), True, 0.05, ("a note",))
    return ColliderMesh(corners, triangles, report, labels, np.full(corners.shape, 128, np.uint8))


def write(folder: Path) -> dict[str, Any]:
    """Write all scenes; returns the values of their layers."""
    frame, collider = Frame.identity(), slab()
    eyes = np.array([[0.2, -2.0, 1.5], [0.9, -2.0, 1.7], [0.5, -1.6, 1.4]])
    parts: dict[str, Any] = {
        "collider": collider,
        "camera_hull": eyes,
        "provenance": {"seed": 1, "prompt": 'a "quoted" prompt', "models": {"a": [1, 2.5]}},
        "robotics": build_robotics(collider, frame, eyes),
        "cameras": [camera_path()],
        "physics_scene": True,
    }
    values = {}
    written = [write_scene(folder / name, cloud(), frame, **parts, **options) for name, options in SCENES.items()]
    written += [write_scene(folder / name, moving(), frame, motion=motion, **parts) for name, motion in MOTIONS.items()]
    for files in written:
        roots = [file for file in files if file.suffix in (".usda", ".usdz")]
        stages = [Usd.Stage.Open(str(root)) for root in roots]
        clips = [Sdf.Layer.FindOrOpen(str(file)) for file in files if file.name.startswith("moving_")]
        for layer in [*clips, *(layer for stage in stages for layer in stage.GetUsedLayers())]:
            if not layer.anonymous:
                values[str(Path(layer.realPath).relative_to(folder))] = layer_values(layer)
    return values


def camera_path() -> CameraPath:
    """Two poses that look along +y from eye height."""
    pose = np.array([[1, 0, 0, 0.5], [0, 0, 1, -2], [0, -1, 0, 1.5], [0, 0, 0, 1.0]])
    return CameraPath("path", np.stack([pose, pose]), np.array([50.0, 50, 32, 24]), 64, 48)


def layer_values(layer: Sdf.Layer) -> dict[str, Any]:
    """Everything that is authored in a layer, by path and field."""
    paths: list[Sdf.Path] = []
    layer.Traverse(Sdf.Path.absoluteRootPath, paths.append)
    values = {}
    for path in paths:
        spec = layer.GetObjectAtPath(path)
        if spec is not None:
            samples = {
                str(time): plain(layer.QueryTimeSample(path, time)) for time in layer.ListTimeSamplesForPath(path)
            }
            fields = {key: plain(spec.GetInfo(key)) for key in spec.ListInfoKeys() if key != "timeSamples"}
            values[str(path)] = {"kind": type(spec).__name__, "samples": samples, **fields}
    return values


def plain(value: Any) -> Any:
    """A value as JSON can hold it; arrays of numbers as their hash."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | Vt.TokenArray | Vt.StringArray):
        return [plain(item) for item in value]
    array = np.array(value)
    if array.dtype == object:  # references, list operations, asset paths, specifiers: USD's own text for them
        return str(value)
    return [str(array.dtype), list(array.shape), hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]


def read(folder: Path) -> dict[str, Any]:
    """Read all scenes of a folder; also those that must be refused."""
    found: dict[str, Any] = {}
    for name in SCENES:
        gaussians, record, collider = open_scene(folder / name)
        arrays = (gaussians.positions, gaussians.scales, gaussians.rotations, gaussians.opacities, gaussians.sh)
        mesh = None if collider is None else [plain(collider.vertices), plain(collider.triangles)]
        facts = {key: plain(value) for key, value in scene_info(folder / name).items() if key != "file"}
        found[name] = [[plain(array) for array in arrays], record.to_ply_comment(), mesh, facts]
    for name in MOTIONS:
        again, _, _ = open_dynamic_scene(folder / name)
        instants = [plain(instant.positions) for instant in again.moving]
        time_range = scene_info(folder / name)["time_range"]
        found[name] = [plain(again.times), plain(again.clusters), instants, time_range, plays(folder / name, again)]
    refused = folder.parent / "refused.usda"
    refused.write_text('#usda 1.0\ndef "A" (\n references = @../outside.usda@\n) {}\n')
    for file in (refused, cut(folder)):
        try:
            open_scene(file)
            found[file.name] = "read"
        except UsdExportError:
            found[file.name] = "refused"
    return found


def plays(folder: Path, again: DynamicCloud) -> bool:
    """Whether USD itself blends time samples and value clips, at ten times, as the cloud does."""
    stage = Usd.Stage.Open(str(folder / "scene.usda"))
    field = stage.GetPrimAtPath("/World/Scene/Gaussians/Moving")
    if not field.GetAttribute("positions"):
        return False
    for time in np.linspace(-0.1, 1.1, 10):
        shown, true = read_particle_field(field, Usd.TimeCode(24 * time)), again.at(time)
        for name in ("positions", "scales", "opacities", "sh", "rotations"):
            now, wanted = getattr(shown, name), getattr(true, name)[-len(shown) :]
            wanted = np.sign((now * wanted).sum(axis=1, keepdims=True)) * wanted if name == "rotations" else wanted
            if np.abs(now - wanted).max() > 2e-5:
                return False
    return True


def cut(folder: Path) -> Path:
    """The first half of a package."""
    content = (folder / "particlefield.usdz").read_bytes()
    (folder.parent / "cut.usdz").write_bytes(content[: len(content) // 2])
    return folder.parent / "cut.usdz"


if __name__ == "__main__":
    print(json.dumps({"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2])), sort_keys=True))
