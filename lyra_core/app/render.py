# SPDX-License-Identifier: Apache-2.0
"""`lyra render`: pictures and films of a scene file, at any time of its motion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    import torch

    from lyra_core.cameras import Cameras
    from lyra_core.gaussians import Gaussians
    from usd_export.dynamic.source import Source

FILM_RATE = 24
STILL_FILM_SECONDS = 4.0
"""Length of a film of a scene that does not move [s]."""

_FOV = 70.0


def render(
    scene: Annotated[Path, typer.Argument(help="A `.usdz`, a scene folder, a splat file, or a folder of splat files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture (`.png`, `.jpg`), or film (`.mp4`).")],
    camera: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A camera path of the scene, e.g. `left`: its end, or in a film all of it."),
    ] = None,
    eye: Annotated[str | None, typer.Option(metavar="X,Y,Z", help="Place of the camera [m, Z up] instead.")] = None,
    target: Annotated[str | None, typer.Option(metavar="X,Y,Z", help="What it looks at, with --eye.")] = None,
    time: Annotated[
        float | None, typer.Option(metavar="S", help="Second of the motion [default: the first]; a film plays it all.")
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the picture [px].")] = "1280x704",
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    """Draw a scene from a file, where it moves at any time.

    * `lyra render moving.usdz -o at_two_seconds.png --time 2`

    * `lyra render moving.usdz -o film.mp4 --camera left`

    * `lyra render kitchen.usdz -o corner.png --eye 0.5,-1,1.6 --target 0,2,1`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug), PhaseBars() as bars:
        bars("inputs", 0, 1)
        from usd_export.dynamic.source import open_source

        source = open_source(scene)
        width, height = parse_size(size)
        film = output.suffix.lower() == ".mp4"
        times = film_times(source, time) if film else [first_time(source) if time is None else time]
        cameras = chosen_cameras(source, len(times), width, height, name=camera, eye=eye, target=target)
        pictures = []
        for index, moment in enumerate(times):
            bars("preview", index, len(times))
            pictures.append(drawn(source, cameras[index : index + 1], moment))
        _write(output, pictures)
        bars.finish()
    print(f"wrote {output}")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height. Raises LyraError for anything but two even numbers with an x between."""
    from lyra_core.errors import LyraError

    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()) or not 16 <= int(width) <= 8192 or not 16 <= int(height) <= 8192:
        raise LyraError(f"--size {text} is not understood. Use e.g. 1280x704 (16 to 8192 pixels a side).")
    if int(width) % 2 or int(height) % 2:
        raise LyraError(f"--size {text}: both sides must be even, for films. Use e.g. 1280x704.")
    return int(width), int(height)


def first_time(source: Source) -> float | None:
    """When the motion begins [s]; None where nothing moves."""
    from usd_export.dynamic.cloud import DynamicCloud

    return float(source.cloud.times[0]) if isinstance(source.cloud, DynamicCloud) else None


def film_times(source: Source, time: float | None) -> list[float | None]:
    """A moment per frame of a film: all of the motion, or one moment all along where `time` is given."""
    import numpy as np

    from usd_export.dynamic.cloud import DynamicCloud

    if time is not None or not isinstance(source.cloud, DynamicCloud):
        return [time] * round(STILL_FILM_SECONDS * FILM_RATE)
    first, last = float(source.cloud.times[0]), float(source.cloud.times[-1])
    return [float(moment) for moment in np.linspace(first, last, max(2, round((last - first) * FILM_RATE)))]


def chosen_cameras(
    source: Source,
    count: int,
    width: int,
    height: int,
    *,
    name: str | None = None,
    eye: str | None = None,
    target: str | None = None,
) -> Cameras:
    """Cameras `[count]` in the scene's own axes. Raises LyraError for a choice that the scene does not offer."""
    from lyra_core.errors import LyraError

    if (eye is None) != (target is None):
        raise LyraError("--eye and --target belong together: where the camera is, and what it looks at.")
    if eye is not None and target is not None:
        if name is not None:
            raise LyraError("give --camera NAME, or --eye and --target, not both.")
        return _placed_camera(source, count, width, height, eye, target)
    return _path_cameras(source, count, width, height, name)


def drawn(source: Source, camera: Cameras, time: float | None) -> np.ndarray:
    """Picture `[H, W, 3]`, bytes, of one camera `[1]` at a moment; None is the only moment of a still scene."""
    import torch

    from lyra_core import rendering
    from lyra_core.app.preview import EMPTY

    projection = source.record.provenance.get("projection", "ut")
    with torch.no_grad():
        seen = rendering.render(_gaussians(source, time), camera, projection=projection, background=torch.tensor(EMPTY))
    return (seen.color[0].clamp(0, 1) * 255).round().byte().numpy()


def _gaussians(source: Source, time: float | None) -> Gaussians:
    from lyra_core.errors import LyraError
    from lyra_core.gaussians import Gaussians
    from usd_export.dynamic.cloud import DynamicCloud

    if isinstance(source.cloud, DynamicCloud):
        return Gaussians.from_cloud(source.cloud.at(float(source.cloud.times[0]) if time is None else time))
    if time is not None:
        raise LyraError("nothing in this scene moves, so it has no other moment. Leave --time out.")
    return Gaussians.from_cloud(source.cloud)


def _path_cameras(source: Source, count: int, width: int, height: int, name: str | None) -> Cameras:
    """The end of a named path, or all of it in a film; without a name the start of the first path."""
    import torch

    from lyra_core.errors import LyraError

    paths = {path.name: path for path in source.record.cameras}
    if not paths:
        raise LyraError("this scene brings no cameras. Give --eye X,Y,Z and --target X,Y,Z.")
    if name is not None and name not in paths:
        raise LyraError(f"this scene has no camera {name!r}. It has: {', '.join(paths)}.")
    path = next(iter(paths.values())) if name is None else paths[name]
    poses = torch.as_tensor(path.c2w, dtype=torch.float32)
    if name is None:
        steps = torch.zeros(count, dtype=torch.long)
    elif count == 1:
        steps = torch.tensor([len(poses) - 1])
    else:
        steps = torch.linspace(0, len(poses) - 1, count).round().long()
    return _fitted(poses[steps], torch.as_tensor(path.intrinsics, dtype=torch.float32), path.width, width, height)


def _fitted(poses: torch.Tensor, lens: torch.Tensor, own_width: int, width: int, height: int) -> Cameras:
    """The path's horizontal field of view on a picture of another shape."""
    import torch

    from lyra_core.cameras import Cameras

    focal = float(lens[0]) * width / own_width
    return Cameras(poses, torch.tensor((focal, focal, 0.5 * width, 0.5 * height)), width, height)


def _placed_camera(source: Source, count: int, width: int, height: int, eye: str, target: str) -> Cameras:
    """A camera placed in metres, brought into the scene's own axes."""
    import math

    import torch

    from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at
    from usd_export.arguments import parse_triple

    frame = source.record.frame
    world = look_at(parse_triple(eye, "--eye"), parse_triple(target, "--target"), (0.0, 0.0, 1.0)).double()
    matrix = torch.from_numpy(frame.matrix).double()
    own = torch.linalg.inv(matrix) @ world
    own[:3, :3] *= frame.scale  # a camera turns and moves, but has no scale
    lens = intrinsics_from_fov(math.radians(_FOV), width, height)
    return Cameras(own.float().expand(count, 4, 4), lens, width, height)


def _write(output: Path, pictures: list[np.ndarray]) -> None:
    import numpy as np
    import torch

    from lyra_core.files import replacing
    from lyra_core.images import write_image

    if output.suffix.lower() != ".mp4":
        write_image(output, torch.from_numpy(pictures[0]).float() / 255)
        return
    from lyra_core.synthesis.video_file import encode_mp4

    content = encode_mp4(np.stack(pictures))
    with replacing(output) as temporary:
        temporary.write_bytes(content)
