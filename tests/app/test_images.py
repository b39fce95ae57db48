# SPDX-License-Identifier: Apache-2.0
"""Any picture and any depth map a user may bring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.depth_maps import read_depth, write_depth
from lyra_core.errors import LyraError
from lyra_core.fitting import MAX_ASPECT, SIDE_STEP, fit_depth, fit_image, fitted_size
from lyra_core.images import WORKING_SIDE, quantized, read_image, write_image


@pytest.fixture
def ramp() -> torch.Tensor:
    """RGB [40, 64, 3] whose corners all differ."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 64), indexing="ij")
    return quantized(torch.stack((x, y, 1 - x), -1))


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def test_what_is_written_comes_back(tmp_path: Path, ramp: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", ramp)
    assert torch.equal(read_image(tmp_path / "a.png"), ramp)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[:, :20, 3] = 255
    image = read_image(save(tmp_path / "a.png", rgba))
    assert image[:, :20].max() == 0 and image[:, 20:].min() == 1


@pytest.mark.parametrize(("top", "dtype"), [(65535, np.uint16), (255, np.uint8)])
def test_grey_of_8_and_16_bit(tmp_path: Path, top: int, dtype: type) -> None:
    grey = np.linspace(0, top, 64).astype(dtype)[None].repeat(40, 0)
    image = read_image(save(tmp_path / "a.png", grey))
    assert image.shape == (40, 64, 3)
    assert torch.allclose(image[0, :, 1], torch.linspace(0, 1, 64), atol=1 / 200)


def test_palettes_and_print_colours(tmp_path: Path, ramp: torch.Tensor) -> None:
    picture = Image.fromarray((ramp.numpy() * 255).astype(np.uint8))
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    picture.convert("CMYK").save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        assert (read_image(tmp_path / name) - ramp).abs().mean() < 0.05


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_cameras(tmp_path: Path, ramp: torch.Tensor, orientation: int) -> None:
    """Pillow's own transposition is the oracle."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", (ramp.numpy() * 255).astype(np.uint8), exif=exif)
    expected = np.array(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal((read_image(path).numpy() * 255).round().astype(np.uint8), expected)


def test_huge_pictures_are_reduced_while_they_are_read(tmp_path: Path) -> None:
    stripes = np.zeros((400, 20_000), np.uint8)
    stripes[:, ::2] = 255
    image = read_image(save(tmp_path / "a.png", stripes))
    assert WORKING_SIDE <= image.shape[1] < 2 * WORKING_SIDE
    assert abs(image.shape[1] / image.shape[0] - 50) < 1
    assert (image[:, :-1] - 0.5).abs().max() < 0.1  # averaged, not skipped


def test_a_picture_of_the_right_size_is_not_touched(ramp: torch.Tensor) -> None:
    assert fit_image(ramp, 40, 64) is not None
    assert torch.equal(fit_image(ramp, 40, 64), ramp)
    assert fit_image(ramp, 20, 20).shape == (20, 20, 3)


@pytest.mark.parametrize("size", [(352, 640), (720, 1280), (1080, 1920)])
def test_wide_screens_get_the_trained_size(size: tuple[int, int]) -> None:
    assert fitted_size(*size, (176, 320)) == (176, 320)


@pytest.mark.parametrize("size", [(1920, 1080), (800, 1280), (1000, 1000), (100, 2000), (3000, 40)])
def test_other_shapes_keep_their_aspect_and_the_budget(size: tuple[int, int]) -> None:
    rows, columns = fitted_size(*size, (176, 320))
    assert rows % SIDE_STEP == 0 and columns % SIDE_STEP == 0
    assert abs(rows * columns / (176 * 320) - 1) < 0.1
    wanted = min(max(size[1] / size[0], 1 / MAX_ASPECT), MAX_ASPECT)
    assert abs(columns / rows / wanted - 1) < 0.1


def intrinsics(height: int, width: int) -> tuple[float, ...]:
    return 50.0, 50.0, width / 2, height / 2


def test_a_depth_map_comes_back_bit_for_bit(tmp_path: Path) -> None:
    z = torch.rand(40, 64, generator=torch.Generator().manual_seed(0)) + 0.5
    depth = DepthEstimate(z, z > 0.6, torch.tensor([44.0, 45.0, 31.0, 19.0]), "exact:procedural", True)
    write_depth(tmp_path / "a.npz", depth)
    again = read_depth(tmp_path / "a.npz", intrinsics)
    assert torch.equal(again.z, z) and torch.equal(again.mask, depth.mask)
    assert torch.equal(again.intrinsics, depth.intrinsics) and again.metric and again.source == "user"


def test_depth_formats_and_units(tmp_path: Path) -> None:
    metres = np.full((40, 64), 2.5, np.float32)
    metres[0, 0] = np.inf
    np.save(tmp_path / "a.npy", metres)
    np.savez(tmp_path / "b.npz", depth=metres)
    save(tmp_path / "c.tif", metres)
    save(tmp_path / "d.png", np.full((40, 64), 2500, np.uint16))
    for name in ("a.npy", "b.npz", "c.tif", "d.png"):
        depth = read_depth(tmp_path / name, intrinsics)
        assert torch.allclose(depth.z, torch.tensor(2.5)) and depth.metric
        assert depth.mask[0, 0] == (name == "d.png")
        assert depth.intrinsics.tolist() == [50, 50, 32, 20]


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.tif"])
def test_a_damaged_depth_map_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no depth at all")
    with pytest.raises(LyraError, match="damaged or not a depth map"):
        read_depth(tmp_path / name, intrinsics)


def test_depth_without_a_valid_pixel_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((40, 64), np.float32))
    with pytest.raises(LyraError, match="no positive"):
        read_depth(tmp_path / "a.npy", intrinsics)


def test_cropping_moves_the_principal_point() -> None:
    """A pixel sees along the same ray before and after."""
    z = torch.arange(40 * 64, dtype=torch.float32).reshape(40, 64) + 1
    depth = DepthEstimate(z, z > 0, torch.tensor([50.0, 50.0, 32.0, 20.0]), "user", True)
    cut = fit_depth(depth, (400, 640), 40, 40)
    assert torch.equal(cut.z, z[:, 12:52])
    assert cut.intrinsics.tolist() == [50, 50, 20, 20]
    half = fit_depth(depth, (400, 640), 20, 32)
    assert half.intrinsics.tolist() == [25, 25, 16, 10]
    with pytest.raises(LyraError, match="64x40 but the image 640x200"):
        fit_depth(depth, (200, 640), 20, 64)
