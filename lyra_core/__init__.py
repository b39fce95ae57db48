# SPDX-License-Identifier: Apache-2.0
"""Lyra: from one image to a 3D Gaussian scene. Submodules load on demand; importing the package loads no torch."""

__version__ = "0.1.0"
