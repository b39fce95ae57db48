# SPDX-License-Identifier: Apache-2.0
"""The parsers under test: honest files of each format, and how a damaged one is made and read."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from pxr import Usd

from usd_export.cloud import GaussianCloud
from usd_export.encodings.nurec_encoding import decode
from usd_export.encodings.nurec_payload import read_payload
from usd_export.formats.compressed_ply import read_compressed_ply, write_compressed_ply
from usd_export.formats.ply import read_ply, write_ply
from usd_export.formats.spz import read_spz, write_spz
from usd_export.frame import Frame
from usd_export.opening.package import check_package
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

from .mutate import mutated

GOLDEN = Path(os.environ.get("LYRA_GOLDEN_DIR", Path(__file__).parents[1] / "golden"))


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        write_seeds: Writes honest files to a folder.
        read: Reads one file; raises UsdExportError for a bad one.
        damage: Makes the content of one case from the contents of the seeds.
        allowance: Memory beyond twice the size of the data [bytes], such as blocks and buffers of a library.
    """

    write_seeds: Callable[[Path], None]
    read: Callable[[Path], object]
    damage: Callable[[list[bytes], Random], bytes] = mutated
    allowance: int = 32 << 20


def _cloud(degree: int, count: int = 40) -> GaussianCloud:
    random = np.random.default_rng(degree)
    rotations = random.normal(size=(count, 4))
    arrays = (
        random.normal(size=(count, 3)),
        np.exp(random.uniform(-5, -1, size=(count, 3))),
        rotations / np.linalg.norm(rotations, axis=1, keepdims=True),
        random.uniform(size=count),
        0.3 * random.normal(size=(count, (degree + 1) ** 2, 3)),
    )
    return GaussianCloud(*(array.astype(np.float32) for array in arrays))


def _copy_golden(folder: Path, pattern: str) -> None:
    for file in sorted(GOLDEN.glob(pattern)):
        shutil.copy(file, folder / file.name)


def _ply_seeds(folder: Path) -> None:
    for name in ("nurec_tiny.ply", "nurec_tiny_sh0.ply", "ply_tiny.ply"):
        _copy_golden(folder, name)
    write_ply(folder / "ours.ply", _cloud(0), comments=["a comment"])
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", *(f"scale_{i}" for i in range(3))]
    names += [f"rot_{i}" for i in range(4)]
    header = ["element vertex 12", *(f"property float {name}" for name in names), "end_header", ""]
    rows = np.random.default_rng(0).normal(size=(12, len(names)))
    text = "\n".join(" ".join(f"{value:.5g}" for value in row) for row in rows) + "\n"
    (folder / "ascii.ply").write_text("\n".join(["ply", "format ascii 1.0", *header]) + text)
    start = "\n".join(["ply", "format binary_big_endian 1.0", *header]).encode()
    (folder / "big.ply").write_bytes(start + rows.astype(">f4").tobytes())


def _compressed_ply_seeds(folder: Path) -> None:
    _copy_golden(folder, "*.compressed.ply")
    write_compressed_ply(folder / "ours.ply", _cloud(1, 300))


def _spz_seeds(folder: Path) -> None:
    _copy_golden(folder, "*.spz")
    for version in (2, 3):
        write_spz(folder / f"ours{version}.spz", _cloud(2), version=version)


def _payload_seeds(folder: Path) -> None:
    for package in sorted(GOLDEN.glob("nurec_t*.usdz")):
        content = package.read_bytes()
        for entry in check_package(package):
            if entry.name.endswith(".nurec"):
                payload = content[entry.offset : entry.offset + entry.size]
                (folder / f"{package.stem}.{entry.name}").write_bytes(payload)


def _package_seeds(folder: Path) -> None:
    _copy_golden(folder, "*.usdz")


def _usda_seeds(folder: Path) -> None:
    _copy_golden(folder, "particlefield_tiny.usda")
    write_scene(folder / "ours.usdz", _cloud(0), Frame.identity())
    Usd.Stage.Open(str(folder / "ours.usdz")).Export(str(folder / "ours.usda"))
    (folder / "ours.usdz").unlink()


def _usdc_seeds(folder: Path) -> None:
    _copy_golden(folder, "*.usdc")
    for degree in (0, 1):
        write_scene(folder / "ours", _cloud(degree), Frame.identity())
        shutil.copy(folder / "ours" / "gaussians.usdc", folder / f"ours{degree}.usdc")
        shutil.rmtree(folder / "ours")


def _usdz_seeds(folder: Path) -> None:
    _copy_golden(folder, "particlefield_tiny_parts.usdz")
    _copy_golden(folder, "nurec_tiny.usdz")
    write_scene(folder / "ours.usdz", _cloud(1), Frame.identity())


def _read_payload(path: Path) -> object:
    with path.open("rb") as file:
        return decode(read_payload(file, path.stat().st_size).arrays)


def _damaged_gzip(seeds: list[bytes], random: Random) -> bytes:
    """Mostly damage behind the checksum of the container, which would hide it."""
    if random.random() < 0.3:
        return mutated(seeds, random)
    return gzip.compress(mutated([zlib.decompress(seed, wbits=31) for seed in seeds], random), 1, mtime=0)


def _damaged_package(seeds: list[bytes], random: Random) -> bytes:
    """Mostly damage that leaves the directory as it is, so that USD gets to see the layers."""
    return mutated(seeds, random, keep_length=random.random() < 0.7)


PARSERS = {
    "ply": Format(_ply_seeds, read_ply),
    "compressed_ply": Format(_compressed_ply_seeds, read_compressed_ply),
    "spz": Format(_spz_seeds, read_spz, _damaged_gzip),
    "nurec": Format(_payload_seeds, _read_payload, _damaged_gzip),
    "package": Format(_package_seeds, check_package),
}
LAYERS = {
    "usda": Format(_usda_seeds, open_scene, allowance=1 << 30),
    "usdc": Format(_usdc_seeds, open_scene, allowance=1 << 30),
    "usdz": Format(_usdz_seeds, open_scene, _damaged_package, allowance=1 << 30),
}
FORMATS = PARSERS | LAYERS
SUFFIXES = {"compressed_ply": ".ply", "package": ".usdz"}


def suffix(name: str) -> str:
    """File name suffix of a format."""
    return SUFFIXES.get(name, f".{name}")


def content(name: str, seeds: list[bytes], case: int) -> bytes:
    """The damaged file of one case; the same numbers give the same bytes."""
    return FORMATS[name].damage(seeds, Random(f"{name}/{case}"))
