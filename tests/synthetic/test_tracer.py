# SPDX-License-Identifier: Apache-2.0
"""The ray tracer against closed forms, and its two backends against each other."""

import math

import pytest
import torch

from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at
from lyra_core.errors import LyraError
from lyra_core.synthetic.grammar import make_world, render_world
from lyra_core.synthetic.lighting import Lighting
from lyra_core.synthetic.palette import paint
from lyra_core.synthetic.primitives import Primitive, ball, box, cylinder, oval, pack, rod
from lyra_core.synthetic.tracer import SKY_DEPTH, object_pixels, render_packed
from lyra_core.synthetic.tracer_numba import KernelsNumba
from lyra_core.synthetic.tracer_torch import KernelsTorch

LIGHT = Lighting(key=(0.3, -0.5, 0.8), key_color=(1.0, 1.0, 1.0), sun=True)
GREY = paint("grey")
BACKENDS = ("numba", "torch")


def camera(width: int = 33, height: int = 25) -> Cameras:
    """At the origin, looking along +y, level."""
    pose = look_at((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    return Cameras(pose, intrinsics_from_fov(math.radians(60), width, height), width, height)


def render(*solids: Primitive, backend: str = "torch", **options):
    triples = [(solid, index + 1, index + 5) for index, solid in enumerate(solids)]
    return render_packed(pack(triples), LIGHT, camera(), backend=backend, **options)


@pytest.mark.parametrize("backend", BACKENDS)
def test_sphere_depth_and_normals_are_analytic(backend):
    center, radius = torch.tensor([0.2, 4.0, -0.3]), 1.1
    view = render(ball(0.2, 4.0, -0.3, radius, GREY), backend=backend, supersample=1)
    _, d = camera().rays()
    b = (d * center).sum(-1)
    disc = b * b - (center @ center) + radius**2
    hit = disc > 1e-3
    t = b - disc.clamp_min(0).sqrt()
    assert hit.sum() > 50
    torch.testing.assert_close(view.z[hit], (t * d[..., 1])[hit], atol=2e-4, rtol=0)
    expected = (t[..., None] * d - center) / radius
    torch.testing.assert_close(view.normal[hit], expected[hit], atol=1e-3, rtol=0)
    assert (view.object_id[hit] == 1).all() and (view.class_id[hit] == 5).all()
    missed = disc < -1e-3
    assert (view.z[missed] == SKY_DEPTH).all() and (view.object_id[missed] == 0).all()
    assert (view.normal[missed] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_box_front_is_a_plane_of_constant_z(backend):
    view = render(box(0, 5.0, -1.0, 2.0, 1.0, 2.0, GREY), backend=backend, supersample=1)
    x, y = camera().rays()[1][..., 0], camera().rays()[1][..., 2]
    depth = camera().rays()[1][..., 1]
    front = ((4.5 * x / depth).abs() < 0.99) & ((4.5 * y / depth).abs() < 0.99)
    torch.testing.assert_close(view.z[front], torch.full_like(view.z[front], 4.5), atol=1e-4, rtol=0)
    assert torch.equal(view.normal[front], torch.tensor([0.0, -1.0, 0.0]).expand(int(front.sum()), 3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_inside_of_a_hollow_box_is_visible(backend):
    shell = box(0, 0, -2, 8.0, 8.0, 4.0, GREY)
    view = render(Primitive(shell.kind, shell.center, shell.half, GREY, hollow=True), backend=backend, supersample=1)
    middle = view.z[12, 16]
    torch.testing.assert_close(middle, torch.tensor(4.0), atol=1e-4, rtol=0)
    assert (view.object_id == 1).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rod_is_a_cylinder_between_its_ends(backend):
    lying = render(rod((-1.0, 4.0, 0.0), (1.0, 4.0, 0.0), 0.5, GREY), backend=backend, supersample=1)
    standing = render(cylinder(0, 4.0, -1.0, 0.5, 2.0, GREY), backend=backend, supersample=1)
    torch.testing.assert_close(lying.z[12, 16], torch.tensor(3.5), atol=1e-4, rtol=0)
    torch.testing.assert_close(standing.z[12, 16], torch.tensor(3.5), atol=1e-4, rtol=0)
    assert (lying.object_id == 1).sum(1).max() > (standing.object_id == 1).sum(1).max()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("radii", "front"), [((1.0, 0.5), 3.5), ((0.5, 1.0), 3.0)])
def test_an_oval_has_two_radii(backend, radii, front):
    view = render(oval(0, 4.0, -1.0, *radii, 2.0, GREY), backend=backend, supersample=1)
    torch.testing.assert_close(view.z[12, 16], torch.tensor(front), atol=1e-4, rtol=0)
    columns = (view.object_id[12] == 1).nonzero()[:, 0]
    tangent = float(camera().rays()[1][12, columns[-1], 0] / camera().rays()[1][12, columns[-1], 1])
    assert tangent == pytest.approx(radii[0] / math.sqrt(16 - radii[1] ** 2), abs=0.04)


def test_clearance_beside_an_oval_is_never_too_large():
    packed = pack([(oval(0, 0, 0, 0.5, 1.0, 2.0, GREY), 1, 5)])
    angles = torch.linspace(0, 2 * math.pi, 33)[:, None]
    rim = torch.cat([0.5 * angles.cos(), angles.sin(), torch.full_like(angles, 1.0)], 1)
    points = torch.tensor([[0.9, 0.0, 1.0], [0.0, 1.4, 1.0], [0.7, 0.9, 1.0]])
    nearest = torch.cdist(points, rim).amin(1)
    for kernels in (KernelsNumba(packed), KernelsTorch(packed, torch.device("cpu"))):
        assert (kernels.clearance(points, 5.0) <= nearest + 1e-4).all()


def test_the_nearer_solid_wins_and_casts_a_shadow():
    floor = box(0, 5, -1.1, 20, 20, 0.1, GREY)
    bare = render(floor, supersample=1)
    view = render(floor, ball(0, 5, 0.0, 0.7, GREY), supersample=1)
    assert view.object_id[12, 16] == 2
    shown = (view.object_id == 1) & (bare.object_id == 1)
    darker = (bare.rgb - view.rgb)[shown].mean(-1) > 0.1
    assert darker.any(), "the ball throws no shadow on the floor"


@pytest.mark.parametrize(("theme", "seed"), [("kitchen", 5), ("yard", 7), ("tabletop", 43), ("bathroom", 5)])
def test_numba_equals_torch(theme, seed):
    world = make_world(seed, theme)
    cameras = world.base_camera(64, 36)
    fast, oracle = (render_world(world, cameras, supersample=1, backend=backend) for backend in BACKENDS)
    difference = (fast.rgb - oracle.rgb).abs().amax(-1)
    assert (difference > 1e-3).float().mean() < 5e-3  # float32 ties at silhouettes and seams
    assert difference.median() < 1e-5
    assert ((fast.z - oracle.z).abs() > 1e-3).float().mean() < 2e-3
    assert (fast.object_id != oracle.object_id).float().mean() < 2e-3
    assert (fast.class_id != oracle.class_id).float().mean() < 2e-3


def test_views_are_batched_like_their_cameras():
    world = make_world(3, "bedroom")
    base = world.base_camera(24, 14)
    four = Cameras(base.c2w.expand(2, 2, 4, 4), base.intrinsics, 24, 14)
    views = render_world(world, four, supersample=1)
    assert views.rgb.shape == (2, 2, 14, 24, 3) and views.normal.shape == (2, 2, 14, 24, 3)
    assert views.z.shape == views.object_id.shape == views.class_id.shape == (2, 2, 14, 24)
    assert torch.equal(views.rgb[0, 0], views.rgb[1, 1])
    assert views.rgb.min() >= 0 and views.rgb.max() <= 1


def test_supersampling_smooths_colour_and_leaves_depth_alone():
    world = make_world(3, "office")
    rough, smooth = (render_world(world, world.base_camera(48, 27), supersample=n) for n in (1, 3))
    assert torch.equal(rough.z, smooth.z)
    steps = [(view.rgb[:, 1:] - view.rgb[:, :-1]).abs().mean() for view in (rough, smooth)]
    assert steps[1] < steps[0]


def test_pixels_per_object_match_the_id_image():
    world = make_world(9, "living room")
    cameras = world.base_camera(40, 22)
    counts = object_pixels(world.packed, cameras)
    ids, expected = render_world(world, cameras, supersample=1).object_id.unique(return_counts=True)
    assert counts == dict(zip(ids.tolist(), expected.tolist(), strict=True))


@pytest.mark.parametrize("options", [{"backend": "opengl"}, {"supersample": 0}])
def test_wrong_options_are_named(options):
    with pytest.raises(LyraError, match=str(next(iter(options.values())))):
        render(ball(0, 4, 0, 1, GREY), **{"backend": "torch", **options})
