# SPDX-License-Identifier: Apache-2.0
"""What the browsers draw: the Gaussians, each browser's share of them, and the layers beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

import numpy as np
import viser
from numpy.typing import NDArray
from viser import transforms

from lyra_core.app.viewer.content import Content
from lyra_core.app.viewer.detail import DetailLevels
from lyra_core.app.viewer.layers import WORLD, Layer, add_cameras, add_collider, add_grid, add_spawn_poses
from lyra_core.app.viewer.splats import browser_splats

GAUSSIANS = "Gaussians"
_PAUSE = 0.3  # seconds between two looks at where a camera has gone

Array = NDArray[np.float64]


class Drawing:
    """A scene in all connected browsers.

    Args:
        server: Whose scene it is.
        budget: Gaussians that one browser gets at most.
    """

    def __init__(self, server: viser.ViserServer, budget: int) -> None:
        self._server, self._budget = server, budget
        self._world = server.scene.add_frame(WORLD, show_axes=False)
        self._visible = {GAUSSIANS}
        self._depth = False
        self._layers: dict[str, Layer] = {}
        self._splats: dict[int, dict[int, viser.GaussianSplatHandle]] = {}
        self._lock = threading.RLock()
        server.on_client_connect(self._connected)
        server.on_client_disconnect(self._disconnected)

    def show(self, content: Content) -> None:
        """Draws a scene in place of what was there."""
        with self._lock, self._server.atomic():
            for name in ("collider", "cameras", "spawn"):
                self._server.scene.remove_by_name(f"{WORLD}/{name}")
            self._levels = DetailLevels(content.world_cloud, self._budget)
            self._layers = _layers(self._server.scene, content)
            for name, layer in self._layers.items():
                layer(name in self._visible)
            self._draw_all(anew=True)

    @property
    def names(self) -> Collection[str]:
        """What can be shown and hidden beside the Gaussians."""
        return self._layers.keys()

    def set_visible(self, name: str, visible: bool) -> None:
        """Shows or hides a layer, or the Gaussians."""
        with self._lock:
            self._visible = self._visible | {name} if visible else self._visible - {name}
            if name == GAUSSIANS:
                self._draw_all()
            else:
                self._layers[name](visible)

    def set_depth(self, depth: bool) -> None:
        """Whether colours tell the distance to each browser's camera instead."""
        with self._lock:
            self._depth = depth
            self._draw_all(anew=True)

    def place(self, wxyz: Array, position: Array) -> None:
        """Turns and moves the scene."""
        with self._server.atomic():
            self._world.wxyz, self._world.position = wxyz, position

    def to_scene(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """A ray of the turned and moved world in the coordinates of the scene."""
        rotation = transforms.SO3(self._world.wxyz).as_matrix()
        return (origin - self._world.position) @ rotation, direction @ rotation

    def _connected(self, client: viser.ClientHandle) -> None:
        with self._lock:
            self._splats[client.client_id] = {}
            self._draw(client)
        last = 0.0

        @client.camera.on_update
        def moved(camera: viser.CameraHandle) -> None:
            nonlocal last
            if not self._levels.complete and time.monotonic() - last >= _PAUSE:
                last = time.monotonic()
                with self._lock:
                    self._draw(client)

    def _disconnected(self, client: viser.ClientHandle) -> None:
        with self._lock:
            self._splats.pop(client.client_id, None)

    def _draw_all(self, *, anew: bool = False) -> None:
        for client in self._server.get_clients().values():
            self._draw(client, anew=anew)

    def _draw(self, client: viser.ClientHandle, *, anew: bool = False) -> None:
        """Sends what is new to one browser, and takes back what it shall not show any more."""
        shown = self._splats.get(client.client_id)
        if shown is None:  # gone, or not quite there yet
            return
        eye, _ = self.to_scene(client.camera.position, np.zeros(3))
        wanted = self._wanted(eye) if GAUSSIANS in self._visible else set()
        for key in [key for key in shown if anew or key not in wanted]:
            shown.pop(key).remove()
        for key in sorted(wanted - shown.keys()):
            full, box = divmod(key, len(self._levels))
            cloud = self._levels.full(box) if full else self._levels.thinned[box]
            splats = browser_splats(cloud, eye if self._depth else None)
            shown[key] = client.scene.add_gaussian_splats(f"{WORLD}/splats/{key}", **splats)

    def _wanted(self, eye: Array) -> set[int]:
        """Numbers of boxes; those in full count from `len(levels)` on."""
        near, count = self._levels.near(eye), len(self._levels)
        return {box + count * (box in near) for box in range(count)}


def _layers(scene: viser.SceneApi, content: Content) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    if content.collider:
        frame = content.record.frame
        layers["Collider"] = add_collider(scene, content.collider, frame, wireframe=False)
        layers["Collider edges"] = add_collider(scene, content.collider, frame, wireframe=True)
    if content.robotics and len(content.robotics.spawn_poses):
        layers["Spawn poses"] = add_spawn_poses(scene, content.robotics)
    if content.world_cameras:
        layers["Camera paths"] = add_cameras(scene, content.world_cameras)
    layers["Metre grid"] = add_grid(scene)
    return layers
