# SPDX-License-Identifier: Apache-2.0
"""Training pictures with ground truth: colour from the Gaussians, depth and labels from the meshes behind them.

    ~/isaacsim/python.sh examples/replicator_hybrid_sensors.py "a small kitchen with a red fridge" --frames 8 --out data

Splats have no surface: a renderer gives colour for them, but neither depth nor labels that mean anything. Every scene
carries its collider as labelled meshes in the same place, and a variant set `sensors` that says who sees what. So each
frame is taken twice from the same camera: variant `splats` for colour, variant `proxy` for depth and classes.

Written per frame to `--out`: `rgb_0000.png`, `depth_0000.npy` [m, inf where there is no surface] and
`classes_0000.npy`; once: `labels.json` (class number to name) and `cameras.json` (positions, focal length in pixels).

It checks itself: pictures must not be flat, half of the depth must be finite, and the floor must be labelled somewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import example_app
import isaac_app

if TYPE_CHECKING:
    import numpy as np
    from isaacsim import SimulationApp
    from pxr import Usd, UsdGeom

SIZE = (640, 360)
FIELD_OF_VIEW = 70.0
"""Horizontal, degrees."""
SPLAT_SUBFRAMES = 48
"""Splats are drawn with noise that later subframes average away."""
PROXY_SUBFRAMES = 8

Point = tuple[float, float, float]


def viewpoints(box: dict[str, Any], count: int) -> list[Point]:
    """Camera positions [m] in the middle half of the box that the pictures can be trusted from, along its x axis."""
    low, high = box["min"], box["max"]
    shares = [0.25 + 0.5 * (index + 0.5) / count for index in range(count)]
    y, z = ((a + b) / 2 for a, b in zip(low[1:], high[1:], strict=True))
    return [(low[0] + share * (high[0] - low[0]), y, z) for share in shares]


def judge(picture: np.ndarray, depth: np.ndarray, classes: np.ndarray, floor: set[int]) -> list[str]:
    """What is wrong with a frame: RGB [H, W, 3], depth [H, W] in metres, class numbers [H, W]; empty if nothing is."""
    import numpy as np

    problems = []
    if picture.size == 0 or picture[..., :3].std() < 2.0:
        problems.append("the picture is empty or of one colour; see docs/isaac-sim.md, 'Nothing is shown'")
    if np.isfinite(depth).mean() < 0.5:
        problems.append("less than half of the pixels have a depth; is the camera inside the scene?")
    if not np.isin(classes, list(floor)).any():
        problems.append("no pixel is labelled floor")
    return problems


def add_camera(stage: Usd.Stage) -> UsdGeom.Camera:
    """A camera that looks along world +Y, where our scenes have their first camera look."""
    from pxr import Gf, UsdGeom

    camera = UsdGeom.Camera.Define(stage, "/World/SensorCamera")
    aperture = camera.GetHorizontalApertureAttr().Get()
    camera.CreateFocalLengthAttr(aperture / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2))
    camera.CreateVerticalApertureAttr(aperture * SIZE[1] / SIZE[0])
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.05, 1000.0))
    camera.AddTranslateOp()
    camera.AddRotateXOp().Set(90.0)  # USD cameras look along -Z
    return camera


def select_sensors(stage: Usd.Stage, scene: str, variant: str) -> None:
    """Show the Gaussians (`splats`) or the labelled meshes (`proxy`)."""
    stage.GetPrimAtPath(f"{scene}/Asset/Scene").GetVariantSet("sensors").SetVariantSelection(variant)


def capture(stage: Usd.Stage, scene: str, positions: Sequence[Point]) -> Iterator[dict[str, Any]]:
    """Take every picture twice; yields `rgb`, `depth`, `classes` and `labels` (class number to name)."""
    import omni.replicator.core as rep
    from pxr import Gf

    camera = add_camera(stage)
    product = rep.create.render_product(str(camera.GetPath()), SIZE)
    annotators = {
        "rgb": rep.annotators.get("rgb"),
        "depth": rep.annotators.get("distance_to_image_plane"),
        "classes": rep.annotators.get("semantic_segmentation", init_params={"colorize": False}),
    }
    for annotator in annotators.values():
        annotator.attach(product)
    rep.orchestrator.set_capture_on_play(False)
    for position in positions:
        camera.GetPrim().GetAttribute("xformOp:translate").Set(Gf.Vec3d(*position))
        select_sensors(stage, scene, "splats")
        rep.orchestrator.step(rt_subframes=SPLAT_SUBFRAMES)
        picture = annotators["rgb"].get_data().copy()
        select_sensors(stage, scene, "proxy")
        rep.orchestrator.step(rt_subframes=PROXY_SUBFRAMES)
        classes = annotators["classes"].get_data()
        yield {
            "rgb": picture,
            "depth": annotators["depth"].get_data().copy(),
            "classes": classes["data"].copy(),
            "labels": {int(number): names for number, names in classes["info"]["idToLabels"].items()},
        }


def save(folder: Path, index: int, frame: dict[str, Any]) -> None:
    """Write one frame."""
    import numpy as np
    from PIL import Image

    Image.fromarray(frame["rgb"][..., :3]).save(folder / f"rgb_{index:04d}.png")
    np.save(folder / f"depth_{index:04d}.npy", frame["depth"])
    np.save(folder / f"classes_{index:04d}.npy", frame["classes"])
    (folder / "labels.json").write_text(json.dumps(frame["labels"], indent=2), encoding="utf-8")


def record(app: SimulationApp, stage: Usd.Stage, scene: str, folder: Path, count: int) -> list[str]:
    """Take and write all frames; what is wrong with them."""
    from lyra.sim import api, stage_ops

    isaac_app.wait_until_loaded(app)
    provenance = next(info.provenance for info in stage_ops.spawned_scenes(stage) if info.prim_path == scene)
    box = api.load_scene(provenance["manifest"]).manifest.trusted_viewpoints_m
    if box is None:
        return ["the scene does not say where its pictures can be trusted from"]
    positions = viewpoints(box, count)
    folder.mkdir(parents=True, exist_ok=True)
    focal = SIZE[0] / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
    (folder / "cameras.json").write_text(json.dumps({"focal_px": focal, "size": SIZE, "positions_m": positions}))
    problems = []
    for index, frame in enumerate(capture(stage, scene, positions)):
        save(folder, index, frame)
        floor = {number for number, names in frame["labels"].items() if "floor" in str(names)}
        problems += [f"frame {index}: {text}" for text in judge(frame["rgb"], frame["depth"], frame["classes"], floor)]
    return problems


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = isaac_app.argument_parser(__doc__)
    parser.add_argument("--frames", type=int, default=4, help="how many frames (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("hybrid_sensors"), help="folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    app = isaac_app.start(options)
    stage, scene = isaac_app.spawn_scene(app, options)
    example_app.finish(app, record(app, stage, scene, options.out.absolute(), options.frames))


if __name__ == "__main__":
    main()
