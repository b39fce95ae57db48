# SPDX-License-Identifier: Apache-2.0
"""Command-line values of the export options: shared by `lyra export` and `python -m usd_export`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from usd_export.convert import Conversion
from usd_export.errors import UsdExportError
from usd_export.placement.cropping import Box
from usd_export.placement.orientation import Triple
from usd_export.placement.scale import Measurement, ScaleReference


def parse_triple(text: str, option: str) -> Triple:
    """Three numbers with commas between them.

    Raises:
        UsdExportError: Naming the option and what was expected.
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsdExportError(f"{option} has '{text}'; expected three numbers such as 0,0,90") from error
    if not all(map(math.isfinite, (x, y, z))):
        raise UsdExportError(f"{option} has '{text}'; the numbers must be finite")
    return x, y, z


def parse_box(text: str) -> Box:
    """Value of `--crop`: x0,y0,z0:x1,y1,z1."""
    first, separator, second = text.partition(":")
    if not separator:
        raise UsdExportError(f"--crop has '{text}'; expected two corners such as -3,-3,0:3,3,2.5")
    return Box(parse_triple(first, "--crop"), parse_triple(second, "--crop"))


def parse_scale_reference(text: str) -> ScaleReference:
    """Value of `--scale-ref`: x0,y0,z0:x1,y1,z1=metres."""
    points, equals, length = text.partition("=")
    start, colon, end = points.partition(":")
    if not (equals and colon):
        raise UsdExportError(
            f"--scale-ref has '{text}'; expected two points and their distance such as 0,0,0:0,0.8,0=2.0"
        )
    return ScaleReference(
        parse_triple(start, "--scale-ref"), parse_triple(end, "--scale-ref"), parse_length(length, "--scale-ref")
    )


def parse_length(text: str, option: str) -> Measurement:
    """Metres; the relative uncertainty is that of rounding to the digits given, 2.0 being 2.0 +- 0.05.

    Raises:
        UsdExportError: If it is no positive number.
    """
    try:
        metres = float(text)
    except ValueError as error:
        raise UsdExportError(f"{option} has the length '{text}'; expected metres such as 2.0") from error
    exact = Measurement(metres)
    mantissa, _, exponent = text.strip().lower().partition("e")
    step = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return replace(exact, uncertainty=step / math.sqrt(12) / metres)


def parse_conversion(
    source: Path,
    output: Path,
    *,
    rotate: str | None = None,
    scale_ref: str | None = None,
    camera_height: str | None = None,
    crop: str | None = None,
    **plain: Any,
) -> Conversion:
    """The options of a command line as a conversion; `plain` ones are its fields as they are.

    Raises:
        UsdExportError: For the first one that cannot be understood.
    """
    return Conversion(
        source=source,
        output=output,
        rotate=None if rotate is None else parse_triple(rotate, "--rotate"),
        scale_reference=None if scale_ref is None else parse_scale_reference(scale_ref),
        camera_height=None if camera_height is None else parse_length(camera_height, "--camera-height"),
        crop=None if crop is None else parse_box(crop),
        **plain,
    )
