# SPDX-License-Identifier: Apache-2.0
"""A frame put right by hand, and the file that is written with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lyra_core.app.viewer.content import Content
from lyra_core.errors import LyraError
from usd_export.frame import Frame
from usd_export.provenance import with_frame_warnings
from usd_export.robotics import build_robotics
from usd_export.scene_target import require_scene_target
from usd_export.scene_writer import write_scene

Array = NDArray[np.float64]

_BY_HAND = "by hand in the viewer"
_STILL = 1e-9


@dataclass(frozen=True)
class Correction:
    """What the user did to the world: first enlarged about its origin, then turned, then moved.

    Attributes:
        factor: Of all lengths.
        rotation: [3, 3], determinant +1.
        offset: [3] metres, after the enlargement.
        measured: Length [m] the user gave for a stretch of the scene, if that is where the factor comes from.
    """

    factor: float = 1.0
    rotation: Array = field(default_factory=lambda: np.eye(3))
    offset: Array = field(default_factory=lambda: np.zeros(3))
    measured: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.factor) and self.factor > 0):
            raise LyraError(f"a scale of {self.factor} was given. It must be positive.")

    @property
    def empty(self) -> bool:
        """Whether nothing was changed."""
        same = np.allclose(self.rotation, np.eye(3), atol=_STILL) and np.allclose(self.offset, 0, atol=_STILL)
        return bool(same and abs(self.factor - 1) < _STILL)

    def applied(self, frame: Frame) -> Frame:
        """The corrected frame; its sources say what was done by hand."""
        if abs(self.factor - 1) >= _STILL:
            source = (
                f"scaled by {self.factor:.4g} {_BY_HAND}" if self.measured is None
                else f"distance of two points given {_BY_HAND}: {self.measured:g} m"
            )  # fmt: skip
            frame = replace(
                frame.enlarged(self.factor), scale_source=source, metric=self.measured is not None,
                scale_uncertainty=None,
            )  # fmt: skip
        if not np.allclose(self.rotation, np.eye(3), atol=_STILL):
            turned = frame.turned(self.rotation)
            upright = np.allclose(self.rotation[2], [0, 0, 1], atol=_STILL)
            frame = turned if upright else replace(turned, up_source=f"{frame.up_source}; then turned {_BY_HAND}")
        if abs(self.offset[2]) >= _STILL:
            frame = replace(frame, floor_source=f"{frame.floor_source}; then moved {_BY_HAND}")
        return frame.moved(self.offset)


def corrected_path(source: Path) -> Path:
    """Where a corrected copy goes unless the user says otherwise: beside the scene."""
    suffix = "".join(source.suffixes[-2:]) if source.name.endswith(".compressed.ply") else source.suffix
    return source.with_name(f"{source.name.removesuffix(suffix)}_corrected{suffix}")


def save_corrected(content: Content, correction: Correction, target: Path) -> list[Path]:
    """Writes the scene with its corrected frame; collider and cameras follow, what robots need is worked out again.

    Returns the files, the one to open first. Raises LyraError or UsdExportError; then older files are untouched.
    """
    kind = require_scene_target(target)
    record = content.record
    frame = correction.applied(record.frame)
    collider = None if kind == "splats" else content.collider
    return write_scene(
        target,
        content.cloud,
        frame,
        collider=collider,
        provenance=_provenance(content, correction, frame),
        camera_hull=record.camera_hull,
        encoding=content.encoding,
        half=content.half,
        robotics=build_robotics(collider, frame, record.camera_hull) if collider else None,
        cameras=record.cameras,
    )


def _provenance(content: Content, correction: Correction, frame: Frame) -> dict[str, Any]:
    known = content.record.provenance
    edits = known.get("edits")
    done = [*(edits if isinstance(edits, list) else []), *([] if correction.empty else [f"frame corrected {_BY_HAND}"])]
    return {
        **known,
        **({"edits": done} if done else {}),
        "warnings": with_frame_warnings(known.get("warnings"), frame),
    }
