# SPDX-License-Identifier: Apache-2.0
"""Compressed PLY: bytes from the public description of the format, precision, and hostile input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from usd_export.cloud import SH_C0, GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.formats.compressed_ply import CHUNK, chunk_order, read_compressed_ply, write_compressed_ply

MakeCloud = Callable[..., GaussianCloud]
RANGES = {
    **{f"min_{name}": 0.0 for name in ("x", "y", "z", "scale_x", "scale_y", "scale_z", "r", "g", "b")},
    **{f"max_{name}": 1.0 for name in ("x", "y", "z", "scale_x", "scale_y", "scale_z", "r", "g", "b")},
}
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
IDENTITY = 512 << 20 | 512 << 10 | 512


def table(name: str, kind: str, columns: dict[str, object]) -> PlyElement:
    records = np.zeros(np.size(next(iter(columns.values()))), dtype=[(column, kind) for column in columns])
    for column, values in columns.items():
        records[column] = values
    return PlyElement.describe(records, name)


def write_by_hand(
    path: Path,
    words: dict[str, list[int]],
    ranges: dict[str, float],
    sh: np.ndarray | None = None,
    byte_order: str = "<",
) -> None:
    parts = [table("chunk", "f4", ranges), table("vertex", "u4", words)]
    if sh is not None:
        parts.append(table("sh", "u1", {f"f_rest_{i}": sh[:, i] for i in range(sh.shape[1])}))
    PlyData(parts, byte_order=byte_order).write(str(path))


def one(position: int = 0, rotation: int = IDENTITY, scale: int = 0, color: int = 0) -> dict[str, list[int]]:
    return dict(zip(PACKED, ([position], [rotation], [scale], [color]), strict=True))


def test_bits(tmp_path: Path) -> None:
    """The first component has the highest bits."""
    ranges = RANGES | {"min_x": -2.0, "max_x": 2.0, "max_scale_y": 3.0, "min_b": -1.0}
    words = one(
        2047 << 21 | 341 << 11 | 0, scale=0 << 21 | 1023 << 11 | 2047, color=255 << 24 | 51 << 16 | 0 << 8 | 102
    )
    write_by_hand(tmp_path / "s.ply", words, ranges)
    cloud = read_compressed_ply(tmp_path / "s.ply")
    np.testing.assert_allclose(cloud.positions, [[2, 1 / 3, 0]], atol=1e-7)
    np.testing.assert_allclose(np.log(cloud.scales), [[0, 3, 1]], atol=1e-6)
    np.testing.assert_allclose(cloud.base_colors, [[1, 0.2, -1]], atol=1e-6)
    np.testing.assert_allclose(cloud.opacities, [0.4], atol=1e-7)


@pytest.mark.parametrize("largest", range(4))
def test_rotations(tmp_path: Path, largest: int) -> None:
    fields = np.array([100, 600, 900])
    write_by_hand(tmp_path / "s.ply", one(rotation=largest << 30 | 100 << 20 | 600 << 10 | 900), RANGES)
    expected = np.insert((fields / 1023 - 0.5) * np.sqrt(2), largest, 0)
    expected[largest] = np.sqrt(1 - (expected**2).sum())
    np.testing.assert_allclose(read_compressed_ply(tmp_path / "s.ply").rotations[0], expected, atol=1e-6)


def test_old_files_have_no_range_of_colors(tmp_path: Path) -> None:
    ranges = {name: value for name, value in RANGES.items() if name[-2:] not in ("_r", "_g", "_b")}
    write_by_hand(tmp_path / "s.ply", one(color=255 << 24 | 51 << 16), ranges)
    np.testing.assert_allclose(read_compressed_ply(tmp_path / "s.ply").base_colors, [[1, 0.2, 0]], atol=1e-6)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_harmonics(tmp_path: Path, degree: int) -> None:
    """0 and 255 are the ends, everything else the middle of its step; channel-major like f_rest."""
    bands = (degree + 1) ** 2 - 1
    steps = np.arange(3 * bands, dtype=np.uint8)[None]
    steps[0, -1] = 255
    write_by_hand(tmp_path / "s.ply", one(), RANGES, steps)
    sh = read_compressed_ply(tmp_path / "s.ply").sh
    assert sh.shape == (1, bands + 1, 3)
    assert sh[0, 1, 0] == -4
    assert sh[0, -1, 2] == 4
    np.testing.assert_allclose(sh[0, 2, 0], (1.5 / 256 - 0.5) * 8, rtol=1e-6)
    np.testing.assert_allclose(sh[0, 1, 1], ((bands + 0.5) / 256 - 0.5) * 8, rtol=1e-6)


@pytest.mark.parametrize("count", [1, CHUNK, CHUNK + 1, 70_000])
@pytest.mark.parametrize("degree", [0, 3])
def test_stated_precision(make_cloud: MakeCloud, tmp_path: Path, count: int, degree: int) -> None:
    """Half a step: of the chunk's range in 11, 10 and 11 bits, of opacity in 8, of harmonics from -4 to 4 in 8."""
    cloud = make_cloud(count, degree)
    cloud.sh[:, 1:] = np.clip(cloud.sh[:, 1:], -4, 4)
    write_compressed_ply(tmp_path / "s.ply", cloud)
    again, order = read_compressed_ply(tmp_path / "s.ply"), chunk_order(cloud)
    assert (np.sort(order) == np.arange(count)).all()
    steps = np.array([2047, 1023, 2047])
    for name, levels in (("positions", steps), ("scales", steps), ("base_colors", 255)):
        was, is_now = (getattr(item, name).astype(np.float64) for item in (cloud, again))
        was, is_now = (np.log(was[order]), np.log(is_now)) if name == "scales" else (was[order], is_now)
        starts = np.arange(0, count, CHUNK)
        span = np.maximum.reduceat(was, starts) - np.minimum.reduceat(was, starts)
        allowed = np.repeat(0.5001 * span / levels + 2e-6, CHUNK, axis=0)[:count]
        assert (np.abs(is_now - was) <= allowed).all(), name
    np.testing.assert_allclose(again.opacities, cloud.opacities[order], atol=0.5001 / 255)
    higher = cloud.sh[order, 1:]
    steps_off = np.where(np.abs(higher) > 4 - 1 / 32, 1, 0.5)
    assert (np.abs(again.sh[:, 1:] - higher) <= 1.0001 * steps_off / 32).all()
    sines = np.sqrt(np.maximum(0, 1 - (again.rotations.astype(np.float64) * cloud.rotations[order]).sum(axis=1) ** 2))
    assert sines.max() < 2e-3


def test_colors_are_held_as_base_colors(make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud(1)
    write_compressed_ply(tmp_path / "s.ply", cloud)
    chunk = PlyData.read(str(tmp_path / "s.ply"))["chunk"].data
    np.testing.assert_allclose(chunk["min_r"], 0.5 + SH_C0 * cloud.sh[0, 0, 0], rtol=1e-6)


@pytest.fixture
def good(make_cloud: MakeCloud, tmp_path: Path) -> bytes:
    write_compressed_ply(tmp_path / "good.ply", make_cloud(300, degree=1), comments=["a remark"])
    return (tmp_path / "good.ply").read_bytes()


HEADER_LIES = {
    "one chunk less": lambda good: good.replace(b"chunk 2", b"chunk 1"),
    "no chunk": lambda good: good.replace(b"chunk 2", b"chunk 0"),
    "chunks overflow": lambda good: good.replace(b"chunk 2", b"chunk 256204778801521550"),
    "one Gaussian more": lambda good: good.replace(b"vertex 300", b"vertex 301"),
    "Gaussians overflow": lambda good: good.replace(b"vertex 300", b"vertex 999999999999999999"),
    "no Gaussians": lambda good: good.replace(b"vertex 300", b"vertex 0"),
    "harmonics of fewer": lambda good: good.replace(b"element sh 300", b"element sh 299"),
    "harmonics of none": lambda good: good.replace(b"element sh 300", b"element sh 0"),
    "no vertex": lambda good: good.replace(b"element vertex", b"element vertices"),
    "ranges of another type": lambda good: good.replace(b"float min_y", b"double min_y"),
    "words of another type": lambda good: good.replace(b"uint packed_scale", b"float packed_scale"),
    "harmonics of another type": lambda good: good.replace(b"uchar f_rest_3", b"ushort f_rest_3"),
    "half of the colour ranges": lambda good: good.replace(b"max_g", b"max_q"),
    "harmonics of no degree": lambda good: good.replace(b"property uchar f_rest_8\n", b""),
    "list of words": lambda good: good.replace(b"uint packed_color", b"list uchar uint packed_color"),
    "cut": lambda good: good[:-1],
    "longer": lambda good: good + b"\0",
    "big-endian": lambda good: good.replace(b"little", b"big"),
    "ascii": lambda good: good.replace(b"binary_little_endian", b"ascii"),
    "nan": lambda good: good.replace(b"end_header\n", b"end_header\n" + b"\xff" * 4, 1)[:-4],
}


@pytest.mark.parametrize("lie", HEADER_LIES)
def test_damaged_files_fail_in_one_line(good: bytes, tmp_path: Path, lie: str) -> None:
    path = tmp_path / "bad.ply"
    path.write_bytes(HEADER_LIES[lie](good))
    assert path.read_bytes() != good
    with pytest.raises(UsdExportError, match=r"bad\.ply") as error:
        read_compressed_ply(path)
    assert "\n" not in str(error.value)


def test_nan_and_infinite_ranges_are_named(tmp_path: Path) -> None:
    for name, value, message in (("min_x", np.nan, "positions with NaN"), ("max_scale_y", np.inf, "scales with NaN")):
        write_by_hand(tmp_path / "s.ply", one(scale=1023 << 11), RANGES | {name: value})
        with pytest.raises(UsdExportError, match=message):
            read_compressed_ply(tmp_path / "s.ply")


def test_an_ordinary_ply_is_refused(tmp_path: Path) -> None:
    PlyData([table("vertex", "f4", {"x": [1.0]})], byte_order="<").write(str(tmp_path / "s.ply"))
    with pytest.raises(UsdExportError, match="lacks the property min_x of the element chunk"):
        read_compressed_ply(tmp_path / "s.ply")


def test_memory_follows_the_honest_size(
    make_cloud: MakeCloud, peak_bytes: Callable[..., int], good: bytes, tmp_path: Path
) -> None:
    """The cloud that the file holds, and no second copy of it."""
    cloud = make_cloud(200_000)
    write_compressed_ply(tmp_path / "s.ply", cloud)
    assert peak_bytes(lambda: read_compressed_ply(tmp_path / "s.ply")) < 2 * 200_000 * 56
    lie = good.replace(b"vertex 300", b"vertex 900000000").replace(b"chunk 2", b"chunk 3515625")
    (tmp_path / "lie.ply").write_bytes(lie)
    assert peak_bytes(lambda: read_compressed_ply(tmp_path / "lie.ply")) < 2 << 20


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_never_crash(good: bytes, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(good)
    for place in data.draw(st.lists(st.integers(0, 1_500), min_size=1, max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "bad.ply"
    path.write_bytes(damaged)
    try:
        read_compressed_ply(path).validate()
    except UsdExportError as error:
        assert "\n" not in str(error)


def test_an_invalid_cloud_leaves_the_good_file(good: bytes, make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud()
    cloud.rotations[0] = 0
    with pytest.raises(UsdExportError, match="zero quaternions"):
        write_compressed_ply(tmp_path / "good.ply", cloud)
    assert (tmp_path / "good.ply").read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["good.ply"]
