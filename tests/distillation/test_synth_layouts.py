# SPDX-License-Identifier: Apache-2.0
"""Both layouts give back what they were given, and read what the reference writes."""

from __future__ import annotations

import io
import os
import re
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.errors import LyraError
from lyra_core.synthesis.exr import decode_exr, encode_exr
from lyra_core.synthesis.folders import load_folders, view_file, write_folders
from lyra_core.synthesis.latent_file import read_latents, write_latents
from lyra_core.synthesis.order import pose_order
from lyra_core.synthesis.sample import Sample, View, motion_reversed, problems
from lyra_core.synthesis.shards import load_sample, read_index, seal, shard_damage, write_staged
from lyra_core.synthesis.video_file import require_video_codec

from .synth_samples import FRAMES, HEIGHT, WIDTH, input_motion, make_numbers, make_view, reversed_poses

ARRAYS = ("frames", "depth", "known", "c2w", "intrinsics", "latents")


def assert_same_view(found: View, expected: View, arrays: tuple[str, ...] = ARRAYS) -> None:
    assert found.number == expected.number
    for name in arrays:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


def sealed(folder: Path, *samples: Sample) -> Path:
    staged = {sample.name: folder / f"{sample.name}.staged.tar" for sample in samples}
    for sample in samples:
        write_staged(staged[sample.name], sample, "png")
    tar = folder / "shard-00000.tar"
    seal(tar, staged, {})
    return tar


def test_shards_give_back_every_bit(tmp_path: Path) -> None:
    samples = [make_numbers("000000", 0), make_numbers("000001_x", 1)]
    tar = sealed(tmp_path, *samples)
    index = read_index(tar)
    for sample in samples:
        found = load_sample(tar, index, sample.name)
        assert found.about == sample.about
        assert len(found.views) == 6
        for ours, theirs in zip(found.views, sample.views, strict=True):
            assert_same_view(ours, theirs)
        assert found.input is not None and sample.input is not None
        for name, array in vars(sample.input).items():
            np.testing.assert_array_equal(getattr(found.input, name), array)
    assert [view.number for view in load_sample(tar, index, "000000", views=(4, 1)).views] == [1, 4]


def test_the_same_samples_are_the_same_bytes_in_any_order_of_making(tmp_path: Path) -> None:
    samples = [make_numbers("000000", 0), make_numbers("000001", 1)]
    contents = []
    for name, made in (("a", samples), ("b", samples[::-1])):
        (tmp_path / name).mkdir()
        staged = {sample.name: tmp_path / name / f"{sample.name}.tar" for sample in samples}
        for sample in made:
            write_staged(staged[sample.name], sample, "png")
            os.utime(staged[sample.name], (1, 1))
        tar = tmp_path / name / "shard-00000.tar"
        seal(tar, staged, {})
        contents.append((tar.read_bytes(), tar.with_suffix(".json").read_bytes()))
    assert contents[0] == contents[1]
    with tarfile.open(tmp_path / "a" / "shard-00000.tar") as tar_file:
        assert {(member.mtime, member.uid, member.uname) for member in tar_file} == {(0, 0, "")}


@pytest.mark.parametrize("suffix", ["json", "input.png", "safetensors", "3.npz", "5.00008.png"])
def test_a_flipped_byte_names_shard_and_sample(tmp_path: Path, suffix: str) -> None:
    tar = sealed(tmp_path, make_numbers("000000", 0), make_numbers("000001", 1))
    index = read_index(tar)
    place = index.samples["000001"][suffix]
    content = bytearray(tar.read_bytes())
    content[place.offset + place.size // 2] ^= 16
    tar.write_bytes(content)
    with pytest.raises(LyraError, match=r"shard-00000\.tar is damaged at sample 000001"):
        load_sample(tar, index, "000001")
    load_sample(tar, index, "000000")
    assert "SHA-256" in (shard_damage(tar, index) or "")
    tar.write_bytes(content[:-1000])
    assert "bytes instead of" in (shard_damage(tar, index) or "")


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2"])
def test_latents_written_as_the_reference_does_are_read(tmp_path: Path, kind: str) -> None:
    """The published script hands a NumPy array to torch.save; older NumPy names its helper without the underscore."""
    latents = np.random.default_rng(0).standard_normal((1, 16, 2, 3, 4)).astype(kind)
    torch.save(latents, tmp_path / "new.pkl")
    stream = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "new.pkl") as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"cnumpy._core.", b"cnumpy.core."))
    (tmp_path / "old.pkl").write_bytes(stream.getvalue())
    for name in ("new.pkl", "old.pkl"):
        found = read_latents(tmp_path / name)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, latents[0].astype(np.float32))


def test_the_reference_reads_our_latents(tmp_path: Path) -> None:
    """It calls torch.load without restrictions and expects a NumPy array with a batch axis."""
    latents = np.random.default_rng(0).standard_normal((16, 2, 3, 4)).astype(np.float32)
    write_latents(tmp_path / "ours.pkl", latents)
    found = torch.load(tmp_path / "ours.pkl", map_location="cpu", weights_only=False)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, latents[None])
    np.testing.assert_array_equal(read_latents(tmp_path / "ours.pkl"), latents)
    assert b"_core" not in (tmp_path / "ours.pkl").read_bytes()


class Nasty:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save(Nasty(tmp_path / "made"), tmp_path / "nasty.pkl")
    with pytest.raises(LyraError, match=r"nasty\.pkl is no readable latent file"):
        read_latents(tmp_path / "nasty.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "array", [np.array([[{}]], dtype=object), np.zeros((1, 2), "datetime64[s]"), np.zeros((16, 2, 3, 4), np.float32)]
)
def test_other_arrays_are_no_latents(tmp_path: Path, array: np.ndarray) -> None:
    torch.save(array, tmp_path / "other.pkl")
    with pytest.raises(LyraError, match=r"other\.pkl"):
        read_latents(tmp_path / "other.pkl")


@pytest.mark.parametrize("shape", [(1, 1), (16, 5), (17, 33), (40, 64)])
def test_depth_files_give_back_half_precision(shape: tuple[int, int]) -> None:
    depth = np.random.default_rng(0).uniform(0, 100, shape).astype(np.float16)
    depth[0, 0] = np.inf
    assert decode_exr(encode_exr(depth)).tobytes() == depth.tobytes()
    smooth = np.ones((64, 64), np.float16)
    assert len(encode_exr(smooth)) < smooth.nbytes / 10


def test_uncompressed_single_precision_depth_is_read() -> None:
    """The simplest file the format allows, put together by hand."""
    depth = np.arange(6, dtype="<f4").reshape(2, 3)

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value

    header = b"\x76\x2f\x31\x01\x02\0\0\0"
    header += attribute("channels", "chlist", b"Z\0" + struct.pack("<iiii", 2, 0, 1, 1) + b"\0")
    header += attribute("compression", "compression", b"\0")
    header += attribute("dataWindow", "box2i", struct.pack("<4i", 0, 0, 2, 1)) + b"\0"
    first = len(header) + 16
    table = struct.pack("<2Q", first, first + 20)
    lines = b"".join(struct.pack("<ii", y, 12) + row.tobytes() for y, row in enumerate(depth))
    np.testing.assert_array_equal(decode_exr(header + table + lines), depth)
    with pytest.raises(ValueError, match="OpenEXR"):
        decode_exr(b"PNG" + header)
    with pytest.raises(ValueError):
        decode_exr((header + table + lines)[:-8])


def test_published_folders_round_trip(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="writing .mp4 needs PyAV")
    sample = make_numbers("a-clip")
    write_folders(tmp_path, sample)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3", "4", "5", "flag"]
    with np.load(tmp_path / "2/pose/a-clip.npz") as poses:
        np.testing.assert_array_equal(poses["data"], sample.views[2].c2w)
        np.testing.assert_array_equal(poses["inds"], np.arange(FRAMES))
    with zipfile.ZipFile(tmp_path / "4/depth/a-clip.zip") as archive:
        assert archive.namelist()[0] == "00000.exr"
    found = load_folders(tmp_path, "a-clip")
    assert found.about == sample.about
    assert found.input is not None
    for ours, theirs in zip(found.views, sample.views, strict=True):
        assert_same_view(ours, theirs, tuple(name for name in ARRAYS if name != "frames"))
        assert np.abs(ours.frames.astype(int) - theirs.frames.astype(int)).mean() < 4
    bare = load_folders(tmp_path, "a-clip", views=(3,))
    assert [view.number for view in bare.views] == [3]


def test_folders_of_others_need_neither_depth_nor_our_files(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="writing .mp4 needs PyAV")
    write_folders(tmp_path, make_numbers("a-clip"))
    for path in (*tmp_path.glob("flag/clips/*"), *tmp_path.glob("*/depth/*"), *tmp_path.glob("*/mask/*")):
        path.unlink()
    found = load_folders(tmp_path, "a-clip")
    assert found.input is None
    assert not found.views[0].known.any()
    view_file(tmp_path, 1, "pose", "a-clip").write_bytes(b"no archive")
    with pytest.raises(LyraError, match=r"1/pose/a-clip\.npz is damaged"):
        load_folders(tmp_path, "a-clip")


def test_a_generative_teachers_holes_carry_no_depth(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="writing .mp4 needs PyAV")
    sample = replace(make_numbers("a-clip"), about={"depth_holds": "known"})
    write_folders(tmp_path, sample)
    view, found = sample.views[0], load_folders(tmp_path, "a-clip", views=(0,)).views[0]
    np.testing.assert_array_equal(found.depth[view.known], view.depth[view.known])
    assert not found.depth[~view.known].any()


def test_without_a_codec_the_error_says_what_to_install() -> None:
    try:
        require_video_codec()
    except LyraError as error:
        assert "pip install av" in str(error)
    else:
        pytest.skip("a video codec is installed")


def test_a_motion_reversed_view_ends_where_the_camera_started() -> None:
    """Made of an input that runs backwards: turned as a whole, its poses fit its frames."""
    backwards = replace(make_view(0), c2w=(input_motion()[::-1] @ make_view(0).c2w).astype(np.float32))
    found = motion_reversed(backwards)
    assert (found.number, found.path, found.reversed, found.latents) == (6, "left", True, None)
    np.testing.assert_allclose(found.c2w[-1], input_motion()[-1], atol=1e-6)
    np.testing.assert_allclose(found.c2w, reversed_poses(6), atol=1e-6)
    np.testing.assert_array_equal(found.frames[0], backwards.frames[-1])
    np.testing.assert_array_equal(found.depth[0], backwards.depth[-1])
    assert not problems(Sample("x", (found,), None, {}))
    with pytest.raises(LyraError, match="already"):
        motion_reversed(found)


def test_the_order_of_poses_is_recognised_under_a_moving_input() -> None:
    right = {number: make_view(number, moving=True).c2w for number in range(6)}
    right |= {number: reversed_poses(number) for number in range(6, 12)}
    wrong = {number: c2w[::-1] if number >= 6 else c2w for number, c2w in right.items()}
    assert pose_order(right) == "right"
    assert pose_order(wrong) == "reversed"
    assert pose_order({number: right[number] for number in (6, 7)}) == "right"
    assert pose_order({number: wrong[number] for number in (6, 9)}) == "reversed"
    assert pose_order({number: right[number] for number in range(6)}) == "unclear"
    assert pose_order({0: right[0], 6: right[6]}) == "unclear"


def test_one_reversed_view_is_recognised_when_the_input_stood_still() -> None:
    view = make_view(1)
    assert pose_order({1: view.c2w, 7: motion_reversed(view).c2w}) == "right"
    assert pose_order({1: view.c2w, 7: view.c2w}) == "reversed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": np.full((16, 2, HEIGHT // 8, WIDTH // 8), np.nan, np.float32)}, "latents hold NaN"),
        ({"latents": np.zeros((2, 16, HEIGHT // 8, WIDTH // 8), np.float32)}, r"latents have shape \[2, 16"),
        ({"latents": None}, "latents are missing"),
        ({"c2w": np.full((FRAMES, 4, 4), np.nan, np.float32)}, "poses hold NaN"),
        ({"c2w": np.full((FRAMES, 4, 4), 0.5, np.float32)}, "no rigid motions"),
        ({"intrinsics": np.zeros((FRAMES, 4), np.float32)}, "focal length"),
        ({"depth": np.zeros((FRAMES, 8, 8), np.float16)}, "depth have shape"),
    ],
)
def test_unusable_views_are_told(change: dict[str, np.ndarray], message: str) -> None:
    sample = Sample("x", (replace(make_view(2), **change),), None, {})
    assert re.search(f"view 2: .*{message}", "; ".join(problems(sample)))
