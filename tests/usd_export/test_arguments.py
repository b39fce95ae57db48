# SPDX-License-Identifier: Apache-2.0
"""What people type behind the options."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from usd_export.arguments import parse_box, parse_conversion, parse_length, parse_scale_reference, parse_triple
from usd_export.errors import UsdExportError
from usd_export.options import HELP


def test_all_values() -> None:
    conversion = parse_conversion(
        Path("in.ply"),
        Path("out.usdz"),
        rotate="-90,0,12.5",
        scale_ref="0,0,0:0,0.8,-1e-1=2.0",
        camera_height="1.55",
        crop="-1,-2,-3:4,5,6",
    )
    assert conversion.rotate == (-90, 0, 12.5)
    assert conversion.scale_reference is not None and conversion.scale_reference.end == (0, 0.8, -0.1)
    assert conversion.scale_reference.distance.metres == 2
    assert conversion.camera_height is not None and conversion.camera_height.metres == 1.55
    assert conversion.crop is not None and str(conversion.crop) == "-1, -2, -3 .. 4, 5, 6 m"


@pytest.mark.parametrize(
    ("text", "half_step"), [("2", 0.5), ("2.", 0.5), ("2.0", 0.05), ("2.00", 0.005), ("20e-1", 0.05), ("0.2E1", 0.5)]
)
def test_the_digits_state_the_precision(text: str, half_step: float) -> None:
    """Rounding spreads evenly over +- half a step: a standard deviation of half a step over the root of three."""
    length = parse_length(text, "--camera-height")
    assert length.metres == 2
    assert length.uncertainty == pytest.approx(half_step / math.sqrt(3) / 2)


@pytest.mark.parametrize("text", ["", "0,0", "1,2,3,4", "a,b,c", "1;2;3", "nan,0,0", "0,inf,0"])
def test_no_triple(text: str) -> None:
    with pytest.raises(UsdExportError, match="--rotate"):
        parse_triple(text, "--rotate")


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3:4,5", "1,2,3:4,5,6:7,8,9", "0,0,0:1,1,0"])
def test_no_box(text: str) -> None:
    with pytest.raises(UsdExportError, match=r"--crop|two opposite corners"):
        parse_box(text)


@pytest.mark.parametrize(
    "text",
    ["", "0,0,0:1,0,0", "0,0,0=2", "0,0,0:1,0,0=", "0,0,0:1,0,0=2=3", "0,0,0:0,0,0=2", "0,0,0:1,0,0=-2", "=2", ":=2"],
)
def test_no_scale_reference(text: str) -> None:
    with pytest.raises(UsdExportError, match=r"--scale-ref|two different points|must be positive"):
        parse_scale_reference(text)


@pytest.mark.parametrize("text", ["", "tall", "0", "-1", "inf", "nan", "1e999", "0x10"])
def test_no_length(text: str) -> None:
    with pytest.raises(UsdExportError):
        parse_length(text, "--camera-height")


def test_at_least_one_gaussian() -> None:
    with pytest.raises(UsdExportError, match="at least one"):
        parse_conversion(Path("in.ply"), Path("out.ply"), max_gaussians=0)


def test_every_help_text_has_an_example() -> None:
    for option, text in HELP.items():
        assert "e.g. `" in text, option
