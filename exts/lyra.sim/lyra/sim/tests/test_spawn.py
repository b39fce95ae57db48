# SPDX-License-Identifier: Apache-2.0
"""Inside Kit: a scene on the open stage, its collider, undo, saving and opening again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import omni.kit.app
import omni.kit.test
import omni.kit.undo
import omni.usd

from lyra.sim import api, stage_ops
from lyra.sim.tests.small_scene import PROMPT, write_small_scene

SETTLING_FRAMES = 20


class TestSpawn(omni.kit.test.AsyncTestCase):
    """Each test starts with an empty stage and a scene on disk."""

    async def setUp(self) -> None:
        """Make both."""
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.scene = write_small_scene(Path(self._folder.name) / "balls")
        await omni.usd.get_context().new_stage_async()
        self.stage = omni.usd.get_context().get_stage()

    async def frames(self, count: int = SETTLING_FRAMES) -> None:
        """Let Kit draw."""
        for _ in range(count):
            await omni.kit.app.get_app().next_update_async()

    async def test_scene_and_collider_stand_on_the_stage(self) -> None:
        """Gaussians, collider and provenance are there, and the scene is selected."""
        path = api.spawn(self.scene, encoding="particlefield")
        await self.frames()
        gaussians = self.stage.GetPrimAtPath(f"{path}/Asset/Scene/Gaussians")
        collider = self.stage.GetPrimAtPath(f"{path}/Asset/Scene/Collision/mesh")
        self.assertEqual(gaussians.GetTypeName(), "ParticleField3DGaussianSplat")
        self.assertIn("PhysicsCollisionAPI", collider.GetAppliedSchemas())
        self.assertEqual(stage_ops.spawned_scenes(self.stage)[0].provenance["prompt"], PROMPT)
        self.assertEqual(omni.usd.get_context().get_selection().get_selected_prim_paths(), [path])

    async def test_units_are_converted_once(self) -> None:
        """Nothing else in Kit corrects the units again: the floor is four metres wide."""
        from pxr import Usd, UsdGeom

        path = api.spawn(self.scene, encoding="particlefield")
        await self.frames()
        purposes = [UsdGeom.Tokens.default_, UsdGeom.Tokens.guide]
        box = UsdGeom.BBoxCache(Usd.TimeCode.Default(), purposes).ComputeWorldBound(self.stage.GetPrimAtPath(path))
        width = box.ComputeAlignedRange().GetSize()[0] * UsdGeom.GetStageMetersPerUnit(self.stage)
        self.assertAlmostEqual(width, 4.0, places=3)

    async def test_undo_leaves_nothing(self) -> None:
        """One undo takes everything back."""
        before = self.stage.GetRootLayer().ExportToString()
        path = api.spawn(self.scene, encoding="particlefield")
        await self.frames()
        omni.kit.undo.undo()
        await self.frames()
        self.assertFalse(self.stage.GetPrimAtPath(path))
        self.assertEqual(self.stage.GetRootLayer().ExportToString(), before)

    async def test_two_scenes_side_by_side(self) -> None:
        """A second scene gets a path of its own."""
        first = api.spawn(self.scene, encoding="particlefield")
        second = api.spawn(self.scene, encoding="particlefield", translate=(5.0, 0.0, 0.0))
        await self.frames()
        self.assertNotEqual(first, second)
        self.assertEqual({info.prim_path for info in stage_ops.spawned_scenes(self.stage)}, {first, second})

    async def test_a_saved_stage_opens_again(self) -> None:
        """The scene comes back from the file."""
        from pxr import Usd

        path = api.spawn(self.scene, encoding="particlefield")
        await self.frames()
        file = Path(self._folder.name) / "world.usda"
        self.stage.GetRootLayer().Export(str(file))
        reopened = Usd.Stage.Open(str(file))
        self.assertTrue(reopened.GetPrimAtPath(f"{path}/Asset/Scene/Collision/mesh"))

    async def test_a_missing_scene_changes_nothing(self) -> None:
        """A scene that is gone is refused with a text, and the stage stays as it is."""
        before = self.stage.GetRootLayer().ExportToString()
        with self.assertRaises(api.LyraSimError):
            api.spawn(Path(self._folder.name) / "nothing")
        self.assertEqual(self.stage.GetRootLayer().ExportToString(), before)
