# SPDX-License-Identifier: Apache-2.0
"""The decoder's options: published defaults, strict reading."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import yaml

from lyra_core.decoder import DecoderConfig
from lyra_core.errors import LyraError


def test_survives_a_file() -> None:
    config = DecoderConfig(gaussian_stride=(8, 2, 2), distance_range=(0.12, 40.0), color_anchor=True)
    assert DecoderConfig.from_dict(yaml.safe_load(yaml.safe_dump(_plain(config)))) == config


def test_unknown_fields_are_refused_by_name() -> None:
    with pytest.raises(LyraError, match="colour_anchor"):
        DecoderConfig.from_dict({"width": 64, "colour_anchor": True})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("width", "512"),
        ("heads", 7),
        ("head_dim", 60),
        ("depth", True),
        ("ray_dtype", "float16"),
        ("distance_map", "cubic"),
        ("distance_range", (5.0, 1.0)),
        ("distance_range", 3.0),
        ("gaussian_stride", (1, 8)),
        ("gaussian_stride", (3, 8, 8)),
        ("gaussian_stride", (1.5, 8, 8)),
        ("prune_ratio", 1.0),
        ("depth_anchor", 1),
        ("depth_anchor", True),
        ("input_view_gaussians", True),
    ],
)
def test_bad_values_are_refused_by_name(field: str, value: Any) -> None:
    name = "anchor" if field == "depth_anchor" else field
    with pytest.raises(LyraError, match=name):
        DecoderConfig.from_dict({field: value})


def _plain(config: DecoderConfig) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}
