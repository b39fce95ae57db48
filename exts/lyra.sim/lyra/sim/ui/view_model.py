# SPDX-License-Identifier: Apache-2.0
"""What the window shows and what its controls do, without a widget: reasons, texts and actions.

The window copies `ViewModel.view()` into its widgets and forwards every input to a field or a method here.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LyraSimError
from ..jobs import JobState
from ..protocol import ProbeReport
from . import texts
from .form import LARGEST_SEED, Choice, Form

if TYPE_CHECKING:
    from ..library import StoredScene
    from ..session import Session

LOG_LINES = 200
HISTORY_ROWS = 30

HELP = {
    "source": "What the scene is made from.",
    "prompt": "Describe the scene, for example: a warehouse aisle with blue shelves.",
    "picture": "A file on this computer; a pasted path may have quotes or start with file://.",
    "browse": "Choose the file.",
    "seed": "The same seed, input and model give the same scene.",
    "randomise": "Draw another seed.",
    "model": "The model that makes the scene; Check tells which ones are ready.",
    "quality": "Light scenes draw faster.",
    "encoding": "How the Gaussians are stored on the stage when the scene is spawned.",
    "collider": "The invisible surface that robots and objects touch.",
    "camera_height": "Metres from the floor to the camera of the picture: sets the scale. Empty: the model decides.",
    "device": "Where the worker computes.",
    "check": "Start the worker once and report what it finds.",
    "generate": "Make the scene. The stage stays as it is until the scene is spawned.",
    "cancel": "Stop the worker.",
    "spawn": "Put the scene on the open stage; this can be undone.",
    "frame": "Point the viewport at the scene.",
    "export": "Save the scene as one .usdz file to pass on. A package cannot be edited: work with the spawned scene.",
    "open_folder": "Show the files of the scene.",
}
"""Tooltips of enabled controls by identifier."""

NO_DIALOG = "There is no file dialog here. Paste the path of the file into the field."
NOT_SPAWNED = "The scene is not on the stage any more. Spawn it again."
NO_VIDEO = "No model for video is installed yet. Choose Text or Image as the source."
_NO_SCENE = "Generate a scene first, or respawn a past one."


@dataclass(frozen=True)
class HistoryRow:
    """A past scene."""

    title: str
    detail: str
    thumbnail: Path | None


@dataclass(frozen=True)
class View:
    """Everything the window shows at one moment; equal views look the same.

    Attributes:
        reasons: For every control by identifier why it is disabled; empty while it is enabled.
        warning: Whether the message is about something that did not work.
        running: Whether a job runs.
        progress: Fill of the bar in [0, 1]; 0 while the worker cannot tell.
        history: The newest scenes first.
        older: Where to find the scenes that are not listed; empty if all are.
        respawn_reason: Why past scenes cannot be spawned; empty if they can.
        broken: One sentence per stored scene that cannot be used.
        preview: The picture the scene would be made from.
    """

    reasons: Mapping[str, str]
    models: tuple[Choice, ...]
    devices: tuple[Choice, ...]
    environment: str
    message: str
    warning: bool
    running: bool
    progress: float
    progress_text: str
    result: str
    history: tuple[HistoryRow, ...]
    older: str
    respawn_reason: str
    broken: tuple[str, ...]
    log: str
    preview: Path | None

    def enabled(self, identifier: str) -> bool:
        """Whether a control can be used."""
        return not self.reasons[identifier]

    def tooltip(self, identifier: str) -> str:
        """Why a control is disabled, or what it is for."""
        return self.reasons[identifier] or HELP[identifier]


def random_seed() -> int:
    """A seed that nothing else depends on."""
    return random.SystemRandom().randint(0, LARGEST_SEED)


class ViewModel(Form):
    """The form, and what can be done with it.

    It may outlive windows, so that a window that is opened again shows the same inputs.

    Args:
        session: Runs jobs and spawns scenes.
        clock: Seconds on the clock that `Job.started_at` was read from.
        draw_seed: Draws a seed in [0, LARGEST_SEED].
    """

    def __init__(
        self,
        session: Session,
        clock: Callable[[], float] = time.monotonic,
        draw_seed: Callable[[], int] = random_seed,
    ) -> None:
        super().__init__()
        self.session = session
        self._clock = clock
        self._draw_seed = draw_seed
        self._chosen: StoredScene | None = None
        self._notice = ""

    # ------------------------------------------------------------------------------------------------------ inputs

    @property
    def encoding(self) -> str:
        """How Gaussians are stored when a scene is spawned: auto, particlefield or nurec."""
        return self.session.settings.encoding

    @encoding.setter
    def encoding(self, value: str) -> None:
        self.session.update_settings(encoding=value)

    @property
    def device(self) -> str:
        """Where the worker computes: empty for automatic, cpu, or the number of a GPU."""
        return self.session.settings.device

    @device.setter
    def device(self, value: str) -> None:
        self.session.update_settings(device=value)

    @property
    def scene(self) -> StoredScene | None:
        """The scene that Spawn, Frame, Export and Open folder act on."""
        return self._chosen or self.session.latest

    # ----------------------------------------------------------------------------------------------------- actions

    def generate(self) -> None:
        """Start a job from the form; does nothing while that is not possible."""
        if self._generate_reason():
            return
        self._chosen = None
        self._attempt(lambda: self.session.generate(**self.request()))

    def cancel(self) -> None:
        """Ask the worker to stop; asked again, or if it is silent, the worker is ended at once."""
        job = self.session.job
        if job and (job.state is JobState.CANCELLING or not job.responding):
            self.session.kill()
        else:
            self.session.cancel()

    def check(self) -> None:
        """Ask the worker's Python what it has."""
        self._attempt(self.session.check_environment)

    def randomise_seed(self) -> None:
        """Draw another seed."""
        self.seed = self._draw_seed()

    def browse(self, path: str) -> None:
        """Take the file that was chosen in the dialog, and start there the next time."""
        self._notice = ""
        self.picture = path
        chosen = self.file()
        if chosen is not None:
            self.session.update_settings(last_input_dir=str(chosen.parent))

    @property
    def input_folder(self) -> str:
        """Where the file dialog opens; empty for its own choice."""
        return self.session.settings.last_input_dir

    def dialog_missing(self) -> None:
        """The application has no file dialog: say what to do instead."""
        self._notice = NO_DIALOG

    def spawn(self) -> None:
        """Put the scene on the open stage."""
        scene = self.scene
        if scene is not None:
            self._attempt(lambda: self.session.spawn(scene, encoding=self.encoding))

    def respawn(self, index: int) -> None:
        """Choose a past scene and put it on the open stage."""
        self._chosen = self.session.history[index]
        self.spawn()

    def frame(self) -> None:
        """Point the viewport at the scene spawned last; it may have been deleted or undone since."""
        stage, path = self.session.host.stage(), self.session.spawned_path
        if stage and path and stage.GetPrimAtPath(path):
            self._attempt(self.session.frame)
        else:
            self._notice = NOT_SPAWNED

    def export(self, path: str) -> None:
        """Start writing the scene as a package; a folder gets a name in it, a name without a suffix gets one."""
        scene, proposal = self.scene, self.export_proposal
        if scene is None or proposal is None:
            return
        if Path(path).is_dir():
            path = str(Path(path) / proposal.name)
        target = path if Path(path).suffix else f"{path}.usdz"
        self._attempt(lambda: self.session.export_usdz(scene, target, self.encoding))

    @property
    def export_proposal(self) -> Path | None:
        """Where a package of the scene would go if nobody is asked."""
        return self.scene.folder / f"{_file_name(self.scene.title)}.usdz" if self.scene else None

    def open_folder(self) -> None:
        """Show the files of the scene, or what a failed job left."""
        folder = self._folder()
        if folder is not None:
            self._attempt(lambda: self.session.host.open_folder(folder))

    def _attempt(self, action: Callable[[], object]) -> None:
        """The session keeps what went wrong in its `message`, which the window shows."""
        self._notice = ""
        try:
            action()
        except LyraSimError as error:
            self.session.host.log("warning", str(error))

    # ---------------------------------------------------------------------------------------------------- the view

    def view(self) -> View:
        """What the window shows now."""
        session, job = self.session, self.session.job
        return View(
            reasons=self._reasons(),
            models=self._models(),
            devices=self._devices(),
            environment=self._environment(),
            message=self._message(),
            warning=self.session.message.warning or self._is_silent() or bool(self._input_problem()),
            running=self.session.busy,
            progress=texts.progress_fraction(job) if job else 0.0,
            progress_text=texts.progress(job, self._clock()) if job else "",
            result=texts.result(self.scene.manifest) if self.scene else texts.NO_RESULT,
            history=tuple(
                HistoryRow(scene.title, texts.scene_summary(scene.manifest), scene.thumbnail)
                for scene in session.history[:HISTORY_ROWS]
            ),
            older=self._older(),
            respawn_reason=session.why_not_spawn() or "",
            broken=tuple(texts.broken_scene(folder.name, reason) for folder, reason in session.broken),
            log="\n".join(islice(job.log, max(0, len(job.log) - LOG_LINES), None)) if job else "",
            preview=self.file() if self.source == "image" else None,
        )

    def _reasons(self) -> dict[str, str]:
        reasons = dict.fromkeys(HELP, "")
        if self.takes_file:
            reasons["prompt"] = f"The source is {self.source}. Choose Text to describe the scene in words."
        else:
            reasons["picture"] = reasons["browse"] = "The source is text. Choose Image to start from a picture."
        reasons["check"] = "The check is running." if self.session.checking else ""
        reasons["generate"] = self._generate_reason()
        reasons["cancel"] = "" if self.session.busy else "Nothing is running."
        reasons["spawn"] = self._scene_reason() or self.session.why_not_spawn() or ""
        reasons["frame"] = "" if self.session.spawned_path else "Spawn a scene first."
        reasons["export"] = self._scene_reason() or self.session.why_not_export() or ""
        reasons["open_folder"] = "" if self._folder() else _NO_SCENE
        return reasons

    def _scene_reason(self) -> str:
        return "" if self.scene else _NO_SCENE

    def _generate_reason(self) -> str:
        return self.session.why_not_generate() or self._video_reason() or self._model_reason() or self.problem()

    def _video_reason(self) -> str:
        return NO_VIDEO if self.source == "video" else ""

    def _model_reason(self) -> str:
        report = self._report()
        found = [model for model in report.models if model.name == self.model] if report else []
        if not found or found[0].ready:
            return ""
        return f"The model {self.model} is not ready: {found[0].detail}"

    def _folder(self) -> Path | None:
        if self.scene:
            return self.scene.folder
        return self.session.job.folder if self.session.job else None

    def _report(self) -> ProbeReport | None:
        environment = self.session.environment
        return environment if isinstance(environment, ProbeReport) else None

    def _models(self) -> tuple[Choice, ...]:
        """What the worker reported, and what is chosen now in any case."""
        report = self._report()
        known = [Choice(model.name, texts.model_label(model)) for model in report.models] if report else []
        return _with(self.model, known)

    def _devices(self) -> tuple[Choice, ...]:
        report = self._report()
        gpus = (
            [Choice(str(number), f"GPU {number}: {gpu.name}") for number, gpu in enumerate(report.gpus)]
            if report
            else []
        )
        return _with(self.device, [Choice("", "Automatic"), Choice("cpu", "CPU only"), *gpus])

    def _environment(self) -> str:
        if self.session.checking:
            return texts.CHECKING
        if self.session.environment is None:
            return texts.NOT_CHECKED
        report = self._report()
        return texts.environment(report) if report else str(self.session.environment)

    def _message(self) -> str:
        """What the user should know or do; one paragraph each, none twice."""
        paragraphs = [
            self._notice,
            self.session.message.text,
            texts.NOT_RESPONDING if self._is_silent() else "",
            self._input_problem(),
        ]
        return "\n".join(dict.fromkeys(paragraph for paragraph in paragraphs if paragraph))

    def _input_problem(self) -> str:
        """What is wrong with an input that was given; missing inputs are no reason to complain yet."""
        return self._video_reason() or self.file_problem()

    def _is_silent(self) -> bool:
        job = self.session.job
        return bool(job and self.session.busy and not job.responding)

    def _older(self) -> str:
        count = len(self.session.history) - HISTORY_ROWS
        return f"{count} older scenes are in {self.session.scenes_folder}." if count > 0 else ""


def _with(value: str, choices: list[Choice]) -> tuple[Choice, ...]:
    """`choices`, preceded by `value` if it is none of them."""
    missing = all(choice.value != value for choice in choices)
    return (Choice(value, value), *choices) if missing else tuple(choices)


def _file_name(title: str) -> str:
    """A title as a short name without characters that file systems dislike."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words)[:40].strip("-") or "scene"
