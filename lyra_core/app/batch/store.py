# SPDX-License-Identifier: Apache-2.0
"""The folder of a batch; what is in it is the whole state, so that any run can go on from there.

```
scenes/<name>/         a finished scene: scene.usdz, scene.preview.png, scene.json, report/, wish.json (last of all)
scenes/.<name>.making/ one that a worker is at, or was when it was killed; the next try goes on from there
failures/<name>.json   why a scene could not be made; the next run tries again
quarantine/<name>.json a scene that ended its worker again and again; left alone until the file is deleted
index.html catalog.json catalog.usda
batch.lock             held by the one run that works here
```
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lyra_core.app.batch.wishes import BadLine, Wish
from lyra_core.errors import LyraError
from lyra_core.files import replacing

SCENE_FILE, WISH_FILE, REPORT_FOLDER = "scene.usdz", "wish.json", "report"
LOCK = "batch.lock"

Shelf = Literal["failures", "quarantine"]


@dataclass(frozen=True)
class Store:
    """The folder of a batch."""

    root: Path

    def prepare(self) -> None:
        """Makes the folders. Raises LyraError when that cannot be done."""
        try:
            for name in ("scenes", "failures", "quarantine"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LyraError(f"{self.root} cannot be used ({error.strerror}). Choose another folder.") from error

    def scene(self, name: str) -> Path:
        """Folder of a finished scene."""
        return self.root / "scenes" / name

    def workplace(self, name: str) -> Path:
        """Folder of a scene that is being made."""
        return self.root / "scenes" / f".{name}.making"

    def is_finished(self, wish: Wish) -> bool:
        """Whether the scene is there, made from just this wish."""
        try:
            about = json.loads((self.scene(wish.name) / WISH_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(about, dict) and about.get("key") == wish.key and self._has_scene(wish.name)

    def _has_scene(self, name: str) -> bool:
        return (self.scene(name) / SCENE_FILE).is_file()

    def finish(self, wish: Wish, about: dict[str, Any]) -> None:
        """Gives a scene its place; `about` is what catalogue and gallery need to know."""
        work, place = self.workplace(wish.name), self.scene(wish.name)
        with replacing(work / WISH_FILE) as temporary:
            temporary.write_text(json.dumps({"key": wish.key, **about}, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # one that was damaged, or it would have been kept
        work.rename(place)
        self.forget(wish.name)

    def about(self, wish: Wish) -> dict[str, Any]:
        """What `finish` was told."""
        found: dict[str, Any] = json.loads((self.scene(wish.name) / WISH_FILE).read_text(encoding="utf-8"))
        return found

    def record(self, shelf: Shelf, failed: Wish | BadLine, reason: str) -> None:
        """Notes why a scene is missing."""
        path = self.root / shelf / f"{failed.name}.json"
        title = failed.title if isinstance(failed, Wish) else ""
        with replacing(path) as temporary:
            content = {"name": failed.name, "line": failed.line, "title": title, "reason": reason}
            temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def forget(self, name: str) -> None:
        """Removes what was noted about a scene."""
        for shelf in ("failures", "quarantine"):
            (self.root / shelf / f"{name}.json").unlink(missing_ok=True)

    def reason(self, shelf: Shelf, name: str) -> str | None:
        """Why a scene is missing; None if nothing is noted."""
        try:
            content = json.loads((self.root / shelf / f"{name}.json").read_text(encoding="utf-8"))
        except OSError:
            return None
        except ValueError:
            return "its record is damaged"
        return str(content.get("reason")) if isinstance(content, dict) else "its record is damaged"
