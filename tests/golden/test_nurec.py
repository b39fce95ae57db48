# SPDX-License-Identifier: Apache-2.0
"""NuRec volumes against the files of NVIDIA's converter, through a reader that shares nothing with ours."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plyfile import PlyData
from pxr import Usd

from usd_export.encodings.nurec import is_nurec_volume, read_nurec_model
from usd_export.encodings.nurec_encoding import encode
from usd_export.encodings.nurec_payload import write_payload
from usd_export.formats.ply import read_ply
from usd_export.frame import Frame
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

FindGolden = Callable[[str], Path]
PREFIX = ".gaussians_nodes.gaussians."
FLOAT16 = 2.0**-11


class Unpacker:
    """Just enough MessagePack for these files."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def value(self) -> Any:
        code = self.number("B")
        if code < 0x80:
            return code
        if code < 0x90 or code == 0xDE:
            return self.entries(code & 15 if code < 0x90 else self.number("H"))
        if code < 0xA0:
            return [self.value() for _ in range(code & 15)]
        if code < 0xC0:
            return self.take(code & 31).decode()
        if code in (0xC2, 0xC3):
            return code == 0xC3
        if code in (0xC4, 0xC5, 0xC6):
            return self.take(self.number("BHI"[code - 0xC4]))
        if code == 0xD9:
            return self.take(self.number("B")).decode()
        return self.number({0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I"}[code])

    def entries(self, count: int) -> dict[Any, Any]:
        return {self.value(): self.value() for _ in range(count)}


def payloads(package: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(package) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".nurec"):
                yield gzip.decompress(archive.read(name))


def state(content: bytes) -> dict[str, Any]:
    return Unpacker(content).value()["nre_data"]["state_dict"]


def tensor(content: bytes, name: str) -> NDArray[np.float16]:
    values = state(content)
    return np.frombuffer(values[PREFIX + name], "<f2").reshape(values[f"{PREFIX}{name}.shape"])


def volumes(package: Path) -> tuple[Usd.Stage, list[Usd.Prim]]:
    stage = Usd.Stage.Open(str(package))
    return stage, [prim for prim in stage.Traverse() if is_nurec_volume(prim)]


@pytest.fixture
def ours(golden_path: FindGolden, tmp_path: Path) -> Path:
    """The golden PLY as our own package."""
    cloud = read_ply(golden_path("nurec_tiny.ply"))
    return write_scene(tmp_path / "scene.usdz", cloud, Frame.identity(), encoding="nurec")[0]


def test_published_payload_holds_the_ply(golden_path: FindGolden) -> None:
    """The reader of this test itself, against the columns of the PLY."""
    (content,) = payloads(golden_path("nurec_tiny.usdz"))
    vertex = PlyData.read(golden_path("nurec_tiny.ply"))["vertex"]
    columns = {
        "positions": ("x", "y", "z"),
        "rotations": ("rot_0", "rot_1", "rot_2", "rot_3"),
        "scales": ("scale_0", "scale_1", "scale_2"),
        "densities": ("opacity",),
        "features_albedo": ("f_dc_0", "f_dc_1", "f_dc_2"),
        "features_specular": tuple(f"f_rest_{15 * (i % 3) + i // 3}" for i in range(45)),
    }
    for name, properties in columns.items():
        expected = np.stack([vertex[key] for key in properties], axis=1).astype(np.float16)
        np.testing.assert_array_equal(tensor(content, name), expected)


def test_payload_equals_the_published_one_byte_for_byte(golden_path: FindGolden) -> None:
    """Except for the quaternions, which are of unit length in ours."""
    (published,) = payloads(golden_path("nurec_tiny.usdz"))
    file = io.BytesIO()
    write_payload(file, encode(read_ply(golden_path("nurec_tiny.ply")), np.zeros(3)))
    found = gzip.decompress(file.getvalue())
    quaternions, raw = (state(content)[f"{PREFIX}rotations"] for content in (found, published))
    assert found.replace(quaternions, raw) == published
    turned = np.frombuffer(raw, "<f2").reshape(-1, 4).astype(np.float32)
    unit = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    np.testing.assert_allclose(tensor(found, "rotations"), unit, atol=2 * FLOAT16)


def test_scene_places_the_payload_where_the_published_one_is(golden_path: FindGolden, ours: Path) -> None:
    (published,), (found,) = payloads(golden_path("nurec_tiny.usdz")), payloads(ours)
    stage, (volume,) = volumes(ours)
    matrix = np.array(volume.GetAttribute("xformOp:transform").Get())
    np.testing.assert_array_equal(matrix[:3], np.eye(4)[:3])
    centres = tensor(found, "positions") + matrix[3, :3]
    expected = tensor(published, "positions")
    np.testing.assert_allclose(centres, expected, rtol=0, atol=0.002)
    for name in ("scales", "densities", "features_albedo", "features_specular"):
        np.testing.assert_array_equal(tensor(found, name), tensor(published, name))
    assert stage.GetRootLayer().identifier == str(ours)


def test_prims_have_the_published_properties(golden_path: FindGolden, ours: Path) -> None:
    """Names, types, values, and that they are custom; only places and names of files differ."""
    (their_stage, theirs), (our_stage, found) = volumes(golden_path("nurec_tiny.usdz")), volumes(ours)
    differ = {"extent", "omni:nurec:crop:minBounds", "omni:nurec:crop:maxBounds", "xformOp:transform", "filePath"}
    for their, our in zip(Usd.PrimRange(theirs[0]), Usd.PrimRange(found[0]), strict=True):
        assert our.GetTypeName() == their.GetTypeName()
        assert {p.GetName() for p in our.GetAuthoredProperties()} == {
            p.GetName() for p in their.GetAuthoredProperties()
        }
        for attribute in their.GetAuthoredAttributes():
            twin = our.GetAttribute(attribute.GetName())
            assert (twin.GetTypeName(), twin.IsCustom()) == (attribute.GetTypeName(), attribute.IsCustom())
            assert attribute.GetName() in differ or twin.Get() == attribute.Get()
    mine, published = (stage.GetRootLayer().customLayerData["renderSettings"] for stage in (our_stage, their_stage))
    assert mine == published
    assert {key: type(value) for key, value in mine.items()} == {key: type(value) for key, value in published.items()}


def test_published_volume_is_read(golden_path: FindGolden) -> None:
    expected = read_ply(golden_path("nurec_tiny.ply"))
    found, record, collider = open_scene(golden_path("nurec_tiny.usdz"))
    np.testing.assert_array_equal(found.positions, expected.positions.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(found.sh, expected.sh.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(np.log(found.scales), np.log(expected.scales), rtol=1.01 * FLOAT16)
    np.testing.assert_allclose(found.rotations, expected.rotations, atol=2 * FLOAT16)
    np.testing.assert_allclose(found.opacities, expected.opacities, atol=FLOAT16)
    np.testing.assert_array_equal(record.frame.matrix, np.eye(4))
    assert collider is None


def test_published_change_of_frame_is_read(golden_path: FindGolden) -> None:
    plain, turned = (open_scene(golden_path(f"nurec_tiny{end}.usdz")) for end in ("", "_coordtf"))
    x, y, z = plain[0].positions.T
    np.testing.assert_allclose(turned[1].frame.apply(turned[0].positions), np.stack([-x, -z, -y], axis=1), atol=1e-7)


def test_two_published_volumes_are_merged(golden_path: FindGolden) -> None:
    found = open_scene(golden_path("nurec_two_volumes.usdz"))[0]
    parts = [read_ply(golden_path(f"nurec_tiny{end}.ply")) for end in ("", "_sh0")]
    expected = np.concatenate([part.positions for part in parts]).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(found.positions, expected)
    assert found.sh.shape == (70, 16, 3)
    assert not found.sh[50:, 1:].any()


def test_known_bad_harmonics_are_read_and_stand_out(golden_path: FindGolden) -> None:
    """Degree 3 announced, none in use: some versions draw it black or very slowly."""
    expected = read_ply(golden_path("nurec_tiny_sh0.ply"))
    stage, (volume,) = volumes(golden_path("nurec_tiny_sh0.usdz"))
    model = read_nurec_model(volume)
    assert (model.radiance_degrees, model.active_features) == ({3}, {0})
    assert model.arrays.features_specular.shape == (20, 0)
    found = open_scene(Path(stage.GetRootLayer().realPath))[0]
    np.testing.assert_array_equal(found.sh, expected.sh.astype(np.float16).astype(np.float32))


def test_misaligned_package_with_a_proxy_mesh_is_read(golden_path: FindGolden) -> None:
    found, _, collider = open_scene(golden_path("nurec_tiny_mesh.usdz"))
    assert len(found) == 50
    assert collider is not None
    stage, (volume,) = volumes(golden_path("nurec_tiny_mesh.usdz"))
    (proxy,) = volume.GetRelationship("proxy").GetTargets()
    assert stage.GetPrimAtPath(proxy).GetTypeName() == "Mesh"
