# SPDX-License-Identifier: Apache-2.0
"""The viewer: a server with one scene, and the panel beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import viser
from PIL import Image
from viser import transforms

from lyra_core.app.viewer.content import Content
from lyra_core.app.viewer.correction import Correction, corrected_path, save_corrected
from lyra_core.app.viewer.drawing import GAUSSIANS, Drawing
from lyra_core.app.viewer.gate import HOST, Gate, guarding
from lyra_core.app.viewer.ruler import Ruler
from lyra_core.errors import LyraError
from usd_export.errors import UsdExportError

_LOOK_AHEAD = 2.0  # metres from the first camera to the point that the mouse turns the scene about
_SCREENSHOT = (1080, 1920)
_STILL = np.array([1.0, 0.0, 0.0, 0.0])


class Viewer:
    """Serves one scene on the loopback interface until it is closed.

    Args:
        content: What to show.
        port: Where to listen; the next free one is taken.
        budget: Gaussians that one browser gets at most.
        ticket_used: Called when a link has been used up and `link` gives another one.
    """

    def __init__(
        self, content: Content, *, port: int, budget: int, ticket_used: Callable[[], None] = lambda: None
    ) -> None:
        self.content = content
        self._gate = Gate(ticket_used)
        with guarding(self._gate), redirect_stdout(StringIO()):  # viser prints a link that lets nobody in
            self._server = viser.ViserServer(HOST, port, label=content.path.name, verbose=False)
        self.drawing = Drawing(self._server, budget)
        self.drawing.show(content)
        self._ruler = Ruler(self._server, content.world_cloud, self.drawing.to_scene, self._use_length)
        self._measured: float | None = None
        self._begin_where_the_picture_was_taken()
        self._build_panel(self._server.gui)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.get_port()

    @property
    def link(self) -> str:
        """The address to open in a browser; it works once."""
        return self._gate.link(self.port)

    @property
    def correction(self) -> Correction:
        """What the panel and the gizmo say."""
        return Correction(
            factor=float(self._factor.value),
            rotation=np.asarray(transforms.SO3(self._gizmo.wxyz).as_matrix(), np.float64),
            offset=np.array(self._gizmo.position, np.float64),
            measured=self._measured,
        )

    def close(self) -> None:
        """Ends the server."""
        with redirect_stdout(StringIO()):  # viser says so too
            self._server.stop()

    # ---------------------------------------------------------------------------------------------------- the panel

    def _build_panel(self, gui: viser.GuiApi) -> None:
        gui.configure_theme(show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        with gui.add_folder("Show"):
            self._add_switch(GAUSSIANS, True)
            depth = gui.add_checkbox("Depth as colour", False, hint="red is near, violet is far")
            depth.on_update(lambda event: self.drawing.set_depth(depth.value))
            for name in self.drawing.names:
                self._add_switch(name, False)
        with gui.add_folder("Ruler"):
            self._ruler.build_panel(gui)
        with gui.add_folder("Correct scale and orientation", expand_by_default=False):
            self._build_correction(gui)
        gui.add_button("Screenshot", icon=viser.Icon.CAMERA).on_click(self._screenshot)
        with gui.add_folder("About this scene", expand_by_default=False):
            gui.add_markdown(_about(self.content))

    def _add_switch(self, name: str, visible: bool) -> None:
        box = self._server.gui.add_checkbox(name, visible)
        box.on_update(lambda event: self.drawing.set_visible(name, box.value))

    def _build_correction(self, gui: viser.GuiApi) -> None:
        self._gizmo = self._server.scene.add_transform_controls("/gizmo", scale=0.6, depth_test=False, visible=False)
        self._gizmo.on_update(lambda event: self._move())
        shown = gui.add_checkbox("Gizmo", False, hint="drag the arrows to move the scene, the arcs to turn it")
        shown.on_update(lambda event: setattr(self._gizmo, "visible", shown.value))
        self._factor = gui.add_number("Scale", 1.0, min=1e-4, max=1e4, step=0.001, hint="of all lengths")
        self._factor.on_update(lambda event: self._scale(None))
        gui.add_button("Start over").on_click(lambda event: self._start_over())
        self._target = gui.add_text("File", str(corrected_path(self.content.path)))
        gui.add_button("Save corrected", icon=viser.Icon.DEVICE_FLOPPY).on_click(lambda event: self._save())
        self._outcome = gui.add_markdown("The original stays as it is, unless its own name stands above.")

    def _screenshot(self, event: viser.GuiEvent[viser.GuiButtonHandle]) -> None:
        if event.client is None:
            return
        picture = event.client.get_render(*_SCREENSHOT, transport_format="png")
        file = BytesIO()
        Image.fromarray(picture[..., :3]).save(file, format="png")
        event.client.send_file_download(f"{self.content.path.stem}.png", file.getvalue())

    # -------------------------------------------------------------------------------------------------- corrections

    def _use_length(self, factor: float, metres: float) -> None:
        """The ruler's: all lengths times `factor`, because a stretch of the scene is so long."""
        self._factor.value *= factor  # type: ignore[misc]
        self._scale(metres)

    def _scale(self, measured: float | None) -> None:
        self._measured = measured
        content = self.content.enlarged(self._factor.value)
        self.drawing.show(content)
        self._ruler.begin_again(content.world_cloud)

    def _move(self) -> None:
        self.drawing.place(self._gizmo.wxyz, self._gizmo.position)

    def _start_over(self) -> None:
        self._gizmo.wxyz, self._gizmo.position = _STILL, np.zeros(3)
        self._move()
        self._factor.value = 1.0  # type: ignore[misc]
        self._scale(None)

    def _save(self) -> None:
        try:
            files = save_corrected(self.content, self.correction, Path(self._target.value).expanduser())
            self._outcome.content = f"Saved `{files[0]}`."
        except (LyraError, UsdExportError, OSError) as error:
            self._outcome.content = f"**Not saved:** {error}"

    # --------------------------------------------------------------------------------------------------- first view

    def _begin_where_the_picture_was_taken(self) -> None:
        start, content = self._server.initial_camera, self.content
        hull = content.record.camera_hull
        if content.world_cameras:
            path = content.world_cameras[0]
            pose = path.c2w[0]
            start.position, start.look_at = pose[:3, 3], pose[:3, 3] + _LOOK_AHEAD * pose[:3, 2]
            start.fov = float(2 * np.arctan(0.5 * path.height / path.intrinsics[1]))
        elif hull is not None:
            place = content.record.frame.apply(np.asarray(hull)).mean(0)
            start.position, start.look_at = place, place + _LOOK_AHEAD * np.array([0.0, 1.0, 0.0])
        else:
            low, high = np.percentile(content.world_cloud.positions, [5, 95], axis=0)
            middle, reach = (low + high) / 2, float(np.linalg.norm(high - low))
            start.position, start.look_at = middle + reach * np.array([0.4, -0.8, 0.4]), middle


def _about(content: Content) -> str:
    rows = [f"* **{label}**: {text}" for label, text in content.facts]
    return "\n".join([*rows, *(f"* ⚠ {line}" for line in content.warnings)])
