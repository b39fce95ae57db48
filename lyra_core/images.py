# SPDX-License-Identifier: Apache-2.0
"""Pictures in and out: any file a user may bring becomes float RGB `[H, W, 3]` in [0, 1], in bounded memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.files import replacing

MIN_SIDE = 32
"""Pictures with a shorter side than this are refused [px]."""

MAX_PIXELS = 450_000_000
"""Larger pictures are refused; 20 000 x 20 000 still passes [px]."""

WORKING_SIDE = 2048
"""Larger pictures are box-filtered down to less than twice this longest side while they are read [px]."""

_STRIP_PIXELS = 1 << 24
_MODES_16_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what makes the picture upright."""


def read_image(path: Path | str) -> Tensor:
    """RGB `[H, W, 3]` in [0, 1] of a picture file: upright, transparency over white, 16 bit and grey converted.

    Raises LyraError when the file is missing, empty, truncated, no picture, too small or too large.
    """
    path = Path(path)
    if not path.is_file():
        raise LyraError(f"image {path} does not exist. Check the path.")
    if path.stat().st_size == 0:
        raise LyraError(f"image {path} is empty. Give a picture file (PNG, JPEG, TIFF, WebP ...).")
    try:
        with _any_size(), Image.open(path) as picture:
            _check_size(path, *picture.size)
            picture.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
            upright = _reduced(picture) if turn is None else _reduced(picture).transpose(turn)
            return torch.from_numpy(np.array(upright)).float() / 255
    except UnidentifiedImageError as error:
        raise LyraError(f"{path} is not a picture. Give a PNG, JPEG, TIFF or WebP file.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise LyraError(f"image {path} is damaged or truncated ({error}). Save or download it again.") from error


def write_image(path: Path | str, image: Tensor) -> None:
    """Writes RGB `[H, W, 3]` in [0, 1] as 8 bit, by suffix, atomically."""
    with replacing(Path(path)) as temporary:
        Image.fromarray(to_bytes(image)).save(temporary)


def to_bytes(image: Tensor) -> np.ndarray:
    """8-bit values uint8 of RGB in [0, 1], rounded."""
    return (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def quantized(image: Tensor) -> Tensor:
    """The picture as an 8-bit file would give it back."""
    return torch.from_numpy(to_bytes(image)).float() / 255


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """RGB `[H, W, 3]` at another size (Lanczos, antialiased, 8 bit); the same size is returned untouched."""
    if image.shape[:2] == (height, width):
        return image
    picture = Image.fromarray(to_bytes(image)).resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).float() / 255


@contextmanager
def _any_size() -> Iterator[None]:
    """Lifts Pillow's limit on pixels; `_check_size` has its own."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. corrupt EXIF: the picture itself is what counts
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _check_size(path: Path, width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise LyraError(f"image {path} is {width}x{height} pixels. Give one of at least {MIN_SIDE}x{MIN_SIDE}.")
    if width * height > MAX_PIXELS:
        raise LyraError(f"image {path} has {width}x{height} pixels, more than {MAX_PIXELS:,}. Scale it down first.")


def _reduced(picture: Image.Image) -> Image.Image:
    """RGB of the picture, averaged over boxes of k x k pixels; strip by strip, so that no second copy exists."""
    width, height = picture.size
    factor = max(1, max(width, height) // WORKING_SIDE)
    rows = max(1, _STRIP_PIXELS // width // factor) * factor
    strips = (picture.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows))
    return Image.fromarray(np.concatenate([np.asarray(_rgb(strip).reduce(factor)) for strip in strips]))


def _rgb(picture: Image.Image) -> Image.Image:
    """8-bit RGB; transparency over white."""
    if picture.mode in _MODES_16_BIT:
        values = np.asarray(picture).astype(np.float32)
        return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        return Image.fromarray((np.asarray(picture) * 255).round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")
