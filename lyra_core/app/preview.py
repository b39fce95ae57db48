# SPDX-License-Identifier: Apache-2.0
"""The preview: one sheet that shows what went in, what came out, and what physics will see."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lyra_core.app.mesh_view import view_mesh
from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at
from lyra_core.files import replacing
from lyra_core.gaussians import Gaussians
from lyra_core.pipeline import GUESSED_GEOMETRY
from lyra_core.rendering import render
from lyra_core.rendering.render import Projection
from lyra_core.scene import Scene
from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.frame import Frame

CELL_HEIGHT = 270
GAP = 14
MARGIN = 28
TITLE_HEIGHT = 84
LABEL_HEIGHT = 26

PAPER = (22, 24, 28)
INK = (236, 238, 240)
FAINT = (150, 156, 164)
EMPTY = (0.16, 0.17, 0.19)
"""What the renderer shows where the scene ends."""

FLOOR_TINT = (0.24, 0.78, 0.50)
OBSTACLE_TINT = (0.98, 0.62, 0.20)
_FLOOR_SLOPE = 0.85
_OVERLAY = 0.55
_DIMMED = 0.55

_CLOUD_VIEW = (640, 352)
_CLOUD_FOV = math.radians(70.0)
_NOVEL_PATHS = ("left", "right", "up", "zoom_in")
_NOVEL_LABELS = {"left": "moved left", "right": "moved right", "up": "moved up", "zoom_in": "moved closer"}

Picture = NDArray[np.uint8]


def write_preview(path: Path, scene: Scene, title: str, *, collider: bool = True) -> None:
    """Draws a generated scene: input, main view, depth, collider; below, four novel views.

    Args:
        path: picture file, replaced atomically.
        scene: what to show.
        title: heading, e.g. the prompt.
        collider: whether to show the collision mesh (the depth of the Gaussians takes its place otherwise).
    """
    with replacing(path) as temporary:
        sheet(_scene_cells(scene, collider), title, subtitle(scene)).save(temporary)


def write_cloud_preview(
    path: Path, cloud: GaussianCloud, frame: Frame, collider: ColliderMesh | None, title: str, caption: str
) -> None:
    """Draws Gaussians that came from a file: four views from where most of them are seen, depth, collider."""
    gaussians = Gaussians.from_cloud(cloud).transformed(torch.from_numpy(frame.matrix))
    cameras = _cameras_for(gaussians)
    views, depth = _render(gaussians, cameras, "ut")
    labels = ("front", "moved left", "moved right", "moved closer")
    cells = [*zip(labels, map(_bytes, views), strict=True), ("depth (near: bright)", depth_colors(depth[0]))]
    if collider is not None:
        mesh = _collider_overlay(frame.apply(collider.vertices), collider.triangles, cameras[0], views[0])
        cells.append(("collider: floor green, obstacles orange", mesh))
    with replacing(path) as temporary:
        sheet(cells, title, caption).save(temporary)


def sheet(cells: list[tuple[str, Picture]], title: str, caption: str) -> Image.Image:
    """Labelled pictures in two rows of four under a heading."""
    pictures = [(label, _scaled(picture)) for label, picture in cells]
    width = max(picture.width for _, picture in pictures)
    columns = (len(pictures) + 1) // 2
    row = CELL_HEIGHT + LABEL_HEIGHT + GAP
    size = (2 * MARGIN + columns * width + (columns - 1) * GAP, TITLE_HEIGHT + 2 * row)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 18), _printable(title, page.width, 28), INK, ImageFont.load_default(28))
    draw.text((MARGIN, 54), caption, FAINT, ImageFont.load_default(16))
    for index, (label, picture) in enumerate(pictures):
        x = MARGIN + index % columns * (width + GAP)
        y = TITLE_HEIGHT + index // columns * row
        page.paste(picture, (x + (width - picture.width) // 2, y))
        draw.text((x + 2, y + CELL_HEIGHT + 5), label, INK, ImageFont.load_default(16))
    return page


def subtitle(scene: Scene) -> str:
    """One line: model, quality tier, size, and where image, depth and scale came from."""
    facts = scene.provenance
    low, high = scene.bounds()
    size = " x ".join(f"{b - a:.1f}" for a, b in zip(low, high, strict=True))
    parts = (
        f"{facts['model']} ({facts['quality_tier']})",
        f"{len(scene.gaussians):,} Gaussians",
        f"{size} m",
        f"image: {facts['image_source']}",
        f"depth: {facts['depth_source']}" + (" (a guess)" if GUESSED_GEOMETRY in facts["warnings"] else ""),
        f"scale: {facts['scale_source']}",
    )
    return "   |   ".join(parts)


def _scene_cells(scene: Scene, collider: bool) -> list[tuple[str, Picture]]:
    camera = scene.input_camera.reshape(1)
    main, depth = _render(scene.gaussians, camera, scene.projection)
    views, _ = _render(scene.gaussians, _novel_cameras(scene), scene.projection)
    labels = [_NOVEL_LABELS.get(name, name) for name in _novel_names(scene)]
    last = ("depth of the Gaussians", depth_colors(depth[0]))
    if collider:
        mesh, world = scene.collider, scene.input_camera.transformed(_camera_to_metres(scene))
        picture = _collider_overlay(scene.frame.apply(mesh.vertices), mesh.triangles, world, main[0])
        last = ("collider: floor green, obstacles orange", picture)
    return [
        ("input", _bytes(scene.image.numpy())),
        ("scene from the input camera", _bytes(main[0])),
        ("depth (near: bright)", depth_colors(scene.depth.z.numpy())),
        last,
        *zip(labels, map(_bytes, views), strict=True),
    ]


def _render(
    gaussians: Gaussians, cameras: Cameras, projection: Projection
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with torch.no_grad():
        result = render(gaussians, cameras, projection=projection, background=torch.tensor(EMPTY))
    return result.color.clamp(0, 1).numpy(), result.depth.numpy()


def _novel_names(scene: Scene) -> list[str]:
    paths = list(scene.provenance["camera_paths"])
    return [name for name in _NOVEL_PATHS if name in paths] or paths[:4]


def _novel_cameras(scene: Scene) -> Cameras:
    """The ends of up to four paths, at the size of the input."""
    paths = list(scene.provenance["camera_paths"])
    index = torch.tensor([paths.index(name) for name in _novel_names(scene)])
    return scene.path_cameras[index, -1].resized(scene.input_camera.height, scene.input_camera.width)


def _cameras_for(gaussians: Gaussians) -> Cameras:
    """Cameras `[4]` in metres, Z-up: at the origin's eye height, turned to where most Gaussians are; then moved."""
    centers = gaussians.means[gaussians.opacities > 0.5] if (gaussians.opacities > 0.5).any() else gaussians.means
    eye = torch.tensor((0.0, 0.0, float(centers[:, 2].median().clamp_min(0.3))))
    width, height = _CLOUD_VIEW
    intrinsics = intrinsics_from_fov(_CLOUD_FOV, width, height)
    headings = [_heading(turn * torch.pi / 4) for turn in range(8)]
    offsets = centers - eye
    distances = offsets.norm(dim=-1)
    ahead = max(headings, key=lambda heading: int((offsets @ heading > 0.6 * distances).sum()))
    reach = float(distances.median())
    side = torch.linalg.cross(ahead, torch.tensor((0.0, 0.0, 1.0)))
    moves = torch.stack((0 * side, -0.2 * side, 0.2 * side, 0.3 * ahead)) * reach
    poses = look_at(eye + moves, eye + reach * ahead, (0.0, 0.0, 1.0))
    return Cameras(poses, intrinsics, width, height)


def _heading(angle: float) -> torch.Tensor:
    """Horizontal direction, turned left of +y by `angle` [rad]."""
    return torch.tensor((-math.sin(angle), math.cos(angle), 0.0))


def _camera_to_metres(scene: Scene) -> torch.Tensor:
    """Rotation and translation `[4, 4]` that take the input camera to metres, Z-up (a camera has no scale)."""
    matrix = np.eye(4)
    matrix[:3, :3] = scene.frame.rotation
    matrix[:3, 3] = scene.frame.matrix[:3, 3]
    return torch.from_numpy(matrix)


def depth_colors(z: NDArray[np.float32]) -> Picture:
    """A depth map in the colours of inferno, near bright, spread over its logarithm; black where there is none."""
    closeness = -np.log(np.maximum(z, 1e-6))
    valid = closeness[z > 0]
    low, high = np.percentile(valid, (1, 99)) if len(valid) else (0.0, 1.0)
    share = np.clip((closeness - low) / max(high - low, 1e-9), 0, 1)
    stops = np.linspace(0, 1, len(_INFERNO))
    colors = np.stack([np.interp(share, stops, _INFERNO[:, channel]) for channel in range(3)], -1)
    return np.where((z > 0)[..., None], colors, 0).astype(np.uint8)


def _collider_overlay(
    vertices: NDArray[np.float64], triangles: NDArray[np.integer], camera: Cameras, main: NDArray[np.float32]
) -> Picture:
    """A collision mesh in metres, shaded and with its edges, over the dimmed picture that `camera` sees."""
    w2c, intrinsics = camera.w2c.double().numpy(), camera.intrinsics.double().numpy()
    view = view_mesh(vertices, triangles, w2c, intrinsics, (camera.height, camera.width))
    line = np.clip(1.1 - view.edge, 0, 1)[..., None]
    shaded = _shade(vertices[triangles])[view.triangle] * (1 - 0.55 * line)
    covered = (view.triangle >= 0)[..., None]
    return _bytes(np.where(covered, (1 - _OVERLAY) * main + _OVERLAY * shaded, _DIMMED * main + 0.02))


def _shade(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour `[T, 3]` of triangles given in metres, Z-up: level ones as floor, all lit from above and the side."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    level = (np.abs(normal[:, 2]) > _FLOOR_SLOPE) & (np.abs(corners[..., 2]).max(1) < 0.1)
    tint = np.where(level[:, None], FLOOR_TINT, OBSTACLE_TINT)
    light = 0.55 + 0.45 * np.abs(normal @ np.array([0.36, -0.48, 0.80]))
    return tint * light[:, None]


def _bytes(picture: NDArray[np.floating]) -> Picture:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _scaled(picture: Picture) -> Image.Image:
    """At the height of a cell; narrow pictures keep their aspect."""
    image = Image.fromarray(picture)
    return image.resize((round(image.width * CELL_HEIGHT / image.height), CELL_HEIGHT), Image.Resampling.LANCZOS)


def _printable(text: str, width: int, size: int) -> str:
    """The text in characters the built-in font has, shortened to the page."""
    text = " ".join("".join(char if char.isascii() and char.isprintable() else "?" for char in text).split())
    longest = int((width - 2 * MARGIN) / (0.52 * size))
    return text if len(text) <= longest else text[: longest - 3].rstrip() + "..."


_INFERNO = np.array([
    (0, 0, 4), (22, 11, 57), (66, 10, 104), (106, 23, 110), (147, 38, 103), (188, 55, 84), (221, 81, 58),
    (243, 120, 25), (252, 165, 10), (246, 215, 70), (252, 255, 164),
])  # fmt: skip
