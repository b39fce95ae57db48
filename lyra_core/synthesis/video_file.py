# SPDX-License-Identifier: Apache-2.0
"""Videos as .mp4, through PyAV or imageio with its ffmpeg; both are optional."""

from __future__ import annotations

import io
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from lyra_core.errors import LyraError

FRAME_RATE = 24
"""As published [1/s]."""

_QUALITY = 18
"""Constant rate factor of H.264; 18 is hardly distinguishable from the source."""


def require_video_codec() -> None:
    """Raises LyraError when nothing here can read or write .mp4."""
    if _imageio() is None and find_spec("av") is None:
        raise LyraError(
            "reading or writing .mp4 needs PyAV or imageio-ffmpeg, and neither is installed. "
            "`pip install av`, or use shards with --frames png."
        )


def encode_mp4(frames: np.ndarray) -> bytes:
    """H.264 at 24 frames a second of RGB uint8 `[F, H, W, 3]`, H and W even. Raises LyraError without a codec."""
    require_video_codec()
    if find_spec("av") is not None:
        return _encode_with_av(frames)
    stream = io.BytesIO()
    options = {"fps": FRAME_RATE, "codec": "libx264", "quality": 8, "macro_block_size": 2}
    _imageio().imwrite(stream, frames, extension=".mp4", plugin="FFMPEG", **options)
    return stream.getvalue()


def decode_mp4(content: bytes) -> np.ndarray:
    """RGB uint8 `[F, H, W, 3]`. Raises LyraError without a codec or for damaged bytes."""
    require_video_codec()
    try:
        if find_spec("av") is not None:
            return _decode_with_av(content)
        return np.asarray(_imageio().imread(content, extension=".mp4", plugin="FFMPEG"))
    except (OSError, ValueError, IndexError) as error:
        raise LyraError(f"a video is damaged ({error}). Make it or fetch it again.") from error


def _imageio() -> Any:
    """imageio, where its ffmpeg is installed; None otherwise."""
    if find_spec("imageio") is None or find_spec("imageio_ffmpeg") is None:
        return None
    return import_module("imageio.v3")


def _encode_with_av(frames: np.ndarray) -> bytes:
    av, stream = import_module("av"), io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=Fraction(FRAME_RATE))
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt, video.options = "yuv420p", {"crf": str(_QUALITY)}
        video.thread_count = 1  # the same bytes whatever the number of cores
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
    return stream.getvalue()


def _decode_with_av(content: bytes) -> np.ndarray:
    with import_module("av").open(io.BytesIO(content)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
