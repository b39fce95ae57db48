# SPDX-License-Identifier: Apache-2.0
"""`.nurec` files: a gzip container around one MessagePack map with the raw arrays of a NuRec Gaussian model.

Arrays are little-endian, in C order, and hold values before their activation: see `nurec_encoding`. The writer stores
them uncompressed as NVIDIA's converter does, but deflates the zeros that pad the harmonics to degree 3.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from usd_export.encodings.msgpack import Zeros, pack, unpack
from usd_export.errors import UsdExportError

SPECULAR_WIDTHS = (0, 9, 24, 45)
"""Values per Gaussian of the direction-dependent harmonics, by degree 0 to 3."""
BYTES_PER_GAUSSIAN = 118

_PREFIX = ".gaussians_nodes."
_WIDTHS = {"positions": 3, "rotations": 4, "scales": 3, "densities": 1, "features_albedo": 3}
_SPECULAR = "features_specular"
_ACTIVATIONS = {"density_activation": "sigmoid", "scale_activation": "exp", "rotation_activation": "normalize"}
_MAX_RATIO = 64  # unpacked to packed: padded harmonics reach about 5, a gzip bomb 1000
_SMALL_FILE = 1 << 20

_STORED_BYTES = 65535
_ZERO_BLOCK = bytes(1 << 20)

# What 3dgrut writes for a PLY: an ordinary Gaussian kernel, harmonics of degree 3. The keys keep its order.
_CONFIG: dict[str, Any] = {
    "layers": {
        "gaussians": {
            "name": "sh-gaussians",
            "device": "cuda",
            **_ACTIVATIONS,
            "precision": 16,
            "particle": {
                "density_kernel_planar": False,
                "density_kernel_degree": 2,
                "density_kernel_density_clamping": True,
                "density_kernel_min_response": 0.0113,
                "radiance_sph_degree": 3,
            },
            "transmittance_threshold": 0.0001,
        }
    },
    "renderer": {
        "name": "3dgut-nrend",
        "log_level": 3,
        "force_update": False,
        "update_step_train_batch_end": False,
        "per_ray_features": False,
        "global_z_order": True,
        "projection": {
            "n_rolling_shutter_iterations": 5,
            "ut_dim": 3,
            "ut_alpha": 1.0,
            "ut_beta": 2.0,
            "ut_kappa": 0.0,
            "ut_require_all_sigma_points": False,
            "image_margin_factor": 0.1,
            "min_projected_ray_radius": 0.5477225575051661,
        },
        "culling": {
            "rect_bounding": True,
            "tight_opacity_bounding": True,
            "tile_based": True,
            "near_clip_distance": 1e-8,
            "far_clip_distance": 3.402823466e38,
        },
        "render": {"mode": "kbuffer", "k_buffer_size": 0},
    },
    "name": "gaussians_primitive",
    "appearance_embedding": {"name": "skip-appearance", "embedding_dim": 0, "device": "cuda"},
    "background": {"name": "skip-background", "device": "cuda", "composite_in_linear_space": False},
}


@dataclass(frozen=True)
class NurecArrays:
    """N Gaussians as a `.nurec` file holds them.

    Attributes:
        positions: [N, 3], in the volume's frame.
        rotations: Quaternions [N, 4], order w, x, y, z, not necessarily of unit length.
        scales: Natural logarithms of the standard deviations [N, 3].
        densities: Logits of the opacities [N, 1].
        features_albedo: Constant harmonics [N, 3].
        features_specular: Other harmonics [N, 0 | 9 | 24 | 45], coefficient by coefficient, three colours each.
    """

    positions: NDArray[np.floating]
    rotations: NDArray[np.floating]
    scales: NDArray[np.floating]
    densities: NDArray[np.floating]
    features_albedo: NDArray[np.floating]
    features_specular: NDArray[np.floating]


@dataclass(frozen=True)
class NurecModel:
    """What a `.nurec` file holds: Gaussians, and what it claims about their harmonics.

    Attributes:
        arrays: Gaussians of all nodes.
        radiance_degrees: Degrees of the harmonics that the layers announce; only {3} is drawn everywhere.
        active_features: Numbers that the nodes give for the harmonics in use; only {3} is drawn everywhere.
    """

    arrays: NurecArrays
    radiance_degrees: frozenset[int]
    active_features: frozenset[int]


def write_payload(file: IO[bytes], arrays: NurecArrays) -> None:
    """Write a `.nurec` file of float16 arrays, harmonics padded to degree 3, without clock times."""
    specular, full = arrays.features_specular, SPECULAR_WIDTHS[-1]
    count = len(specular)
    tensors = {
        **{name: getattr(arrays, name) for name in ("positions", "rotations", "scales", "densities")},
        "extra_signal": np.empty((count, 0), np.float16),
        "features_albedo": arrays.features_albedo,
        _SPECULAR: _widened(specular, full) if specular.shape[1] else Zeros(2 * full * count),
        "n_active_features": np.array(3, np.int64),
    }
    prefix = f"{_PREFIX}gaussians."
    state: dict[str, Any] = {"._extra_state": {"obj_track_ids": {"gaussians": []}}}
    state |= {f"{prefix}{name}": _little_endian(tensor) for name, tensor in tensors.items()}
    shapes = {name: [] if name == "n_active_features" else [count, _WIDTHS.get(name, 0)] for name in tensors}
    shapes[_SPECULAR] = [count, full]
    state |= {f"{prefix}{name}.shape": shape for name, shape in shapes.items()}
    document = {"nre_data": {"version": "0.2.576", "model": "nre", "config": _CONFIG, "state_dict": state}}
    _write_gzip(file, document)


def _widened(specular: NDArray[np.floating], width: int) -> NDArray[np.floating]:
    """Harmonics [N, width], with zeros for those that are missing."""
    missing = width - specular.shape[1]
    return np.pad(specular, ((0, 0), (0, missing))) if missing else specular


def _little_endian(tensor: NDArray[Any] | Zeros) -> NDArray[Any] | Zeros:
    if isinstance(tensor, Zeros):
        return tensor
    kind = np.int64 if tensor.dtype == np.int64 else np.float16
    return np.ascontiguousarray(tensor, np.dtype(kind).newbyteorder("<"))


def _write_gzip(file: IO[bytes], document: Mapping[str, Any]) -> None:
    """A gzip member of stored blocks; long runs of zeros alone are compressed."""
    file.write(b"\x1f\x8b\x08" + bytes(6) + b"\xff")
    checksum = size = 0
    text = bytearray()
    for piece in pack(document):
        if isinstance(piece, bytes):
            text += piece
            continue
        checksum = _write_stored(file, text, checksum)
        size += len(text)
        text.clear()
        if isinstance(piece, Zeros):
            checksum = _write_zeros(file, piece.size, checksum)
            size += piece.size
        else:
            checksum = _write_stored(file, piece, checksum)
            size += piece.nbytes
    checksum = _write_stored(file, text, checksum)
    file.write(b"\x03\x00")  # empty last block
    file.write(struct.pack("<II", checksum, (size + len(text)) % 2**32))


def _write_stored(file: IO[bytes], data: bytearray | memoryview, checksum: int) -> int:
    """Stored deflate blocks; returns the updated checksum."""
    with memoryview(data) as view:
        for start in range(0, len(view), _STORED_BYTES):
            with view[start : start + _STORED_BYTES] as block:
                file.write(struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF))
                file.write(block)
        return zlib.crc32(view, checksum)


def _write_zeros(file: IO[bytes], size: int, checksum: int) -> int:
    """The same compressed block again and again, each complete in itself, and one for the rest."""
    repeats, rest = divmod(size, len(_ZERO_BLOCK))
    for zeros, times in ((_ZERO_BLOCK, repeats), (bytes(rest), 1)):
        compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        block = compressor.compress(zeros) + compressor.flush(zlib.Z_FULL_FLUSH)
        for _ in range(times):
            file.write(block)
            checksum = zlib.crc32(zeros, checksum)
    return checksum


def read_payload(stream: IO[bytes], size: int) -> NurecModel:
    """Read a `.nurec` file; the Gaussians of several nodes are put one after another.

    Args:
        stream: The file, at its start.
        size: Length of the file in bytes, which bounds how much may come out of it.

    Raises:
        UsdExportError: If the file is damaged, a bomb, or not a Gaussian model with the usual activations.
    """
    try:
        with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
            document = unpack(unpacked, _MAX_RATIO * size + _SMALL_FILE)
    except (OSError, EOFError, zlib.error) as error:
        raise UsdExportError(f"the gzip container is damaged ({error})") from error
    data = _child(document, "nre_data")
    layers, state = _child(_child(data, "config"), "layers"), _child(data, "state_dict")
    _require_activations(layers)
    particles = [layer["particle"] for layer in layers.values() if isinstance(layer, dict) and "particle" in layer]
    degrees = [particle.get("radiance_sph_degree") for particle in particles if isinstance(particle, dict)]
    active = [_integer(value) for key, value in state.items() if str(key).endswith(".n_active_features")]
    return NurecModel(
        arrays=_merged(_nodes(state)),
        radiance_degrees=frozenset(degree for degree in degrees if isinstance(degree, int)),
        active_features=frozenset(number for number in active if number is not None),
    )


def _child(value: Any, key: str) -> dict[Any, Any]:
    """A dictionary inside a dictionary."""
    child = value.get(key) if isinstance(value, dict) else None
    if not isinstance(child, dict):
        raise UsdExportError(f"the payload has no map {key}; it is not a NuRec model")
    return child


def _require_activations(layers: Mapping[Any, Any]) -> None:
    for name, layer in layers.items():
        for key, expected in _ACTIVATIONS.items():
            found = layer.get(key, expected) if isinstance(layer, dict) else expected
            if found != expected:
                raise UsdExportError(f"layer {name} has {key} {found!r}; only {expected!r} can be read")


def _integer(data: object) -> int | None:
    return int.from_bytes(data, "little", signed=True) if isinstance(data, bytearray) and len(data) == 8 else None


def _nodes(state: dict[Any, Any]) -> list[NurecArrays]:
    """Every group of tensors that is a set of Gaussians; `state` is emptied on the way to save memory."""
    prefixes = [key[: -len(_SPECULAR)] for key in state if isinstance(key, str) and key.endswith(f".{_SPECULAR}")]
    nodes = []
    for prefix in prefixes:
        tensors = {name: _tensor(state, f"{prefix}{name}", (width,)) for name, width in _WIDTHS.items()}
        tensors[_SPECULAR] = _tensor(state, f"{prefix}{_SPECULAR}", SPECULAR_WIDTHS)
        if len({len(tensor) for tensor in tensors.values()}) != 1:
            counts = ", ".join(f"{name} {len(tensor)}" for name, tensor in tensors.items())
            raise UsdExportError(f"the tensors below {prefix} have different lengths ({counts})")
        nodes.append(NurecArrays(**tensors))
    if not sum(len(node.positions) for node in nodes):
        raise UsdExportError("the payload holds no Gaussians")
    return nodes


def _tensor(state: dict[Any, Any], key: str, widths: tuple[int, ...]) -> NDArray[np.floating]:
    """A matrix with one of the given widths."""
    shape, data = state.get(f"{key}.shape"), state.pop(key, None)
    if not isinstance(data, bytearray) or not isinstance(shape, list) or not all(isinstance(n, int) for n in shape):
        raise UsdExportError(f"the tensor {key} is missing or has no shape")
    if len(shape) != 2 or shape[0] < 0 or shape[1] not in widths:
        raise UsdExportError(f"the tensor {key} has shape {shape[:4]}; expected [N, {' or '.join(map(str, widths))}]")
    count = shape[0] * shape[1]
    if len(data) not in (2 * count, 4 * count):
        raise UsdExportError(f"the tensor {key} has {len(data)} bytes; its shape {shape} needs {2 * count}")
    return np.frombuffer(data, "<f2" if len(data) == 2 * count else "<f4").reshape(shape)


def _merged(nodes: list[NurecArrays]) -> NurecArrays:
    if len(nodes) == 1:
        return nodes[0]
    width = max(node.features_specular.shape[1] for node in nodes)
    specular = [_widened(node.features_specular, width) for node in nodes]
    tensors = {name: np.concatenate([getattr(node, name) for node in nodes]) for name in _WIDTHS}
    return NurecArrays(**tensors, features_specular=np.concatenate(specular))
