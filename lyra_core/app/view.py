# SPDX-License-Identifier: Apache-2.0
"""`lyra view`: starts the viewer, prints its link, and waits for Ctrl-C."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lyra_core.app.viewer.window import Viewer

_MISSING = "the viewer needs viser, which is not installed. Run: pip install 'lyra-sim[view]'"


def view(
    scene: Annotated[Path, typer.Argument(help="A `.usdz`, a scene folder, `.ply` or `.spz`.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of 127.0.0.1; the next free one is taken.")] = 8080,
    max_gaussians: Annotated[
        int,
        typer.Option(min=1000, metavar="N", help="Larger scenes are thinned, except around the camera."),
    ] = 600_000,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser of this computer.")] = True,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    """Look at a scene in the browser: Gaussians, collider, spawn poses, camera paths, depth, ruler.

    A wrong scale or a tilted scene can be put right there; `Save corrected` writes a new file.
    The server listens on 127.0.0.1 only, and lets in whoever has the link; each link works once.

    * `lyra view scene.usdz`

    * `lyra view splats.ply --port 9000 --no-browser`
    """
    from lyra_core.app.console import user_errors

    with user_errors(debug):
        viewer = _start(scene, port, max_gaussians)
        try:
            print(_welcome(viewer), flush=True)
            if browser and _has_display():
                webbrowser.open(viewer.link)
            threading.Event().wait()
        except KeyboardInterrupt:
            print("closed")
        finally:
            viewer.close()


def _start(scene: Path, port: int, max_gaussians: int) -> Viewer:
    from lyra_core.errors import LyraError

    try:
        from lyra_core.app.viewer.window import Viewer
    except ModuleNotFoundError as error:
        if error.name not in ("viser", "websockets"):
            raise
        raise LyraError(_MISSING) from error
    from lyra_core.app.viewer.content import open_content

    viewer: Viewer
    viewer = Viewer(
        open_content(scene),
        port=port,
        budget=max_gaussians,
        ticket_used=lambda: print(f"opened; for another browser: {viewer.link}", flush=True),
    )
    return viewer


def _welcome(viewer: Viewer) -> str:
    port = viewer.port
    tunnel = f"ssh -L {port}:127.0.0.1:{port} {getpass.getuser()}@{socket.gethostname()}"
    return f"open          {viewer.link}\nfrom afar     {tunnel}   and open the same link there\nclose         Ctrl-C"


def _has_display() -> bool:
    return os.name == "nt" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "TERM_PROGRAM"))
