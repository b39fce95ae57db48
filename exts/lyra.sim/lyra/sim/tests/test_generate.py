# SPDX-License-Identifier: Apache-2.0
"""Inside Kit: a scene from the real worker, with `mini`. Skipped where no worker is installed."""

from __future__ import annotations

import asyncio

import omni.kit.test
import omni.usd

from lyra.sim import api, stage_ops


class TestGenerate(omni.kit.test.AsyncTestCase):
    """Each test starts with an empty stage and a worker that answers."""

    async def setUp(self) -> None:
        """Make the one and ask the other."""
        await omni.usd.get_context().new_stage_async()
        try:
            report = await api.probe_worker_async()
        except api.LyraSimError as error:
            self.skipTest(str(error))
        if not any(model.name == "mini" and model.ready for model in report.models):
            self.skipTest("the worker has no model called mini")

    async def test_a_prompt_becomes_a_scene_with_a_collider(self) -> None:
        """From a sentence to prims on the stage, in the encoding that this Kit draws."""
        phases: list[str] = []
        scene = await api.generate_async(
            "a small kitchen with a red fridge", seed=3, on_progress=lambda job: phases.append(job.phase)
        )
        path = api.spawn(scene)
        stage = omni.usd.get_context().get_stage()
        info = next(info for info in stage_ops.spawned_scenes(stage) if info.prim_path == path)
        self.assertIn(info.encoding, scene.manifest.encodings)
        self.assertTrue(stage.GetPrimAtPath(f"{path}/Asset/Scene/Collision/mesh"))
        self.assertGreater(len(set(phases)), 3)

    async def test_cancelling_leaves_the_extension_usable(self) -> None:
        """A cancelled task ends the worker; the next generation starts."""
        task = asyncio.ensure_future(api.generate_async("a warehouse"))
        await asyncio.sleep(1.0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        report = await api.probe_worker_async()
        self.assertTrue(report.models)
