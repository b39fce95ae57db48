# SPDX-License-Identifier: Apache-2.0
"""A video file or a folder of frames becomes a clip of a given number of frames, in bounded memory.

Only the frames of the clip are kept; a long video is entered at the start of the clip and left at its end. Frames are
taken at even times, each the one shown nearest to it, so that a variable frame rate becomes an even one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.fitting import fit_image
from lyra_core.images import read_image, to_bytes
from lyra_core.video.container import VideoSource, check_frame_size, is_high_dynamic_range, open_video
from lyra_core.video.depth_files import in_order
from lyra_core.video.posed import FrameSize, VideoClip
from lyra_core.video.shots import anything_moves, cut_indices

RATE = 24.0
"""Frames a second that video models are trained with; also of a folder of frames."""

FRAME_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")

_UNEVEN = 1.5
_SAME_RATE = 0.02
_TRUNCATED = 0.5

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class Part:
    """Which part of a video.

    Attributes:
        start: of the part [s].
        duration: from its first to its last frame [s]; None takes frames at 24 a second, or as they come where the
            video has fewer.
    """

    start: float = 0.0
    duration: float | None = None

    def __post_init__(self) -> None:
        """Raises LyraError for a negative start and a duration that is not positive."""
        if not self.start >= 0 or (self.duration is not None and not self.duration > 0):
            raise LyraError(f"a clip of {self.duration} s from {self.start} s is not possible. Give positive seconds.")

    def times(self, frames: int, rate: float | None) -> np.ndarray:
        """Seconds of `frames` even instants, for a video of `rate` frames a second."""
        step = 1 / min(RATE, rate or RATE) if self.duration is None else self.duration / max(frames - 1, 1)
        return self.start + step * np.arange(frames)


WHOLE = Part()


def read_video(
    path: Path | str, frames: int, size: FrameSize, part: Part = WHOLE, *, numbered: bool = False
) -> VideoClip:
    """A clip of `frames` frames of a video file, or of a folder of numbered pictures.

    What is too long is trimmed, what is too short is played back and forth, and both are noted.

    Args:
        path: .mp4, .webm, .mov, .gif and the like, or a folder.
        frames: how many; 1 modulo 8 for the models.
        size: height and width of a source frame to those wanted.
        part: which part of it.
        numbered: whether `VideoClip.numbers` is wanted; a video is then read from its beginning, whatever the part.

    Raises:
        LyraError: no file, no video, nothing but sound, damaged or truncated within the part, a part behind the end,
            frames that are too small or too large, or another shot begins within the part.
    """
    path = Path(path)
    if path.is_dir():
        clip = _read_folder(path, frames, size, part)
    else:
        clip = _read_file(path, frames, size, part, numbered=numbered)
    cuts = cut_indices(clip.frames)
    if cuts:
        begin, end = part.start, part.start + clip.times[cuts[0]]
        raise LyraError(
            f"another shot begins at {end:.2f} s of {clip.source}. A clip must be one shot: end it before "
            f"(a duration below {end - begin:.2f} s), or start it there (from {end:.2f} s)."
        )
    return clip


def _read_file(path: Path, frames: int, size: FrameSize, part: Part, *, numbered: bool) -> VideoClip:
    with open_video(path) as source:
        times = part.times(frames, source.rate)
        sampler = _Sampler(source, size)
        taken = list(_nearest(sampler.shown(0.0 if numbered else part.start), times))
        sampler.check_end(len(taken) < frames, float(times[-1]))
    if not taken:
        raise LyraError(f"{path} has no frame at or after {part.start:.2f} s{_length(source.duration)}.")
    notes = [*_trimmed(source.duration, times), *sampler.notes(1 / (times[1] - times[0]) if frames > 1 else RATE)]
    numbers = np.array([number for number, _ in taken]) if numbered or part.start == 0 else None
    return _clip(np.stack([picture for _, picture in taken]), numbers, times, path.name, sampler.upright, notes)


class _Sampler:
    """Turns decoded frames into pictures of the wanted size when they are asked for, and watches their times."""

    def __init__(self, source: VideoSource, size: FrameSize) -> None:
        self.source, self.size = source, size
        self.upright, self.wanted = (0, 0), (0, 0)
        self.last, self.steps = 0.0, [float("inf"), 0.0, 0.0]
        self.turned = self.bright = False
        self.count = 0

    def shown(self, start: float) -> Iterator[tuple[float, _Lazy]]:
        for time, frame in self.source.frames(start):
            if not self.count:
                self._begin(frame)
            elif time > self.last:
                step = time - self.last
                self.steps = [min(self.steps[0], step), max(self.steps[1], step), self.steps[2] + step]
            self.last, self.count = time, self.count + 1
            yield time, _Lazy(self.source, frame, self.wanted, self.count - 1)

    def check_end(self, ended: bool, wanted: float) -> None:
        """Raises LyraError when the video ended well before the end it states, within the part that is wanted."""
        stated = self.source.duration
        if ended and stated is not None and min(wanted, stated) - self.last > max(_TRUNCATED, 3 * self.steps[1]):
            raise LyraError(
                f"video {self.source.path} is truncated: it states {stated:.2f} s, but ends after {self.last:.2f} s. "
                f"Fetch it again, or choose a part before that with a start and a duration."
            )

    def notes(self, rate: float) -> Iterator[str]:
        if self.turned:
            yield "turned upright as the file says"
        if self.bright:
            yield "high dynamic range was tone-mapped to sRGB"
        if self.count < 3:
            return
        shortest, longest, total = self.steps
        if longest > _UNEVEN * shortest:
            yield (
                f"variable frame rate (frames {1000 * shortest:.0f} to {1000 * longest:.0f} ms apart) resampled to "
                f"{rate:.4g} a second by time stamps"
            )
        elif abs((self.count - 1) / total / rate - 1) > _SAME_RATE:
            yield f"resampled from {(self.count - 1) / total:.4g} to {rate:.4g} frames a second"

    def _begin(self, frame: object) -> None:
        self.upright = self.source.upright_size(frame)
        check_frame_size(self.source.path, *self.upright)
        self.wanted = self.size(*self.upright)
        self.bright = is_high_dynamic_range(frame)
        self.turned = self.source.quarter_turns(frame) != 0


@dataclass(frozen=True)
class _Lazy:
    """A decoded frame that becomes a picture only if it is needed."""

    source: VideoSource
    frame: object
    size: tuple[int, int]
    number: int

    def __call__(self) -> tuple[int, np.ndarray]:
        return self.number, self.source.picture(self.frame, *self.size)


def _nearest(shown: Iterable[tuple[float, _Lazy]], times: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Number and picture of what is shown nearest to each of the ascending `times`; ends where the video ends."""
    done, before = 0, None
    for time, lazy in shown:
        while before is not None and done < len(times) and time >= times[done]:
            nearer = before if times[done] - before[0] <= time - times[done] else (time, lazy)
            yield nearer[1]()
            done += 1
        if done == len(times):
            return
        step = None if before is None else time - before[0]
        before = (time, lazy)
    if before is not None:
        reach = before[0] + (0.5 * step if step else 1e-3)
        yield from (before[1]() for time in times[done:] if time <= reach)


def _read_folder(path: Path, frames: int, size: FrameSize, part: Part) -> VideoClip:
    files = sorted((file for file in path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES), key=in_order)
    if not files:
        raise LyraError(f"folder {path} holds no picture ({', '.join(FRAME_SUFFIXES)}). Give a folder of frames.")
    times = part.times(frames, RATE)
    numbers = np.round(times * RATE).astype(int)
    numbers = numbers[numbers < len(files)]
    if not len(numbers):
        raise LyraError(f"folder {path} holds {len(files)} frames, at {RATE:g} a second none after {part.start:.2f} s.")
    pictures: list[np.ndarray] = []
    upright = (0, 0)
    for number in numbers:
        picture = read_image(files[number])
        if pictures and tuple(picture.shape[:2]) != upright:
            raise LyraError(f"{files[number]} differs in size from {files[numbers[0]]}. Frames must have one size.")
        upright = (picture.shape[0], picture.shape[1])
        pictures.append(to_bytes(fit_image(picture, *size(*upright))))
    notes = [f"a folder of {len(files)} frames, taken as {RATE:g} a second", *_trimmed(len(files) / RATE, times)]
    return _clip(np.stack(pictures), numbers, times, path.name, upright, notes)


def _clip(
    pictures: np.ndarray, numbers: np.ndarray | None, times: np.ndarray, source: str, upright: tuple[int, int],
    notes: list[str],
) -> VideoClip:  # fmt: skip
    """Fills up with the frames played back and forth where there are too few."""
    count, wanted = len(pictures), len(times)
    if count == 1:
        notes.append("one single frame, repeated")
    elif count < wanted:
        notes.append(f"too short: its {count} frames are played back and forth to make {wanted}")
    order = np.abs((np.arange(wanted) + count - 1) % max(2 * count - 2, 1) - (count - 1))
    frames = pictures[order] if count < wanted else pictures
    moving = count > 1 and anything_moves(pictures)
    if not moving:
        notes.append("nothing moves")
    numbers = None if numbers is None else numbers[order]
    return VideoClip(frames, times - times[0], source, tuple(notes), numbers, upright, moving)


def _trimmed(length: float | None, times: np.ndarray) -> Iterator[str]:
    step = times[1] - times[0] if len(times) > 1 else 0.0
    if length is not None and (times[0] > 0 or length > times[-1] + 2 * step):
        yield f"trimmed to {times[0]:.2f} ... {times[-1]:.2f} s of {length:.2f} s"


def _length(duration: float | None) -> str:
    return "" if duration is None else f"; it is {duration:.2f} s long. Start earlier"
