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
from usd_export.formats.ply import read_ply, write_ply
from usd_export.formats.ply_file import read_header, read_tables

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


def element(columns: dict[str, np.ndarray], kind: str = "f4", name: str = "vertex") -> PlyElement:
    records = np.zeros(len(next(iter(columns.values()))), dtype=[(column, kind) for column in columns])
    for column, values in columns.items():
        records[column] = values
    return PlyElement.describe(records, name)


def write_table(path: Path, columns: dict[str, np.ndarray], kind: str = "f4", byte_order: str = "<") -> None:
    """A PLY as foreign software writes it; byte order "a" is ascii."""
    order = "=" if byte_order == "a" else byte_order
    PlyData([element(columns, kind)], text=byte_order == "a", byte_order=order).write(str(path))


def table(count: int = 6) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    return {name: random.normal(size=count) for name in REQUIRED}


@pytest.mark.parametrize("byte_order", ["<", ">", "a"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
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


@pytest.mark.parametrize("byte_order", ["<", ">", "a"])
@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("extra", [(), ("nx", "ny", "nz"), ("nx", "ny", "nz", "semantic", "red")])
def test_dialects(tmp_path: Path, byte_order: str, degree: int, extra: tuple[str, ...]) -> None:
    columns = table() | {f"f_rest_{i}": np.full(6, i / 7) for i in range(3 * ((degree + 1) ** 2 - 1))}
    write_table(tmp_path / "plain.ply", columns)
    write_table(tmp_path / "dialect.ply", {name: np.ones(6) for name in extra} | columns, byte_order=byte_order)
    plain, dialect = read_ply(tmp_path / "plain.ply"), read_ply(tmp_path / "dialect.ply")
    assert dialect.sh_degree == degree
    for field in ("positions", "scales", "rotations", "opacities", "sh"):
        np.testing.assert_array_equal(getattr(dialect, field), getattr(plain, field))


def faces(count: int) -> PlyElement:
    return PlyElement.describe(np.zeros(count, [("vertex_indices", "i4", (3,))]), "face")


@pytest.mark.parametrize("byte_order", ["<", ">", "a"])
def test_other_elements_and_remarks_are_passed_over(tmp_path: Path, byte_order: str) -> None:
    """Tables around the vertices, no faces, comments and obj_info."""
    write_table(tmp_path / "plain.ply", table())
    views = element({"view_x": np.arange(3.0), "view_y": np.arange(3.0)}, "i2", "camera")
    parts = [views, faces(0), element(table()), element({"mode": np.ones(1)}, "u1", "tail")]
    remarks = {"comments": ["trained elsewhere", "end"], "obj_info": ["num_cols 3"]}
    text = byte_order == "a"
    PlyData(parts, text=text, byte_order="=" if text else byte_order, **remarks).write(str(tmp_path / "s.ply"))
    np.testing.assert_array_equal(read_ply(tmp_path / "s.ply").sh, read_ply(tmp_path / "plain.ply").sh)


@pytest.mark.parametrize("byte_order", ["<", "a"])
def test_lines_may_end_as_on_windows(tmp_path: Path, byte_order: str) -> None:
    write_table(tmp_path / "s.ply", table(), byte_order=byte_order)
    head, data = (tmp_path / "s.ply").read_bytes().split(b"end_header\n", 1)
    rows = data.replace(b"\n", b"\r\n") if byte_order == "a" else data
    (tmp_path / "crlf.ply").write_bytes(head.replace(b"\n", b"\r\n") + b"end_header\r\n" + rows)
    np.testing.assert_array_equal(read_ply(tmp_path / "crlf.ply").sh, read_ply(tmp_path / "s.ply").sh)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("columns", [table(), dict.fromkeys("xyz", np.zeros(6))], ids=["splats", "points"])
def test_meshes_are_refused(tmp_path: Path, columns: dict[str, np.ndarray], text: bool) -> None:
    PlyData([element(columns), faces(1)], text=text).write(str(tmp_path / "s.ply"))
    with pytest.raises(UsdExportError, match=r"s\.ply holds lists in the element face, so it is a mesh"):
        read_ply(tmp_path / "s.ply")


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_binary_rows_are_mapped_pages(tmp_path: Path, byte_order: str) -> None:
    write_table(tmp_path / "s.ply", table(), byte_order=byte_order)
    vertices = read_tables(tmp_path / "s.ply", read_header(tmp_path / "s.ply"))["vertex"]
    assert not vertices.flags.owndata
    assert not vertices.flags.writeable
    np.testing.assert_array_equal(vertices["opacity"], table()["opacity"].astype(np.float32))


@pytest.mark.parametrize("name", ["x", "f_rest_4"])
def test_integers_are_refused(tmp_path: Path, name: str) -> None:
    write_table(tmp_path / "s.ply", table() | {f"f_rest_{i}": np.zeros(6) for i in range(9)})
    data = (tmp_path / "s.ply").read_bytes().replace(f"float {name}\n".encode(), f"int {name}\n".encode())
    (tmp_path / "s.ply").write_bytes(data)
    with pytest.raises(UsdExportError, match=f"the property {name} as integers"):
        read_ply(tmp_path / "s.ply")


ASCII_LIES = {
    "word": lambda text: text.replace(" 1.5 ", " one "),
    "number missing": lambda text: text.replace(" 1.5 ", " "),
    "number more": lambda text: text.replace(" 1.5 ", " 1.5 1.5 "),
    "row missing": lambda text: text[: text.rstrip().rindex("\n") + 1],
    "row more": lambda text: text + text.splitlines()[-1] + "\n",
    "empty row": lambda text: text.replace("end_header\n", "end_header\n\n"),
    "count huge": lambda text: text.replace("vertex 6", "vertex 600000000000"),
    "nul": lambda text: text.replace(" 1.5 ", " \0 "),
    "nothing": lambda text: text[: text.index("end_header\n") + 11],
    "letter of another alphabet": lambda text: text.replace(" 1.5 ", " \u0661 "),
    "too large for its type": lambda text: text.replace("float class", "uchar class").replace(" 7\n", " 256\n"),
    "fraction as integer": lambda text: text.replace("float class", "uchar class").replace(" 7\n", " 7.5\n"),
    "endless row": lambda text: text.replace(" 1.5 ", " 1" * (1 << 16) + " "),
    "tail": lambda text: text + "1\n" * 9,
}


@pytest.mark.parametrize("lie", ASCII_LIES)
def test_damaged_ascii_fails_in_one_line(tmp_path: Path, lie: str) -> None:
    columns = table() | {"y": np.full(6, 1.5), "class": np.full(6, 7)}
    write_table(tmp_path / "bad.ply", columns, byte_order="a")
    text = (tmp_path / "bad.ply").read_text()
    assert ASCII_LIES[lie](text) != text
    (tmp_path / "bad.ply").write_text(ASCII_LIES[lie](text))
    with pytest.raises(UsdExportError, match=r"bad\.ply has") as error:
        read_ply(tmp_path / "bad.ply")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("byte_order", "count"), [("<", 150_000), ("a", 20_000)])
def test_memory_follows_the_honest_size(
    make_cloud: MakeCloud, peak_bytes: Callable[..., int], tmp_path: Path, byte_order: str, count: int
) -> None:
    write_ply(tmp_path / "binary.ply", make_cloud(count))
    elements = PlyData.read(str(tmp_path / "binary.ply")).elements
    PlyData(elements, text=byte_order == "a").write(str(tmp_path / "s.ply"))
    assert peak_bytes(lambda: read_ply(tmp_path / "s.ply")) < 2 * (tmp_path / "s.ply").stat().st_size
    lie = (tmp_path / "s.ply").read_bytes()[:5_000].replace(b"vertex %d" % count, b"vertex 900000000")
    (tmp_path / "lie.ply").write_bytes(lie)
    assert peak_bytes(lambda: read_ply(tmp_path / "lie.ply")) < 2 << 20


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
    "element twice": lambda good: good.replace(b"end_header", b"element vertex 3\nend_header"),
    "count overflows": lambda good: good.replace(b"vertex 20", b"vertex 329406144173384852"),  # times 56 is 2^64 + ...
    "property without element": lambda good: good.replace(b"element vertex 20\n", b""),
    "unknown line": lambda good: good.replace(b"element vertex", b"elephant\nelement vertex"),
    "thousands of properties": lambda good: good.replace(
        b"end_header", b"".join(b"property double p%d\n" % i for i in range(30_000)) + b"end_header"
    ),
    "property twice": lambda good: good.replace(b"property float y\n", b"property float x\n"),
    "unknown type": lambda good: good.replace(b"float x\n", b"quaternion x\n"),
    "list": lambda good: good.replace(b"property float x\n", b"property list uchar int x\n"),
    "ascii": lambda good: good.replace(b"binary_little_endian", b"ascii"),
    "unknown format": lambda good: good.replace(b"binary_little_endian", b"binary_middle_endian"),
    "no format": lambda good: good.replace(b"format binary_little_endian 1.0\n", b""),
    "no vertex": lambda good: good.replace(b"element vertex", b"element chunk"),
    "header only": lambda good: good[: good.index(b"end_header")],
    "header without end": lambda good: b"ply\n" + b"comment x\n" * 1000,
    "other end of line after the header": lambda good: good.replace(b"end_header\n", b"end_header\r\n"),
    "two ends of line": lambda good: good.replace(b"ply\n", b"ply\r\n", 1),
    "letter of another alphabet": lambda good: good.replace(b"1.0\n", "1.0\ncomment é\n".encode()),
    "other version": lambda good: good.replace(b"1.0\n", b"1.1\n"),
    "faces": lambda good: good.replace(b"end_header", b"element face 1\nproperty list uint double i\nend_header"),
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


@pytest.mark.parametrize("byte_order", ["<", "a"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_never_crash(tmp_path: Path, byte_order: str, data: st.DataObject) -> None:
    write_table(tmp_path / "good.ply", table(), byte_order=byte_order)
    damaged = bytearray((tmp_path / "good.ply").read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=5)):
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
