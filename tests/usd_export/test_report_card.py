# SPDX-License-Identifier: Apache-2.0
"""A good room passes; whatever is broken on purpose does not."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pxr import Gf, Usd, UsdGeom
from scipy.spatial import cKDTree

from usd_export.collision import ColliderMesh
from usd_export.encodings.particle_field import SH_COEFFICIENTS
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.layout import COLLISION, GAUSSIANS, GAUSSIANS_LAYER, ROOT_LAYER, SCENE
from usd_export.prims.cameras import CameraPath
from usd_export.report_card import ReportCard, report_card
from usd_export.report_card.agreement import judge_agreement
from usd_export.report_card.drop_test import judge_drops
from usd_export.report_card.floor_level import judge_floor
from usd_export.report_card.floor_map import FloorMap, map_floor
from usd_export.report_card.judgement import Judgement
from usd_export.report_card.observation import Observation, observe
from usd_export.report_card.page import page
from usd_export.report_card.rollout import judge_rollout
from usd_export.report_card.splat_depth import render_splats
from usd_export.report_card.subject import SolidMesh, Subject, load_subject
from usd_export.report_card.triangle_tree import triangle_tree
from usd_export.report_card.watertight import judge_watertightness
from usd_export.scene_writer import write_scene

from .furnished_room import CRATE, HIGH, LOW, SHELF, UNIT, Room, box_mesh, make_room

CHAPTERS = ["schema", "collider-depth", "watertightness", "floor", "scale", "drop-test", "rollout"]


def write(room: Room, path: Path) -> Path:
    return write_scene(path, room.cloud, room.frame, collider=room.collider, camera_hull=room.hull)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good room as a folder, to be copied and damaged."""
    target = tmp_path_factory.mktemp("good") / "room"
    write(make_room(), target)
    return target


@pytest.fixture(scope="module")
def subject(folder: Path) -> Subject:
    return load_subject(folder / ROOT_LAYER)


@pytest.fixture(scope="module")
def observation(subject: Subject) -> Observation:
    return observe(subject)


@pytest.fixture(scope="module")
def floor(observation: Observation) -> FloorMap:
    found = map_floor(observation)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def good(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReportCard, Path]:
    """The good room's card and the folder of its report."""
    report = tmp_path_factory.mktemp("report") / "new"
    return report_card(folder, directory=report), report


def figures(judgement: Judgement) -> dict[str, float | int | str]:
    return {figure.name: figure.value for figure in judgement.figures}


def rules(judgement: Judgement) -> set[str]:
    return {finding.rule for finding in judgement.findings}


def test_the_good_room_passes(good: tuple[ReportCard, Path]) -> None:
    pytest.importorskip("newton", reason="needs the physics extra: pip install lyra-sim[physics]")
    card, _ = good
    assert {judgement.name: judgement.verdict for judgement in card.judgements} == dict.fromkeys(CHAPTERS, "pass")
    assert (card.verdict, card.severity, card.findings) == ("pass", None, [])
    measured = figures(card.judgements[CHAPTERS.index("drop-test")])
    assert (measured["bodies"], measured["at rest"]) == (40, 40)


def test_what_is_measured_is_true(good: tuple[ReportCard, Path]) -> None:
    card, _ = good
    agreement, tight, ground, scale = (figures(judgement) for judgement in card.judgements[1:5])
    assert agreement["RMSE within 4.0 m"] < 0.5
    assert tight["triangles"] == 8 * 12
    assert abs(ground["height of the visible floor"]) < 0.2
    assert ground["height of the collider's floor"] == 0
    free = np.prod((HIGH - LOW)[:2]) - np.prod((CRATE[1] - CRATE[0])[:2]) - np.prod((SHELF[1] - SHELF[0])[:2])
    assert 0.85 * free < ground["area of the visible floor"] < 1.05 * free
    assert scale["viewpoints above the floor"] == pytest.approx(1.52, abs=0.01)
    assert scale["metres per scene unit"] == UNIT


def test_the_same_scene_gives_the_same_report(good: tuple[ReportCard, Path], folder: Path, tmp_path: Path) -> None:
    card, report = good
    again = report_card(folder, directory=tmp_path)
    assert again.to_json() == card.to_json()
    for name in ("report.html", "report.json"):
        assert (tmp_path / name).read_bytes() == (report / name).read_bytes()


def test_the_page_needs_nothing_else(good: tuple[ReportCard, Path]) -> None:
    card, report = good
    text = (report / "report.html").read_text(encoding="utf-8")
    assert json.loads((report / "report.json").read_text(encoding="utf-8")) == card.plain()
    assert not re.search(r'(src|href)="(?!data:image/png;base64,|#)', text) and "<script" not in text
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    shown = [Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB") for picture in pictures]
    assert len(shown) == 6
    assert all(len(picture.getcolors(maxcolors=1 << 20)) > 2 for picture in shown)
    for judgement in card.judgements:
        assert judgement.title in text and f'id="{judgement.name}"' in text


def test_the_page_shows_text_as_text() -> None:
    assert "<b>&" not in page("<b>&", "pass", [Judgement("n", "<b>&", "<b>&")])


# What is broken in the parts before writing -------------------------------------------------------------------------


def shift_collider(room: Room) -> Room:
    moved = room.collider.vertices + room.frame.rotation.T.astype(np.float32) @ [0.2 / UNIT, 0, 0]
    return replace(room, collider=replace(room.collider, vertices=moved.astype(np.float32)))


def tilt(room: Room) -> Room:
    """The whole room rolls by 5 degrees; splats and collider still agree."""
    angle = np.radians(5)
    roll = np.eye(4)
    roll[:2, :2] = [[1, 0], [0, np.cos(angle)]]
    roll[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return replace(room, frame=replace(room.frame, matrix=roll @ room.frame.matrix))


def centimetres(room: Room) -> Room:
    cloud = replace(room.cloud, positions=100 * room.cloud.positions, scales=100 * room.cloud.scales)
    return replace(room, cloud=cloud)


def all_in_centimetres(room: Room) -> Room:
    grown = np.diag([100.0, 100, 100, 1]) @ room.frame.matrix
    return replace(room, frame=replace(room.frame, matrix=grown))


BROKEN_PARTS: dict[str, tuple[str, Callable[[Room], Room]]] = {
    "no collider": ("lyra:collider-missing", lambda room: replace(room, collider=None)),
    "collider 20 cm off": ("lyra:collider-shift", shift_collider),
    "hole in the floor": ("lyra:floor-hole", lambda room: make_room(hole=0.6)),
    "floor tilted by 5 degrees": ("lyra:floor-tilt", tilt),
    "splats in centimetres": ("lyra:scale", centimetres),
    "everything in centimetres": ("lyra:scale", all_in_centimetres),
}


@pytest.mark.parametrize("damage", BROKEN_PARTS)
def test_broken_parts_do_not_pass(tmp_path: Path, damage: str) -> None:
    rule, break_it = BROKEN_PARTS[damage]
    write(break_it(make_room()), tmp_path / "room")
    card = report_card(tmp_path / "room")
    assert card.verdict == "fail" and card.severity == "error"
    assert rule in {finding.rule for finding in card.findings if finding.severity == "error"}


# What is broken in the written file ---------------------------------------------------------------------------------


def edit(folder: Path, layer: str, change: Callable[[Usd.Stage], object]) -> Path:
    stage = Usd.Stage.Open(str(folder / layer))
    change(stage)
    stage.Save()
    return folder


def mirror(folder: Path) -> Path:
    def change(stage: Usd.Stage) -> None:
        matrix = stage.GetPrimAtPath(SCENE).GetAttribute("xformOp:transform")
        matrix.Set(matrix.Get() * Gf.Matrix4d(np.diag([-1.0, 1, 1, 1])))

    return edit(folder, ROOT_LAYER, change)


def raise_opacity(folder: Path) -> Path:
    def change(stage: Usd.Stage) -> None:
        opacities = stage.GetDefaultPrim().GetAttribute("opacities")
        opacities.Set([1.5] * len(opacities.Get()))

    return edit(folder, GAUSSIANS_LAYER, change)


def wrong_element_size(folder: Path) -> Path:
    def change(stage: Usd.Stage) -> None:
        stage.GetDefaultPrim().GetAttribute(SH_COEFFICIENTS).SetMetadata("elementSize", 4)

    return edit(folder, GAUSSIANS_LAYER, change)


def hide_collider(folder: Path) -> Path:
    def change(stage: Usd.Stage) -> None:
        UsdGeom.Imageable(stage.GetPrimAtPath(f"{COLLISION}/mesh")).MakeInvisible()

    return edit(folder, ROOT_LAYER, change)


def cut_package(folder: Path) -> Path:
    package = write(make_room(), folder.with_suffix(".usdz"))
    package.write_bytes(package.read_bytes()[:-5000])
    return package


BROKEN_FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "mirrored frame": ("lyra:transform", mirror),
    "opacity above 1": ("nvidia:GaussianSplatSchemaChecker", raise_opacity),
    "wrong elementSize": ("nvidia:GaussianSplatSchemaChecker", wrong_element_size),
    "invisible collider": ("lyra:collider", hide_collider),
    "truncated package": ("lyra:readable", cut_package),
}


@pytest.mark.parametrize("damage", BROKEN_FILES)
def test_broken_files_do_not_pass(folder: Path, tmp_path: Path, damage: str) -> None:
    rule, break_it = BROKEN_FILES[damage]
    card = report_card(break_it(Path(shutil.copytree(folder, tmp_path / "room"))))
    assert card.verdict == "fail" and card.severity == "error"
    assert rule in {finding.rule for finding in card.findings if finding.severity == "error"}
    assert len(card.judgements) == len(CHAPTERS)


# What nobody observed ------------------------------------------------------------------------------------------------


def paths_from(c2w: np.ndarray) -> list[CameraPath]:
    """Two paths from one picture, 90 degrees wide; its lower border shows the floor 0.3 m past the middle."""
    moved = c2w.copy()
    moved[:3, 3] += 0.05
    lens = np.array([160.0, 160, 160, 90])
    return [CameraPath(name, np.stack([c2w, way]), lens, 320, 180) for name, way in (("a", c2w), ("b", moved))]


def turned_away() -> np.ndarray:
    """Fifty units behind the room, looking back."""
    pose = np.diag([-1.0, 1, -1, 1])
    pose[2, 3] = -50
    return pose


SOURCES = {
    "hole in the picture": (1.0, np.eye(4), "fail"),
    "hole before the picture": (-1.0, np.eye(4), "pass"),
    "picture of something else": (-1.0, turned_away(), "fail"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_errors_are_what_the_picture_contradicts(tmp_path: Path, case: str) -> None:
    ahead, pose, verdict = SOURCES[case]
    room = make_room(hole=0.6, ahead=ahead)
    target = tmp_path / "room"
    write_scene(target, room.cloud, room.frame, collider=room.collider, camera_hull=room.hull, cameras=paths_from(pose))
    shown = load_subject(target / ROOT_LAYER)
    assert judge_floor(map_floor(observe(shown)), shown.mesh).verdict == verdict


# Single judgements --------------------------------------------------------------------------------------------------


def with_box(mesh: SolidMesh, low: list[float], high: list[float]) -> SolidMesh:
    vertices, triangles = box_mesh([(np.array(low), np.array(high))])
    return replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, vertices]),
        triangles=np.concatenate([mesh.triangles, triangles + len(mesh.vertices)]),
    )


def test_unseen_matter_blocks_the_view_and_the_way(subject: Subject, observation: Observation, floor: FloorMap) -> None:
    wall = with_box(subject.mesh, [-2.4, 0.0, 0.0], [2.4, 0.2, 1.0])
    assert "lyra:collider-phantoms" in rules(judge_agreement(observation, wall))
    judgement, rollout = judge_rollout(floor, wall)
    assert rules(judgement) == {"lyra:rollout-jammed"}
    assert abs(rollout.route[rollout.driven, 1] - 0.1) < 0.3


def test_a_robot_climbs_no_step(subject: Subject, observation: Observation, floor: FloorMap) -> None:
    low_sill = with_box(subject.mesh, [-2.4, 0.0, 0.0], [2.4, 0.2, 0.02])
    sill = with_box(subject.mesh, [-2.4, 0.0, 0.0], [2.4, 0.2, 0.15])
    assert judge_rollout(floor, low_sill)[0].verdict == "pass"
    assert rules(judge_rollout(floor, sill)[0]) == {"lyra:rollout-jammed"}


def test_a_robot_falls_where_half_of_the_floor_is_missing(
    subject: Subject, observation: Observation, floor: FloorMap
) -> None:
    vertices, triangles = box_mesh([(np.array([-3.0, -4.0, -0.1]), np.array([3.0, 0.5, 0.0]))])
    half = SolidMesh(vertices, triangles, ("/half",))
    judgement, rollout = judge_rollout(floor, half)
    assert rules(judgement) == {"lyra:rollout-fell"}
    assert 0.3 < rollout.route[rollout.driven, 1] < 0.8 or rollout.driven == 0
    assert "lyra:floor-hole" in rules(judge_floor(floor, half))


def test_an_open_inverted_collider_is_noticed(subject: Subject, observation: Observation) -> None:
    inside_out = replace(subject.mesh, triangles=subject.mesh.triangles[:, ::-1])
    assert rules(judge_watertightness(observation, inside_out)) == {"lyra:inside-out"}
    opened = replace(subject.mesh, triangles=subject.mesh.triangles[1:])
    judgement = judge_watertightness(observation, opened)
    assert rules(judgement) == {"lyra:watertight"} and figures(judgement)["open edges"] == 3


def test_without_newton_nothing_is_dropped(subject: Subject, floor: FloorMap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "newton", None)
    judgement, drops = judge_drops(subject, floor)
    assert judgement.verdict == "not run" and "pip install" in judgement.summary and drops is None
    assert ReportCard("s", (judgement,)).verdict == "not run"


def test_without_a_hull_the_viewpoints_lie_in_free_space(subject: Subject, observation: Observation) -> None:
    guessed = observe(replace(subject, record=replace(subject.record, camera_hull=None)))
    assert observation.recorded and not guessed.recorded
    assert ((guessed.viewpoints > LOW) & (guessed.viewpoints < HIGH)).all()
    assert judge_agreement(guessed, subject.mesh).verdict == "pass"


def test_a_ply_is_judged_for_what_it_is(tmp_path: Path) -> None:
    room = make_room()
    card = report_card(write_scene(tmp_path / "s.ply", room.cloud, room.frame)[0])
    assert [judgement.verdict for judgement in card.judgements] == ["pass", *["not run"] * 6]
    assert card.verdict == "not run"


def test_a_scene_to_look_at_needs_no_collider(tmp_path: Path) -> None:
    room = make_room()
    card = report_card(write_scene(tmp_path / "s.usdz", room.cloud, room.frame)[0], physics=False)
    assert card.verdict == "pass" and [judgement.name for judgement in card.judgements] == ["schema"]


def test_a_report_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsdExportError, match="cannot be made"):
        report_card(folder, directory=tmp_path / "file" / "report", physics=False)


# Instruments --------------------------------------------------------------------------------------------------------


def test_depth_of_the_gaussians_is_that_of_the_surface(subject: Subject, observation: Observation) -> None:
    camera = observation.showcase.camera
    picture = render_splats(subject.cloud, subject.frame, camera)
    exact, _ = subject.mesh.tree.first_hits(camera.position, camera.rays())
    errors = np.abs(picture.depth.reshape(-1) - exact)
    assert np.median(errors) < 0.001 and np.percentile(errors, 90) < 0.005
    assert picture.alpha.min() > 0.95
    np.testing.assert_array_equal(picture.depth, observation.showcase.picture.depth)


def test_the_tree_finds_what_trying_all_triangles_finds() -> None:
    random = np.random.default_rng(4)
    corners = random.normal(size=(300, 3, 3))
    tree = triangle_tree(corners.reshape(-1, 3), np.arange(900).reshape(-1, 3))
    origins, rays = random.normal(size=(200, 3)) * 3, random.normal(size=(200, 3))
    hits, triangles = tree.first_hits(origins, rays)
    for origin, ray, hit, triangle in zip(origins, rays, hits, triangles, strict=True):
        a, b, c = np.moveaxis(corners, 1, 0)
        solved = np.linalg.solve(
            np.stack([b - a, c - a, np.broadcast_to(-ray, a.shape)], axis=2), (origin - a)[..., None]
        )
        u, v, t = solved[..., 0].T
        every = np.where((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0), t, np.inf)
        assert hit == pytest.approx(every.min(), rel=1e-9)
        assert triangle == (every.argmin() if np.isfinite(hit) else -1)
    weights = random.dirichlet([0.5, 0.5, 0.5], size=(300, 4000))
    nearest = cKDTree((weights @ corners).reshape(-1, 3)).query(origins)[0]
    distances = tree.distances(origins, 100.0)
    assert (distances <= nearest + 1e-9).all()
    np.testing.assert_allclose(distances, nearest, atol=0.03)
    np.testing.assert_allclose(tree.distances(origins, 0.5), np.minimum(distances, 0.5))


def test_a_collider_is_read_in_metres_and_in_one_piece(subject: Subject) -> None:
    room = make_room()
    assert isinstance(room.collider, ColliderMesh) and isinstance(room.frame, Frame)
    np.testing.assert_allclose(subject.mesh.vertices, room.frame.apply(room.collider.vertices), atol=1e-5)
    assert subject.mesh.paths == (f"{COLLISION}/mesh",)
    assert GAUSSIANS.startswith(SCENE)
