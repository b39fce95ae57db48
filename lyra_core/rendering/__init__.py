# SPDX-License-Identifier: Apache-2.0
"""Rendering of Gaussians: colour, expected depth and alpha, differentiable."""

from .render import RenderOutput, render

__all__ = ["RenderOutput", "render"]
