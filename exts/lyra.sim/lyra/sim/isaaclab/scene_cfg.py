# SPDX-License-Identifier: Apache-2.0
"""One generated scene as an Isaac Lab spawner, shared by all environments.

Import it only in a running Isaac Lab application. Written for Isaac Lab 2.3 and checked against its source; what
differs in 3.0 and touches this file, the order of quaternions, is read from Isaac Lab itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isaaclab.assets import AssetBaseCfg
from isaaclab.sim import UsdFileCfg, spawn_from_usd
from isaaclab.utils import configclass

from lyra.sim import _paths
from lyra.sim.errors import LyraSimError
from lyra.sim.isaaclab.orientation import lab_quaternion
from lyra.sim.isaaclab.scenes import resolve_scene
from lyra.sim.protocol import Request
from lyra.sim.stage.encoding import choose_encoding
from lyra.sim.stage.scene_asset import ENCODING_SET, SENSOR_SET, check_asset, collider_paths, read_asset, root_layer_for
from lyra.sim.stage.types import COLLISIONS, SENSOR_VARIANTS

if TYPE_CHECKING:
    from pxr import Usd

_PLAIN_PATH = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")
_ENVIRONMENT = re.compile(r"/envs/env_\d+(/|$)")


def spawn_lyra_scene(
    prim_path: str,
    cfg: LyraSceneCfg,
    translation: tuple[float, float, float] | None = None,
    orientation: tuple[float, float, float, float] | None = None,
    **kwargs: Any,
) -> Usd.Prim:
    """Spawn a generated scene as `spawn_from_usd` does, once for all environments.

    Args:
        prim_path: A global path such as `/World/LyraScene`.
        cfg: The scene; its prompt is resolved first if that has not happened.
        translation: x, y, z in the parent prim, metres.
        orientation: Quaternion in the order of the running Isaac Lab; `shared_scene` makes it from a heading.
        kwargs: Handed on to `spawn_from_usd`.

    Returns:
        The prim at `prim_path`.

    Raises:
        LyraSimError: If the path belongs to single environments, or the scene cannot be used.
    """
    require_shared_path(prim_path)
    _require_valid(cfg)
    file = Path(cfg.resolve())
    encoding = choose_encoding(cfg.encoding, _kit_version())
    problems = check_asset(file, encoding)
    if problems:
        raise LyraSimError(" ".join(problems))
    prim = spawn_from_usd(prim_path, cfg, translation=translation, orientation=orientation, **kwargs)
    _select(prim, file, cfg, encoding)
    return prim


def _require_valid(cfg: LyraSceneCfg) -> None:
    if cfg.scale is not None and len(set(cfg.scale)) > 1:
        raise LyraSimError(
            f"scale is {tuple(cfg.scale)}; Gaussians keep their shape only with one factor for x, y and z"
        )
    if cfg.sensors not in SENSOR_VARIANTS:
        raise LyraSimError(f"sensors is {cfg.sensors!r}; it is one of {', '.join(SENSOR_VARIANTS)}")
    if cfg.collision not in COLLISIONS:
        raise LyraSimError(f"collision is {cfg.collision!r}; it is one of {', '.join(COLLISIONS)}")


def _select(prim: Usd.Prim, file: Path, cfg: LyraSceneCfg, encoding: str) -> None:
    """Choose the variants of a spawned scene and switch its colliders off if it shall have none."""
    from pxr import Sdf

    asset, stage, path = read_asset(file), prim.GetStage(), prim.GetPath()
    if asset.switchable:
        prim.GetVariantSets().SetSelection(ENCODING_SET, encoding)
    if asset.sensor_prim is not None:
        switch = stage.OverridePrim(path.AppendPath(asset.sensor_prim))
        switch.GetVariantSets().SetSelection(SENSOR_SET, SENSOR_VARIANTS[cfg.sensors])
    if cfg.collision == "none":
        for collider in collider_paths(file):
            over = stage.OverridePrim(path.AppendPath(collider))
            over.CreateAttribute("physics:collisionEnabled", Sdf.ValueTypeNames.Bool, custom=False).Set(False)


@configclass
class LyraSceneCfg(UsdFileCfg):
    """A static generated environment: Gaussians for cameras, a hidden collider for contacts.

    Give it a prompt, or the root file of a scene as `usd_path`. A prompt is resolved once, by `resolve` or when the
    scene is spawned: a stored scene for the same words and settings is used again, else one is generated, and its
    file is written into `usd_path`. A saved configuration therefore names the very file that was trained on.
    """

    func: Callable = spawn_lyra_scene

    usd_path: str = ""
    """Root file of the scene: `scene.usda`, not a `.usdz`. Defaults to "", in which case the prompt decides."""

    prompt: str | None = None
    """What the scene shows. Defaults to None, in which case `usd_path` must be given."""

    seed: int = 0
    """The same prompt and seed give the same scene. Defaults to 0."""

    model: str = "mini"
    """Name of the model that generates. Defaults to "mini"."""

    max_gaussians: int | None = None
    """Keep at most this many Gaussians, the most opaque ones. Defaults to None, in which case all are kept."""

    collider_preset: str = "indoor"
    """What the collider is built for: "indoor", "outdoor" or "object". Defaults to "indoor"."""

    camera_height_m: float | None = None
    """Height of the camera above the floor [m], which sets the scale. Defaults to None: the model's claim."""

    encoding: str = "auto"
    """Gaussians as "particlefield" (Isaac Sim 6) or "nurec" (Isaac Sim 5). Defaults to "auto": what this Kit draws."""

    collision: str = "mesh"
    """"mesh" or "none". Defaults to "mesh"."""

    sensors: str = "camera"
    """What sensors see: "camera" for the Gaussians, "hybrid" for the labelled meshes. Defaults to "camera"."""

    pinned_for: str = ""
    """The request that `usd_path` was resolved for. Set by `resolve`; leave it alone."""

    def resolve(self, poll_fn: Callable[[], Any] | None = None) -> str:
        """Pin the scene to a file and return its path.

        Takes as long as a generation if the scene has not been made before. With several training processes, call it
        in one of them first.

        Args:
            poll_fn: Called while a generation is waited for, for example `simulation_app.update`.

        Raises:
            LyraSimError: If there is neither prompt nor file, or both, or the generation failed.
        """
        encoding = choose_encoding(self.encoding, _kit_version())
        if self.prompt is None:
            if not self.usd_path:
                raise LyraSimError("LyraSceneCfg needs a prompt, or the root file of a scene as usd_path")
            self.usd_path = str(root_layer_for(_paths.local_file(self.usd_path), encoding))
            return self.usd_path
        if self.usd_path and not self.pinned_for:
            raise LyraSimError(f"LyraSceneCfg has both a prompt and usd_path={self.usd_path!r}; give one of the two")
        wanted = self._request()
        key = f"{encoding} {wanted.to_json()}"
        if self.pinned_for != key or not Path(self.usd_path).is_file():
            scene = resolve_scene(wanted, poll_fn)
            self.usd_path = str(scene.manifest.root_file(scene.folder, encoding))
            self.pinned_for = key
        return self.usd_path

    def _request(self) -> Request:
        return Request(
            prompt=self.prompt and self.prompt.strip(),
            model=self.model,
            seed=self.seed,
            max_gaussians=self.max_gaussians,
            collider_preset=self.collider_preset,
            camera_height_m=self.camera_height_m,
        )


def shared_scene(
    scene: LyraSceneCfg,
    prim_path: str = "/World/LyraScene",
    position: tuple[float, float, float] = (0.0, 0.0, 0.0),
    yaw: float = 0.0,
) -> AssetBaseCfg:
    """The scene as an entry of an `InteractiveSceneCfg`: one copy that the robots of every environment collide with.

    Set `env_spacing=0.0` beside it, so that all environments have their origin in the scene's.

    Args:
        scene: What to spawn.
        prim_path: A global path, not below `{ENV_REGEX_NS}`.
        position: Of the scene's origin, metres.
        yaw: Turn about +Z, radians. Written as a quaternion in the order of the running Isaac Lab.
    """
    require_shared_path(prim_path)
    return AssetBaseCfg(
        prim_path=prim_path,
        spawn=scene,
        init_state=AssetBaseCfg.InitialStateCfg(pos=position, rot=lab_quaternion(yaw)),
        collision_group=-1,
    )


def collision_mesh_path(prim_path: str = "/World/LyraScene") -> str:
    """Path of the collider's one mesh below a spawned scene, for ray-casters: they see meshes, never Gaussians."""
    return f"{prim_path}/Scene/Collision/mesh"


def require_shared_path(prim_path: str) -> None:
    """Raise LyraSimError unless a prim path is global: neither an expression nor inside one environment."""
    if not _PLAIN_PATH.fullmatch(prim_path) or _ENVIRONMENT.search(prim_path):
        raise LyraSimError(
            f"{prim_path!r} would give every environment its own copy of the scene; use a global path such as "
            "/World/LyraScene with collision_group=-1, or shared_scene(), which sets both"
        )


def _kit_version() -> str | None:
    try:
        from omni.kit.app import get_app
    except ImportError:
        return None
    return get_app().get_kit_version()
