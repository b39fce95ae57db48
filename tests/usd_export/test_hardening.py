# SPDX-License-Identifier: Apache-2.0
"""Hostile packages and layers: each trick is refused with one line that names the place, and nothing is written."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pxr import Sdf, Usd, UsdGeom, UsdPhysics

from usd_export.cloud import GaussianCloud
from usd_export.encodings.nurec_payload import read_payload
from usd_export.encodings.particle_field import write_particle_field
from usd_export.errors import UsdExportError
from usd_export.formats.spz import read_spz
from usd_export.opening.package import MAX_ENTRIES, check_package
from usd_export.opening.sandbox import probe
from usd_export.opening.stage import composition_problems, open_stage
from usd_export.opening.trust import trusted_files, vouch_for
from usd_export.opening.zip_format import CENTRAL, END
from usd_export.rules.scene_rules import scene_findings
from usd_export.scene_reader import open_scene
from usd_export.usdz import write_usdz

MakeCloud = Callable[..., GaussianCloud]
Content = dict[str, bytes]

ROOT = b'#usda 1.0\n(\n    defaultPrim = "World"\n)\ndef Xform "World" {}\n'


def stored(path: Path, content: Content, **options: int) -> Path:
    """A zip archive by Python's own writer."""
    with zipfile.ZipFile(path, "w", compression=options.get("compression", zipfile.ZIP_STORED)) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=options.get("compression"))
    return path


def patched(path: Path, offset: int, value: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(value)] = value
    path.write_bytes(content)
    return path


def directory_offset(path: Path) -> int:
    content = path.read_bytes()
    return END.unpack_from(content, len(content) - END.size)[6]


def refusal(path: Path) -> str:
    """The message of the refusal, which is the same for the check and for opening."""
    with pytest.raises(UsdExportError) as error:
        check_package(path)
    with pytest.raises(UsdExportError) as opening:
        open_stage(path)
    assert str(opening.value) == str(error.value)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A good package of two entries."""
    return stored(tmp_path / "s.usdz", {"root.usda": ROOT, "more.usda": ROOT})


def test_good_packages_are_listed(package: Path) -> None:
    names = [entry.name for entry in check_package(package)]
    assert names == ["root.usda", "more.usda"]
    content = package.read_bytes()
    for entry in check_package(package):
        assert content[entry.offset : entry.offset + entry.size] == ROOT


def test_our_own_packages_are_aligned(tmp_path: Path) -> None:
    for name in ("root.usda", "more.usda"):
        (tmp_path / name).write_bytes(ROOT)
    write_usdz(tmp_path / "s.usdz", [tmp_path / "root.usda", tmp_path / "more.usda"])
    assert [entry.offset % 64 for entry in check_package(tmp_path / "s.usdz")] == [0, 0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../evil.usda", "leads out"),
        ("a/../../evil.usda", "leads out"),
        ("./s.usda", "leads out"),
        ("a//b.usda", "leads out"),
        ("/etc/evil.usda", "absolute"),
        ("C:/evil.usda", "absolute"),
        ("a\\..\\evil.usda", "no usable name"),
        ("line\nbreak.usda", "no usable name"),
    ],
)
def test_zip_slip(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "in").mkdir()
    message = refusal(stored(tmp_path / "in" / "s.usdz", {"root.usda": ROOT, name: ROOT}))
    assert problem in message
    assert repr(name) in message
    assert list(tmp_path.rglob("*.usda")) == []


def test_duplicate_names(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "s.usdz", "w") as archive:
        archive.writestr("root.usda", ROOT)
        archive.writestr("root.usda", ROOT)
    assert "entry 'root.usda' at offset" in refusal(tmp_path / "s.usdz")


def test_compressed_entries(tmp_path: Path) -> None:
    """A bomb needs compression: 20 MB of zeros in 20 kB."""
    bomb = {"root.usda": ROOT, "zeros.usda": bytes(20_000_000)}
    path = stored(tmp_path / "s.usdz", bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    assert "entry 'root.usda' at offset 0 is compressed" in refusal(path)


def test_encrypted_entries(package: Path) -> None:
    flags = directory_offset(package) + 8
    assert "is encrypted" in refusal(patched(package, flags, b"\x01\x00"))


def test_zip64_entries(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.usdz", "w") as archive, archive.open("root.usda", "w", force_zip64=True) as file:
        file.write(ROOT)
    assert "is ZIP64" in refusal(tmp_path / "s.usdz")


def test_zip64_sizes(package: Path) -> None:
    assert "is ZIP64" in refusal(patched(package, directory_offset(package) + 20, b"\xff" * 8))


def test_zip64_directory(package: Path) -> None:
    end = len(package.read_bytes()) - END.size
    assert f"offset {end} is ZIP64" in refusal(patched(package, end + 16, b"\xff" * 4))


def test_too_many_entries(tmp_path: Path) -> None:
    content = {f"{number}.usda": b"" for number in range(MAX_ENTRIES + 1)}
    assert f"promises {MAX_ENTRIES + 1} entries" in refusal(stored(tmp_path / "s.usdz", content))


def test_overlapping_entries(package: Path) -> None:
    """Two directory entries that share one record: a bomb without compression."""
    second = directory_offset(package) + CENTRAL.size + len("root.usda")
    message = refusal(patched(package, second + 42, struct.pack("<I", 0)))
    assert "entry 'more.usda' at offset 0 overlaps" in message


def test_entries_outside_the_file(package: Path) -> None:
    size = struct.pack("<II", 10_000_000, 10_000_000)
    second = directory_offset(package) + CENTRAL.size + len("root.usda")
    header = check_package(package)[1].header
    patched(patched(package, second + 20, size), header + 18, size)
    assert f"entry 'more.usda' at offset {header} reaches to" in refusal(package)


def test_records_that_contradict_the_directory(package: Path) -> None:
    """USD reads the record in front of the data, zip tools the directory: both must see the same file."""
    name = check_package(package)[1].header + 30
    assert "entry 'more.usda' at offset" in refusal(patched(package, name, b"evil"))


def test_records_without_a_directory_entry(package: Path) -> None:
    """USD would find the second entry, zip tools would not."""
    content = package.read_bytes()
    start = directory_offset(package)
    first = content[start : start + CENTRAL.size + len("root.usda")]
    end = END.pack(0x06054B50, 0, 0, 1, 1, len(first), start, 0)
    package.write_bytes(content[:start] + first + end)
    assert "bytes of no entry" in refusal(package)


def test_sizes_after_the_data(package: Path) -> None:
    assert "after its data" in refusal(patched(package, directory_offset(package) + 8, b"\x08\x00"))


def test_every_cut_is_noticed(package: Path) -> None:
    content = package.read_bytes()
    for length in range(len(content)):
        package.write_bytes(content[:length])
        with pytest.raises(UsdExportError):
            check_package(package)


def gaussians(folder: Path, cloud: GaussianCloud) -> Usd.Stage:
    folder.mkdir(parents=True, exist_ok=True)
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    write_particle_field(stage, "/Splats", cloud)
    return stage


def layer(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#usda 1.0\n{text}\n")
    return path


@pytest.mark.parametrize("arc", ["references", "payload"])
@pytest.mark.parametrize(
    ("asset", "problem"),
    [
        ("{absolute}/secret.usda", "an absolute path"),
        ("../secret.usda", "outside the folder"),
        ("./inner/../../secret.usda", "outside the folder"),
        ("inner/../../secret.usda", "outside the folder"),
        ("file:///secret.usda", "an absolute path"),
        ("https://example.org/secret.usda", "an absolute path"),
        ("C:\\\\secret.usda", "an absolute path"),
    ],
)
def test_absolute_and_outside_references(tmp_path: Path, arc: str, asset: str, problem: str) -> None:
    layer(tmp_path / "secret.usda", 'def "Secret" {}')
    name = asset.format(absolute=tmp_path)
    scene = layer(tmp_path / "in" / "scene.usda", f'def "A" {{\n def "B" (\n {arc} = @{name}@</Secret>\n ) {{}}\n}}')
    with pytest.raises(UsdExportError, match=r"scene\.usda at /A/B refers to") as error:
        open_stage(scene)
    assert problem in str(error.value)


def test_references_inside_the_scene_are_followed(tmp_path: Path) -> None:
    layer(tmp_path / "sub" / "part.usda", 'def "B" (\n references = @../more.usda@</C>\n) {}')
    layer(tmp_path / "more.usda", 'def "C" {\n def "D" {}\n}')
    instance = 'def "I" (\n instanceable = true\n references = </A>\n) {}'
    scene = layer(tmp_path / "scene.usda", f'def "A" (\n references = @sub/part.usda@</B>\n) {{}}\n{instance}')
    stage = open_stage(scene)
    assert stage.GetPrimAtPath("/I/D").IsValid()
    assert composition_problems(stage) == []


@pytest.mark.parametrize(
    "text",
    [
        'def "A" (\n references = @./missing.usda@\n) {}',
        'def "A" {\n over "B" (\n payload = @./missing.usda@\n ) {}\n}',
        'def "A" (\n references = </P>\n) {}\nclass "P" {\n def "C" (\n references = </Gone>\n ) {}\n}',
        'def "A" (\n references = </A>\n) {}',
        "(\n subLayers = [@./missing.usda@]\n)",
    ],
)
def test_what_cannot_be_followed_is_told(tmp_path: Path, text: str) -> None:
    problems = composition_problems(open_stage(layer(tmp_path / "scene.usda", text)))
    assert problems
    assert all(problem and "\n" not in problem for problem in problems)


def test_outside_sublayers(tmp_path: Path) -> None:
    scene = layer(tmp_path / "in" / "scene.usda", "(\n subLayers = [@../secret.usda@]\n)")
    with pytest.raises(UsdExportError, match=r"at its sublayers refers to '../secret.usda'"):
        open_stage(scene)


def test_outside_references_of_inner_layers(tmp_path: Path) -> None:
    """Also in a variant that is not selected."""
    scene = layer(tmp_path / "in" / "scene.usda", 'def "A" (\n references = @./sub/part.usda@</B>\n) {}')
    variants = 'variantSet "v" = {\n "x" (\n payload = @../../secret.usda@\n ) {\n }\n}'
    variants = f'def "B" (\n variantSets = "v"\n) {{\n {variants}\n}}'
    layer(tmp_path / "in" / "sub" / "part.usda", variants)
    with pytest.raises(UsdExportError, match=r"part\.usda at /B\{v=x\} refers to '../../secret.usda'"):
        open_stage(scene)


@pytest.mark.parametrize("asset", ["asset filePath = @/etc/passwd@", "asset[] filePath.timeSamples = {{1: [@../x@]}}"])
def test_outside_payload_files(tmp_path: Path, asset: str) -> None:
    """Fields such as NuRec's name data files that are read like layers."""
    scene = layer(tmp_path / "in" / "scene.usda", f'def "Field" {{\n {asset.format()}\n}}')
    with pytest.raises(UsdExportError, match=r"at /Field\.filePath refers to"):
        open_stage(scene)


@pytest.mark.parametrize(
    ("prim", "where"),
    [
        ('def "A" (\n {}\n) {{}}', r"/A"),
        ('def "A" (\n variantSets = "v"\n) {{\n variantSet "v" = {{\n "x" (\n {}\n) {{\n }}\n }}\n}}', r"/A\{v=x\}"),
    ],
)
def test_outside_value_clips(tmp_path: Path, prim: str, where: str) -> None:
    clips = "clips = {\n dictionary default = {\n asset[] assetPaths = [@../clip.usda@]\n }\n }"
    scene = layer(tmp_path / "in" / "scene.usda", prim.format(clips))
    with pytest.raises(UsdExportError, match=rf"at {where} refers to '../clip.usda'"):
        open_stage(scene)


def test_expressions_are_not_followed(tmp_path: Path) -> None:
    scene = layer(tmp_path / "scene.usda", 'def "A" (\n references = @`"${WHERE}/x.usda"`@\n) {}')
    with pytest.raises(UsdExportError, match="an expression"):
        open_stage(scene)


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    layer(tmp_path / "secret.usda", 'def "Secret" {}')
    scene = layer(tmp_path / "in" / "scene.usda", 'def "A" (\n references = @./part.usda@</Secret>\n) {}')
    (tmp_path / "in" / "part.usda").symlink_to(tmp_path / "secret.usda")
    with pytest.raises(UsdExportError, match="a link out of the folder"):
        open_stage(scene)


def test_a_scene_of_links_to_one_store_is_fine(tmp_path: Path) -> None:
    """Download caches keep content in one folder and names in another."""
    layer(tmp_path / "blobs" / "1", 'def "A" (\n references = @./part.usda@</B>\n) {}')
    layer(tmp_path / "blobs" / "2", 'def "B" {}')
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "scene.usda").symlink_to(tmp_path / "blobs" / "1")
    (tmp_path / "snapshot" / "part.usda").symlink_to(tmp_path / "blobs" / "2")
    assert open_stage(tmp_path / "snapshot" / "scene.usda").GetPrimAtPath("/A").IsValid()


def test_packages_cannot_refer_out_of_themselves(tmp_path: Path) -> None:
    layer(tmp_path / "secret.usda", 'def "Secret" {}')
    root = b'#usda 1.0\ndef "A" (\n references = @../secret.usda@</Secret>\n) {}'
    path = stored(tmp_path / "s.usdz", {"root.usda": root})
    with pytest.raises(UsdExportError, match="outside the package"):
        open_stage(path)


def test_packages_beside_the_scene_are_checked(tmp_path: Path) -> None:
    stored(tmp_path / "part.usdz", {"root.usda": ROOT, "../evil.usda": ROOT})
    scene = layer(tmp_path / "scene.usda", 'def "A" (\n references = @./part.usdz@</World>\n) {}')
    with pytest.raises(UsdExportError, match=r"part\.usdz: the entry named '\.\./evil\.usda'"):
        open_stage(scene)


def test_packages_inside_packages(tmp_path: Path) -> None:
    inner = stored(tmp_path / "inner.usdz", {"root.usda": ROOT}).read_bytes()
    root = b'#usda 1.0\ndef "A" (\n references = @./inner.usdz@</World>\n) {}'
    with pytest.raises(UsdExportError, match="a package inside a package"):
        open_stage(stored(tmp_path / "s.usdz", {"root.usda": root, "inner.usdz": inner}))


def test_the_working_directory_is_no_part_of_the_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """USD resolves a name without ./ against the working directory if it is not beside the layer."""
    scene = layer(tmp_path / "in" / "scene.usda", 'def "A" (\n references = @part.usda@</B>\n) {}')
    layer(tmp_path / "part.usda", 'def "B" {}')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsdExportError, match="does not lie beside the scene"):
        open_stage(scene)


def test_code_beside_the_scene_is_not_run(tmp_path: Path) -> None:
    for name in ("json.py", "usd_export.py", "pxr.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert probe(layer(tmp_path / "scene.usda", 'def "A" {}')) == [tmp_path / "scene.usda"]
    assert not (tmp_path / "ran").exists()


def test_special_files_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "part.usda")
    scene = layer(tmp_path / "scene.usda", 'def "A" (\n references = @./part.usda@</B>\n) {}')
    with pytest.raises(UsdExportError, match="not an ordinary file"):
        open_stage(scene)


def test_a_crash_of_the_library_is_an_error(tmp_path: Path) -> None:
    """Prims nested 50,000 deep overflow the stack of USD's text parser."""
    deep = layer(tmp_path / "deep.usda", 'def "A" {\n' * 50_000 + "}\n" * 50_000)
    with pytest.raises(UsdExportError, match=r"deep\.usda is damaged: opening it crashes the USD library"):
        open_stage(deep)


def test_a_hang_of_the_library_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No known layer hangs USD; with no time at all, any layer does."""
    scene = layer(tmp_path / "scene.usda", 'def "A" {}')
    monkeypatch.setattr("usd_export.opening.sandbox._WALL_FACTOR", 0)
    with pytest.raises(UsdExportError, match=r"scene\.usda could not be opened within 0 s"):
        open_stage(scene)


def test_arrays_larger_than_their_file(tmp_path: Path) -> None:
    """A binary layer of a few kilobytes whose compressed array claims 8 GiB."""
    stage = Usd.Stage.CreateNew(str(tmp_path / "scene.usdc"))
    attribute = stage.DefinePrim("/A").CreateAttribute("a", Sdf.ValueTypeNames.IntArray)
    attribute.Set([number * number % 977 for number in range(7777)])
    stage.Save()
    content = (tmp_path / "scene.usdc").read_bytes()
    count = struct.pack("<Q", 7777)
    assert content.count(count) == 1
    (tmp_path / "bomb.usdc").write_bytes(content.replace(count, struct.pack("<Q", 1 << 31)))
    with pytest.raises(UsdExportError, match=r"bomb\.usdc is damaged"):
        open_stage(tmp_path / "bomb.usdc")


BOMB_BYTES = 200 << 20


@contextmanager
def little_memory() -> Iterator[None]:
    """Python's and NumPy's allocations stay far below the size of the bomb."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < BOMB_BYTES / 4
    finally:
        tracemalloc.stop()


def test_gzip_bombs_in_nurec_payloads() -> None:
    claimed = b"\x81\xa8nre_data\xc6" + struct.pack(">I", BOMB_BYTES)
    bomb = gzip.compress(claimed + bytes(BOMB_BYTES), 9)
    with little_memory(), pytest.raises(UsdExportError, match="offset"):
        read_payload(io.BytesIO(bomb), len(bomb))


@pytest.mark.parametrize("count", [1, BOMB_BYTES // 20])
def test_gzip_bombs_in_spz_files(tmp_path: Path, count: int) -> None:
    """More data than the header promises, and a header that promises all of it."""
    header = struct.pack("<4sIIBBBB", b"NGSP", 3, count, 0, 12, 0, 0)
    (tmp_path / "s.spz").write_bytes(gzip.compress(header + bytes(BOMB_BYTES), 9))
    with little_memory(), pytest.raises(UsdExportError, match=r"s\.spz"):
        read_spz(tmp_path / "s.spz")


def test_own_scenes_are_known_until_they_change(tmp_path: Path, make_cloud: MakeCloud) -> None:
    gaussians(tmp_path, make_cloud()).Save()
    scene = tmp_path / "scene.usda"
    assert trusted_files(scene) is None
    vouch_for([scene])
    assert trusted_files(scene) == [scene]
    scene.write_bytes(scene.read_bytes() + b"\n")
    assert trusted_files(scene) is None
    open_stage(scene)
    assert trusted_files(scene) == [scene]
    scene.unlink()
    assert trusted_files(scene) is None


def scene_with_collider(folder: Path, cloud: GaussianCloud, points: list, indices: list[int]) -> Path:
    stage = gaussians(folder, cloud)
    mesh = UsdGeom.Mesh.Define(stage, "/Mesh")
    mesh.CreatePointsAttr(points)
    mesh.CreateFaceVertexCountsAttr([3] * (len(indices) // 3))
    mesh.CreateFaceVertexIndicesAttr(indices)
    UsdPhysics.CollisionAPI.Apply(mesh.GetPrim())
    stage.Save()
    return folder / "scene.usda"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_meshes(tmp_path: Path, make_cloud: MakeCloud, value: float) -> None:
    """A collider with one bad vertex is no collider."""
    points = [(0, 0, 0), (1, 0, 0), (0, value, 0)]
    with pytest.raises(UsdExportError, match="/Mesh"):
        open_scene(scene_with_collider(tmp_path, make_cloud(), points, [0, 1, 2]))


@pytest.mark.parametrize("indices", [[0, 1, 7], [0, 1, -1]])
def test_meshes_with_missing_vertices(tmp_path: Path, make_cloud: MakeCloud, indices: list[int]) -> None:
    points = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    with pytest.raises(UsdExportError, match="/Mesh"):
        open_scene(scene_with_collider(tmp_path, make_cloud(), points, indices))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_meshes_are_found(tmp_path: Path, make_cloud: MakeCloud, value: float) -> None:
    points = [(0, 0, 0), (1, 0, 0), (0, value, 0)]
    scene = scene_with_collider(tmp_path, make_cloud(), points, [0, 1, 2])
    found = scene_findings(open_stage(scene))
    assert [finding.where for finding in found if finding.rule == "lyra:collider" and finding.severity == "error"]
