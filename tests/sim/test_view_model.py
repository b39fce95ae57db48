# SPDX-License-Identifier: Apache-2.0
"""The logic of the window, in plain Python: forms, reasons, texts, and what each button asks of a real session."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lyra.sim.errors import LyraSimError
from lyra.sim.host import PlainHost
from lyra.sim.jobs import Job, JobState
from lyra.sim.protocol import Failure, Gpu, Log, Manifest, Model, ProbeReport, Progress, Request
from lyra.sim.session import Session
from lyra.sim.settings_schema import Settings
from lyra.sim.ui import texts
from lyra.sim.ui.file_dialog import joined
from lyra.sim.ui.form import LARGEST_SEED, Form, pasted
from lyra.sim.ui.view_model import HELP, HISTORY_ROWS, LOG_LINES, NO_VIDEO, ViewModel

PROMPT = "a small kitchen with a red fridge"
MANIFEST: dict[str, Any] = {
    "v": 1,
    "job": "",
    "mode": "text",
    "prompt": PROMPT,
    "input": None,
    "seed": 3,
    "model": "mini",
    "quality_tier": "mini-preview",
    "models": {},
    "usd": "scene/scene.usda",
    "usd_isaac5": None,
    "encodings": ["particlefield"],
    "preview": "preview.png",
    "provenance": "scene.json",
    "gaussians": 41_000,
    "sh_degree": 0,
    "bounds_m": {"min": [-2.0, -1.0, 0.0], "max": [2.0, 5.0, 2.5]},
    "trusted_viewpoints_m": {"min": [-0.4, -0.2, 1.2], "max": [0.4, 0.2, 1.6], "count": 66},
    "collider": {"triangles": 1200},
    "metric": False,
    "scale_source": "assumed median depth 3 m",
    "warnings": ["the word fridge was not understood"],
    "up_axis": "Z",
    "meters_per_unit": 1.0,
    "time_range": None,
    "files": [],
    "bytes": 12_300_000,
}


def store_scene(folder: Path, **fields: Any) -> Path:
    """A complete scene folder as a worker leaves it; the layer in it is empty."""
    (folder / "scene").mkdir(parents=True)
    (folder / "scene" / "scene.usda").write_text("#usda 1.0\n")
    (folder / "preview.png").write_bytes(b"picture")
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, "job": folder.name, **fields}))
    return folder


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    return folder


@pytest.fixture
def session(scenes: Path) -> Session:
    """A session without a worker: the interpreter it is told to use does not exist."""
    return Session(PlainHost(environ={}), Settings(output_dir=str(scenes), worker_python=str(scenes / "no-python")))


@pytest.fixture
def model(session: Session) -> ViewModel:
    return ViewModel(session, clock=lambda: 100.0, draw_seed=lambda: 77)


def report(**fields: Any) -> ProbeReport:
    """What a worker with one model and one graphics card says."""
    facts: dict[str, Any] = {
        "python": "3.11.9",
        "executable": "/opt/lyra/bin/python",
        "versions": {"lyra-sim": "0.3.0", "torch": "2.11.0"},
        "gpus": (Gpu("RTX 4090", 24_000_000_000),),
        "cuda": True,
        "models": (Model("mini", "embedded preview model", "mini-preview", True, ""),),
        "disk_free_bytes": 120_000_000_000,
        "problems": (),
    }
    return ProbeReport(**{**facts, **fields})


def running_job(folder: Path, *, started: float = 30.0) -> Job:
    """A job whose worker has said what it does."""
    job = Job(folder, Request(job="one", prompt=PROMPT))
    job.state, job.started_at = JobState.RUNNING, started
    job.observe(Progress(phase="video_latents", step=3, total=12, fraction=0.25, eta_s=95.0))
    return job


# ------------------------------------------------------------------------------------------------------------- form


def test_a_prompt_makes_a_request() -> None:
    form = Form(prompt=f"  {PROMPT}\n", seed=5, quality="light", collider="none", camera_height="1,6 m")
    assert form.problem() == ""
    assert form.request() == {
        "prompt": PROMPT,
        "image": None,
        "video": None,
        "model": "mini",
        "seed": 5,
        "max_gaussians": 100_000,
        "collider": False,
        "collider_preset": "indoor",
        "camera_height_m": 1.6,
    }


def test_a_picture_makes_a_request_without_the_prompt(tmp_path: Path) -> None:
    picture = tmp_path / "my room.PNG"
    picture.write_bytes(b"x")
    form = Form(source="image", prompt="left over", picture=f'"{picture}"', collider="outdoor")
    assert form.problem() == ""
    request = form.request()
    assert (request["prompt"], request["image"], request["video"]) == (None, picture, None)
    assert (request["collider"], request["collider_preset"]) == (True, "outdoor")
    assert (request["max_gaussians"], request["camera_height_m"]) == (None, None)


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"prompt": " \n\t "}, "Describe the scene"),
        ({"prompt": "a" * 100_000}, "has 100,000 characters, the limit is 10,000. Shorten it."),
        ({"prompt": "x", "seed": -1}, "Press Randomise"),
        ({"prompt": "x", "seed": LARGEST_SEED + 1}, "Press Randomise"),
        ({"prompt": "x", "camera_height": "tall"}, "such as 1.6"),
        ({"prompt": "x", "camera_height": "0"}, "from 0.05 to 50"),
        ({"prompt": "x", "camera_height": "nan"}, "such as 1.6"),
        ({"prompt": "x", "camera_height": "1e999"}, "such as 1.6"),
        ({"source": "image"}, "Browse…"),
        ({"source": "image", "picture": "/nowhere/room.png"}, "does not exist"),
        ({"source": "image", "picture": "omniverse://server/room.png"}, "Copy it to a local folder"),
        ({"source": "image", "picture": "https://example.org/room.png"}, "Copy it to a local folder"),
    ],
)
def test_what_is_wrong_with_an_input_is_said_with_what_to_do(fields: dict[str, Any], advice: str) -> None:
    assert advice in Form(**fields).problem()


def test_folders_and_other_kinds_of_file_are_no_pictures(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("x")
    assert "is a folder" in Form(source="image", picture=str(tmp_path)).problem()
    assert "notes.txt is not a kind of file" in Form(source="image", picture=str(text)).problem()


@pytest.mark.parametrize(
    "written", ["{}", "  {}  ", "'{}'", '"{}"', "“{}”", "file://{}", "{}\n/another/file.png\n", "{escaped}", "\n{}"]
)
def test_pasted_paths_are_understood(tmp_path: Path, written: str) -> None:
    picture = tmp_path / "my room (2).png"
    picture.write_bytes(b"x")
    escaped = str(picture).replace(" ", "\\ ").replace("(", "\\(").replace(")", "\\)")
    form = Form(source="image", picture=written.format(picture, escaped=escaped))
    assert form.file() == picture
    assert form.problem() == ""


def test_percent_signs_of_an_address_are_decoded(tmp_path: Path) -> None:
    picture = tmp_path / "my room.png"
    picture.write_bytes(b"x")
    assert Form(source="image", picture=picture.as_uri()).file() == picture


@pytest.mark.parametrize("path", [r"C:\Users\me\room.png", r"\\server\share\room.png", r'"C:\a b\room.png"'])
def test_windows_paths_keep_their_backslashes(path: str) -> None:
    assert pasted(path) == path


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        ("/pictures/", "room.png", "/pictures/room.png"),
        ("/pictures", "room.png", "/pictures/room.png"),
        ("", "/pictures/room.png", "/pictures/room.png"),
        ("/pictures/", "", "/pictures/"),
        (None, None, ""),
        ("C:\\pictures\\", "room.png", "C:\\pictures\\room.png"),
        ("omniverse://server/a", "room.png", "omniverse://server/a/room.png"),
    ],
)
def test_what_a_file_dialog_means(folder: str | None, name: str | None, path: str) -> None:
    assert joined(folder, name) == path


def test_a_text_has_no_file_and_no_file_problem() -> None:
    form = Form(source="text", picture="/nowhere.png")
    assert form.file() is None
    assert form.file_problem() == ""


# ------------------------------------------------------------------------------------------------------------ texts


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75.9, "1:15"), (3601, "1:00:01"), (-2, "0:00")])
def test_durations(seconds: float, text: str) -> None:
    assert texts.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_600, "1.0 MB"),
        (12_300_000, "12 MB"),
    ],
)
def test_file_sizes(count: int, text: str) -> None:
    assert texts.file_size(count) == text


def test_progress_tells_phase_steps_elapsed_and_remaining(tmp_path: Path) -> None:
    job = running_job(tmp_path)
    assert texts.progress(job, 100.0) == "Video latents: step 3 of 12 · 1:10 elapsed · about 1:35 remaining"
    assert texts.progress_fraction(job) == 0.25


def test_what_the_worker_cannot_know_is_not_made_up(tmp_path: Path) -> None:
    job = running_job(tmp_path)
    job.observe(Progress(phase="model", step=0, total=1))
    assert texts.progress(job, 100.0) == "Model · 1:10 elapsed · remaining time unknown"
    assert texts.progress_fraction(job) == 0.0


@pytest.mark.parametrize(
    ("state", "text", "fraction"),
    [
        (JobState.STARTING, "Starting the worker · 1:10 elapsed · about 1:35 remaining", 0.25),
        (JobState.CANCELLING, "Cancelling, the worker is being stopped · 1:10 elapsed", 0.25),
        (JobState.CANCELLED, "Cancelled after 1:10.", 0.0),
        (JobState.FAILED, "Stopped after 1:10: it did not work, see the message above.", 0.0),
        (JobState.DONE, "Done in 1:10.", 1.0),
    ],
)
def test_progress_of_every_state(tmp_path: Path, state: JobState, text: str, fraction: float) -> None:
    job = running_job(tmp_path)
    job.state = state
    assert (texts.progress(job, 100.0), texts.progress_fraction(job)) == (text, fraction)


def test_result_says_what_the_scene_is_good_for() -> None:
    assert texts.result(Manifest(**MANIFEST)).splitlines() == [
        "41,000 Gaussians · 4.0 × 6.0 × 2.5 m · 12 MB on disk",
        "Good views: cameras inside a box of 0.8 × 0.4 × 0.4 m around (x 0.0, y 0.0, z 1.4), in the scene's own "
        "metres, z up. Farther out, or looking behind things, surfaces were never seen and are made up.",
        "Scale: not measured (assumed median depth 3 m). Set the camera height if sizes matter, and generate again.",
        "Colliders: included.",
        "Note: the word fridge was not understood.",
    ]


def test_result_of_a_metric_scene_that_moves_without_collider() -> None:
    moving = {"start": 0.0, "end": 48.0, "time_codes_per_second": 24.0}
    manifest = Manifest(
        **{**MANIFEST, "metric": True, "collider": None, "time_range": moving, "trusted_viewpoints_m": None}
    )
    text = texts.result(manifest)
    assert "Scale: metric" in text
    assert "Colliders: none" in text
    assert "Moves over time for 2.0 s: time codes 0 to 48." in text
    assert "is not known" in text


def test_environment_lists_what_is_there_and_what_is_wrong() -> None:
    lyra = Model("lyra", "released model", "released", False, "weights are missing in /models")
    found = report(models=(*report().models, lyra), problems=("The output folder is nearly full",))
    assert texts.environment(found).splitlines() == [
        "Ready: Python 3.11.9, lyra-sim 0.3.0, torch 2.11.0, RTX 4090 (24 GB), 120 GB free on disk.",
        "The output folder is nearly full.",
        "Model lyra is not ready: weights are missing in /models.",
    ]


def test_environment_without_a_ready_model_or_gpu_is_not_called_ready() -> None:
    text = texts.environment(report(models=(), gpus=()))
    assert text.startswith("No model is ready: ")
    assert "no GPU, everything runs on the CPU" in text


# ---------------------------------------------------------------------------------------------------------- reasons


def test_every_control_has_a_help_text_and_a_reason_entry(model: ViewModel) -> None:
    view = model.view()
    assert view.reasons.keys() == HELP.keys()
    assert all(view.tooltip(identifier) for identifier in HELP)


def test_a_fresh_window_says_why_things_are_disabled(model: ViewModel) -> None:
    view = model.view()
    disabled = {identifier for identifier in HELP if not view.enabled(identifier)}
    assert disabled == {"picture", "browse", "generate", "cancel", "spawn", "frame", "export", "open_folder"}
    assert "Describe the scene" in view.tooltip("generate")
    assert view.tooltip("cancel") == "Nothing is running."
    assert "Generate a scene first" in view.tooltip("spawn")
    assert view.result == texts.NO_RESULT
    assert view.environment == texts.NOT_CHECKED
    assert view.message == ""


def test_generate_is_enabled_at_once_by_typing(model: ViewModel) -> None:
    model.prompt = PROMPT
    assert model.view().enabled("generate")
    model.prompt = ""
    assert not model.view().enabled("generate")


def test_the_source_decides_which_inputs_are_enabled(model: ViewModel) -> None:
    model.source = "image"
    view = model.view()
    assert view.enabled("picture")
    assert view.enabled("browse")
    assert "Choose Text" in view.tooltip("prompt")


def test_video_is_offered_but_says_why_it_cannot_be_generated(model: ViewModel, tmp_path: Path) -> None:
    video = tmp_path / "walk.mp4"
    video.write_bytes(b"x")
    model.source, model.picture = "video", str(video)
    view = model.view()
    assert view.tooltip("generate") == NO_VIDEO
    assert NO_VIDEO in view.message


def test_a_model_that_is_not_ready_cannot_be_chosen_for_generating(session: Session, model: ViewModel) -> None:
    lyra = Model("lyra", "released model", "released", False, "Fetch the weights.")
    session.environment = report(models=(*report().models, lyra))
    model.prompt = PROMPT
    assert model.view().enabled("generate")
    model.model = "lyra"
    assert model.view().tooltip("generate") == "The model lyra is not ready: Fetch the weights."


def test_lists_of_models_and_devices_come_from_the_check(session: Session, model: ViewModel) -> None:
    assert [choice.value for choice in model.view().models] == ["mini"]
    assert [choice.value for choice in model.view().devices] == ["", "cpu"]
    lyra = Model("lyra", "released model", "released", False, "no weights")
    session.environment = report(models=(*report().models, lyra))
    view = model.view()
    assert [choice.label for choice in view.models] == ["mini: embedded preview model", "lyra: not ready"]
    assert view.devices[-1].label == "GPU 0: RTX 4090"


def test_a_chosen_model_or_device_stays_in_the_list(session: Session, model: ViewModel) -> None:
    model.model, model.device = "my-preset", "0,1"
    session.environment = report()
    view = model.view()
    assert view.models[0].value == "my-preset"
    assert view.devices[0].value == "0,1"


def test_what_the_check_could_not_find_is_shown(session: Session, model: ViewModel) -> None:
    session.environment = LyraSimError("Set the worker's Python in the settings.")
    assert model.view().environment == "Set the worker's Python in the settings."


# ---------------------------------------------------------------------------------------------------------- actions


def test_a_missing_interpreter_is_a_message_and_the_window_stays_usable(model: ViewModel) -> None:
    model.prompt = PROMPT
    model.generate()
    view = model.view()
    assert "no-python" in view.message
    assert view.warning
    assert view.enabled("generate")
    assert not view.running


def test_checking_without_an_interpreter_is_explained(model: ViewModel) -> None:
    model.check()
    assert "no-python" in model.view().environment
    assert model.view().enabled("check")


def test_a_picture_that_was_moved_after_picking_is_a_message(model: ViewModel, tmp_path: Path) -> None:
    picture = tmp_path / "room.png"
    picture.write_bytes(b"x")
    model.source = "image"
    model.browse(str(picture))
    assert model.view().preview == picture
    assert model.view().enabled("generate")
    picture.rename(tmp_path / "elsewhere.png")
    view = model.view()
    assert view.preview is None
    assert "does not exist" in view.message
    assert "does not exist" in view.tooltip("generate")
    (tmp_path / "elsewhere.png").rename(picture)
    assert model.view().enabled("generate")


def test_the_folder_of_a_chosen_picture_is_remembered(model: ViewModel, session: Session, tmp_path: Path) -> None:
    picture = tmp_path / "room.png"
    picture.write_bytes(b"x")
    model.source = "image"
    model.browse(str(picture))
    assert model.input_folder == str(tmp_path)
    model.browse("omniverse://server/room.png")
    assert model.input_folder == str(tmp_path)
    assert "Copy it to a local folder" in model.view().message


def test_device_and_encoding_are_settings(model: ViewModel, session: Session) -> None:
    model.device, model.encoding = "cpu", "nurec"
    assert (session.settings.device, session.settings.encoding) == ("cpu", "nurec")
    assert session.host.get_setting("/persistent/exts/lyra.sim/device") == "cpu"


def test_randomise_draws_a_seed(model: ViewModel, session: Session) -> None:
    model.randomise_seed()
    assert model.seed == 77
    free = ViewModel(session)
    seeds = set()
    for _ in range(5):
        free.randomise_seed()
        seeds.add(free.seed)
    assert len(seeds) > 1
    assert all(0 <= seed <= LARGEST_SEED for seed in seeds)


def test_a_missing_file_dialog_is_explained_until_the_next_action(model: ViewModel, tmp_path: Path) -> None:
    model.dialog_missing()
    assert "Paste the path" in model.view().message
    model.browse(str(tmp_path / "x.png"))
    assert "Paste the path" not in model.view().message


def test_without_a_stage_spawning_says_what_to_do(model: ViewModel, scenes: Path) -> None:
    store_scene(scenes / "one")
    view = model.view()
    assert "Create or open one" in view.respawn_reason
    model.respawn(0)
    assert "Create or open one" in model.view().tooltip("spawn")
    assert model.view().warning


# ---------------------------------------------------------------------------------------------- results and history


def test_past_scenes_are_listed_with_their_thumbnails(model: ViewModel, scenes: Path) -> None:
    folder = store_scene(scenes / "one")
    (row,) = model.view().history
    assert row.title == PROMPT
    assert row.detail == "41,000 Gaussians · 4.0 × 6.0 × 2.5 m · assumed scale · mini"
    assert row.thumbnail == folder / "preview.png"


def test_broken_scenes_are_listed_with_the_reason(model: ViewModel, scenes: Path) -> None:
    store_scene(scenes / "good")
    (store_scene(scenes / "torn") / "manifest.json").write_text('{"v": 1')
    (store_scene(scenes / "gone") / "scene" / "scene.usda").unlink()
    view = model.view()
    assert len(view.history) == 1
    reasons = sorted(view.broken)
    assert reasons[0].startswith("gone cannot be used: ")
    assert reasons[1].startswith("torn cannot be used: ")
    assert all("Generate the scene again" in reason or "generate the scene again" in reason for reason in reasons)


def test_a_long_history_is_cut_and_says_where_the_rest_is(model: ViewModel, scenes: Path) -> None:
    for number in range(HISTORY_ROWS + 2):
        store_scene(scenes / f"scene{number:02d}")
    view = model.view()
    assert len(view.history) == HISTORY_ROWS
    assert view.older == f"2 older scenes are in {scenes}."


def test_a_respawned_scene_is_the_one_that_is_described_and_exported(model: ViewModel, scenes: Path) -> None:
    folder = store_scene(scenes / "one", prompt="Kitchen / with: a fridge?", gaussians=7)
    model.respawn(0)
    view = model.view()
    assert view.result.startswith("7 Gaussians")
    assert view.enabled("export")
    assert view.enabled("open_folder")
    assert model.export_proposal == folder / "kitchen-with-a-fridge.usdz"


def test_an_export_without_an_interpreter_is_explained(model: ViewModel, scenes: Path, tmp_path: Path) -> None:
    store_scene(scenes / "one")
    model.respawn(0)
    model.export(str(tmp_path / "kitchen"))
    assert "no-python" in model.view().message
    assert model.view().enabled("export")


def test_the_log_shows_the_last_lines(session: Session, model: ViewModel, tmp_path: Path) -> None:
    session.job = running_job(tmp_path)
    for number in range(LOG_LINES + 50):
        session.job.observe(Log(level="raw", msg=f"line {number}"))
    lines = model.view().log.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (LOG_LINES, "line 50", f"line {LOG_LINES + 49}")


def test_a_failed_job_leaves_its_folder_to_look_into(session: Session, model: ViewModel, tmp_path: Path) -> None:
    session.job = running_job(tmp_path)
    session.job.fail(Failure(code="out_of_memory", msg="No memory.", hint="Choose Light."))
    session.job.finish(JobState.FAILED, 90.0)
    view = model.view()
    assert view.enabled("open_folder")
    assert not view.enabled("spawn")
    assert view.progress_text.startswith("Stopped after 1:00")


def test_views_are_equal_while_nothing_changes(model: ViewModel) -> None:
    assert model.view() == model.view()
    before = model.view()
    model.prompt = PROMPT
    assert model.view() != before
    assert replace(before) == before


def test_the_view_model_needs_neither_kit_nor_pxr(extension_path: Path) -> None:
    code = (
        "import sys, lyra.sim.ui.view_model\n"
        "heavy = {'omni', 'carb', 'pxr', 'torch', 'numpy'} & {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=extension_path, env={"PYTHONPATH": str(extension_path)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
