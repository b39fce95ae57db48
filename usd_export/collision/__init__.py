# SPDX-License-Identifier: Apache-2.0
"""Gaussians and depth maps to one static collision mesh.

All reasoning happens in world metres (Z up, floor at z = 0) on a regular grid that holds a signed distance: negative
inside matter, positive in free or unseen space. Depth views write it first (`fusion`), Gaussians fill what no view
has seen (`splats`), the floor is laid in as an exact plane (`floor`), and `meshing` turns it into triangles.
"""

from usd_export.collision.build import ColliderMesh, ColliderReport, build_collider
from usd_export.collision.depth import DepthView
from usd_export.collision.labels import SurfaceLabel

__all__ = ["ColliderMesh", "ColliderReport", "DepthView", "SurfaceLabel", "build_collider"]
