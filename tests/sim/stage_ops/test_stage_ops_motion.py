# SPDX-License-Identifier: Apache-2.0
"""A spawned scene whose Gaussians move: it plays on the stage as it does alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from lyra.sim import stage_ops
from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.motion import Motion
from usd_export.dynamic.playing import is_shown
from usd_export.encodings.particle_field import PRIM_TYPE, read_particle_field
from usd_export.frame import Frame
from usd_export.scene_writer import write_scene

Spawn = Callable[..., stage_ops.Spawned]
MakeStage = Callable[..., Usd.Stage]


def blob() -> GaussianCloud:
    """Thirty opaque Gaussians."""
    random = np.random.default_rng(3)
    cloud = GaussianCloud.allocate(30, 0)
    cloud.positions[:] = random.normal(size=(30, 3))
    cloud.scales[:], cloud.opacities[:], cloud.sh[:], cloud.rotations[:] = 0.1, 0.9, 0.0, [1, 0, 0, 0]
    return cloud


@pytest.mark.parametrize("kind", ["samples", "clips", "rigid", "frames"])
def test_motion_plays_on_a_stage_with_another_clock(
    make_stage: MakeStage, spawn: Spawn, tmp_path: Path, kind: str
) -> None:
    """Two seconds at 30 time codes a second become 120 at 60, and the Gaussians keep to seconds."""
    instants = [replace(blob(), positions=blob().positions + np.float32(step)) for step in range(3)]
    cloud = DynamicCloud(None, instants, np.arange(3), np.zeros(30, int))
    motion = Motion(kind, time_codes_per_second=30.0, clip_bytes=1)  # type: ignore[arg-type]
    root = write_scene(tmp_path / "moving", cloud, Frame.identity(), motion=motion)[0]
    stage = make_stage()
    stage.SetTimeCodesPerSecond(60)
    spawned = spawn(stage, usd_file=root, translate=(1.0, 2.0, 3.0))
    assert spawned.warnings == ()
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 120)
    assert [hint for hint in stage_ops.stage_hints(stage) if "moves from" in hint] == []
    for code, step in ((0, 0.0), (60, 1.0), (90, 1.0 if kind == "frames" else 1.5)):
        centres = shown_centres(stage, f"{spawned.prim_path}/Asset/Scene/Gaussians", Usd.TimeCode(code))
        np.testing.assert_allclose(centres, blob().positions + step + [1, 2, 3], atol=1e-5)
        body = stage.GetPrimAtPath(f"{spawned.prim_path}/Asset/Scene/Bodies/Body_000")
        middle = UsdGeom.XformCache(code).GetLocalToWorldTransform(body).ExtractTranslation()
        step = 1.5 if code == 90 else step  # bodies never jump
        np.testing.assert_allclose(middle, blob().positions.mean(axis=0) + step + [1, 2, 3], atol=1e-5)
    stage_ops.unspawn(stage, spawned)
    assert not stage.HasAuthoredTimeCodeRange()


def shown_centres(stage: Usd.Stage, path: str, code: Usd.TimeCode) -> np.ndarray:
    """World centres [N, 3] of the one particle field below a prim that is visible."""
    fields = [prim for prim in Usd.PrimRange(stage.GetPrimAtPath(path)) if prim.GetTypeName() == PRIM_TYPE]
    (field,) = [prim for prim in fields if is_shown(prim, code)]
    matrix = np.array(UsdGeom.XformCache(code).GetLocalToWorldTransform(field))
    return read_particle_field(field, code).positions @ matrix[:3, :3] + matrix[3, :3]
