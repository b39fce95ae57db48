# SPDX-License-Identifier: Apache-2.0
"""Baking a frame into the numbers of the Gaussians keeps their look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import sph_harm_y

from usd_export.cloud import GaussianCloud
from usd_export.frame import Frame
from usd_export.placement.baking import bake_frame
from usd_export.placement.orientation import rotation_matrix
from usd_export.spherical_harmonics import sh_basis, sh_rotation


def covariances(cloud: GaussianCloud) -> np.ndarray:
    w, x, y, z = cloud.rotations.astype(np.float64).T
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    axes = rotation * cloud.scales[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


@pytest.mark.parametrize("degree", range(4))
def test_baking_keeps_the_look(make_cloud: Callable[..., GaussianCloud], frame: Frame, degree: int) -> None:
    cloud = make_cloud(degree=degree)
    baked = bake_frame(cloud, frame).validate()
    linear = frame.matrix[:3, :3]
    np.testing.assert_allclose(baked.positions, frame.apply(cloud.positions), atol=1e-5)
    np.testing.assert_allclose(covariances(baked), linear @ covariances(cloud) @ linear.T, atol=1e-5)
    directions = np.random.default_rng(1).normal(size=(9, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.einsum("dk,nkc->ndc", sh_basis(directions, degree), cloud.sh)
    turned = np.einsum("dk,nkc->ndc", sh_basis(directions @ frame.rotation.T, degree), baked.sh)
    np.testing.assert_allclose(turned, expected, atol=1e-5)


def brute_force_basis(directions: np.ndarray, degree: int) -> np.ndarray:
    """Real harmonics [D, K] of unit directions from associated Legendre functions, with the Condon-Shortley sign."""
    polar, azimuth = np.arccos(directions[:, 2]), np.arctan2(directions[:, 1], directions[:, 0])
    columns = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            value = sph_harm_y(band, abs(order), polar, azimuth)
            part = value.imag if order < 0 else value.real
            columns.append(part * (1 if order == 0 else np.sqrt(2)))
    return np.stack(columns, axis=1)


def unit_directions(count: int) -> np.ndarray:
    directions = np.random.default_rng(5).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_basis_is_the_textbook_one() -> None:
    directions = unit_directions(50)
    np.testing.assert_allclose(sh_basis(directions, 3), brute_force_basis(directions, 3), atol=1e-12)


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("degrees", [(90, 0, 0), (0, -90, 0), (0, 0, 180), (33, -71, 142)])
def test_rotated_harmonics_show_the_same_colour(degree: int, degrees: tuple[float, float, float]) -> None:
    """The colour towards R d after turning the coefficients by R is the colour towards d before."""
    rotation, directions = rotation_matrix(degrees), unit_directions(40)
    coefficients = np.random.default_rng(6).normal(size=((degree + 1) ** 2, 3))
    turned = sh_rotation(rotation, degree) @ coefficients
    before = brute_force_basis(directions, degree) @ coefficients
    np.testing.assert_allclose(brute_force_basis(directions @ rotation.T, degree) @ turned, before, atol=1e-10)


def test_rotated_harmonics_keep_their_energy_per_band() -> None:
    """A rotation never mixes bands."""
    turn = sh_rotation(rotation_matrix((12, 34, 56)), 3)
    np.testing.assert_allclose(turn @ turn.T, np.eye(16), atol=1e-10)
    for band in range(4):
        inside = slice(band**2, (band + 1) ** 2)
        assert np.abs(np.delete(turn[inside], np.r_[inside], axis=1)).max() < 1e-10
