# SPDX-License-Identifier: Apache-2.0
"""Every reader gives back what was recorded, from files in the data set's own format; broken files are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError
from lyra_core.evaluation.alignment import known_points
from lyra_core.evaluation.clips import Clip, Frame, undistorted
from lyra_core.evaluation.datasets.dl3dv import colmap_clips, dl3dv_clips
from lyra_core.evaluation.datasets.lyra_set import lyra_clips
from lyra_core.evaluation.datasets.realestate10k import realestate10k_clips
from lyra_core.evaluation.datasets.tanks import tanks_clips
from lyra_core.evaluation.views import to_scene_units

from .recording import (
    HEIGHT,
    WIDTH,
    Recording,
    write_colmap,
    write_depth,
    write_dl3dv,
    write_latents,
    write_lyra_set,
    write_realestate10k,
    write_tanks_log,
)

Reader = Callable[[Path], Iterator]


def write_lyra(root: Path, recording: Recording) -> None:
    write_lyra_set(root, {5: recording})


def write_dl3dv_reduced(root: Path, recording: Recording) -> None:
    write_dl3dv(root, recording, reduced=4)


def write_colmap_text(root: Path, recording: Recording) -> None:
    write_colmap(root / "train", recording, binary=False)


def write_colmap_binary(root: Path, recording: Recording) -> None:
    write_colmap(root / "train", recording)


FORMATS: dict[str, tuple[Callable[[Path, Recording], object], Reader]] = {
    "re10k": (write_realestate10k, realestate10k_clips),
    "dl3dv": (write_dl3dv, dl3dv_clips),
    "dl3dv, reduced pictures": (write_dl3dv_reduced, dl3dv_clips),
    "dl3dv, colmap only": (write_colmap_text, dl3dv_clips),
    "tanks, colmap": (write_colmap_binary, tanks_clips),
    "tanks, log": (write_tanks_log, tanks_clips),
    "lyra": (write_lyra, lyra_clips),
}


def assert_recorded(clip: Clip, recording: Recording) -> None:
    frames = clip.paths[0]
    assert clip.input is frames[0]
    assert len(frames) == len(recording)
    cameras = Cameras.stack([frame.camera for frame in frames])
    relative = to_scene_units(cameras, frames[0].camera.c2w, 1.0)
    assert torch.allclose(relative.c2w, recording.relative.c2w, atol=2e-5)
    for index, frame in enumerate(frames):
        shot = frame.read()
        assert shot.picture.shape == (HEIGHT, WIDTH, 3)
        assert (shot.picture - recording.pictures[index].clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6
        assert torch.allclose(shot.camera.intrinsics, recording.cameras.intrinsics[index], atol=1e-3)
        assert (shot.camera.height, shot.camera.width) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_comes_back(name: str, recording: Recording, tmp_path: Path) -> None:
    write, read = FORMATS[name]
    write(tmp_path, recording)
    (clip,) = read(tmp_path)
    assert_recorded(clip, recording)


def test_realestate10k_frames_may_lie_in_a_tree_of_splits(recording: Recording, tmp_path: Path) -> None:
    cameras = tmp_path / "RealEstate10K" / "test"
    cameras.mkdir(parents=True)
    path = write_realestate10k(cameras, recording)
    frames = tmp_path / "frames" / "test" / "abcdef"
    frames.parent.mkdir(parents=True)
    path.with_suffix("").rename(frames)
    (clip,) = realestate10k_clips(tmp_path)
    assert_recorded(clip, recording)


@pytest.mark.parametrize("binary", [True, False])
def test_colmap_points_are_in_the_axes_of_the_view_that_sees_them(
    recording: Recording, tmp_path: Path, binary: bool
) -> None:
    write_colmap(tmp_path / "train", recording, binary)
    (clip,) = colmap_clips(tmp_path)
    for index in (0, 3):
        frame = clip.paths[0][index]
        points = known_points(frame)
        world = recording.points(index)
        assert len(points) == len(world) > 50
        expected = torch.cat((world, torch.ones(len(world), 1)), 1) @ recording.cameras[index].w2c.T
        assert torch.allclose(points, expected[:, :3], atol=1e-4)


def test_opencv_distortion_is_taken_out(recording: Recording, tmp_path: Path) -> None:
    path = write_dl3dv(tmp_path, recording)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "k1": 0.08, "p1": 0.002}))
    (clip,) = dl3dv_clips(tmp_path)
    shot = clip.input.read()
    raw = clip.input.picture()
    assert (shot.picture - raw).abs().max() > 0.05
    # A point that a real lens with these numbers images at (u, v) must now be at its pinhole position (30, 40).
    fx, fy, cx, cy = shot.camera.intrinsics.tolist()
    x, y = (30.5 - cx) / fx, (40.5 - cy) / fy
    square = x * x + y * y
    u = (x * (1 + 0.08 * square) + 2 * 0.002 * x * y) * fx + cx - 0.5
    v = (y * (1 + 0.08 * square) + 0.002 * (square + 2 * y * y)) * fy + cy - 0.5
    left, top = int(u), int(v)
    a, b = u - left, v - top
    cell = raw[top : top + 2, left : left + 2]
    weights = torch.tensor([[(1 - a) * (1 - b), a * (1 - b)], [(1 - a) * b, a * b]])
    assert torch.allclose(shot.picture[40, 30], (cell * weights[..., None]).sum((0, 1)), atol=1e-3)
    assert torch.allclose(undistorted(raw, shot.camera, (0.0, 0.0, 0.0, 0.0)), raw, atol=1e-4)


def test_lyra_paths_come_in_the_order_of_the_decoder(recording: Recording, tmp_path: Path) -> None:
    write_lyra_set(tmp_path, {0: recording, 5: recording, 3: recording, 6: recording.reversed()})
    (clip,) = lyra_clips(tmp_path)
    assert [path[0].name[0] for path in clip.paths] == ["5", "0", "3"]  # 6 and later are motion-reversed targets
    assert clip.input.name == "5/kitchen/00000"


def test_lyra_poses_belong_to_the_frame_they_number(recording: Recording, tmp_path: Path) -> None:
    write_lyra(tmp_path, recording)
    order = np.arange(len(recording))[::-1]
    for name, data in (("pose", recording.c2w), ("intrinsics", recording.cameras.intrinsics.numpy())):
        np.savez(tmp_path / "5" / name / "kitchen.npz", data=data[order].astype(np.float32), inds=order)
    (clip,) = lyra_clips(tmp_path)
    assert_recorded(clip, recording)


def test_lyra_latents_are_arrays_and_nothing_else(recording: Recording, tmp_path: Path) -> None:
    write_lyra(tmp_path, recording)
    stored = torch.randn(16, 2, 14, 28, generator=torch.Generator().manual_seed(0))
    write_latents(tmp_path, 5, stored)
    (clip,) = lyra_clips(tmp_path)
    assert torch.equal(clip.latents(), stored[None])
    torch.save({"run": print}, tmp_path / "5" / "latent" / "kitchen.pkl")
    with pytest.raises(LyraError, match=r"kitchen\.pkl holds no latents"):
        clip.latents()
    write_latents(tmp_path, 5, stored[:, :1])
    with pytest.raises(LyraError, match="1 latent frames, which do not make 9 frames"):
        clip.latents()


def test_lyra_videos_are_read(recording: Recording, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="videos need PyAV")
    write_lyra(tmp_path, recording)
    folder = tmp_path / "5" / "rgb"
    with av.open(str(folder / "kitchen.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        for picture in recording.pictures:
            bytes_ = (picture.clamp(0, 1) * 255).byte().numpy()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(bytes_, format="rgb24")))
        container.mux(stream.encode())
    for path in (folder / "kitchen").iterdir():
        path.unlink()
    (clip,) = lyra_clips(tmp_path)
    for index in (0, 8):
        assert (clip.paths[0][index].read().picture - recording.pictures[index]).abs().mean() < 0.02
    (folder / "kitchen.mp4").write_bytes(b"no video")
    with pytest.raises(LyraError, match=r"kitchen\.mp4 cannot be decoded"):
        list(lyra_clips(tmp_path))


def test_lyra_depth_is_read(recording: Recording, tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR", reason="depth archives need OpenEXR")
    write_lyra(tmp_path, recording)
    z = recording.z.clone()
    z[:, 0, 0] = float("inf")
    write_depth(tmp_path, 5, z)
    (clip,) = lyra_clips(tmp_path)
    depth = clip.paths[0][2].depth
    assert depth is not None
    values = depth()
    assert values[0, 0] == 0
    assert torch.allclose(values[1:], recording.z[2, 1:], rtol=1e-3)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def missing_picture(root: Path) -> None:
    sorted(root.rglob("*.png"))[3].unlink()


def corrupt_picture(root: Path) -> None:
    sorted(root.rglob("*.png"))[3].write_bytes(b"\x89PNG\r\n\x1a\n damaged")


def wrong_size(root: Path) -> None:
    from PIL import Image

    path = sorted(root.rglob("*.png"))[3]
    with Image.open(path) as picture:
        square = picture.crop((0, 0, 100, 100))
    square.save(path)


def read_all(read: Reader, root: Path) -> None:
    for clip in read(root):
        for path in clip.paths:
            for frame in path:
                frame.read()


BAD_VIEWS = [
    (name, damage)
    for name in FORMATS
    for damage in (missing_picture, corrupt_picture, wrong_size)
    if (name, damage) != ("re10k", wrong_size)  # it states no size of its pictures
]


@pytest.mark.parametrize(("name", "damage"), BAD_VIEWS)
def test_a_bad_view_is_named(name: str, damage: Callable[[Path], None], recording: Recording, tmp_path: Path) -> None:
    write, read = FORMATS[name]
    write(tmp_path, recording)
    damage(tmp_path)
    with pytest.raises(LyraError) as failure:
        read_all(read, tmp_path)
    message = str(failure.value)
    assert "\n" not in message and message.endswith(".")
    assert any(word in message for word in ("missing", "damaged", "picture", "frames"))


def test_nan_poses_are_named(recording: Recording, tmp_path: Path) -> None:
    broken = Cameras(recording.cameras.c2w.clone(), recording.cameras.intrinsics, WIDTH, HEIGHT)
    broken.c2w[2, 0, 3] = float("nan")
    bad = Recording(recording.pictures, recording.z, broken)
    for write, read in (
        (write_dl3dv, dl3dv_clips), (write_tanks_log, tanks_clips), (write_lyra, lyra_clips),
    ):  # fmt: skip
        root = tmp_path / read.__name__
        root.mkdir()
        write(root, bad)
        with pytest.raises(LyraError, match="NaN"):
            list(read(root))
    path = write_realestate10k(tmp_path, recording)
    words = path.read_text().splitlines()
    words[3] = " ".join([*words[3].split()[:-1], "nan"])
    path.write_text("\n".join(words))
    with pytest.raises(LyraError, match=r"abcdef\.txt, time stamp 33433401 holds poses with NaN"):
        list(realestate10k_clips(tmp_path))


def test_a_pose_that_is_no_rotation_is_named(recording: Recording, tmp_path: Path) -> None:
    path = write_dl3dv(tmp_path, recording)
    content = json.loads(path.read_text())
    content["frames"][0]["transform_matrix"][0][0] += 0.3
    path.write_text(json.dumps(content))
    with pytest.raises(LyraError, match="no rotation"):
        list(dl3dv_clips(tmp_path))


@pytest.mark.parametrize(
    ("write", "read", "pattern"),
    [
        (write_realestate10k, realestate10k_clips, "*.txt"),
        (write_dl3dv, dl3dv_clips, "*.json"),
        (write_colmap_binary, tanks_clips, "images.bin"),
        (write_colmap_binary, tanks_clips, "points3D.bin"),
        (write_colmap_text, tanks_clips, "cameras.txt"),
        (write_tanks_log, tanks_clips, "*.log"),
        (write_lyra, lyra_clips, "pose/*.npz"),
    ],
)
def test_a_truncated_file_is_named(
    write: Callable[[Path, Recording], object], read: Reader, pattern: str, recording: Recording, tmp_path: Path
) -> None:
    write(tmp_path, recording)
    path = next(tmp_path.rglob(pattern))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7) - 3])
    with pytest.raises(LyraError, match=path.stem):
        list(read(tmp_path))


def test_a_trajectory_needs_a_lens_and_all_its_pictures(recording: Recording, tmp_path: Path) -> None:
    path = write_tanks_log(tmp_path, recording)
    (path.parent / "000010.png").write_bytes((path.parent / "000009.png").read_bytes())
    with pytest.raises(LyraError, match="9 poses for 10 pictures"):
        list(tanks_clips(tmp_path))
    (path.parent / "000010.png").unlink()
    (path.parent / "cameras.txt").unlink()
    with pytest.raises(LyraError, match="states no lens"):
        list(tanks_clips(tmp_path))


def test_every_lyra_path_needs_its_part(recording: Recording, tmp_path: Path) -> None:
    write_lyra_set(tmp_path, {5: recording, 1: recording})
    write_latents(tmp_path, 5, torch.zeros(16, 2, 14, 28))
    with pytest.raises(LyraError, match=r"1/latent/kitchen\.pkl is missing"):
        list(lyra_clips(tmp_path))
    write_latents(tmp_path, 1, torch.zeros(16, 2, 14, 28))
    (tmp_path / "1" / "pose" / "kitchen.npz").unlink()
    with pytest.raises(LyraError, match=r"1/pose/kitchen\.npz is missing"):
        list(lyra_clips(tmp_path))


def test_a_frame_reads_its_camera_at_the_size_of_its_picture() -> None:
    camera = Cameras(torch.eye(4), torch.tensor([100.0, 100.0, 64.0, 32.0]), 128, 64)
    shot = Frame("half", camera, lambda: torch.zeros(32, 64, 3)).read()
    assert shot.camera.intrinsics.tolist() == [50.0, 50.0, 32.0, 16.0]
