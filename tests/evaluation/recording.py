# SPDX-License-Identifier: Apache-2.0
"""A short walk past a patterned card and wall, written down as each data set does it."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at
from lyra_core.evaluation.views import to_scene_units
from lyra_core.images import write_image
from lyra_core.rotations import matrix_to_quaternion

HEIGHT, WIDTH = 112, 224
UNIT = 0.37
"""Units of the data sets per metre: something nobody can guess."""


@dataclass(frozen=True)
class Recording:
    """F frames: pictures `[F, H, W, 3]`, z-depth `[F, H, W]` and cameras `[F]`, both in units of the data set."""

    pictures: Tensor
    z: Tensor
    cameras: Cameras

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def c2w(self) -> np.ndarray:
        return self.cameras.c2w.double().numpy()

    @property
    def relative(self) -> Cameras:
        """Cameras in the axes of the first one."""
        return to_scene_units(self.cameras, self.cameras.c2w[0], 1.0)

    def points(self, frame: int, step: int = 12) -> Tensor:
        """Some visible world points `[N, 3]` of a frame."""
        camera = self.cameras[frame]
        origins, directions = camera.rays()
        along = self.z[frame] / (directions * camera.c2w[:3, 2]).sum(-1)
        return (origins + directions * along[..., None])[step // 2 :: step, step // 2 :: step].reshape(-1, 3)

    def reversed(self) -> Recording:
        return Recording(self.pictures.flip(0), self.z.flip(0), self.cameras[torch.arange(len(self)).flip(0)])


def record(frames: int = 9) -> Recording:
    """A camera that moves sideways past a card in front of a wall, both patterned, in a world turned and scaled."""
    up = torch.tensor([0.0, -1.0, 0.0])
    poses = torch.stack([look_at((step, 0.0, 0.0), (0.0, 0.0, 3.0), up) for step in torch.linspace(0, 0.3, frames)])
    cameras = Cameras(poses, intrinsics_from_fov(math.radians(70.0), WIDTH, HEIGHT), WIDTH, HEIGHT)
    rgb, z = _seen(cameras)
    turned = look_at((1.0, 2.0, 3.0), (4.0, 1.0, 2.5), torch.tensor([0.0, 0.0, 1.0])) @ poses
    turned[:, :3, 3] *= UNIT
    return Recording(rgb, z * UNIT, Cameras(turned, cameras.intrinsics, WIDTH, HEIGHT))


def _seen(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Pictures `[F, H, W, 3]` and z-depth `[F, H, W]` of a wall at z = 4 and a card at z = 2."""
    origins, directions = cameras.rays()
    patterns = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(3))
    rgb, distance = [], []
    for pattern, plane in zip(patterns, (4.0, 2.0), strict=True):
        along = (plane - origins[..., 2]) / directions[..., 2]
        hits = origins + directions * along[..., None]
        flat = (hits[..., :2] / 5).reshape(1, 1, -1, 2)
        rgb.append(functional.grid_sample(pattern[None], flat, align_corners=False)[0, :, 0].T.reshape(*hits.shape))
        distance.append(torch.where((hits[..., :2].abs() < 0.7).all(-1) | (plane > 3), along, torch.inf))
    card = distance[1] < distance[0]
    forward = cameras.c2w[:, None, None, :3, 2]
    z = torch.where(card, distance[1], distance[0]) * (directions * forward).sum(-1)
    return torch.where(card[..., None], rgb[1], rgb[0]), z


def write_realestate10k(root: Path, recording: Recording) -> Path:
    """Returns the camera file."""
    path = root / "abcdef.txt"
    lines = ["https://www.youtube.com/watch?v=none"]
    for number, (c2w, picture) in enumerate(zip(recording.c2w, recording.pictures, strict=True)):
        stamp = 33_366_667 + 33_367 * number
        fx, fy, cx, cy = (recording.cameras.intrinsics[number] / torch.tensor([WIDTH, HEIGHT] * 2)).tolist()
        row = [fx, fy, cx, cy, 0, 0, *np.linalg.inv(c2w)[:3].ravel()]
        lines.append(f"{stamp} " + " ".join(f"{value:.9f}" for value in row))
        write_picture(root / "abcdef" / f"{stamp}.png", picture)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_dl3dv(root: Path, recording: Recording, reduced: int = 1) -> Path:
    """With `reduced` the cameras state a larger size than the pictures have. Returns transforms.json."""
    folder = "images" if reduced == 1 else f"images_{reduced}"
    fx, fy, cx, cy = (recording.cameras.intrinsics[0] * reduced).tolist()
    frames = []
    for number, (c2w, picture) in enumerate(zip(recording.c2w, recording.pictures, strict=True), start=1):
        name = f"frame_{number:05d}.png"
        opengl = c2w @ np.diag((1.0, -1.0, -1.0, 1.0))
        frames.append({"file_path": f"images/{name}", "transform_matrix": opengl.tolist(), "colmap_im_id": number})
        write_picture(root / "hash" / folder / name, picture)
    content = {
        "w": WIDTH * reduced, "h": HEIGHT * reduced, "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy,
        "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0, "camera_model": "OPENCV", "frames": frames[::-1],
    }  # fmt: skip
    path = root / "hash" / "transforms.json"
    path.write_text(json.dumps(content))
    return path


def write_colmap(scene: Path, recording: Recording, binary: bool = True) -> Path:
    """Every frame sees its own points. Returns the folder of the model."""
    model = scene / "sparse" / "0"
    model.mkdir(parents=True)
    sets = [recording.points(frame) for frame in range(len(recording))]
    ids = torch.arange(1, sum(map(len, sets)) + 1).split([len(points) for points in sets])
    poses = []
    for number, c2w in enumerate(recording.c2w):
        w2c = np.linalg.inv(c2w)
        quaternion = matrix_to_quaternion(torch.from_numpy(w2c[:3, :3])).tolist()
        poses.append((f"{number:06d}.png", quaternion, w2c[:3, 3].tolist(), ids[number].tolist()))
        write_picture(scene / "images" / f"{number:06d}.png", recording.pictures[number])
    intrinsics, points = recording.cameras.intrinsics[0].tolist(), torch.cat(sets).tolist()
    (_colmap_binary if binary else _colmap_text)(model, intrinsics, poses, points)
    return model


def _colmap_binary(model: Path, intrinsics: list[float], poses: list, points: list) -> None:
    lens = struct.pack("<QiiQQ4d", 1, 1, 1, WIDTH, HEIGHT, *intrinsics)
    images = [struct.pack("<Q", len(poses))]
    for number, (name, quaternion, translation, ids) in enumerate(poses, start=1):
        images.append(struct.pack("<i7di", number, *quaternion, *translation, 1) + name.encode() + b"\0")
        images.append(struct.pack("<Q", len(ids) + 1) + struct.pack("<ddq", 1.0, 2.0, -1))
        images += [struct.pack("<ddq", 0.0, 0.0, index) for index in ids]
    cloud = [struct.pack("<Q", len(points))]
    for index, point in enumerate(points, start=1):
        cloud.append(struct.pack("<Q3d3BdQ", index, *point, 9, 9, 9, 0.5, 2) + struct.pack("<4i", 1, 0, 2, 0))
    for name, data in (("cameras", [lens]), ("images", images), ("points3D", cloud)):
        (model / f"{name}.bin").write_bytes(b"".join(data))


def _colmap_text(model: Path, intrinsics: list[float], poses: list, points: list) -> None:
    write_cameras_txt(model, intrinsics)
    lines = ["# Image list"]
    for number, (name, quaternion, translation, ids) in enumerate(poses, start=1):
        lines.append(" ".join(map(str, (number, *quaternion, *translation, 1, name))))
        lines.append(" ".join(f"0 0 {index}" for index in (-1, *ids)))
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    rows = [f"{index} {x} {y} {z} 9 9 9 0.5 1 0 2 0" for index, (x, y, z) in enumerate(points, start=1)]
    (model / "points3D.txt").write_text("# 3D point list\n" + "\n".join(rows) + "\n")


def write_cameras_txt(folder: Path, intrinsics: list[float]) -> None:
    words = " ".join(map(str, intrinsics))
    (folder / "cameras.txt").write_text(f"# Camera list\n1 PINHOLE {WIDTH} {HEIGHT} {words}\n")


def write_tanks_log(root: Path, recording: Recording) -> Path:
    """Returns the trajectory file."""
    scene = root / "Barn"
    lines = []
    for number, (c2w, picture) in enumerate(zip(recording.c2w, recording.pictures, strict=True)):
        lines += [f"{number} {number} 0", *(" ".join(f"{value:.12f}" for value in row) for row in c2w)]
        write_picture(scene / f"{number + 1:06d}.png", picture)
    write_cameras_txt(scene, recording.cameras.intrinsics[0].tolist())
    path = scene / "Barn_COLMAP_SfM.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_lyra_set(root: Path, recordings: dict[int, Recording], clip: str = "kitchen") -> None:
    """One recording per numbered camera path; pictures as a folder."""
    for number, recording in recordings.items():
        folder = root / str(number)
        for name, data in (("pose", recording.c2w), ("intrinsics", recording.cameras.intrinsics.numpy())):
            (folder / name).mkdir(parents=True)
            inds = np.arange(len(recording))
            np.savez(folder / name / f"{clip}.npz", data=data.astype(np.float32), inds=inds)
        for index, picture in enumerate(recording.pictures):
            write_picture(folder / "rgb" / clip / f"{index:05d}.png", picture)


def write_latents(root: Path, number: int, latents: Tensor, clip: str = "kitchen") -> None:
    """As the published data engine writes them: a pickled float array, one clip per file."""
    folder = root / str(number) / "latent"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(latents[None].numpy(), folder / f"{clip}.pkl")


def write_depth(root: Path, number: int, z: Tensor, clip: str = "kitchen") -> None:
    """A zip of EXR files with the float16 channel Z."""
    import Imath
    import OpenEXR

    folder = root / str(number) / "depth"
    folder.mkdir(parents=True, exist_ok=True)
    half = Imath.Channel(Imath.PixelType(Imath.PixelType.HALF))
    with zipfile.ZipFile(folder / f"{clip}.zip", "w") as archive:
        for index, values in enumerate(z.numpy().astype(np.float16)):
            header = OpenEXR.Header(values.shape[1], values.shape[0])
            header["channels"] = {"Z": half}
            path = folder / f"{index:05d}.exr"
            output = OpenEXR.OutputFile(str(path), header)
            output.writePixels({"Z": values.tobytes()})
            output.close()
            archive.write(path, path.name)
            path.unlink()


def write_picture(path: Path, picture: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture)
