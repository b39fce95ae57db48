# SPDX-License-Identifier: Apache-2.0
"""Tell the same scene with far fewer Gaussians, by gradient descent through the renderer.

    lyra generate "an empty corridor with doors and a plant" -o corridor --seed 1
    python examples/thin_scene.py corridor corridor_thin --count 4800
    lyra export corridor_thin corridor.usdz

`--max-gaussians` keeps the most opaque Gaussians and leaves gaps between them. This keeps a random few, makes them
larger and then moves, turns and recolours them until pictures from around the trusted viewpoints look as before. The
collider is built anew from the depth of the full scene, as an open surface of few triangles. Runs in lyra-sim's own
Python, not in Isaac Sim's; some minutes on a CPU.

Writes the folder of a scene, and ends with an error unless views that were not fitted come out at 22 dB or better.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import render
from usd_export.collision import DepthView, build_collider
from usd_export.provenance import SceneRecord
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

FIELD_OF_VIEW = math.radians(62)
VIEW_SIZE = (384, 216)
DEPTH_SIZE = (360, 640)
OPAQUE = 0.9
HELD_OUT = 4
REQUIRED_DB = 22.0
STEP_SIZES = {"means": 1e-3, "scales": 8e-3, "quats": 8e-3, "opacities": 3e-2, "colors": 8e-3}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path, help="a scene of ours: a folder or a .usdz")
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument("--count", type=int, default=5000, help="how many Gaussians to keep (default: %(default)s)")
    parser.add_argument("--triangles", type=int, default=1500, help="at most so many (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=600, help="steps of gradient descent (default: %(default)s)")
    parser.add_argument("--views", type=int, default=24, help="pictures to fit (default: %(default)s)")
    return parser.parse_args(arguments)


def cameras_around(record: SceneRecord, count: int) -> Cameras:
    """Cameras [count] spread over the trusted viewpoints, looking into the scene, in scene units."""
    hull = torch.as_tensor(np.asarray(record.camera_hull), dtype=torch.float32)
    eyes = hull[torch.linspace(0, len(hull) - 1, count).long()]
    ahead = torch.tensor((0.0, 0.0, 1.0))  # scene units have OpenCV axes, the first camera looks along +z
    poses = look_at(eyes, eyes * torch.tensor((0.5, 0.5, 1.0)) + ahead, (0.0, -1.0, 0.0))
    return Cameras(poses, intrinsics_from_fov(FIELD_OF_VIEW, *VIEW_SIZE), *VIEW_SIZE)


def thinned(gaussians: Gaussians, cameras: Cameras, count: int, steps: int) -> tuple[Gaussians, float]:
    """`count` Gaussians fitted to all cameras but the last few, and their PSNR [dB] on those."""
    generator = torch.Generator().manual_seed(0)
    pictures = _pictures(gaussians, cameras)
    chosen = gaussians[torch.randperm(len(gaussians), generator=generator)[:count]]
    parameters = _parameters(chosen, enlarge=math.sqrt(len(gaussians) / count))
    optimizer = torch.optim.Adam([{"params": [parameters[name]], "lr": rate} for name, rate in STEP_SIZES.items()])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0)
    fitted = len(cameras) - HELD_OUT
    for step in range(steps):
        view = int(torch.randint(fitted, (1,), generator=generator))
        color = render(_gaussians(parameters), cameras[view : view + 1], projection="ut").color
        loss = (color - pictures[view : view + 1]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step:4d}: mean difference {float(loss.detach()):.4f}")
    result = _gaussians({name: value.detach() for name, value in parameters.items()})
    error = (_pictures(result, cameras[fitted:]) - pictures[fitted:]).square().mean()
    return result, float(-10 * error.log10())


def depth_view(gaussians: Gaussians, camera: Cameras) -> DepthView:
    """What one camera [1] measures of the scene."""
    with torch.no_grad():
        picture = render(gaussians, camera, projection="ut")
    return DepthView(
        z=picture.depth[0].numpy(),
        mask=(picture.alpha[0] > OPAQUE).numpy(),
        intrinsics=camera.intrinsics[0].numpy(),
        c2w=camera.c2w[0].numpy(),
    )


def _pictures(gaussians: Gaussians, cameras: Cameras) -> Tensor:
    with torch.no_grad():
        return render(gaussians, cameras, projection="ut").color


def _parameters(gaussians: Gaussians, enlarge: float) -> dict[str, Tensor]:
    colors = gaussians.colors if gaussians.colors.ndim == 2 else gaussians.view_colors(torch.zeros(3))
    values = {
        "means": gaussians.means,
        "scales": (enlarge * gaussians.scales).clamp_min(1e-6).log(),
        "quats": gaussians.quats,
        "opacities": gaussians.opacities.clamp(0.05, 0.98).logit(),
        "colors": colors,
    }
    return {name: value.float().clone().requires_grad_() for name, value in values.items()}


def _gaussians(parameters: dict[str, Tensor]) -> Gaussians:
    return Gaussians(
        parameters["means"],
        parameters["scales"].exp(),
        torch.nn.functional.normalize(parameters["quats"], dim=-1),
        parameters["opacities"].sigmoid(),
        parameters["colors"].clamp(0, 1),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Thin a scene and write it."""
    options = parse_arguments(arguments)
    cloud, record, _ = open_scene(options.scene)
    if record.camera_hull is None or not 0 < options.count < len(cloud):
        print(f"{options.scene} needs trusted viewpoints and more than {options.count} Gaussians", file=sys.stderr)
        return 1
    gaussians, cameras = Gaussians.from_cloud(cloud), cameras_around(record, options.views + HELD_OUT)
    view = depth_view(gaussians, cameras[:1].resized(*DEPTH_SIZE))
    collider = build_collider(cloud, record.frame, [view], max_triangles=options.triangles, watertight=False)
    result, quality = thinned(gaussians, cameras, options.count, options.steps)
    provenance = {**record.provenance, "thinned": f"from {len(cloud)} to {options.count} Gaussians"}
    write_scene(
        options.output,
        result.to_cloud(),
        record.frame,
        collider=collider,
        provenance=provenance,
        camera_hull=record.camera_hull,
    )
    print(f"{options.output}: {options.count} Gaussians, {quality:.1f} dB on views that were not fitted")
    return 0 if quality >= REQUIRED_DB else 1


if __name__ == "__main__":
    sys.exit(main())
