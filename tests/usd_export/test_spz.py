# SPDX-License-Identifier: Apache-2.0
"""SPZ files: bytes from the public description of the format, precision, and hostile input."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.formats.spz import read_spz, write_spz
from usd_export.spherical_harmonics import sh_basis

MakeCloud = Callable[..., GaussianCloud]


def packed(
    count: int = 2,
    *,
    version: int = 3,
    degree: int = 0,
    bits: int = 12,
    flags: int = 0,
    positions: tuple[int, ...] = (4096, 8192, -4096, 1, -1, 0),
    rotations: bytes = bytes(8),
    harmonics: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """An SPZ payload put together by hand; opacities 0 and 255, colours 0 to 255, scales e^0 and e^-10."""
    data = struct.pack("<IIIBBBB", 0x5053474E, version, count, degree, bits, flags, 0)
    data += b"".join(struct.pack("<i", value)[:3] for value in positions)
    data += bytes([0, 255]) + bytes([0, 51, 255, 127, 128, 129]) + bytes([160, 160, 160, 0, 16, 255])
    return data + rotations + harmonics + tail


def saved(folder: Path, payload: bytes) -> Path:
    path = folder / "scene.spz"
    path.write_bytes(gzip.compress(payload))
    return path


def word(largest: int, *components: int) -> bytes:
    """Version 3: index of the largest of x, y, z, w and three signed magnitudes of at most 511."""
    value = largest
    for component in components:
        value = value << 10 | (component < 0) << 9 | abs(component)
    return struct.pack("<I", value)


def test_columns(tmp_path: Path) -> None:
    cloud = read_spz(saved(tmp_path, packed(rotations=word(3, 0, 0, 0) + word(0, 100, -200, 300))))
    np.testing.assert_array_equal(cloud.positions, [[1, -2, 1], [1 / 4096, 1 / 4096, 0]])  # y up and z back turn
    np.testing.assert_array_equal(cloud.opacities, [0, 1])
    np.testing.assert_allclose(cloud.sh[0, 0], [-0.5 / 0.15, (0.2 - 0.5) / 0.15, 0.5 / 0.15], rtol=1e-6)
    np.testing.assert_allclose(np.log(cloud.scales), [[0, 0, 0], [-10, -9, 255 / 16 - 10]], atol=1e-6)
    y, z, w = np.array([100, -200, 300]) / 511 / np.sqrt(2)
    x = np.sqrt(1 - y * y - z * z - w * w)
    np.testing.assert_allclose(cloud.rotations, [[1, 0, 0, 0], [w, x, -y, -z]], atol=1e-7)


def test_rotations_of_version_2(tmp_path: Path) -> None:
    cloud = read_spz(saved(tmp_path, packed(version=2, rotations=bytes([128, 128, 128, 255, 128, 0]))))
    x = 128 / 127.5 - 1
    np.testing.assert_allclose(cloud.rotations[0], [np.sqrt(1 - 3 * x * x), x, -x, -x], atol=1e-7)
    expected = np.array([0, 1, -x, 1]) / np.linalg.norm([1, x, 1])  # longer than 1 in the file
    np.testing.assert_allclose(cloud.rotations[1], expected, atol=1e-7)


@pytest.mark.parametrize("bits", [0, 8, 24])
def test_fraction_bits(tmp_path: Path, bits: int) -> None:
    positions = (-(2**23), 2**23 - 1, 0, 0, 0, 0)
    cloud = read_spz(saved(tmp_path, packed(bits=bits, positions=positions)))
    np.testing.assert_array_equal(cloud.positions[0], [-(2.0 ** (23 - bits)), -(2.0**23 - 1) / 2**bits, 0])


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_harmonics_are_the_same_function_in_other_axes(tmp_path: Path, degree: int) -> None:
    """What the file shows towards d (right, up, back), the cloud shows towards the same direction in its own axes."""
    random = np.random.default_rng(degree)
    stored = random.integers(0, 256, size=(2, (degree + 1) ** 2 - 1, 3), dtype=np.uint8)
    cloud = read_spz(saved(tmp_path, packed(degree=degree, harmonics=stored.tobytes())))
    directions = random.normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    in_file = sh_basis(directions, degree)[:, 1:] @ ((stored.astype(np.float64) - 128) / 128)
    in_cloud = sh_basis(directions * [1, -1, -1], degree)[:, 1:] @ cloud.sh[:, 1:]
    np.testing.assert_allclose(in_cloud, in_file, atol=1e-6)


def turns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 2 * np.arccos(np.clip(np.abs((a.astype(np.float64) * b).sum(axis=1)), 0, 1))


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize(("version", "angle"), [(2, 0.3), (3, 5e-3)])
def test_stated_precision(make_cloud: MakeCloud, tmp_path: Path, version: int, angle: float, degree: int) -> None:
    """Half a step of each column. Rotations: three errors of half of 1 / (511 sqrt(2)) and that of the component that
    follows from them, at most twice as large, turn by up to 5e-3; w of version 2 is a root, which is coarse near 0."""
    cloud = make_cloud(70_000, degree)
    cloud.sh[:, 0] = np.clip(cloud.sh[:, 0], -10 / 3, 10 / 3)
    write_spz(tmp_path / "s.spz", cloud, version=version)
    again = read_spz(tmp_path / "s.spz")
    np.testing.assert_allclose(again.positions, cloud.positions, atol=0.5001 / 4096)
    np.testing.assert_allclose(again.opacities, cloud.opacities, atol=0.5001 / 255)
    np.testing.assert_allclose(again.sh[:, 0], cloud.sh[:, 0], atol=0.5001 / 255 / 0.15)
    np.testing.assert_allclose(np.log(again.scales), np.log(cloud.scales), atol=0.5001 / 16)
    np.testing.assert_allclose(again.sh[:, 1:4], np.clip(cloud.sh[:, 1:4], -1, 1), atol=1 / 32 + 1e-6)
    np.testing.assert_allclose(again.sh[:, 4:], np.clip(cloud.sh[:, 4:], -1, 1), atol=1 / 16 + 1e-6)
    assert turns(again.rotations, cloud.rotations).max() < angle


def test_a_file_written_again_is_the_same(make_cloud: MakeCloud, tmp_path: Path) -> None:
    write_spz(tmp_path / "first.spz", make_cloud(500, 3))
    write_spz(tmp_path / "second.spz", read_spz(tmp_path / "first.spz"))
    assert (tmp_path / "first.spz").read_bytes() == (tmp_path / "second.spz").read_bytes()


def test_large_scenes_get_fewer_fraction_bits(make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud()
    cloud.positions *= 1e5 / np.abs(cloud.positions).max()
    write_spz(tmp_path / "s.spz", cloud)
    np.testing.assert_allclose(read_spz(tmp_path / "s.spz").positions, cloud.positions, atol=0.5001 / 2**6)
    cloud.positions *= 1e3
    with pytest.raises(UsdExportError, match="positions reach 1e\\+08, and SPZ ends at 8388607"):
        write_spz(tmp_path / "s.spz", cloud)


def test_versions_that_cannot_be_written(make_cloud: MakeCloud, tmp_path: Path) -> None:
    with pytest.raises(UsdExportError, match="version 4 cannot be written"):
        write_spz(tmp_path / "s.spz", make_cloud(), version=4)


AXES = struct.pack("<III", 0xADBE0003, 4, 6)
ORBIT = struct.pack("<IIfff", 0xADBE0002, 12, 0, 1, 2)


def test_extensions_are_passed_over(tmp_path: Path) -> None:
    default_axes = struct.pack("<III", 0xADBE0003, 4, 4)
    cloud = read_spz(saved(tmp_path, packed(flags=2, rotations=bytes(8), tail=ORBIT + default_axes + b"cut")))
    np.testing.assert_array_equal(cloud.positions[0], [1, -2, 1])


LIES = {
    "not gzip": (lambda: b"glTF" + bytes(50), "no SPZ file"),
    "not compressed": (lambda: packed(), "version 3 without gzip"),
    "other gzip": (lambda: gzip.compress(b"x" * 100), "expected NGSP"),
    "empty": (lambda: b"", "empty"),
    "empty gzip": (lambda: gzip.compress(b""), "0 bytes"),
    "version 4": (lambda: packed(version=4), "version 4 without gzip; save it as version 3"),
    "gzip header only": (lambda: gzip.compress(packed())[:10], "ends after 0"),
    "header cut": (lambda: gzip.compress(packed()[:15]), "15 bytes"),
    "cut": (lambda: gzip.compress(packed())[:-9], "ends after"),
    "columns cut": (lambda: gzip.compress(packed()[:-1]), "55 bytes but its header promises 56"),
    "columns too long": (lambda: gzip.compress(packed(tail=b"\0")), "more but its header|57 bytes but its header"),
    "wrong checksum": (lambda: gzip.compress(packed())[:-8] + bytes(8), "damaged"),
    "version 1": (lambda: gzip.compress(packed(version=1)), "version 1;"),
    "no Gaussians": (lambda: gzip.compress(packed(0)), "no Gaussians"),
    "degree 4": (lambda: gzip.compress(packed(degree=4)), "degree 4"),
    "fraction bits": (lambda: gzip.compress(packed(bits=31)), "31 fraction bits"),
    "count too large": (lambda: gzip.compress(packed(3)), "promises 76"),
    "count overflows": (lambda: gzip.compress(packed(2**32 - 1)), "claims 4294967295 Gaussians"),
    "axes": (lambda: gzip.compress(packed(flags=2, tail=ORBIT + AXES)), "other axes"),
    "endless extensions": (lambda: gzip.compress(packed(flags=2, tail=bytes(70_000))), "promises"),
}


@pytest.mark.parametrize("lie", LIES)
def test_damaged_files_fail_in_one_line(tmp_path: Path, lie: str) -> None:
    path, (content, message) = tmp_path / "bad.spz", LIES[lie]
    path.write_bytes(content())
    with pytest.raises(UsdExportError, match=message) as error:
        read_spz(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", ["missing.spz", "."])
def test_what_is_no_file_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsdExportError, match="could not be read"):
        read_spz(tmp_path / place)


def test_a_gzip_bomb_stops_at_the_promise(peak_bytes: Callable[..., int], tmp_path: Path) -> None:
    path = saved(tmp_path, packed(tail=bytes(200_000_000)))
    assert path.stat().st_size < 300_000
    assert peak_bytes(lambda: read_spz(path)) < 2 << 20
    with pytest.raises(UsdExportError, match="holds more but its header promises 56"):
        read_spz(path)


def test_a_bomb_whose_header_agrees_is_refused(peak_bytes: Callable[..., int], tmp_path: Path) -> None:
    count = 5_000_000
    path = saved(tmp_path, struct.pack("<IIIBBBB", 0x5053474E, 3, count, 0, 12, 0, 0) + bytes(20 * count))
    assert peak_bytes(lambda: read_spz(path)) < 2 << 20
    with pytest.raises(UsdExportError, match="claims 5000000 Gaussians, which its size cannot hold"):
        read_spz(path)


def test_memory_follows_the_honest_size(make_cloud: MakeCloud, peak_bytes: Callable[..., int], tmp_path: Path) -> None:
    """The columns and the cloud they become, and no second copy of either."""
    cloud = make_cloud(300_000)
    write_spz(tmp_path / "s.spz", cloud)
    size = 300_000 * (20 + 56)
    assert peak_bytes(lambda: read_spz(tmp_path / "s.spz")) < 2 * size


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), inside=st.booleans())
def test_flipped_bytes_never_crash(tmp_path: Path, data: st.DataObject, inside: bool) -> None:
    """Within the payload, with a right checksum, and in the gzip stream itself."""
    payload = packed(degree=1, harmonics=bytes(range(18)), rotations=word(1, 5, 6, 7) * 2)
    damaged = bytearray(payload if inside else gzip.compress(payload))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "bad.spz"
    path.write_bytes(gzip.compress(bytes(damaged)) if inside else bytes(damaged))
    try:
        read_spz(path).validate()
    except UsdExportError as error:
        assert "\n" not in str(error)


def test_an_invalid_cloud_leaves_the_good_file(make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud()
    write_spz(tmp_path / "s.spz", cloud)
    good = (tmp_path / "s.spz").read_bytes()
    cloud.positions[3, 1] = np.nan
    with pytest.raises(UsdExportError, match="positions with NaN"):
        write_spz(tmp_path / "s.spz", cloud)
    assert (tmp_path / "s.spz").read_bytes() == good
    assert zlib.decompress(good, wbits=31)[:4] == b"NGSP"
    assert [path.name for path in tmp_path.iterdir()] == ["s.spz"]
