# SPDX-License-Identifier: Apache-2.0
"""Moving Gaussians as one plain particle field per instant, of which one at a time is visible.

```
moving.usdc             /Moving: Xform
                        /Moving/Frame_000, ...: Xform, visible from its instant to the next
moving_000.usdc, ...    /Moving/Frame_000/Gaussians, ...: particle field
```

Nothing is blended: the picture jumps. At the default time the first instant is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pxr import UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.motion import set_time_range
from usd_export.encodings.particle_field import write_particle_field
from usd_export.layers import new_layer
from usd_export.layout import MOVING_LAYER

FRAME = "Frame"

_PRIM = "/Moving"


def write_frames(
    folder: Path, instants: Iterator[GaussianCloud], codes: list[float], rate: float, *, half: bool
) -> list[Path]:
    """Write one prim per instant.

    Takes what `write_samples` takes.

    Returns:
        The layers, the one that refers to the others first.
    """
    top = new_layer(folder / MOVING_LAYER, _PRIM, rate)
    set_time_range(top, codes)
    UsdGeom.Xform.Define(top, _PRIM)
    files = [folder / MOVING_LAYER]
    for number, cloud in zip(range(len(codes)), instants, strict=True):
        files.append(folder / f"{Path(MOVING_LAYER).stem}_{number:03d}.usdc")
        layer = new_layer(files[-1], _PRIM, rate)
        write_particle_field(layer, _PRIM, cloud, half=half)
        layer.Save()
        frame = UsdGeom.Xform.Define(top, f"{_PRIM}/{FRAME}_{number:03d}")
        top.DefinePrim(f"{frame.GetPath()}/Gaussians").GetReferences().AddReference(f"./{files[-1].name}")
        _show(frame, number, codes)
    top.Save()
    return files


def _show(prim: UsdGeom.Imageable, number: int, codes: list[float]) -> None:
    """Let a prim be seen from one time code to the next; the first also by default, the last for ever."""
    shown, hidden = UsdGeom.Tokens.inherited, UsdGeom.Tokens.invisible
    visibility = prim.CreateVisibilityAttr()
    visibility.Set(hidden if number else shown)
    if number:
        visibility.Set(hidden, codes[0])
    visibility.Set(shown, codes[number])
    if number + 1 < len(codes):
        visibility.Set(hidden, codes[number + 1])
