# SPDX-License-Identifier: Apache-2.0
"""Frames of a video file one after another, in bounded memory, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer

from lyra_core.errors import LyraError
from lyra_core.fitting import crop_to
from lyra_core.images import MIN_SIDE
from lyra_core.video.tone_mapping import HLG, PQ, to_srgb

MAX_PIXELS = 36_000_000
"""Larger frames are refused; 8192 x 4320 still passes [px]."""

_FORMATS = "mov,mp4,matroska,webm,gif,avi,mpegts,mpeg,flv,ogg,asf,yuv4mpegpipe,apng,mxf,ivf,h264,hevc"
"""Only files that hold the video themselves: play lists could name other files and hosts."""

_UNSPECIFIED, _BT709 = 2, 1
_HD_LINES = 720
_USUAL_RATE = 24.0
_COVER = 0x400
"""Disposition of a picture on the cover of a sound file."""


class Shown(NamedTuple):
    """A decoded frame and when it is shown [s from the first frame of the file]."""

    time: float
    frame: Any


class VideoSource:
    """An open video file.

    Attributes:
        path: of the file.
        duration: as the file states it [s]; None where it does not.
        rate: average frames a second, as stated; None where it is not.
    """

    def __init__(self, path: Path, container: InputContainer) -> None:
        self.path, self._container = path, container
        streams = [stream for stream in container.streams.video if not int(stream.disposition) & _COVER]
        if not streams:
            raise LyraError(f"{path} has no picture, only sound. Give a video.")
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"
        self._base = Fraction(self._stream.time_base or Fraction(1, 1_000_000))
        rate = self._stream.average_rate
        self.rate = float(rate) if rate else None
        self.duration = self._stated_duration()

    def frames(self, start: float) -> Iterator[Shown]:
        """Frames in the order they are shown, from the last one at or before `start` [s] on.

        Raises LyraError naming the time up to which a damaged file can be read.
        """
        last = 0.0
        try:
            for shown in self._decoded(start):
                if shown.frame.is_corrupt:
                    raise self._damaged(last, "a frame is damaged")
                last = shown.time
                yield shown
        except av.error.FFmpegError as error:
            raise self._damaged(last, error.strerror or str(error)) from error

    def upright_size(self, frame: Any) -> tuple[int, int]:
        """Height and width [px] of a frame as it is to be looked at: square pixels, turned."""
        height, width = frame.height, round(frame.width * self._pixel_aspect())
        return (width, height) if self.quarter_turns(frame) % 2 else (height, width)

    def quarter_turns(self, frame: Any) -> int:
        """Counter-clockwise quarter turns that make a decoded frame upright."""
        return round(frame.rotation / 90) % 4

    def picture(self, frame: Any, height: int, width: int) -> np.ndarray:
        """sRGB uint8 `[height, width, 3]` of a frame: upright, centre-cropped, tone-mapped, transparency over white."""
        turns = self.quarter_turns(frame)
        rows, columns = (width, height) if turns % 2 else (height, width)
        shown_width = frame.width * self._pixel_aspect()
        crop = crop_to(frame.height, round(shown_width), rows, columns)
        full_rows, full_columns = max(rows, round(rows / crop.height)), max(columns, round(columns / crop.width))
        pixels = _rgb(frame, full_rows, full_columns)
        top, left = (full_rows - rows) // 2, (full_columns - columns) // 2
        return np.rot90(pixels[top : top + rows, left : left + columns], turns)

    def _decoded(self, start: float) -> Iterator[Shown]:
        origin = float((self._stream.start_time or 0) * self._base)
        if start > 0:
            self._container.seek(int((start + origin) / self._base), stream=self._stream, backward=True)
        before: Shown | None = None
        for count, frame in enumerate(self._container.decode(self._stream)):
            time = count / (self.rate or _USUAL_RATE) if frame.time is None else float(frame.time) - origin
            shown = Shown(time, frame)
            if time < start:
                before = shown
                continue
            if before is not None:
                yield before
                before = None
            yield shown
        if before is not None:
            yield before

    def _pixel_aspect(self) -> float:
        aspect = self._stream.sample_aspect_ratio
        return float(aspect) if aspect else 1.0

    def _stated_duration(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._base)
        if self._container.duration is not None and not self._container.streams.audio:
            return float(self._container.duration) / 1e6
        return None

    def _damaged(self, last: float, reason: str) -> LyraError:
        return LyraError(
            f"video {self.path} is damaged or truncated after {last:.2f} s ({reason}). Fetch or export it again, or "
            "choose a part before that with a start and a duration."
        )


@contextmanager
def open_video(path: Path) -> Iterator[VideoSource]:
    """Opens a video file.

    Raises LyraError when the file is missing, empty, no video, damaged, or has no picture.
    """
    if not path.is_file():
        raise LyraError(f"video {path} does not exist. Check the path.")
    if path.stat().st_size == 0:
        raise LyraError(f"video {path} is empty (0 bytes). Fetch or export it again.")
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    try:
        container = av.open(str(path), options=options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise LyraError(
            f"{path} is no video that can be read, or its beginning or index is missing "
            f"({getattr(error, 'strerror', None) or error}). Give an .mp4, .webm, .mov or .gif, or a folder of frames."
        ) from error
    with container:
        yield VideoSource(path, container)


def is_high_dynamic_range(frame: Any) -> bool:
    """Whether a frame has to be tone-mapped."""
    return int(frame.color_trc) in (PQ, HLG)


def check_frame_size(path: Path, height: int, width: int) -> None:
    """Raises LyraError for frames that are too small or too large."""
    if min(height, width) < MIN_SIDE:
        raise LyraError(f"video {path} is {width}x{height} pixels. Give one of at least {MIN_SIDE}x{MIN_SIDE}.")
    if height * width > MAX_PIXELS:
        raise LyraError(f"video {path} has {width}x{height} pixels, more than {MAX_PIXELS:,}. Scale it down first.")


def _rgb(frame: Any, rows: int, columns: int) -> np.ndarray:
    """sRGB uint8 `[rows, columns, 3]` of a whole frame."""
    untagged_hd = int(frame.colorspace) == _UNSPECIFIED and frame.height >= _HD_LINES and "yuv" in frame.format.name
    scaling = {
        "width": columns, "height": rows, "interpolation": "AREA" if rows < frame.height else "BICUBIC",
        "src_colorspace": _BT709 if untagged_hd else None,
    }  # fmt: skip
    if is_high_dynamic_range(frame):
        signal = frame.reformat(format="rgb48le", **scaling).to_ndarray()
        return to_srgb(signal.astype(np.float32) / 65535, int(frame.color_trc))
    if any(component.is_alpha for component in frame.format.components):
        layers = frame.reformat(format="rgba", **scaling).to_ndarray().astype(np.float32)
        alpha = layers[..., 3:] / 255
        return (layers[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    return frame.reformat(format="rgb24", **scaling).to_ndarray()


def _quarter_turns(frame: Any) -> int:
    """Counter-clockwise quarter turns that make the decoded frame upright."""
    return round(getattr(frame, "rotation", 0) / 90) % 4
