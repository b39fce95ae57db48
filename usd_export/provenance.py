# SPDX-License-Identifier: Apache-2.0
"""What a scene file says about its own origin.

The record lives under the key `lyra` in the root layer's customLayerData and, because layer data is lost when a file
is referenced, again in the customData of `/World`:

* `generator`, `version`: the software that wrote the file.
* `provenance`: the nested plain values that the caller handed in, without clock times. Readers look for `prompt`,
  `seed`, `model`, `models` (name to SHA-256 of its weights), `licences`, `inputs` (file name to SHA-256), `edits` and
  `warnings`; everything else travels along.
* `frame`: metres per scene unit with its relative uncertainty, and where scale, vertical and floor came from.
* `cameraHull`: viewpoints [M, 3] in world metres; inside their convex hull the picture can be trusted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pxr import Vt

from usd_export import __version__
from usd_export.errors import UsdExportError
from usd_export.frame import Frame

if TYPE_CHECKING:
    from usd_export.prims.cameras import CameraPath

KEY = "lyra"
GENERATOR = "lyra-sim usd_export"

_SCALE_WARNING, _UP_WARNING, _FLOOR_WARNING = "scale is assumed", "vertical is assumed", "floor is assumed"
_LAYER_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz", ".nurec")
_PLY_PREFIX = "lyra:scene "


@dataclass
class SceneRecord:
    """Origin of a scene.

    Attributes:
        provenance: Nested plain values.
        frame: Frame that the scene was written with.
        camera_hull: Trusted viewpoints [M, 3] in the cloud's own frame, or None.
        cameras: Cameras that the scene was made from, in the cloud's own frame; prims of their own in USD.
    """

    frame: Frame
    provenance: dict[str, Any] = field(default_factory=dict)
    camera_hull: NDArray[np.floating] | None = None
    cameras: tuple[CameraPath, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The record as nested dictionaries, lists, strings and numbers."""
        frame = self.frame
        record: dict[str, Any] = {
            "generator": GENERATOR,
            "version": __version__,
            "provenance": _plain(self.provenance),
            "frame": {
                "metresPerSceneUnit": frame.scale,
                "scaleSource": _text(frame.scale_source),
                "upSource": _text(frame.up_source),
                "floorSource": _text(frame.floor_source),
                "metric": frame.metric,
            },
        }
        if frame.scale_uncertainty is not None:
            record["frame"]["scaleUncertainty"] = frame.scale_uncertainty
        if self.camera_hull is not None:
            record["cameraHull"] = frame.apply(np.asarray(self.camera_hull).reshape(-1, 3)).tolist()
        return record

    def to_usd(self) -> dict[str, Any]:
        """The record as USD metadata can hold it."""
        record = usd_dictionary({key: value for key, value in self.plain().items() if key != "cameraHull"})
        if self.camera_hull is not None:
            hull = self.frame.apply(np.asarray(self.camera_hull).reshape(-1, 3))
            record["cameraHull"] = Vt.Vec3fArray.FromNumpy(hull.astype(np.float32))
        return record

    def to_ply_comment(self) -> str:
        """The record as one ASCII line."""
        return _PLY_PREFIX + json.dumps(self.plain(), sort_keys=True)


def record_from_usd(data: Mapping[str, Any], matrix: NDArray[np.float64]) -> SceneRecord:
    """Read what `SceneRecord.to_usd` wrote; `matrix` [4, 4] takes the cloud to the world. Tolerates absent parts."""
    return _record(python_dictionary(data), matrix)


def record_from_ply_comments(comments: tuple[str, ...]) -> SceneRecord | None:
    """Read what `SceneRecord.to_ply_comment` wrote; None for a PLY that is not ours."""
    data = plain_record(comments)
    return None if data is None else _record(data, np.eye(4))


def plain_record(comments: tuple[str, ...]) -> dict[str, Any] | None:
    """The nested values in the comments of a PLY of ours, unchecked; None for a PLY that is not ours."""
    for line in comments:
        if line.startswith(_PLY_PREFIX):
            try:
                data = json.loads(line[len(_PLY_PREFIX) :])
            except ValueError:
                return None
            return data if isinstance(data, dict) else None
    return None


def input_hashes(path: Path) -> dict[str, str]:
    """SHA-256 of a file, or of every layer in a scene folder, by name."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in _LAYER_SUFFIXES)
    hashes = {}
    for file in files:
        with file.open("rb") as content:
            hashes[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
    return hashes


def with_frame_warnings(warnings: object, frame: Frame) -> list[str]:
    """Earlier warnings with those about the frame brought up to date."""
    earlier = [str(warning) for warning in warnings] if isinstance(warnings, list) else []
    kept = [text for text in earlier if not text.startswith((_SCALE_WARNING, _UP_WARNING, _FLOOR_WARNING))]
    if not frame.metric and frame.scale_source.startswith("assumed"):
        guess = frame.scale_source.removeprefix("assumed").lstrip(": ")
        kept.append(f"{_SCALE_WARNING} ({guess}): state a true distance with --scale-ref")
    if "assumed" in frame.up_source:
        kept.append(f"{_UP_WARNING} ({frame.up_source}): state it with --up")
    if "no floor plane" in frame.floor_source:
        kept.append(f"{_FLOOR_WARNING} to be at the {frame.floor_source}")
    return kept


def _record(data: Mapping[str, Any], matrix: NDArray[np.float64]) -> SceneRecord:
    frame, provenance, hull = data.get("frame"), data.get("provenance"), data.get("cameraHull")
    described = frame if isinstance(frame, dict) else {}

    def source(key: str) -> str:
        return str(described.get(key, "taken from the file"))

    restored = Frame(
        matrix,
        source("scaleSource"),
        source("upSource"),
        source("floorSource"),
        described.get("metric") is True,
        _uncertainty(described.get("scaleUncertainty")),
    )
    return SceneRecord(
        frame=restored,
        provenance=provenance if isinstance(provenance, dict) else {},
        camera_hull=_local_points(hull, restored),
    )


def _uncertainty(value: object) -> float | None:
    """A relative uncertainty from a file; None unless it is one."""
    return float(value) if isinstance(value, int | float) and 0 <= value < np.inf else None


def _local_points(points: object, frame: Frame) -> NDArray[np.float64] | None:
    """World points from a file, mapped back to the cloud's frame; None unless they are finite [M, 3]."""
    try:
        world = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if world.ndim != 2 or world.shape[1] != 3 or not np.isfinite(world).all():
        return None
    return (world - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T


def usd_dictionary(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested plain values as USD metadata can hold them.

    Raises:
        UsdExportError: If a value is neither text, number, list nor dictionary.
    """
    return _usd_value(_plain(values))


def python_dictionary(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """USD metadata as nested plain values."""
    return _python_value(dict(metadata))


def _text(value: str) -> str:
    """Text that every reader accepts: no lone surrogates, no control characters."""
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in clean)


def _plain(value: Any) -> Any:
    """Nested plain values; None is left out of dictionaries."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {_text(str(key)): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return str(value)
    if isinstance(value, bool | int | float):
        return value
    raise UsdExportError(f"provenance holds a {type(value).__name__}; use only text, numbers, lists and dictionaries")


def _usd_value(value: Any) -> Any:
    """USD knows no lists of mixed or nested values: those become dictionaries with the index as key."""
    if isinstance(value, dict):
        return {key: _usd_value(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    kinds = {type(item) for item in value}
    if kinds == {str}:
        return Vt.StringArray(value)
    if kinds == {bool}:
        return Vt.BoolArray(value)
    if kinds == {int}:
        return Vt.Int64Array(value)
    if kinds and kinds <= {int, float}:
        return Vt.DoubleArray(value)
    return {str(index): _usd_value(item) for index, item in enumerate(value)}


def _python_value(value: Any) -> Any:
    """Nested Python values of USD metadata."""
    if isinstance(value, dict):
        return {key: _python_value(item) for key, item in value.items()}
    if isinstance(value, str | bool | int | float):
        return value
    listed = np.asarray(value).tolist()
    return [_python_value(item) for item in listed] if isinstance(listed, list) else str(value)
