# SPDX-License-Identifier: Apache-2.0
"""Small real videos."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = 12_800
"""Time base of the files [1/s]."""


def sliding(count: int, height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    """Frames uint8 of a smooth picture that slides to the left by 2 pixels a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (height // 8, (width + 2 * count) // 8 + 1, 3)).astype(np.float32)
    wide = np.kron(coarse, np.ones((8, 8, 1), np.float32))
    wide = (wide + np.roll(wide, 4, 1) + np.roll(wide, 4, 0) + np.roll(wide, (4, 4), (0, 1))) / 4
    return np.stack([wide[:height, 2 * n : 2 * n + width] for n in range(count)]).astype(np.uint8)


def write_video(
    path: Path, frames: np.ndarray, *, codec: str = "libx264", times: Sequence[float] | None = None, rate: float = 24.0,
    pixels: str = "yuv420p", quality: int = 12, keys: int | None = None, color: dict[str, int] | None = None,
    faststart: bool = False,
) -> Path:  # fmt: skip
    """Writes frames uint8 `[F, H, W, 3]`, shown at `times` [s] or at an even rate."""
    instants = np.arange(len(frames)) / rate if times is None else np.asarray(times)
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if path.suffix != ".gif":
            stream.codec_context.time_base = Fraction(1, TICKS)
        if codec == "libx264":
            stream.options = {"crf": str(quality), **({"g": str(keys)} if keys else {})}
        if codec == "libx265":
            stream.options = {"crf": "4", "x265-params": "log-level=none"}
        for name, value in (color or {}).items():
            setattr(stream.codec_context, name, value)
        for pixel_values, time in zip(frames, instants, strict=True):
            frame = _frame(pixel_values, pixels, color or {})
            base = Fraction(1, TICKS) if path.suffix != ".gif" else 1 / Fraction(rate).limit_denominator(1000)
            frame.time_base, frame.pts = base, round(float(time) / base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _frame(values: np.ndarray, pixels: str, color: dict[str, int]) -> av.VideoFrame:
    kind = "rgb48le" if values.dtype == np.uint16 else "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(values), format=kind)
    frame = frame.reformat(format=pixels, dst_colorspace=color.get("colorspace"))
    for name, value in color.items():
        setattr(frame, name, value)
    return frame


def write_sound(path: Path) -> Path:
    """A file with nothing but sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        for start in range(0, 4096, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn_in_place(path: Path, degrees: int) -> Path:
    """Has the track header of an .mp4 say that players turn the picture clockwise, as telephones do."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = np.zeros(9, ">i4")
    matrix[[0, 4]], matrix[1], matrix[3], matrix[8] = cosine << 16, sine << 16, -sine << 16, 1 << 30
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # version 0: 40 bytes before the matrix
    content[start : start + 36] = matrix.tobytes()
    path.write_bytes(bytes(content))
    return path
