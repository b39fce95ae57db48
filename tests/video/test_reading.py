# SPDX-License-Identifier: Apache-2.0
"""Real files in, clips out: containers, times, turns, damage."""

from __future__ import annotations

import resource
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lyra_core.errors import LyraError
from lyra_core.fitting import fitted_size
from lyra_core.video.posed import VideoClip
from lyra_core.video.reading import Part, read_video

from .video_files import sliding, turn_in_place, write_sound, write_video


def same_size(height: int, width: int) -> tuple[int, int]:
    return height, width


def shift(clip: VideoClip, reference: np.ndarray) -> list[int]:
    """The number of the reference frame that each frame of a clip looks like most."""
    wide = reference.astype(np.float32)
    return [int(np.abs(wide - frame).mean((1, 2, 3)).argmin()) for frame in clip.frames.astype(np.float32)]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.mp4", "libx264", "yuv420p"), ("a.mp4", "mpeg4", "yuv420p"), ("a.webm", "libvpx-vp9", "yuv420p"),
     ("a.mov", "prores_ks", "yuv422p10le"), ("a.gif", "gif", "rgb8"), ("a.mkv", "ffv1", "bgr0")],
)  # fmt: skip
def test_containers(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    """The frames come back in order, close to what was written."""
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    frames = sliding(9)
    clip = read_video(write_video(tmp_path / name, frames, codec=codec, pixels=pixels, rate=20), 9, same_size)
    assert clip.frames.shape == frames.shape
    assert clip.frames.dtype == np.uint8
    assert shift(clip, frames) == list(range(9))
    assert np.abs(clip.frames.astype(int) - frames).mean() < (20 if codec == "gif" else 6)
    assert clip.times == pytest.approx(np.arange(9) / 20, abs=1e-6)
    assert clip.source == name
    assert clip.moving


def test_trimmed_from_the_middle(tmp_path: Path) -> None:
    """Enters at a key frame before the start, decodes up to it, and says what it left out."""
    frames = sliding(96)
    clip = read_video(write_video(tmp_path / "long.mp4", frames, keys=24), 17, same_size, Part(start=1.5))
    assert shift(clip, frames) == list(range(36, 53))
    assert clip.notes == ("trimmed to 1.50 ... 2.17 s of 4.00 s",)


def test_spread_over_a_duration(tmp_path: Path) -> None:
    frames = sliding(49)
    clip = read_video(write_video(tmp_path / "a.mp4", frames), 9, same_size, Part(duration=2.0))
    assert shift(clip, frames) == list(range(0, 49, 6))
    assert clip.times[-1] == pytest.approx(2.0)
    assert any("resampled from 24 to 4 frames a second" in note for note in clip.notes)


def test_short_is_played_back_and_forth(tmp_path: Path) -> None:
    frames = sliding(5)
    clip = read_video(write_video(tmp_path / "short.mp4", frames), 17, same_size)
    assert shift(clip, frames) == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0]
    assert any("its 5 frames are played back and forth to make 17" in note for note in clip.notes)


def test_one_frame_is_a_still(tmp_path: Path) -> None:
    clip = read_video(write_video(tmp_path / "one.mp4", sliding(1)), 9, same_size)
    assert len(clip.frames) == 9
    assert not clip.moving
    assert {"one single frame, repeated", "nothing moves"} <= set(clip.notes)


def test_variable_frame_rate(tmp_path: Path) -> None:
    """What is shown when comes from the time stamps, not from the count of frames."""
    frames = sliding(40)
    times = np.concatenate((np.arange(20) / 24, 20 / 24 + np.arange(20) * 3 / 24))  # three times slower from 0.83 s on
    path = write_video(tmp_path / "phone.mp4", frames, times=times)
    clip = read_video(path, 41, same_size, Part(duration=40 / 24))
    expected = [*range(20), *(20 + round(n / 3) for n in range(21))]
    assert np.abs(np.subtract(shift(clip, frames), expected)).max() <= 1
    assert shift(clip, frames)[:20] == list(range(20))
    assert any("variable frame rate" in note for note in clip.notes)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_by_its_metadata(tmp_path: Path, degrees: int) -> None:
    frames = sliding(9)
    path = turn_in_place(write_video(tmp_path / "phone.mp4", frames), degrees)
    clip = read_video(path, 9, same_size)
    upright = np.rot90(frames, -degrees // 90, axes=(1, 2))
    assert clip.frames.shape == upright.shape
    assert np.abs(clip.frames.astype(int) - upright).mean() < 4
    assert "turned upright as the file says" in clip.notes


def test_portrait_is_fitted(tmp_path: Path) -> None:
    """The pixels of the preset, the aspect of the video; the middle of the picture stays in the middle."""
    frames = np.full((9, 160, 90, 3), 40, np.uint8)
    frames[:, 70:90, 35:55] = 230
    clip = read_video(
        write_video(tmp_path / "tall.mp4", frames), 9, lambda height, width: fitted_size(height, width, (176, 320))
    )
    height, width = clip.frames.shape[1:3]
    assert (height, width) == (320, 176)
    assert clip.frames[0, height // 2, width // 2].min() > 200
    rows, columns = np.nonzero(clip.frames[0, ..., 0] > 130)
    assert rows.mean() == pytest.approx(height / 2 - 0.5, abs=1.5)
    assert columns.mean() == pytest.approx(width / 2 - 0.5, abs=1.5)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=3)


def test_colours_of_tagged_video(tmp_path: Path) -> None:
    """The matrix that the file names decides."""
    frames = np.full((9, 64, 96, 3), (200, 40, 30), np.uint8)
    for matrix in (1, 5):
        path = write_video(tmp_path / f"{matrix}.mp4", frames, color={"colorspace": matrix})
        clip = read_video(path, 9, same_size)
        assert np.abs(clip.frames.astype(int) - frames).max() < 6


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_tone_mapped(tmp_path: Path, transfer: int) -> None:
    """Diffuse white becomes bright but not white, the sun white, and mid grey stays mid grey."""
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV has no libx265")
    nits = np.array((18.0, 203.0, 1000.0))
    signal = _pq(nits) if transfer == 16 else _hlg(nits)
    frames = np.zeros((5, 64, 96, 3), np.uint16)
    for index, value in enumerate(signal):
        frames[:, :, 32 * index : 32 * (index + 1)] = round(65535 * value)
    color = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer}
    path = write_video(tmp_path / "hdr.mp4", frames, codec="libx265", pixels="yuv420p10le", color=color)
    clip = read_video(path, 5, same_size)
    assert "high dynamic range was tone-mapped to sRGB" in clip.notes
    grey, white, sun = (int(clip.frames[2, 32, x].mean()) for x in (16, 48, 80))
    assert np.ptp(clip.frames[2, 32, [16, 48, 80]], axis=-1).max() <= 4, "grey stays grey"
    assert 75 < grey < 95  # 18 of 203 cd/m2 is 0.33 in sRGB
    assert 225 < white < 245
    assert sun > white + 8


def _pq(nits: np.ndarray) -> np.ndarray:
    root = (nits / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)


def _hlg(nits: np.ndarray) -> np.ndarray:
    scene = (nits / 1000) ** (1 / 1.2)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene, 1) - 0.28466892) + 0.55991073
    )


def test_a_folder_of_frames(tmp_path: Path) -> None:
    frames = sliding(12)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame{number}.png")  # frame10 comes after frame9
    clip = read_video(tmp_path, 9, same_size, Part(start=2 / 24))
    assert np.array_equal(clip.frames, frames[2:11])
    assert "trimmed to 0.08 ... 0.42 s of 0.50 s" in clip.notes
    Image.fromarray(frames[0][:, :48]).save(tmp_path / "frame4.png")
    with pytest.raises(LyraError, match=r"frame4\.png differs in size"):
        read_video(tmp_path, 9, same_size)


def test_a_cut_is_named(tmp_path: Path) -> None:
    dark = (sliding(30, seed=2) * 0.3).astype(np.uint8)
    path = write_video(tmp_path / "cut.mp4", np.concatenate((sliding(30, seed=1), dark)))
    with pytest.raises(LyraError, match=r"another shot begins at 1\.25 s of cut\.mp4.*below 1\.25 s.*from 1\.25 s"):
        read_video(path, 49, same_size)
    assert len(read_video(path, 25, same_size).frames) == 25, "before it"
    assert len(read_video(path, 25, same_size, Part(start=1.25)).frames) == 25, "after it"


def test_a_flash_and_fast_motion_are_no_cuts(tmp_path: Path) -> None:
    frames = sliding(25)
    frames[12] = 250
    read_video(write_video(tmp_path / "flash.mp4", frames), 25, same_size)
    read_video(write_video(tmp_path / "fast.mp4", sliding(200)[::8]), 25, same_size)


def test_noise_is_no_motion(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 5, (17, 64, 96, 3))
    still = (sliding(1) + noise).clip(0, 255).astype(np.uint8)
    clip = read_video(write_video(tmp_path / "still.mp4", still, quality=20), 17, same_size)
    assert not clip.moving
    assert "nothing moves" in clip.notes
    still[8:, 24:40, 40:56] = 20
    assert read_video(write_video(tmp_path / "alive.mp4", still, quality=20), 17, same_size).moving


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("none.mp4", None, "does not exist"), ("zero.mp4", b"", r"is empty \(0 bytes\)"),
     ("text.mp4", b"no video at all\n" * 99, "is no video that can be read"),
     ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n", "is no video")],
)  # fmt: skip
def test_no_video(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LyraError, match=message):
        read_video(tmp_path / name, 9, same_size)


def test_only_sound(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="has no picture, only sound"):
        read_video(write_sound(tmp_path / "song.mp4"), 9, same_size)


def test_truncated(tmp_path: Path) -> None:
    """What is whole can be used; a part that is not is refused, naming where it ends."""
    whole = write_video(tmp_path / "whole.mp4", sliding(96), keys=12, faststart=True)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert len(read_video(cut, 17, same_size).frames) == 17
    with pytest.raises(LyraError, match=r"cut\.mp4 is (damaged or )?truncated"):
        read_video(cut, 89, same_size)
    ending = write_video(tmp_path / "index.mp4", sliding(30))  # its index is at the end
    ending.write_bytes(ending.read_bytes()[:-200])
    with pytest.raises(LyraError, match="its beginning or index is missing"):
        read_video(ending, 9, same_size)


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", sliding(48), keys=6, faststart=True)
    content = bytearray(path.read_bytes())
    begin = len(content) // 2
    content[begin : begin + 600] = bytes(np.random.default_rng(0).integers(0, 256, 600, np.uint8))
    path.write_bytes(bytes(content))
    with pytest.raises(LyraError, match=r"a\.mp4 is damaged or truncated after [01]\.\d+ s"):
        read_video(path, 41, same_size)


def test_parts_that_are_none(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", sliding(24))
    with pytest.raises(LyraError, match=r"has no frame at or after 5\.00 s; it is 1\.00 s long\. Start earlier"):
        read_video(path, 9, same_size, Part(start=5.0))
    with pytest.raises(LyraError, match="Give positive seconds"):
        Part(start=-1.0)
    with pytest.raises(LyraError, match="Give positive seconds"):
        Part(duration=0.0)
    with pytest.raises(LyraError, match=r"is 24x16 pixels"):
        read_video(write_video(tmp_path / "tiny.mp4", sliding(9, 16, 24)), 9, same_size)


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    """4K frames are let go as soon as they are small; keeping the whole part would take 220 MB."""
    frame = np.full((2160, 3840, 3), 90, np.uint8)
    frames = np.broadcast_to(frame, (10, *frame.shape))
    path = write_video(tmp_path / "4k.mp4", frames, codec="mpeg4", rate=24)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clip = read_video(path, 9, lambda height, width: fitted_size(height, width, (176, 320)))
    assert clip.frames.shape == (9, 176, 320, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000
