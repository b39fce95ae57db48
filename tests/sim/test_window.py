# SPDX-License-Identifier: Apache-2.0
"""The window in the fake Kit: a real session, real worker processes, every click through the widgets."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sim.fake_worker import grey_png
from sim.started_kit import start, store_scene

from fake_kit import FakeKit

if TYPE_CHECKING:
    from lyra.sim.session import Session
    from lyra.sim.ui.window import LyraWindow

PROMPT = "a small kitchen with a red fridge"
INPUTS = ("prompt", "source", "picture", "seed", "model", "quality", "encoding", "collider", "camera_height", "device")
OUTPUTS = ("environment", "progress", "progress_text", "result", "history", "log", "message")
BUTTONS = ("generate", "cancel", "spawn", "frame", "export", "open_folder", "browse", "check", "randomise")


class Desk:
    """A Kit application with the extension enabled and its window open."""

    def __init__(self, kit: FakeKit, folder: Path) -> None:
        self.kit = kit
        self.folder = folder
        self.session: Session
        self.window: LyraWindow

    def start(self, behaviour: str = "ok", **settings: Any) -> None:
        """Open the window with a worker that behaves in a certain way; `settings` are those of the application."""
        self.session = start(self.kit, self.folder, behaviour, poll_hz=100.0, **settings)
        self.open_window()

    def open_window(self) -> None:
        from lyra.sim.ui.window import LyraWindow

        self.window = LyraWindow(self.session)
        self.kit.app.pump()

    def generate(self, prompt: str = PROMPT) -> None:
        """Type and press Generate."""
        self.kit.widget("prompt").type(prompt)
        self.kit.widget("generate").click()

    def until_idle(self) -> None:
        """Frames until no job runs."""
        self.kit.app.pump_until(lambda: not self.session.busy)
        self.kit.app.pump()

    def text(self, identifier: str) -> str:
        return self.kit.widget(identifier).text

    def stop(self) -> None:
        """Close everything."""
        self.window.destroy()
        self.kit.stop_extension()
        self.kit.app.pump()  # coroutines that were cancelled end in the next frame


@pytest.fixture
def desk(kit: FakeKit, tmp_path: Path) -> Iterator[Desk]:
    """Everything is gone after every test: processes, windows, dialogs, observers."""
    desk = Desk(kit, tmp_path)
    yield desk
    desk.stop()
    assert kit.leaks() == []


# ---------------------------------------------------------------------------------------------------------- inputs


def test_all_controls_are_there(desk: Desk) -> None:
    desk.start()
    assert [name for name in (*INPUTS, *OUTPUTS, *BUTTONS) if not desk.kit.has_widget(name)] == []


def test_disabled_buttons_say_why(desk: Desk) -> None:
    desk.start()
    disabled = [name for name in BUTTONS if not desk.kit.widget(name).enabled]
    assert disabled == ["generate", "cancel", "spawn", "frame", "export", "open_folder", "browse"]
    assert all(desk.kit.widget(name).tooltip for name in BUTTONS)
    assert desk.text("generate_hint") == desk.kit.widget("generate").tooltip


def test_everything_that_is_disabled_says_why(desk: Desk) -> None:
    store_scene(desk.folder / "scenes" / "one")
    desk.kit.close_stage()
    desk.start("slow")
    desk.kit.widget("source").choose("Image")
    disabled = [widget for widget in desk.kit.windows["Lyra"].frame._walk() if not widget.enabled]
    assert {"prompt", "generate", "respawn_0"} <= {widget.identifier for widget in disabled}
    assert [widget.identifier for widget in disabled if not widget.tooltip] == []


def test_the_window_can_be_400_pixels_wide(desk: Desk) -> None:
    store_scene(desk.folder / "scenes" / "one", prompt="a hall " * 20)
    desk.start()
    rows, labels = [], []
    for widget in desk.kit.windows["Lyra"].frame._walk():
        if type(widget).__name__ == "HStack":
            rows.append([child.width for child in widget._children if isinstance(child.width, int)])
        if type(widget).__name__ == "Label" and len(widget.text) > 30:
            labels.append(widget._values["word_wrap"])
    assert max(sum(widths) for widths in rows) <= 250
    assert len(labels) >= 4
    assert all(labels)


def test_typing_enables_generate_at_once_and_keeps_the_prompt_widget(desk: Desk) -> None:
    desk.start()
    field = desk.kit.widget("prompt")._widget
    for text in ("a", "a kitchen", ""):
        desk.kit.widget("prompt").type(text)
        assert desk.kit.widget("generate").enabled == bool(text)
        desk.kit.app.pump(2)
        assert desk.kit.widget("prompt")._widget is field


def test_a_prompt_of_100_kb_is_refused_with_advice(desk: Desk) -> None:
    desk.start()
    desk.kit.widget("prompt").type("kitchen " * 12_800)
    assert not desk.kit.widget("generate").enabled
    assert "Shorten it" in desk.kit.widget("generate").tooltip
    desk.kit.widget("prompt").type("kitchen")
    assert desk.kit.widget("generate").enabled


def test_the_row_of_the_source_is_shown(desk: Desk) -> None:
    desk.start()
    assert (desk.kit.widget("prompt").shown, desk.kit.widget("picture").shown) == (True, False)
    desk.kit.widget("source").choose("Image")
    assert (desk.kit.widget("prompt").shown, desk.kit.widget("picture").shown) == (False, True)
    desk.kit.widget("source").choose("Video")
    assert "No model for video is installed" in desk.text("message")
    assert "No model for video is installed" in desk.kit.widget("generate").tooltip


def test_randomise_writes_the_seed_into_its_field(desk: Desk) -> None:
    desk.start()
    desk.kit.widget("seed").type("5")
    assert desk.window.view_model.seed == 5
    desk.kit.widget("randomise").click()
    assert desk.kit.widget("seed").value == desk.window.view_model.seed != 5


def test_every_option_reaches_the_request(desk: Desk) -> None:
    desk.start("slow")
    desk.kit.widget("seed").type("11")
    desk.kit.widget("quality").choose(1)
    desk.kit.widget("collider").choose("Outdoor: open ground")
    desk.kit.widget("camera_height").type("1.5")
    desk.kit.widget("device").choose("CPU only")
    desk.generate()
    assert desk.session.job is not None
    request = desk.session.job.request
    assert (request.prompt, request.seed, request.max_gaussians) == (PROMPT, 11, 100_000)
    assert (request.collider, request.collider_preset, request.camera_height_m) == (True, "outdoor", 1.5)
    assert desk.session.settings.device == "cpu"


def test_a_wrong_camera_height_names_the_remedy(desk: Desk) -> None:
    desk.start()
    desk.kit.widget("prompt").type(PROMPT)
    desk.kit.widget("camera_height").type("high")
    assert "such as 1.6" in desk.text("generate_hint")


# --------------------------------------------------------------------------------------------------------- pictures


def picture(folder: Path) -> Path:
    path = folder / "my room.png"
    path.write_bytes(grey_png(64, 36))
    return path


def images(kit: FakeKit) -> list[str]:
    """Paths of the pictures that are shown."""
    return [
        widget._values["path"]
        for window in kit.windows.values()
        for widget in window.frame._walk()
        if type(widget).__name__ == "Image"
    ]


def test_browse_takes_a_picture_and_shows_it(desk: Desk) -> None:
    desk.start()
    file = picture(desk.folder)
    desk.kit.widget("source").choose("Image")
    desk.kit.widget("browse").click()
    (dialog,) = desk.kit.dialogs
    assert dialog.shown
    assert dialog.accepts("/pictures", folder=True)
    assert dialog.accepts("/pictures/A.JPG")
    assert not dialog.accepts("/pictures/notes.txt")
    dialog.apply(file.name, f"{file.parent}/")
    desk.kit.app.pump()
    assert not dialog.shown
    assert desk.text("picture") == str(file)
    assert images(desk.kit) == [str(file)]
    assert desk.kit.widget("generate").enabled
    desk.kit.widget("browse").click()
    assert [dialog.directory for dialog in desk.kit.dialogs] == [str(file.parent)]


def test_a_cancelled_dialog_changes_nothing(desk: Desk) -> None:
    desk.start()
    desk.kit.widget("source").choose("Image")
    desk.kit.widget("browse").click()
    desk.kit.dialogs[0].cancel()
    assert desk.text("picture") == ""
    assert not desk.kit.dialogs[0].shown


def test_a_pasted_path_is_cleaned_and_the_field_stays_the_same_widget(desk: Desk) -> None:
    desk.start()
    file = picture(desk.folder)
    desk.kit.widget("source").choose("Image")
    field = desk.kit.widget("picture")._widget
    desk.kit.widget("picture").type(f"  '{file}' ")
    desk.kit.app.pump()
    assert images(desk.kit) == [str(file)]
    desk.kit.widget("picture").type(f"'{file}")
    desk.kit.app.pump()
    assert desk.kit.widget("picture")._widget is field


@pytest.mark.parametrize("folder", ["omniverse://server/pictures/", "omniverse://server/pictures"])
def test_a_picture_on_a_server_is_refused_with_advice(desk: Desk, folder: str) -> None:
    desk.start()
    desk.kit.widget("source").choose("Image")
    desk.kit.widget("browse").click()
    desk.kit.dialogs[0].apply("room.png", folder)
    assert "omniverse://server/pictures/room.png is not on this computer. Copy it to a local" in desk.text("message")
    assert not desk.kit.widget("generate").enabled


def test_a_picture_that_is_gone_again_is_a_message(desk: Desk) -> None:
    desk.start()
    file = picture(desk.folder)
    desk.kit.widget("source").choose("Image")
    desk.kit.widget("picture").type(str(file))
    file.unlink()
    desk.kit.widget("generate").click()
    assert "does not exist" in desk.text("message")
    assert desk.session.job is None


def test_without_a_file_dialog_the_path_can_be_pasted(desk: Desk) -> None:
    desk.kit.without("omni.kit.window.filepicker")
    desk.start()
    desk.kit.widget("source").choose("Image")
    desk.kit.widget("browse").click()
    assert "Paste the path" in desk.text("message")


# ----------------------------------------------------------------------------------------------------------- check


def test_check_reports_and_fills_the_lists(desk: Desk) -> None:
    desk.start()
    prompt = desk.kit.widget("prompt")._widget
    desk.kit.widget("check").click()
    assert desk.text("environment") == "Checking the worker…"
    assert desk.kit.widget("check").tooltip == "The check is running."
    desk.kit.app.pump_until(lambda: not desk.session.checking)
    desk.kit.app.pump()
    assert desk.text("environment").startswith("Ready: Python 3.11.9, lyra-sim 0.1.0")
    assert desk.kit.widget("device").items == ("Automatic", "CPU only", "GPU 0: Test GPU")
    assert desk.kit.widget("model").items == ("mini: small",)
    assert desk.kit.widget("check").enabled
    assert desk.kit.widget("prompt")._widget is prompt


def test_check_of_a_broken_environment_says_so(desk: Desk) -> None:
    desk.start("crash_import")
    desk.kit.widget("check").click()
    desk.kit.app.pump_until(lambda: not desk.session.checking)
    assert "has no lyra-sim. Install it there" in desk.text("environment")
    assert desk.kit.widget("check").enabled


# ------------------------------------------------------------------------------------------------------------- jobs


def test_a_scene_is_generated_spawned_framed_and_undone(desk: Desk) -> None:
    desk.start()
    desk.generate()
    assert desk.text("progress_text").startswith("Starting the worker")
    assert not desk.kit.widget("generate").enabled
    assert desk.kit.widget("cancel").enabled
    desk.until_idle()
    assert desk.text("progress_text").startswith("Done in ")
    assert desk.kit.widget("progress").value == 1.0
    assert desk.text("result").startswith("1 Gaussians · 4.0 × 4.0 × 2.0 m")
    assert "Note: a made-up scene of one Gaussian." in desk.text("result")
    assert desk.kit.widget("generate").enabled
    desk.kit.widget("spawn").click()
    assert desk.session.spawned_path is not None
    assert desk.kit.stage.GetPrimAtPath(desk.session.spawned_path)
    desk.kit.app.pump(5)
    desk.kit.widget("frame").click()
    desk.kit.app.pump(5)
    assert desk.kit.framed[-1] == desk.session.spawned_path
    spawned = desk.session.spawned_path
    desk.kit.undo()
    assert not desk.kit.stage.GetPrimAtPath(spawned)
    framed = list(desk.kit.framed)
    desk.kit.widget("frame").click()
    desk.kit.app.pump(5)
    assert desk.kit.framed == framed
    assert "Spawn it again" in desk.text("message")


def test_unknown_progress_shows_no_percentage(desk: Desk) -> None:
    desk.start("slow")
    desk.generate()
    desk.kit.app.pump_until(lambda: "Load: step 0 of 10" in desk.text("progress_text"))
    assert "remaining time unknown" in desk.text("progress_text")
    assert desk.kit.widget("progress").value == 0.0
    assert "%" not in desk.text("progress_text")


def test_cancel_ends_the_job_and_the_window_is_ready_again(desk: Desk) -> None:
    desk.start("slow")
    desk.generate()
    desk.kit.app.pump_until(lambda: "Load" in desk.text("progress_text"))
    desk.kit.widget("cancel").click()
    assert desk.text("progress_text").startswith("Cancelling")
    desk.until_idle()
    assert desk.text("progress_text").startswith("Cancelled after")
    assert desk.kit.widget("generate").enabled
    assert desk.kit.widget("cancel").tooltip == "Nothing is running."


def test_cancel_pressed_twice_ends_a_worker_that_hears_nothing(desk: Desk) -> None:
    desk.start("stubborn")
    desk.generate()
    desk.kit.app.pump_until(lambda: "Paint" in desk.text("progress_text"))
    desk.kit.widget("cancel").click()
    desk.kit.widget("cancel").click()
    desk.until_idle()
    assert desk.kit.widget("generate").enabled


def test_a_silent_worker_is_reported_and_can_be_ended(desk: Desk) -> None:
    desk.start("silent", heartbeat_timeout_s=1.0)
    desk.generate()
    desk.kit.app.pump_until(lambda: "silent for a while" in desk.text("message"))
    desk.kit.widget("cancel").click()
    desk.until_idle()
    assert "silent for a while" not in desk.text("message")
    assert desk.kit.widget("generate").enabled


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        ("crash_import", "lyra"),
        ("crash", "worker"),
        ("killed", "worker"),
        ("partial", "worker"),
        ("hostile", "outside"),
        ("out_of_memory", "choose mini"),
        ("wrong_version", "Update"),
    ],
)
def test_a_failing_worker_is_a_message_and_the_window_is_usable(desk: Desk, behaviour: str, text: str) -> None:
    desk.start(behaviour)
    before = desk.kit.stage.GetRootLayer().ExportToString()
    desk.generate()
    desk.until_idle()
    assert text in desk.text("message")
    assert desk.text("progress_text").startswith("Stopped after")
    assert desk.kit.widget("generate").enabled
    assert desk.kit.widget("open_folder").enabled
    assert not desk.kit.widget("spawn").enabled
    assert desk.kit.stage.GetRootLayer().ExportToString() == before


def test_a_missing_interpreter_is_a_message(desk: Desk) -> None:
    desk.start()
    desk.session.update_settings(worker_python=str(desk.folder / "no-python"))
    desk.generate()
    assert "no-python" in desk.text("message")
    assert desk.kit.widget("generate").enabled


def test_an_output_folder_that_cannot_be_written_is_a_message(desk: Desk) -> None:
    (desk.folder / "taken").write_text("a file")
    desk.start()
    desk.session.update_settings(output_dir=str(desk.folder / "taken"))
    desk.generate()
    assert "Choose another output folder" in desk.text("message")
    assert desk.kit.widget("generate").enabled


def test_the_log_is_shown(desk: Desk) -> None:
    desk.start("noisy")
    desk.generate()
    desk.until_idle()
    assert "the picture is dark" in desk.text("log")


# ---------------------------------------------------------------------------------------------------- closing, again


def test_the_window_may_be_closed_and_opened_during_a_job(desk: Desk) -> None:
    desk.start("slow")
    desk.generate()
    desk.kit.close_window("Lyra")
    desk.kit.app.pump_until(lambda: desk.session.job is not None and desk.session.job.phase == "load")
    desk.kit.app.pump(3)
    desk.window.visible = True
    desk.kit.app.pump()
    assert desk.text("prompt") == PROMPT
    assert "Load" in desk.text("progress_text")


def test_a_destroyed_window_leaves_the_job_alone_and_a_new_one_shows_it(desk: Desk) -> None:
    desk.start("slow")
    desk.generate()
    desk.window.destroy()
    desk.window.destroy()
    assert desk.kit.windows == {}
    assert desk.session.on_change == []
    desk.kit.app.pump_until(lambda: desk.session.job is not None and desk.session.job.phase == "load")
    assert desk.session.busy
    desk.open_window()
    assert "Load" in desk.text("progress_text")
    assert desk.kit.widget("cancel").enabled


def test_a_destroyed_window_is_not_kept_alive(desk: Desk) -> None:
    desk.start()
    desk.kit.widget("source").choose("Image")
    desk.kit.widget("browse").click()
    reference = weakref.ref(desk.window)
    desk.window.destroy()
    desk.open_window()
    gc.collect()
    assert reference() is None


def test_nothing_is_drawn_again_while_nothing_changes(desk: Desk) -> None:
    store_scene(desk.folder / "scenes" / "one", prompt="a hall")
    desk.start()
    desk.kit.widget("prompt").type(PROMPT)
    widgets = list(desk.kit.windows["Lyra"].frame._walk())
    desk.kit.app.pump(20)
    after = list(desk.kit.windows["Lyra"].frame._walk())
    assert len(after) == len(widgets)
    assert all(new is old for new, old in zip(after, widgets, strict=True))


def test_a_running_job_does_not_rebuild_the_lists(desk: Desk) -> None:
    store_scene(desk.folder / "scenes" / "one", prompt="a hall")
    desk.start("slow")
    row, model = desk.kit.widget("respawn_0")._widget, desk.kit.widget("model")._widget
    desk.generate()
    desk.kit.app.pump_until(lambda: "Load" in desk.text("progress_text"))
    assert desk.kit.widget("respawn_0")._widget is row
    assert desk.kit.widget("model")._widget is model


# ----------------------------------------------------------------------------------------------------- past scenes


def test_past_scenes_can_be_spawned_again(desk: Desk) -> None:
    folder = store_scene(desk.folder / "scenes" / "one", prompt="a hall")
    desk.start()
    assert images(desk.kit) == [str(folder / "preview.png")]
    desk.kit.widget("respawn_0").click()
    first = desk.session.spawned_path
    desk.kit.widget("respawn_0").click()
    second = desk.session.spawned_path
    assert first is not None
    assert second is not None
    assert first != second
    assert all(desk.kit.stage.GetPrimAtPath(path) for path in (first, second))
    assert desk.text("result").startswith("1 Gaussians")


def test_without_a_stage_respawning_is_disabled_and_comes_back_with_one(desk: Desk) -> None:
    store_scene(desk.folder / "scenes" / "one", prompt="a hall")
    desk.start()
    desk.kit.close_stage()
    desk.kit.widget("prompt").type("a kitchen")
    desk.kit.app.pump()
    assert not desk.kit.widget("respawn_0").enabled
    assert "No stage is open" in desk.kit.widget("respawn_0").tooltip
    desk.kit.new_stage()
    desk.kit.app.pump(2)
    assert desk.kit.widget("respawn_0").enabled


def test_broken_scenes_are_listed_with_the_reason(desk: Desk) -> None:
    folder = store_scene(desk.folder / "scenes" / "torn")
    (folder / "manifest.json").write_text("{")
    desk.start()
    texts = [
        widget.text
        for widget in desk.kit.windows["Lyra"].frame._walk()
        if type(widget).__name__ == "Label" and "torn" in widget.text
    ]
    assert len(texts) == 1
    assert "cannot be used" in texts[0]
    assert not desk.kit.has_widget("respawn_0")


def test_export_proposes_a_name_and_reports(desk: Desk) -> None:
    store_scene(desk.folder / "scenes" / "one", prompt="a hall")
    desk.start()
    desk.kit.widget("respawn_0").click()
    desk.kit.widget("export").click()
    (dialog,) = desk.kit.dialogs
    assert (dialog.filename, dialog.directory) == ("a-hall.usdz", str(desk.folder / "scenes" / "one"))
    dialog.apply("hall", str(desk.folder / "missing"))
    assert "does not exist" in desk.text("message")
    desk.kit.widget("export").click()
    desk.kit.dialogs[0].apply("hall", "omniverse://server/packages")
    assert "omniverse://server/packages/hall.usdz is not on this computer" in desk.text("message")
