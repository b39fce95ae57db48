# SPDX-License-Identifier: Apache-2.0
"""Colliders that move: one kinematic rigid body per rigid cluster of Gaussians.

```
<path>                    Xform in world metres, purpose guide
<path>/Body_000           Xform with PhysicsRigidBodyAPI, kinematic, and time samples of its pose
<path>/Body_000/hull      Mesh, convex hull of the opaque Gaussians; or part_000, part_001, ... after a decomposition
```

A kinematic body pushes what it meets and is pushed by nothing: simulators take its pose from the time samples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdPhysics

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.motion import Motion
from usd_export.dynamic.rigid import write_poses
from usd_export.dynamic.rigid_fit import rotation_matrices
from usd_export.errors import UsdExportError, located
from usd_export.frame import Frame
from usd_export.options import Bodies
from usd_export.placement.cropping import select
from usd_export.prims.metric_group import define_metric_group
from usd_export.prims.movable import collide_as_hull
from usd_export.prims.physics import define_mesh

BODY = "Body"

_OPAQUE = 0.5
_HULL_SAMPLE = 20_000
_PART_VOXEL = 0.02  # metres: of the solid that is cut into convex parts

Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]  # vertices [V, 3], triangles [T, 3]


def write_bodies(stage: Usd.Stage, path: str, cloud: DynamicCloud, frame: Frame, motion: Motion) -> None:
    """Define the bodies of all rigid clusters.

    Args:
        stage: Stage whose edit target receives the prims.
        path: Path of the group, a child of the prim that carries `frame`.
        cloud: Gaussians in scene units, with clusters.
        frame: Scene units to world metres.
        motion: Shape of the bodies, and unit of time.

    Raises:
        UsdExportError: If an instant is invalid, or convex parts cannot be made.
    """
    group = define_metric_group(stage, path, frame)
    group.CreatePurposeAttr(UsdGeom.Tokens.guide)
    fit = cloud.rigid_fit
    if fit is None:
        return
    first = next(cloud.instants())
    codes = motion.time_codes(cloud.times)
    for number, rows in enumerate(fit.members):
        body = UsdGeom.Xform.Define(stage, f"{path}/{BODY}_{number:03d}")
        rigid = UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
        rigid.CreateRigidBodyEnabledAttr(True)
        rigid.CreateKinematicEnabledAttr(True)
        centers = frame.apply(fit.centers[:, number])
        write_poses(body, codes, centers, _in_world(fit.rotations[:, number], frame))
        with located(f"cluster {number} with {len(rows)} Gaussians"):
            for name, (vertices, triangles) in _shapes(select(first, rows), frame, motion.bodies):
                mesh = define_mesh(stage, f"{body.GetPath()}/{name}", vertices - centers[0], triangles)
                collide_as_hull(mesh.GetPrim())


def _in_world(rotations: NDArray[np.float64], frame: Frame) -> NDArray[np.float64]:
    """Quaternions [T, 4] of the same turns about world axes: the axis turns with the frame, the angle stays."""
    return np.concatenate([rotations[:, :1], rotations[:, 1:] @ frame.rotation.T], axis=1)


def _shapes(cloud: GaussianCloud, frame: Frame, bodies: Bodies) -> Iterator[tuple[str, Mesh]]:
    """Name and mesh of each collision shape, in world metres at the first instant."""
    opaque = np.flatnonzero(cloud.opacities > _OPAQUE)
    solid = select(cloud, opaque) if len(opaque) else cloud
    if bodies == "hull":
        yield "hull", convex_hull(frame.apply(_reach(solid)))
        return
    from usd_export.collision import build_collider
    from usd_export.collision.convex import convex_parts

    collider = build_collider(solid, frame, preset="object", voxel_size=_PART_VOXEL, labels=False)
    for number, (vertices, triangles) in enumerate(convex_parts(collider.vertices, collider.triangles)):
        yield f"part_{number:03d}", (frame.apply(vertices).astype(np.float32), triangles)


def _reach(cloud: GaussianCloud) -> NDArray[np.float64]:
    """Both ends [6 M, 3] of every standard deviation: a flat or single Gaussian, too, has a volume."""
    step = -(-len(cloud) // _HULL_SAMPLE)
    sample = select(cloud, np.arange(0, len(cloud), step))
    axes = rotation_matrices(sample.rotations.astype(np.float64)) * sample.scales[:, None, :]
    ends = sample.positions[:, :, None] + np.concatenate([axes, -axes], axis=2)
    return np.moveaxis(ends, 1, 2).reshape(-1, 3)


def convex_hull(points: NDArray[np.float64]) -> Mesh:
    """Convex hull of points [M, 3], its triangles counter-clockwise seen from outside.

    Raises:
        UsdExportError: If they have no volume.
    """
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except QhullError as error:
        raise UsdExportError("the Gaussians have no volume, so they cannot collide; write no bodies") from error
    used, triangles = np.unique(hull.simplices, return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    a, b, c = (points[hull.simplices[:, corner]] for corner in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), hull.equations[:, :3]) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return points[used].astype(np.float32), triangles.astype(np.int32)
