# SPDX-License-Identifier: Apache-2.0
"""From any Gaussian scene file to any other, with the frame, the crop and the collider a user asks for.

Order of the steps: vertical (`up`), scale, rotation, crop, recentring. All of them only change the one matrix of the
frame and the choice of Gaussians; numbers of single Gaussians change when a PLY is written, which holds no matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.layers import motion_notes
from usd_export.dynamic.motion import Motion
from usd_export.dynamic.sequence import sequence_files
from usd_export.dynamic.source import first_instant, open_source, selected
from usd_export.encodings.particle_field import HALF_WARNING
from usd_export.errors import UsdExportError
from usd_export.files import require_writable_folder
from usd_export.formats.file_kind import file_kind
from usd_export.frame import Frame
from usd_export.layout import Encoding
from usd_export.options import MAX_TRIANGLES, Bodies, EncodingChoice, MotionChoice, Preset, Up
from usd_export.placement.cropping import Box, crop_collider
from usd_export.placement.orientation import Triple, recentred, rotated, upright
from usd_export.placement.scale import Measurement, ScaleReference, frame_from_camera_height, frame_from_scale_reference
from usd_export.provenance import SceneRecord, input_hashes, with_frame_warnings
from usd_export.scene_target import (
    default_encoding,
    require_motion_target,
    require_scene_options,
    require_scene_target,
)
from usd_export.scene_writer import write_scene

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh
    from usd_export.robotics import Robotics

Progress = Callable[[str, int, int], None]
"""Receives (phase, step, total)."""

_SAMPLE = 1_000_000


@dataclass(frozen=True)
class Conversion:
    """What to convert, and how.

    Attributes:
        source: A splat file, a USD file or a scene folder; or the first of a sequence, or a folder with all of it.
        later: The splat files of a sequence after the first.
        output: `*.usdz`, a folder, `*.ply`, `*.compressed.ply` or `*.spz`.
        up: Vertical of the source.
        scale_reference: Two points of the source and their distance; counts more than `camera_height`.
        camera_height: Height of the camera above the floor.
        rotate: Angles about the world's x, then y, then z axis [degrees].
        crop: What to keep, in world metres.
        recenter: Whether to move the middle of the scene to x = y = 0.
        encoding: How the Gaussians are stored; `auto` is universal in a folder, else a particle field.
        half: Whether a particle field is stored in half precision.
        max_gaussians: Keep at most this many, the most opaque ones.
        collider: Whether the scene gets a collider, and what robots need to know; one that the source has is kept.
        preset: Kind of scene that a new collider is built for.
        back_wall: Whether a new collider closes the scene behind the cameras.
        max_triangles: Largest number of triangles of a new collider.
        with_physics_scene: Whether the file plays on its own.
        ground_check: Whether to refuse a scene that has a spawn pose without floor, or none.
        ros_map: Folder for the occupancy map as ROS has it; made if only its parent exists.
        motion: How motion is stored.
        fps: Files of a sequence, and time codes of what moves, per second; 24 if neither this nor the source says.
        bodies: Collision shape of rigid clusters; none without `collider`.
        at: Take only this moment of a source that moves [s].
    """

    source: Path
    output: Path
    up: Up = "auto"
    scale_reference: ScaleReference | None = None
    camera_height: Measurement | None = None
    rotate: Triple | None = None
    crop: Box | None = None
    recenter: bool = False
    encoding: EncodingChoice = "auto"
    half: bool = False
    max_gaussians: int | None = None
    collider: bool = True
    preset: Preset = "indoor"
    back_wall: bool = False
    max_triangles: int = MAX_TRIANGLES
    with_physics_scene: bool = False
    ground_check: bool = False
    ros_map: Path | None = None
    motion: MotionChoice = "auto"
    fps: float | None = None
    bodies: Bodies = "hull"
    at: float | None = None
    later: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.max_gaussians is not None and self.max_gaussians < 1:
            raise UsdExportError(f"at most {self.max_gaussians} Gaussians were asked for; keep at least one")
        if self.needs_robotics and not (self.collider and require_scene_target(self.output) != "splats"):
            raise UsdExportError("the ground check and the ROS map need a collider; write one to a .usdz or a folder")
        if self.fps is not None:
            Motion(time_codes_per_second=self.fps)
        if self.at is not None and not np.isfinite(self.at):
            raise UsdExportError(f"the moment {self.at} s was asked for; give seconds")

    @property
    def needs_robotics(self) -> bool:
        """Whether something was asked for that only a collider can answer."""
        return self.ground_check or self.ros_map is not None

    @property
    def written_encoding(self) -> Encoding:
        """The encoding that was chosen, or the one that suits the output."""
        return default_encoding(self.output) if self.encoding == "auto" else self.encoding

    def encoding_of(self, moving: DynamicCloud | None) -> Encoding:
        """The encoding of a scene; what moves has one only, unless another was chosen."""
        return "particlefield" if moving and self.encoding == "auto" else self.written_encoding


@dataclass(frozen=True)
class PreparedScene:
    """All parts of a scene, ready to be written; `notes` are what a user should read about it.

    If Gaussians move, `moving` holds them all, and `cloud` is the first instant.
    """

    cloud: GaussianCloud
    moving: DynamicCloud | None
    motion: Motion
    record: SceneRecord
    collider: ColliderMesh | None
    robotics: Robotics | None
    notes: tuple[str, ...]


def convert_scene(conversion: Conversion, progress: Progress | None = None) -> list[Path]:
    """Convert one file; returns the files that were written, the one to open first.

    Raises:
        UsdExportError: If the source cannot be used or the output cannot be written; older files are untouched.
    """
    report = progress or (lambda phase, step, total: None)
    scene = prepare_scene(conversion, report)
    report("write", 0, 1)
    return write_prepared(conversion, scene)


def prepare_scene(conversion: Conversion, progress: Progress) -> PreparedScene:
    """Everything but the writing, for callers that draw or count in between.

    Raises:
        UsdExportError: If the output could not be written, or the source cannot be used.
    """
    kind = require_scene_target(conversion.output)
    require_scene_options(conversion.output, kind, conversion.written_encoding, conversion.half)
    if conversion.source.resolve() == conversion.output.resolve():
        raise UsdExportError(f"{conversion.output} is the input itself; choose another output")
    if conversion.ros_map:
        folder = conversion.ros_map
        require_writable_folder(folder if folder.exists() else folder.absolute().parent)
    progress("read", 0, 1)
    source = open_source(conversion.source, conversion.later, fps=conversion.fps, at=conversion.at)
    record, collider = source.record, source.collider
    if isinstance(source.cloud, DynamicCloud):
        require_motion_target(conversion.output, kind, conversion.encoding_of(source.cloud))
    progress("frame", 0, 1)
    frame = _framed(conversion, first_instant(source.cloud), record)
    if conversion.crop:
        collider = crop_collider(collider, frame, conversion.crop) if collider else None
    every = selected(source.cloud, frame, conversion.crop, conversion.max_gaussians)
    cloud, moving = first_instant(every), every if isinstance(every, DynamicCloud) else None
    if conversion.recenter:
        frame = recentred(frame, _opaque(cloud))
    if kind == "splats" or not conversion.collider:
        collider = None
    elif collider is None:
        still = moving.static if moving else cloud
        collider = _new_collider(conversion, still, frame, record, progress) if still else None
    robotics = None
    if collider:
        from usd_export.robotics import build_robotics, check_ground  # brings SciPy along

        progress("robotics", 0, 1)
        robotics = build_robotics(collider, frame, record.camera_hull)
        if conversion.ground_check:
            check_ground(collider, frame, robotics).require()
    record = replace(record, frame=frame, provenance=_provenance(conversion, record, frame))
    notes = [*record.provenance["warnings"], *([HALF_WARNING] if conversion.half else [])]
    motion = Motion(conversion.motion, source.fps, conversion.bodies if conversion.collider else "none")
    notes += motion_notes(moving, motion, frame.scale) if moving else ()
    return PreparedScene(
        cloud, moving, motion, record, collider, robotics, (*notes, *(robotics.notes if robotics else ()))
    )


def _new_collider(
    conversion: Conversion, cloud: GaussianCloud, frame: Frame, record: SceneRecord, progress: Progress
) -> ColliderMesh:
    from usd_export.collision import build_collider  # brings the mesh libraries along

    progress("collider", 0, 1)
    return build_collider(
        cloud,
        frame,
        preset=conversion.preset,
        camera_path=record.camera_hull,
        back_wall=conversion.back_wall,
        max_triangles=conversion.max_triangles,
        progress=progress,
    )


def write_prepared(conversion: Conversion, scene: PreparedScene) -> list[Path]:
    """Write what `prepare_scene` made; returns the files, the one to open first."""
    files = write_scene(
        conversion.output,
        scene.moving or scene.cloud,
        scene.record.frame,
        motion=scene.motion,
        collider=scene.collider,
        provenance=scene.record.provenance,
        camera_hull=scene.record.camera_hull,
        encoding=conversion.encoding_of(scene.moving),
        half=conversion.half,
        robotics=scene.robotics,
        cameras=scene.record.cameras,
        physics_scene=conversion.with_physics_scene,
    )
    if conversion.ros_map and scene.robotics:
        conversion.ros_map.mkdir(exist_ok=True)
        files += scene.robotics.occupancy.save_ros(conversion.ros_map)
    return files


def _framed(conversion: Conversion, cloud: GaussianCloud, record: SceneRecord) -> Frame:
    """The frame of the source with the vertical, the scale and the rotation that the user asks for."""
    points = _opaque(cloud)
    to_input = record.frame.matrix if _is_usd(conversion.source) else np.eye(4)
    frame = upright(record.frame, conversion.up, points, to_input)
    if conversion.scale_reference:
        frame = frame_from_scale_reference(frame, conversion.scale_reference, to_input)
    elif conversion.camera_height:
        viewpoints = np.linalg.inv(to_input)[None, :3, 3] if record.camera_hull is None else record.camera_hull
        frame = frame_from_camera_height(frame, viewpoints, conversion.camera_height)
    return rotated(frame, conversion.rotate, points) if conversion.rotate else frame


def _is_usd(source: Path) -> bool:
    """Whether the coordinates a user sees are those of a world, not those of the Gaussians themselves."""
    return source.is_dir() or file_kind(source) == "usd"


def _opaque(cloud: GaussianCloud) -> NDArray[np.float32]:
    """Centres [M, 3] of what looks solid, of everything if nothing does; enough of them to find a floor."""
    opaque = cloud.positions[cloud.opacities > 0.5]
    points = opaque if len(opaque) else cloud.positions
    return points[:: -(-len(points) // _SAMPLE)]


def _provenance(conversion: Conversion, record: SceneRecord, frame: Frame) -> dict[str, Any]:
    """What the source says about its origin, plus what was done to it here."""
    known = record.provenance
    inputs, edits = known.get("inputs"), known.get("edits")
    all_edits = [*(edits if isinstance(edits, list) else []), *_edits(conversion)]
    return {
        **known,
        "exported_from": conversion.source.name,
        "inputs": {**(inputs if isinstance(inputs, dict) else {}), **_hashes(conversion)},
        **({"edits": all_edits} if all_edits else {}),
        "warnings": with_frame_warnings(known.get("warnings"), frame),
    }


def _hashes(conversion: Conversion) -> dict[str, str]:
    files = sequence_files(conversion.source, conversion.later) or (conversion.source,)
    return {name: digest for file in files for name, digest in input_hashes(file).items()}


def _edits(conversion: Conversion) -> list[str]:
    """What the record of the frame does not tell already."""
    edits = {
        f"cropped to {conversion.crop}": conversion.crop,
        f"at most {conversion.max_gaussians} Gaussians kept": conversion.max_gaussians,
        "recentred": conversion.recenter,
        f"taken at {conversion.at} s": conversion.at is not None,
    }
    return [text for text, done in edits.items() if done]
