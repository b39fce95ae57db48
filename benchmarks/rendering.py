# SPDX-License-Identifier: Apache-2.0
"""Speed of the renderers, side by side in one run: `python benchmarks/rendering.py [--gaussians N] [--skip-torch]`.

CPU time of this process in milliseconds, best of three, on one thread; on CUDA wall time after synchronisation. Ratios
within one run are what to compare: other load on the machine changes all rows alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from lyra_core.cameras import Cameras
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import gsplat_backend, render


def scene(count: int, width: int, height: int, *, sigma: float) -> tuple[Gaussians, Cameras]:
    """Random Gaussians of about `sigma` pixels that fill one view."""
    generator = torch.Generator().manual_seed(0)
    focal = 0.9 * width
    z = 2.0 + 4.0 * torch.rand(count, generator=generator)
    xy = (torch.rand(count, 2, generator=generator) - 0.5) * torch.tensor((width, height)) / focal * z[:, None]
    spread = torch.exp(0.4 * torch.randn(count, 3, generator=generator))
    gaussians = Gaussians(
        means=torch.cat((xy, z[:, None]), dim=1),
        scales=(sigma * z / focal)[:, None] * spread,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        opacities=0.05 + 0.9 * torch.rand(count, generator=generator),
        colors=torch.rand(count, 3, generator=generator),
    )
    return gaussians, Cameras(torch.eye(4), torch.tensor((focal, focal, width / 2, height / 2)), width, height)


def forward(gaussians: Gaussians, cameras: Cameras, **options: object) -> None:
    """One picture without gradients."""
    with torch.no_grad():
        render(gaussians, cameras, **options)


def training_step(gaussians: Gaussians, cameras: Cameras, **options: object) -> None:
    """One picture and the gradients of everything."""
    parts = [gaussians.means, gaussians.scales, gaussians.quats, gaussians.opacities, gaussians.colors]
    parts = [part.detach().requires_grad_() for part in parts]
    output = render(Gaussians(*parts), cameras, **options)
    (output.color.square().mean() + output.depth.mean() + output.alpha.mean()).backward()


def milliseconds(work: Callable[[], None], *, cuda: bool, repeats: int = 3) -> float:
    """Best time of `work` after one run that compiles and warms up."""
    clock = time.perf_counter if cuda else time.process_time
    times = []
    for _ in range(repeats + 1):
        begin = clock()
        work()
        if cuda:
            torch.cuda.synchronize()
        times.append(clock() - begin)
    return 1e3 * min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=250_000)
    parser.add_argument("--skip-torch", action="store_true", help="leave the slow reference out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    backends = ["numba"] if arguments.skip_torch else ["numba", "torch"]
    if gsplat_backend.unusable() is None:
        backends.append("gsplat")
    jobs = {
        "352x640 forward": (scene(arguments.gaussians, 640, 352, sigma=0.7), forward, {}),
        "96x96 crop of 176x320, forward": (
            scene(arguments.gaussians * 6 // 5, 320, 176, sigma=0.7), forward, {"crop": (100, 40, 96, 96)}
        ),
        "96x96 crop of 176x320, forward + backward": (
            scene(arguments.gaussians * 6 // 5, 320, 176, sigma=0.7), training_step, {"crop": (100, 40, 96, 96)}
        ),
    }  # fmt: skip
    for name, ((gaussians, cameras), work, options) in jobs.items():
        for projection in ("ewa", "ut"):
            base = None
            for backend in backends:
                cuda = backend == "gsplat"
                placed = gaussians.to("cuda") if cuda else gaussians
                settings = {"projection": projection, "backend": backend, **options}
                taken = milliseconds(lambda: work(placed, cameras, **settings), cuda=cuda)  # noqa: B023
                base = base or taken
                print(f"{name:44} {projection:4} {backend:7} {taken:9.1f} ms   x {taken / base:6.2f}", flush=True)


if __name__ == "__main__":
    main()
