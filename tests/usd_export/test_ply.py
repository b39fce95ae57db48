# SPDX-License-Identifier: Apache-2.0
"""PLY files: round trips, the property sets of others, and hostile input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from plyfile import PlyData, PlyElement

from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.ply import read_ply, write_ply

MakeCloud = Callable[..., GaussianCloud]
REQUIRED = [*"xyz", *(f"f_dc_{i}" for i in range(3)), "opacity"]
REQUIRED += [*(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(np.float32(low).item(), np.float32(high).item(), width=32)


@st.composite
def clouds(draw: st.DrawFn) -> GaussianCloud:
    count, bands = draw(st.integers(1, 5)), draw(st.sampled_from([1, 4, 9, 16]))
    rotations = draw(hnp.arrays(np.float64, (count, 4), elements=floats(-1, 1))) + np.array([1.5, 0, 0, 0])
    return GaussianCloud(
        positions=draw(hnp.arrays(np.float32, (count, 3), elements=floats(-1e6, 1e6))),
        scales=draw(hnp.arrays(np.float32, (count, 3), elements=floats(1e-8, 1e4))),
        rotations=(rotations / np.linalg.norm(rotations, axis=1, keepdims=True)).astype(np.float32),
        opacities=draw(hnp.arrays(np.float32, count, elements=floats(0, 1))),
        sh=draw(hnp.arrays(np.float32, (count, bands, 3), elements=floats(-1e3, 1e3))),
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cloud=clouds())
def test_round_trip(tmp_path: Path, cloud: GaussianCloud) -> None:
    write_ply(tmp_path / "scene.ply", cloud)
    again = read_ply(tmp_path / "scene.ply")
    np.testing.assert_array_equal(again.positions, cloud.positions)
    np.testing.assert_array_equal(again.sh, cloud.sh)
    np.testing.assert_allclose(again.rotations, cloud.rotations, atol=1e-6)
    np.testing.assert_allclose(again.opacities, cloud.opacities, atol=2e-6)
    np.testing.assert_allclose(again.scales, cloud.scales, rtol=2e-6, atol=2e-8)


def test_more_rows_than_one_block(make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud(40_000)
    write_ply(tmp_path / "scene.ply", cloud)
    np.testing.assert_array_equal(read_ply(tmp_path / "scene.ply").positions, cloud.positions)


def write_table(path: Path, columns: dict[str, np.ndarray], kind: str = "f4", byte_order: str = "<") -> None:
    """A PLY as foreign software writes it."""
    count = len(next(iter(columns.values())))
    table = np.zeros(count, dtype=[(name, kind) for name in columns])
    for name, values in columns.items():
        table[name] = values
    PlyData([PlyElement.describe(table, "vertex")], byte_order=byte_order).write(str(path))


def table(count: int = 6) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    return {name: random.normal(size=count) for name in REQUIRED}


@pytest.mark.parametrize(("kind", "byte_order"), [("f4", "<"), ("f8", "<"), ("f4", ">")])
def test_stored_values_are_activated(tmp_path: Path, kind: str, byte_order: str) -> None:
    columns = {**table(), **{f"f_rest_{i}": np.full(6, float(i)) for i in range(9)}}
    columns = dict(reversed(columns.items())) | {"nx": np.zeros(6)}
    write_table(tmp_path / "scene.ply", columns, kind, byte_order)
    cloud = read_ply(tmp_path / "scene.ply")
    np.testing.assert_allclose(cloud.opacities, 1 / (1 + np.exp(-columns["opacity"])), rtol=1e-5)
    np.testing.assert_allclose(cloud.scales[:, 1], np.exp(columns["scale_1"]), rtol=1e-5)
    np.testing.assert_allclose(cloud.sh[:, 0, 2], columns["f_dc_2"], rtol=1e-5)
    np.testing.assert_array_equal(cloud.sh[0, 1:], [[0, 3, 6], [1, 4, 7], [2, 5, 8]])  # file order is channel-major
    rotations = np.stack([columns[f"rot_{i}"] for i in range(4)], axis=1)
    np.testing.assert_allclose(cloud.rotations, rotations / np.linalg.norm(rotations, axis=1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_property_is_named(tmp_path: Path, name: str) -> None:
    columns = table()
    del columns[name]
    write_table(tmp_path / "scene.ply", columns)
    with pytest.raises(UsdExportError, match=rf"lacks the properties {name};"):
        read_ply(tmp_path / "scene.ply")


@pytest.mark.parametrize("names", [["f_rest_0"], [f"f_rest_{i}" for i in range(1, 10)]])
def test_wrong_harmonics_are_refused(tmp_path: Path, names: list[str]) -> None:
    write_table(tmp_path / "scene.ply", table() | {name: np.zeros(6) for name in names})
    with pytest.raises(UsdExportError, match="f_rest"):
        read_ply(tmp_path / "scene.ply")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.nan, "positions with NaN"),
        ("opacity", np.nan, "opacities with NaN"),
        ("scale_0", np.inf, "scales with NaN or infinite"),
        ("scale_2", 1e4, "scales with NaN or infinite"),
        ("f_dc_1", -np.inf, "sh with NaN"),
    ],
)
def test_invalid_values_are_named(tmp_path: Path, name: str, value: float, message: str) -> None:
    columns = table()
    columns[name][3] = value
    write_table(tmp_path / "scene.ply", columns)
    with pytest.raises(UsdExportError, match=rf"scene.ply: 1 of 6 Gaussians have {message}"):
        read_ply(tmp_path / "scene.ply")


def test_zero_quaternions_are_named(tmp_path: Path) -> None:
    columns = table() | {f"rot_{i}": np.zeros(6) for i in range(4)}
    write_table(tmp_path / "scene.ply", columns)
    with pytest.raises(UsdExportError, match="6 of 6 Gaussians have rotations that are zero quaternions"):
        read_ply(tmp_path / "scene.ply")


def test_extreme_logits_saturate(tmp_path: Path) -> None:
    write_table(tmp_path / "scene.ply", table(2) | {"opacity": np.array([1e9, -1e9]), "scale_0": np.array([-1e9, 0])})
    cloud = read_ply(tmp_path / "scene.ply")
    np.testing.assert_array_equal(cloud.opacities, [1, 0])
    assert cloud.scales[0, 0] == np.float32(1e-8)


@pytest.fixture
def good(make_cloud: MakeCloud, tmp_path: Path) -> bytes:
    write_ply(tmp_path / "good.ply", make_cloud())
    return (tmp_path / "good.ply").read_bytes()


HEADER_LIES = {
    "count too large": lambda good: good.replace(b"vertex 20", b"vertex 21"),
    "count huge": lambda good: good.replace(b"vertex 20", b"vertex 99999999999999999999"),
    "count too small": lambda good: good.replace(b"vertex 20", b"vertex 19"),
    "count zero": lambda good: good.replace(b"vertex 20", b"vertex 0"),
    "count negative": lambda good: good.replace(b"vertex 20", b"vertex -20"),
    "count not a number": lambda good: good.replace(b"vertex 20", b"vertex many"),
    "truncated": lambda good: good[:-5],
    "trailing bytes": lambda good: good + b"\0",
    "property added": lambda good: good.replace(b"property float x\n", b"property float x\nproperty float u\n"),
    "property twice": lambda good: good.replace(b"property float y\n", b"property float x\n"),
    "unknown type": lambda good: good.replace(b"float x\n", b"quaternion x\n"),
    "list": lambda good: good.replace(b"property float x\n", b"property list uchar int x\n"),
    "ascii": lambda good: good.replace(b"binary_little_endian", b"ascii"),
    "unknown format": lambda good: good.replace(b"binary_little_endian", b"binary_middle_endian"),
    "no format": lambda good: good.replace(b"format binary_little_endian 1.0\n", b""),
    "no vertex": lambda good: good.replace(b"element vertex", b"element chunk"),
    "header only": lambda good: good[: good.index(b"end_header")],
    "header without end": lambda good: b"ply\n" + b"comment x\n" * 1000,
    "not text": lambda good: bytes(range(256)),
    "magic only": lambda good: b"ply\n",
    "empty": lambda good: b"",
    "compressed": lambda good: good.replace(b"element vertex", b"element chunk 0\nelement vertex"),
}


@pytest.mark.parametrize("lie", HEADER_LIES)
def test_damaged_files_fail_in_one_line(good: bytes, tmp_path: Path, lie: str) -> None:
    path = tmp_path / "bad.ply"
    path.write_bytes(HEADER_LIES[lie](good))
    with pytest.raises(UsdExportError, match=r"bad\.ply") as error:
        read_ply(path)
    assert "\n" not in str(error.value)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_never_crash(good: bytes, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(good)
    for place in data.draw(st.lists(st.integers(0, 500), min_size=1, max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "bad.ply"
    path.write_bytes(damaged)
    try:
        read_ply(path).validate()
    except UsdExportError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("place", ["missing.ply", "."])
def test_what_is_no_file_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsdExportError, match="could not be read"):
        read_ply(tmp_path / place)


def test_an_invalid_cloud_leaves_the_good_file(good: bytes, make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud()
    cloud.positions[0] = np.nan
    with pytest.raises(UsdExportError):
        write_ply(tmp_path / "good.ply", cloud)
    assert (tmp_path / "good.ply").read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["good.ply"]


def test_missing_folder(make_cloud: MakeCloud, tmp_path: Path) -> None:
    with pytest.raises(UsdExportError, match="does not exist"):
        write_ply(tmp_path / "nowhere" / "scene.ply", make_cloud())
