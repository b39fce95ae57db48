# SPDX-License-Identifier: Apache-2.0
"""ViPE's results and users' own files: what they say must arrive at the frame it is for."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.rotations import matrix_to_quaternion
from lyra_core.synthesis.exr import encode_exr
from lyra_core.video.posed import PosedVideo
from lyra_core.video.posing import pose_video
from lyra_core.video.reading import Part

from .video_files import sliding, write_video

FRAMES, HEIGHT, WIDTH = 30, 64, 96
LENS = np.array((80.0, 82.0, 47.0, 33.0))


def unused(image: torch.Tensor) -> DepthEstimate:
    raise AssertionError("depth is there already")


def poses() -> np.ndarray:
    """c2w `[F, 4, 4]` of a camera that starts somewhere and turns while it walks."""
    angle = 0.4 + 0.02 * np.arange(FRAMES)
    result = np.tile(np.eye(4), (FRAMES, 1, 1))
    result[:, 0, 0] = result[:, 2, 2] = np.cos(angle)
    result[:, 0, 2], result[:, 2, 0] = np.sin(angle), -np.sin(angle)
    result[:, :3, 3] = 3 + angle[:, None] * (0.5, 0.1, -0.2)
    return result


def depth() -> np.ndarray:
    """Frame n is n + 1 away on the left and twice that on the right; a corner is unknown."""
    z = np.ones((FRAMES, HEIGHT, WIDTH)) * (1 + np.arange(FRAMES))[:, None, None]
    z[:, :, WIDTH // 2 :] *= 2
    z[:, :8, :8] = np.nan
    return z.astype(np.float32)


def write_vipe(root: Path, clip: str = "kitchen") -> Path:
    """A result folder in the published layout."""
    for kind in ("rgb", "pose", "intrinsics", "depth"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    write_video(root / "rgb" / f"{clip}.mp4", sliding(FRAMES))
    np.savez(root / "pose" / f"{clip}.npz", data=poses().astype(np.float32), inds=np.arange(FRAMES))
    np.savez(root / "intrinsics" / f"{clip}.npz", data=np.tile(LENS, (FRAMES, 1)), inds=np.arange(FRAMES))
    with zipfile.ZipFile(root / "depth" / f"{clip}.zip", "w") as archive:
        for number, z in enumerate(depth()):
            archive.writestr(f"{number:05d}.exr", encode_exr(z))
    return root


def check(video: PosedVideo, numbers: list[int], source: str) -> None:
    """Whether a clip at half the size holds these frames of the file."""
    assert video.frames.shape == (len(numbers), 32, 48, 3)
    truth = np.linalg.inv(poses()[numbers[0]]) @ poses()[numbers]
    assert torch.allclose(video.cameras.c2w, torch.from_numpy(truth).float(), atol=1e-5)
    assert torch.allclose(video.cameras.intrinsics, torch.from_numpy(LENS / 2).float())
    assert video.depth[:, 20, 10].tolist() == pytest.approx([number + 1 for number in numbers])
    assert video.depth[:, 20, 40].tolist() == pytest.approx([2 * (number + 1) for number in numbers])
    assert not video.mask[:, :4, :4].any()
    assert video.mask[:, 4:].all()
    assert (video.depth[:, :4, :4] == 0).all()
    assert video.source == source
    assert not video.static_camera


def half(height: int, width: int) -> tuple[int, int]:
    return height // 2, width // 2


def test_vipe(tmp_path: Path) -> None:
    """Frames in the middle, from the folder or from the video in it."""
    root = write_vipe(tmp_path)
    for path in (root, root / "rgb" / "kitchen.mp4"):
        video = pose_video(path, 9, half, unused, Part(start=10 / 24))
        check(video, list(range(10, 19)), "ViPE")
        assert not video.metric


def test_vipe_cropped_like_the_picture(tmp_path: Path) -> None:
    """A crop moves the principal point, and depth with the picture."""
    video = pose_video(write_vipe(tmp_path), 9, lambda height, width: (32, 32), unused)
    assert torch.allclose(video.cameras.intrinsics[0], torch.tensor((40.0, 41.0, 47 / 2 - 8, 33 / 2)))
    assert video.depth[0, 20, 15] == 1
    assert video.depth[0, 20, 16] == 2


def test_vipe_back_and_forth(tmp_path: Path) -> None:
    """Cameras and depth turn round together with the frames."""
    video = pose_video(write_vipe(tmp_path), 33, half, unused)
    check(video, [*range(30), 28, 27, 26], "ViPE")


def test_vipe_matrices_and_rows_out_of_order(tmp_path: Path) -> None:
    """Poses as rows of 16, lenses as matrices, in any order: the frame numbers count."""
    root, order = write_vipe(tmp_path), np.random.default_rng(0).permutation(FRAMES)
    matrix = np.array(((LENS[0], 0, LENS[2]), (0, LENS[1], LENS[3]), (0, 0, 1)))
    np.savez(root / "pose" / "kitchen.npz", data=poses()[order].reshape(-1, 16), inds=order)
    np.savez(root / "intrinsics" / "kitchen.npz", data=np.tile(matrix, (FRAMES, 1, 1)), inds=np.arange(FRAMES))
    check(pose_video(root, 9, half, unused), list(range(9)), "ViPE")


def test_vipe_damage(tmp_path: Path) -> None:
    root = write_vipe(tmp_path)
    np.savez(root / "pose" / "kitchen.npz", data=poses()[:5], inds=np.arange(5))
    with pytest.raises(LyraError, match="clip kitchen has no camera for frame 5"):
        pose_video(root, 9, half, unused)
    bent = poses()
    bent[3, :3, :3] *= 1.5
    np.savez(root / "pose" / "kitchen.npz", data=bent, inds=np.arange(FRAMES))
    with pytest.raises(LyraError, match="no rotation"):
        pose_video(root, 9, half, unused)
    (root / "pose" / "kitchen.npz").write_bytes(b"PK\x03\x04 something")
    with pytest.raises(LyraError, match=r"kitchen\.npz is damaged"):
        pose_video(root, 9, half, unused)
    write_vipe(root)
    archive = root / "depth" / "kitchen.zip"
    archive.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(LyraError, match=r"kitchen\.zip is damaged"):
        pose_video(root, 9, half, unused)
    archive.unlink()
    with pytest.raises(LyraError, match=r"kitchen\.zip is missing"):
        pose_video(root, 9, half, unused)


def test_several_vipe_clips_need_a_choice(tmp_path: Path) -> None:
    root = write_vipe(write_vipe(tmp_path), "hall")
    with pytest.raises(LyraError, match=r"holds 2 clips \(hall, kitchen"):
        pose_video(root, 9, half, unused)
    check(pose_video(root / "rgb" / "hall.mp4", 9, half, unused), list(range(9)), "ViPE")


@pytest.mark.parametrize("kind", ["json", "npz", "colmap"])
def test_user_files(tmp_path: Path, kind: str) -> None:
    video = write_video(tmp_path / "a.mp4", sliding(FRAMES))
    np.savez(tmp_path / "depth.npz", depth=depth())
    if kind == "json":
        cameras = tmp_path / "cameras.json"
        content = {"c2w": poses().tolist(), "intrinsics": (2 * LENS).tolist(), "width": 2 * WIDTH, "height": 2 * HEIGHT}
        cameras.write_text(json.dumps(content))
    elif kind == "npz":
        cameras = tmp_path / "cameras.npz"
        np.savez(cameras, w2c=np.linalg.inv(poses()), intrinsics=np.tile(LENS, (FRAMES, 1)))
    else:
        cameras = write_colmap(tmp_path / "model")
    posed = pose_video(video, 9, half, unused, cameras=cameras, depth=tmp_path / "depth.npz")
    check(posed, list(range(9)), "user")
    assert posed.metric == (kind != "colmap")


def write_colmap(model: Path) -> Path:
    model.mkdir()
    model.joinpath("cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} {' '.join(map(str, LENS))}\n")
    w2c = np.linalg.inv(poses())
    quaternions = matrix_to_quaternion(torch.from_numpy(w2c[:, :3, :3])).numpy()
    rows = [
        f"{n + 1} {' '.join(map(repr, map(float, (*quaternions[n], *w2c[n, :3, 3]))))} 1 frame{n:04d}.png\n\n"
        for n in range(FRAMES)
    ]
    model.joinpath("images.txt").write_text("".join(rows))
    return model


def test_depth_as_a_folder_of_maps(tmp_path: Path) -> None:
    """16-bit PNG in millimetres, in the order of the numbers in their names."""
    from PIL import Image

    video = write_video(tmp_path / "a.mp4", sliding(FRAMES))
    (tmp_path / "maps").mkdir()
    for number, z in enumerate(depth()):
        Image.fromarray((np.nan_to_num(z) * 1000).astype(np.uint16)).save(tmp_path / "maps" / f"z{number}.png")
    np.savez(tmp_path / "cameras.npz", c2w=poses(), intrinsics=LENS)
    files = {"cameras": tmp_path / "cameras.npz", "depth": tmp_path / "maps"}
    check(pose_video(video, 17, half, unused, **files), list(range(17)), "user")


def test_user_files_that_do_not_do(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", sliding(FRAMES))
    cameras, maps = tmp_path / "cameras.npz", tmp_path / "depth.npz"
    np.savez(cameras, c2w=poses(), intrinsics=LENS)
    with pytest.raises(LyraError, match="belong together"):
        pose_video(video, 9, half, unused, cameras=cameras)
    np.savez(maps, depth=depth()[:4])
    with pytest.raises(LyraError, match="but frame 8 is wanted"):
        pose_video(video, 9, half, unused, cameras=cameras, depth=maps)
    np.savez(maps, depth=depth()[:, :, :40])
    with pytest.raises(LyraError, match="depth map is 40x64 but the image 96x64"):
        pose_video(video, 9, half, unused, cameras=cameras, depth=maps)
    empty = depth()
    empty[2] = 0
    np.savez(maps, depth=empty)
    with pytest.raises(LyraError, match="no positive, finite value in frame 2"):
        pose_video(video, 9, half, unused, cameras=cameras, depth=maps)
    np.savez(cameras, c2w=poses(), intrinsics=-LENS)
    np.savez(maps, depth=depth())
    with pytest.raises(LyraError, match="focal lengths that are not positive"):
        pose_video(video, 9, half, unused, cameras=cameras, depth=maps)
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    cameras.write_bytes(stream.getvalue())
    with pytest.raises(LyraError, match=r"cameras\.npz are damaged"):
        pose_video(video, 9, half, unused, cameras=cameras, depth=maps)


def test_a_camera_that_stands_still(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", sliding(FRAMES))
    np.savez(tmp_path / "cameras.npz", c2w=np.tile(poses()[3], (FRAMES, 1, 1)), intrinsics=LENS)
    np.savez(tmp_path / "depth.npz", depth=depth())
    posed = pose_video(video, 9, half, unused, cameras=tmp_path / "cameras.npz", depth=tmp_path / "depth.npz")
    assert posed.static_camera
    assert torch.equal(posed.cameras.c2w, torch.eye(4).expand(9, 4, 4))
