# SPDX-License-Identifier: Apache-2.0
"""The preview: one sheet that shows what went in, what came out, and what physics will see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lyra_core.app.mesh_view import view_mesh
from lyra_core.cameras import Cameras
from lyra_core.files import replacing
from lyra_core.rendering import render
from lyra_core.scene import Scene

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

_NOVEL_PATHS = ("left", "right", "up", "zoom_in")
_NOVEL_LABELS = {"left": "moved left", "right": "moved right", "up": "moved up", "zoom_in": "moved closer"}

Picture = NDArray[np.uint8]


def write_preview(path: Path, scene: Scene, title: str, *, collider: bool = True) -> None:
    """Renders the sheet of `scene` to `path`: input, main view, depth, collider; below, four novel views.

    Args:
        path: picture file, replaced atomically.
        scene: what to show.
        title: heading, e.g. the prompt.
        collider: whether to show the collision mesh (the depth of the Gaussians takes its place otherwise).
    """
    with replacing(path) as temporary:
        sheet(_cells(scene, collider), title, subtitle(scene)).save(temporary)


def sheet(cells: list[tuple[str, Picture]], title: str, caption: str) -> Image.Image:
    """Labelled pictures in two rows of four under a heading."""
    pictures = [(label, _scaled(picture)) for label, picture in cells]
    width = max(picture.width for _, picture in pictures)
    columns = (len(pictures) + 1) // 2
    row = CELL_HEIGHT + LABEL_HEIGHT + GAP
    size = (2 * MARGIN + columns * width + (columns - 1) * GAP, TITLE_HEIGHT + 2 * row + MARGIN)
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
        f"depth: {facts['depth_source']}",
        f"scale: {facts['scale_source']}",
    )
    return "   |   ".join(parts)


def _cells(scene: Scene, collider: bool) -> list[tuple[str, Picture]]:
    camera = scene.input_camera.reshape(1)
    main, depth = _render(scene, camera)
    novel = _novel_cameras(scene)
    views, _ = _render(scene, novel)
    labels = [_NOVEL_LABELS.get(name, name) for name in _novel_names(scene)]
    last = ("collider: floor green, obstacles orange", _collider_overlay(scene, main[0])) if collider else \
        ("depth of the Gaussians", depth_colors(depth[0]))
    return [
        ("input", _bytes(scene.image.numpy())),
        ("scene from the input camera", _bytes(main[0])),
        ("depth (near: bright)", depth_colors(scene.depth.z.numpy())),
        last,
        *zip(labels, map(_bytes, views), strict=True),
    ]


def _render(scene: Scene, cameras: Cameras) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    background = torch.tensor(EMPTY)
    with torch.no_grad():
        result = render(scene.gaussians, cameras, projection=scene.projection, background=background)
    return result.color.clamp(0, 1).numpy(), result.depth.numpy()


def _novel_names(scene: Scene) -> list[str]:
    paths = list(scene.provenance["camera_paths"])
    return [name for name in _NOVEL_PATHS if name in paths] or paths[:4]


def _novel_cameras(scene: Scene) -> Cameras:
    """The ends of up to four paths, at the size of the input."""
    paths = list(scene.provenance["camera_paths"])
    index = torch.tensor([paths.index(name) for name in _novel_names(scene)])
    return scene.path_cameras[index, -1].resized(scene.input_camera.height, scene.input_camera.width)


def depth_colors(z: NDArray[np.float32]) -> Picture:
    """A depth map in the colours of inferno, near bright, spread over its inverse depth; black where there is none."""
    inverse = np.where(z > 0, 1.0 / np.maximum(z, 1e-6), 0.0)
    valid = inverse[z > 0]
    low, high = np.percentile(valid, (2, 98)) if len(valid) else (0.0, 1.0)
    share = np.clip((inverse - low) / max(high - low, 1e-9), 0, 1)
    stops = np.linspace(0, 1, len(_INFERNO))
    colors = np.stack([np.interp(share, stops, _INFERNO[:, channel]) for channel in range(3)], -1)
    return np.where((z > 0)[..., None], colors, 0).astype(np.uint8)


def _collider_overlay(scene: Scene, main: NDArray[np.float32]) -> Picture:
    """The collision mesh, shaded and with its edges, over the dimmed main view."""
    mesh, camera = scene.collider, scene.input_camera
    vertices = mesh.vertices.astype(np.float64)
    view = view_mesh(
        vertices, mesh.triangles, camera.w2c.double().numpy(), camera.intrinsics.double().numpy(), main.shape[:2]
    )
    shaded = _shade(scene.frame.apply(vertices)[mesh.triangles])[view.triangle]
    line = np.clip(1.1 - view.edge, 0, 1)[..., None]
    shaded = shaded * (1 - 0.55 * line)
    dimmed = main * _DIMMED + 0.02
    return _bytes(np.where((view.triangle >= 0)[..., None], (1 - _OVERLAY) * main + _OVERLAY * shaded, dimmed))


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
