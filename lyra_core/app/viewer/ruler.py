# SPDX-License-Identifier: Apache-2.0
"""The ruler: two clicks on the scene, their distance, and what the scale has to be if that distance is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import viser
from numpy.typing import NDArray

from lyra_core.app.viewer.layers import WORLD
from lyra_core.app.viewer.splats import pick
from usd_export.cloud import GaussianCloud

_ASK = "Press **Measure**, then click on two points of the scene."
_YELLOW = (255, 220, 0)
_DOT = 0.02  # metres

Array = NDArray[np.float64]


class Ruler:
    """Measures on the Gaussians of a scene.

    Args:
        server: Whose scene is clicked on.
        cloud: In world metres.
        to_scene: Takes a ray of the viewer to the coordinates of the cloud.
        use_length: Called with the factor of all lengths, and with the metres that the user says a stretch has.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        cloud: GaussianCloud,
        to_scene: Callable[[Array, Array], tuple[Array, Array]],
        use_length: Callable[[float, float], None],
    ) -> None:
        self._server, self._cloud, self._to_scene, self._use_length = server, cloud, to_scene, use_length
        self._ends: list[Array] = []

    def build_panel(self, gui: viser.GuiApi) -> None:
        """Adds the ruler's part of the panel."""
        gui.add_button("Measure", icon=viser.Icon.RULER_MEASURE).on_click(lambda event: self._start())
        self._text = gui.add_markdown(_ASK)
        self._true = gui.add_number("True length [m]", 1.0, min=0.001, step=0.001)
        self._button = gui.add_button("Use as scale", disabled=True)
        self._button.on_click(lambda event: self._use())

    def begin_again(self, cloud: GaussianCloud) -> None:
        """Measures on another cloud from now on."""
        self._cloud = cloud
        self._clear()
        self._text.content = _ASK

    def click(self, origin: Array, direction: Array) -> None:
        """One end of the ruler, where a ray meets the scene."""
        point = pick(self._cloud, *self._to_scene(origin, direction))
        if point is None:
            self._text.content = "There is nothing solid under the mouse. Click on a surface."
            return
        self._ends.append(point)
        name = f"{WORLD}/ruler/{len(self._ends)}"
        self._server.scene.add_icosphere(name, _DOT, color=_YELLOW, position=point)
        self._text.content = "Now the second point."
        if len(self._ends) == 2:
            self._finish()

    @property
    def _length(self) -> float:
        return float(np.linalg.norm(self._ends[1] - self._ends[0]))

    def _start(self) -> None:
        self._clear()
        self._text.content = "Click on the first point."
        self._server.scene.on_click()(self._clicked)

    def _clear(self) -> None:
        self._ends = []
        self._button.disabled = True
        self._server.scene.remove_by_name(f"{WORLD}/ruler")
        self._server.scene.remove_click_callback()

    def _clicked(self, event: viser.SceneClickEvent) -> None:
        self.click(np.array(event.ray_origin), np.array(event.ray_direction))

    def _finish(self) -> None:
        self._server.scene.remove_click_callback()
        name, ends = f"{WORLD}/ruler/line", np.stack(self._ends)[None]
        self._server.scene.add_line_segments(name, ends, _YELLOW, thickness=4.0, thickness_units="screen")
        self._text.content = f"**{self._length:.3f} m**"
        self._true.value = round(self._length, 3)  # type: ignore[misc]
        self._button.disabled = self._length == 0.0

    def _use(self) -> None:
        metres = float(self._true.value)
        self._use_length(metres / self._length, metres)
