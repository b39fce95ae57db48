# SPDX-License-Identifier: Apache-2.0
"""A complete scene of four kilobytes for the tests inside Kit: seven Gaussians above a floor that collides."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from lyra.sim.protocol import MANIFEST_FILE, Manifest

PROMPT = "a few balls of light above a floor"

_USD = """#usda 1.0
(
    defaultPrim = "World"
    metersPerUnit = 1
    upAxis = "Z"
)

def Xform "World"
{
    def Xform "Scene"
    {
        def ParticleField3DGaussianSplat "Gaussians"
        {
            float3[] extent = [(-1, -1, 0.2), (1, 1, 1.8)]
            point3f[] positions = [(0, 0, 1), (.5, 0, 1), (-.5, 0, 1), (0, .5, 1), (0, -.5, 1), (0, 0, 1.5), (0, 0, .5)]
            quatf[] orientations = [ORIENTATIONS]
            float3[] scales = [SCALES]
            float[] opacities = [1, 1, 1, 1, 1, 1, 1]
            uniform int radiance:sphericalHarmonicsDegree = 0
            float3[] radiance:sphericalHarmonicsCoefficients = [COLOURS] (
                elementSize = 1
                interpolation = "vertex"
            )
        }

        def Xform "Collision"
        {
            uniform token purpose = "guide"

            def Mesh "mesh" (
                prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsMeshCollisionAPI"]
            )
            {
                float3[] extent = [(-2, -2, 0), (2, 2, 0)]
                int[] faceVertexCounts = [3, 3]
                int[] faceVertexIndices = [0, 1, 2, 0, 2, 3]
                point3f[] points = [(-2, -2, 0), (2, -2, 0), (2, 2, 0), (-2, 2, 0)]
                uniform token physics:approximation = "none"
                uniform token subdivisionScheme = "none"
            }
        }
    }
}
"""
_COUNT = 7


def write_small_scene(folder: Path) -> Path:
    """Write the scene as a worker leaves one; returns the folder that `lyra.sim.api.spawn` takes."""
    (folder / "scene").mkdir(parents=True)
    usd = folder / "scene" / "scene.usda"
    usd.write_text(
        _USD.replace("ORIENTATIONS", ", ".join(["(1, 0, 0, 0)"] * _COUNT))
        .replace("SCALES", ", ".join(["(0.1, 0.1, 0.1)"] * _COUNT))
        .replace("COLOURS", ", ".join(["(1.2, 0.4, -0.8)"] * _COUNT)),
        encoding="utf-8",
    )
    for name in ("preview.png", "scene.json"):
        (folder / name).write_bytes(b"")
    manifest = Manifest(
        job=folder.name,
        mode="text",
        prompt=PROMPT,
        input=None,
        seed=0,
        model="mini",
        quality_tier="test",
        models={},
        usd="scene/scene.usda",
        usd_isaac5=None,
        encodings=["particlefield"],
        preview="preview.png",
        provenance="scene.json",
        gaussians=_COUNT,
        sh_degree=0,
        bounds_m={"min": [-2.0, -2.0, 0.0], "max": [2.0, 2.0, 2.0]},
        trusted_viewpoints_m=None,
        collider=None,
        metric=True,
        scale_source="test",
        warnings=[],
        up_axis="Z",
        meters_per_unit=1.0,
        time_range=None,
        files=[{"kind": "usd", "path": "scene/scene.usda", "bytes": usd.stat().st_size, "sha256": ""}],
        bytes=usd.stat().st_size,
    )
    (folder / MANIFEST_FILE).write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    return folder
