# SPDX-License-Identifier: Apache-2.0
"""NuRec volumes: precision, placement, padding, and files that must be refused."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pxr import Gf, Sdf, Usd, UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.encodings.gaussian_layers import write_nurec_layers
from usd_export.encodings.msgpack import pack, unpack
from usd_export.encodings.nurec import REACH, is_nurec_volume, read_nurec_model, read_nurec_volume
from usd_export.encodings.nurec_encoding import decode, encode
from usd_export.encodings.nurec_payload import read_payload, write_payload
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.placement.cropping import select
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
ORIGIN = np.zeros(3)
FLOAT16 = 2.0**-11
PREFIX = ".gaussians_nodes.gaussians."


def payload(cloud: GaussianCloud) -> bytes:
    file = io.BytesIO()
    write_payload(file, encode(cloud, ORIGIN))
    return file.getvalue()


def read(data: bytes) -> GaussianCloud:
    return decode(read_payload(io.BytesIO(data), len(data)).arrays)


def document(cloud: GaussianCloud) -> dict[str, Any]:
    """The unpacked map of a payload."""
    return unpack(io.BytesIO(gzip.decompress(payload(cloud))), 1 << 30)


def repacked(value: Any) -> bytes:
    pieces = pack(_arrays(value))
    return gzip.compress(b"".join(bytes(piece) for piece in pieces))  # type: ignore[arg-type]


def _arrays(value: Any) -> Any:
    """Bytes as the arrays that `pack` wants."""
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    return np.frombuffer(value, np.uint8) if isinstance(value, bytearray) else value


def volumes(stage: Usd.Stage) -> list[Usd.Prim]:
    return [prim for prim in stage.Traverse() if is_nurec_volume(prim)]


def numbered(cloud: GaussianCloud) -> GaussianCloud:
    """Gaussians whose first harmonic is their number, at most 2048 of them."""
    cloud.sh[:, 0, 0] = np.arange(len(cloud))
    return cloud


def in_order(cloud: GaussianCloud) -> GaussianCloud:
    """Numbered Gaussians, sorted; all of them."""
    order = np.argsort(cloud.sh[:, 0, 0])
    np.testing.assert_array_equal(cloud.sh[order, 0, 0], np.arange(len(cloud)))
    return select(cloud, order)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_round_trip_to_float16(make_cloud: MakeCloud, degree: int) -> None:
    cloud = make_cloud(300, degree)
    found = read(payload(cloud))
    np.testing.assert_allclose(found.positions, cloud.positions, rtol=FLOAT16, atol=1e-7)
    np.testing.assert_allclose(np.log(found.scales), np.log(cloud.scales), rtol=1.01 * FLOAT16)
    np.testing.assert_allclose(found.rotations, cloud.rotations, atol=2 * FLOAT16)
    logits = (np.log(c.opacities) - np.log1p(-c.opacities) for c in (found, cloud))
    np.testing.assert_allclose(*logits, rtol=1.01 * FLOAT16, atol=1e-6)
    np.testing.assert_allclose(found.sh, cloud.sh, rtol=FLOAT16, atol=1e-7)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics_are_always_padded_to_degree_three(make_cloud: MakeCloud, degree: int) -> None:
    data = payload(make_cloud(30_000, degree))
    state = unpack(io.BytesIO(gzip.decompress(data)), 1 << 30)["nre_data"]["state_dict"]
    assert state[f"{PREFIX}features_specular.shape"] == [30_000, 45]
    assert len(state[f"{PREFIX}features_specular"]) == 30_000 * 90
    model = read_payload(io.BytesIO(data), len(data))
    assert (model.radiance_degrees, model.active_features) == ({3}, {3})
    assert decode(model.arrays).sh_degree == degree
    assert len(data) < 30_000 * (30 if degree == 0 else 119)


def test_opacities_of_zero_and_one_stay_finite(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(3)
    cloud.opacities[:] = [0, 1, 0.5]
    arrays = encode(cloud, ORIGIN)
    np.testing.assert_array_equal(arrays.densities[:, 0], [-11, 11, 0])
    np.testing.assert_allclose(decode(arrays).opacities, cloud.opacities, atol=2e-5)


@pytest.mark.parametrize("name", ["positions", "sh"])
def test_values_beyond_float16_are_refused(make_cloud: MakeCloud, name: str) -> None:
    cloud = make_cloud(5)
    getattr(cloud, name)[3] = 7e4
    with pytest.raises(UsdExportError, match="65504"):
        encode(cloud, ORIGIN)


def test_positions_step_by_two_millimetres_at_most() -> None:
    reach = np.float16(REACH)
    assert reach - np.nextafter(reach, np.float16(0)) <= 0.002
    assert np.nextafter(reach, np.float16(np.inf)) - reach > 0.002


def test_a_hall_is_cut_until_positions_are_precise(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    cloud = numbered(make_cloud(2000))
    cloud.positions *= np.float32([3, 1, 1])
    write_scene(tmp_path / "s.usdz", cloud, frame, encoding="nurec")
    stage = Usd.Stage.Open(str(tmp_path / "s.usdz"))
    parts = volumes(stage)
    assert len(parts) > 4
    assert Usd.ModelAPI(stage.GetDefaultPrim()).GetKind() == "group"
    found, record, _ = open_scene(tmp_path / "s.usdz")
    np.testing.assert_array_equal(record.frame.matrix, frame.matrix)
    error = frame.scale * np.abs(in_order(found).positions - cloud.positions)
    assert error.max() <= 0.0011
    cache = UsdGeom.XformCache()
    for prim in parts:
        to_world = np.array(cache.GetLocalToWorldTransform(prim))[:3, :3]
        np.testing.assert_allclose(to_world.T, frame.rotation, atol=1e-9)
        assert np.abs(read_nurec_model(prim).arrays.positions).max() <= REACH


def test_too_few_volumes_are_warned_about(make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud(500)
    cloud.positions *= 20
    layers = write_nurec_layers(tmp_path, cloud, 1.0, max_volumes=3)
    assert layers.parts == 3
    assert "steps of up to 0.0" in layers.warnings[0]
    assert layers.files == [tmp_path / "gaussians_nurec.usda"] + [tmp_path / f"gaussians_00{n}.nurec" for n in range(3)]


def test_payloads_stay_below_the_limit_of_bytes(make_cloud: MakeCloud, tmp_path: Path) -> None:
    layers = write_nurec_layers(tmp_path, make_cloud(500, degree=3), 1.0, max_bytes=118 * 130)
    assert layers.parts == 4
    assert layers.warnings == ()
    stage = Usd.Stage.Open(str(layers.files[0]))
    assert [len(read_nurec_volume(prim)) for prim in volumes(stage)] == [125] * 4


def test_volume_follows_the_matrices_above_it(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    """A rotation that is not symmetric, a translation and a uniform scale, all above a recentred volume."""
    cloud = numbered(make_cloud(200))
    write_scene(tmp_path / "s", cloud, frame, encoding="nurec")
    stage = Usd.Stage.CreateNew(str(tmp_path / "outer.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    prim = UsdGeom.Xform.Define(stage, "/Hall")
    turn = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(1, 2, 3), 50)) * Gf.Matrix4d().SetScale(3.0)
    prim.AddTransformOp().Set(turn * Gf.Matrix4d().SetTranslate(Gf.Vec3d(5, -6, 7)))
    prim.GetPrim().GetReferences().AddReference("./s/scene.usda")
    stage.Save()
    found, record, _ = open_scene(tmp_path / "outer.usda")
    found = in_order(found)
    outer = np.array(prim.ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T
    expected = frame.apply(cloud.positions) @ outer[:3, :3].T + outer[:3, 3]
    np.testing.assert_allclose(record.frame.apply(found.positions), expected, atol=0.002 * 3 * frame.scale)
    logarithms = np.log(found.scales * record.frame.scale), np.log(cloud.scales) + np.log(3 * frame.scale)
    np.testing.assert_allclose(*logarithms, atol=6 * FLOAT16)


def test_crop_box_covers_every_gaussian_and_hides_others(make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud(400)
    write_scene(tmp_path / "s", cloud, Frame.identity(), encoding="nurec")
    stage = Usd.Stage.Open(str(tmp_path / "s" / "scene.usda"))
    (volume,) = volumes(stage)
    low, high = (np.array(volume.GetAttribute(f"omni:nurec:crop:{end}Bounds").Get()) for end in ("min", "max"))
    found = read_nurec_volume(volume)
    reach = 3 * found.scales.max(axis=1, keepdims=True)
    assert ((found.positions - reach >= low - 1e-2) & (found.positions + reach <= high + 1e-2)).all()
    volume.GetAttribute("omni:nurec:crop:maxBounds").Set(Gf.Vec3f(*high.tolist()[:2], 0))
    assert (read_nurec_volume(volume).positions[:, 2] <= 1e-3).all()
    volume.GetAttribute("omni:nurec:crop:maxBounds").Set(Gf.Vec3f(-100))
    with pytest.raises(UsdExportError, match="hides all"):
        read_nurec_volume(volume)


@pytest.fixture
def stage(make_cloud: MakeCloud, tmp_path: Path) -> Usd.Stage:
    write_scene(tmp_path / "s", make_cloud(), Frame.identity(), encoding="nurec")
    return Usd.Stage.Open(str(tmp_path / "s" / "scene.usda"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/passwd", "not a .nurec file beside"),
        ("../../secret.nurec", "not a .nurec file beside"),
        ("..\\secret.nurec", "not a .nurec file beside"),
        ("./gaussians.usdc", "not a .nurec file beside"),
        ("./other.nurec", "missing"),
        ("", "not a .nurec file beside"),
    ],
)
def test_payload_paths_lead_nowhere_else(stage: Usd.Stage, path: str, message: str) -> None:
    (volume,) = volumes(stage)
    volume.GetChild("density_field").GetAttribute("filePath").Set(Sdf.AssetPath(path))
    with pytest.raises(UsdExportError, match=message):
        read_nurec_volume(volume)


def test_volumes_without_a_payload_or_with_an_offset(stage: Usd.Stage) -> None:
    (volume,) = volumes(stage)
    volume.GetAttribute("omni:nurec:offset").Set(Gf.Vec3f(1, 0, 0))
    with pytest.raises(UsdExportError, match="offset"):
        read_nurec_volume(volume)
    volume.GetRelationship("field:density").SetTargets(["/nowhere"])
    with pytest.raises(UsdExportError, match="filePath"):
        read_nurec_volume(volume)


def test_two_nodes_are_put_one_after_the_other(make_cloud: MakeCloud) -> None:
    """As in files of NVIDIA's reconstruction, whose nodes have names of their own."""
    first, second = make_cloud(5, 3, seed=1), make_cloud(7, 0, seed=2)
    whole, other = document(first), document(second)["nre_data"]["state_dict"]
    for key, value in other.items():
        whole["nre_data"]["state_dict"][key.replace("gaussians.", "road.")] = value
    found = read(repacked(whole))
    np.testing.assert_allclose(found.positions, np.concatenate([first.positions, second.positions]), rtol=FLOAT16)
    assert found.sh.shape == (12, 16, 3)


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["state_dict"].pop(key)


def changed(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["state_dict"].__setitem__(key, value)


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no state": (lambda data: data.pop("state_dict"), "no map state_dict"),
    "no config": (lambda data: data.__setitem__("config", 3), "no map config"),
    "no positions": (without(f"{PREFIX}positions"), "positions is missing"),
    "no shape": (without(f"{PREFIX}scales.shape"), "scales is missing"),
    "no harmonics": (without(f"{PREFIX}features_specular"), "no Gaussians"),
    "shape of text": (changed(f"{PREFIX}scales.shape", ["a"]), "scales is missing"),
    "huge shape": (changed(f"{PREFIX}positions.shape", [2**40, 3]), "bytes"),
    "negative shape": (changed(f"{PREFIX}positions.shape", [-20, 3]), "expected"),
    "other width": (changed(f"{PREFIX}positions.shape", [15, 4]), "expected"),
    "fewer scales": (lambda data: data["state_dict"].update(fewer_scales()), "different lengths"),
    "kernel": (lambda data: data["config"]["layers"]["gaussians"].update(scale_activation="relu"), "scale_activation"),
}


def fewer_scales() -> dict[str, Any]:
    return {f"{PREFIX}scales.shape": [19, 3], f"{PREFIX}scales": bytearray(19 * 6)}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_models_are_refused(make_cloud: MakeCloud, fault: str) -> None:
    whole = document(make_cloud())
    breaks, message = FAULTS[fault]
    breaks(whole["nre_data"])
    with pytest.raises(UsdExportError, match=message):
        read(repacked(whole))


def test_values_that_are_not_finite_are_refused(make_cloud: MakeCloud) -> None:
    whole = document(make_cloud())
    whole["nre_data"]["state_dict"][f"{PREFIX}positions"][:2] = struct.pack("<e", np.nan)
    with pytest.raises(UsdExportError, match="positions with NaN"):
        read(repacked(whole))


def test_damaged_containers_are_refused(make_cloud: MakeCloud) -> None:
    data = payload(make_cloud())
    wrong_sum = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    for broken in (b"", b"not gzip", data[:-9], data[: len(data) // 2], data[:20], wrong_sum):
        with pytest.raises(UsdExportError):
            read(broken)


def test_gzip_bomb() -> None:
    """An array of announced 600 MB in a file of 600 kB: refused before the memory for it is taken."""
    size = 600 << 20
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = compressor.compress(b"\x81\xa8nre_data\xc6" + struct.pack(">I", size))
    for _ in range(size >> 20):
        bomb += compressor.compress(bytes(1 << 20))
    bomb += compressor.flush()
    with pytest.raises(UsdExportError, match=r"more than the \d+ allowed"):
        read(bomb)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xc1", "type 0xc1"),
        (b"\xd4\x00\x00", "type 0xd4"),
        (b"\xa5ab", "early"),
        (b"\x91" * 40 + b"\xc0", "nested"),
        (b"\xdd\xff\xff\xff\xff" + b"\x00" * 200_000, "more than 100000 values"),
        (b"\xdb\x00\x02\x00\x00", "longer than"),
        (b"\xa2\xff\xfe", "UTF-8"),
        (b"\x82\xa1a\x00\xa1a\x00", "duplicate"),
        (b"\x81\x90\x00", "neither text"),
        (b"\x00\x00", "after the end"),
        (b"", "early"),
    ],
)
def test_messagepack_names_the_offset(data: bytes, message: str) -> None:
    with pytest.raises(UsdExportError, match=rf"{message}.*offset \d+"):
        unpack(io.BytesIO(data), 1 << 20)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=20),
    max_leaves=30,
)


@given(plain)
def test_messagepack_round_trip(value: Any) -> None:
    data = b"".join(bytes(piece) for piece in pack(value))  # type: ignore[arg-type]
    assert unpack(io.BytesIO(data), len(data)) == value


def test_mutated_payloads_are_read_or_refused(make_cloud: MakeCloud) -> None:
    """Changed bytes inside the container, whose checksum is right again."""
    clean = gzip.decompress(payload(make_cloud()))
    generator = random.Random(0)
    refused = 0
    for _ in range(1500):
        data = bytearray(clean)
        for _ in range(generator.randint(1, 4)):
            data[generator.randrange(min(len(data), 2200))] = generator.randrange(256)
        try:
            assert len(read(gzip.compress(data[: generator.choice((len(data), generator.randrange(len(data))))], 1)))
        except UsdExportError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 700 < refused < 1500
