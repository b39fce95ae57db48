# SPDX-License-Identifier: Apache-2.0
"""Messages, requests, manifests and reports: what is well-formed is understood, nothing else passes, nothing raises."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim.fake_worker import write_scene

from lyra.sim.protocol import (
    LOG_CHARACTERS,
    MANIFEST_BYTES,
    SCHEMA,
    Artifact,
    Cancelled,
    Failure,
    Heartbeat,
    Hello,
    Log,
    Manifest,
    Message,
    Progress,
    ProtocolError,
    Request,
    Result,
    inside,
    parse_line,
    parse_probe,
)

ENVELOPE = {"v": 1, "job": "a", "seq": 3, "t": 12.5}
EXAMPLES: dict[str, tuple[type, dict[str, Any]]] = {
    "hello": (Hello, {"pid": 7, "versions": {"torch": "2"}, "device": "cpu"}),
    "progress": (Progress, {"phase": "paint", "step": 1, "total": 9, "fraction": 0.5, "eta_s": None}),
    "log": (Log, {"level": "info", "msg": "hé"}),
    "artifact": (Artifact, {"kind": "usd", "path": "scene/scene.usda", "bytes": 5, "sha256": "0" * 64}),
    "heartbeat": (Heartbeat, {}),
    "result": (Result, {"manifest": "manifest.json"}),
    "error": (Failure, {"code": "no_gpu", "msg": "none", "hint": "get one", "retryable": False}),
    "cancelled": (Cancelled, {}),
}


def line(kind: str, /, **changes: Any) -> str:
    return json.dumps({**ENVELOPE, "type": kind, **EXAMPLES[kind][1], **changes})


def is_raw(message: Message) -> bool:
    return isinstance(message, Log) and message.level == "raw"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A job folder with a complete scene."""
    folder = tmp_path / "scene-1"
    folder.mkdir()
    write_scene(folder, asdict(Request(job="scene-1", prompt="a kitchen")))
    return folder


def change(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


# ---------------------------------------------------------------------------------------------------------- schema


def test_worker_and_client_have_the_same_schema() -> None:
    from lyra_core.app import worker_protocol

    assert {kind: dict(fields) for kind, fields in worker_protocol.SCHEMA.items()} == SCHEMA
    assert worker_protocol.VERSION == 1


@pytest.mark.parametrize("kind", EXAMPLES)
def test_dataclasses_have_the_fields_of_the_schema(kind: str) -> None:
    own = {field.name for field in fields(EXAMPLES[kind][0])} - {"job", "seq", "t"}
    assert own == set(SCHEMA[kind])


@pytest.mark.parametrize(("kind", "cls"), [("request", Request), ("manifest", Manifest)])
def test_documents_have_the_fields_of_the_schema(kind: str, cls: type) -> None:
    assert {field.name for field in fields(cls)} == set(SCHEMA[kind])


# -------------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_message_is_understood(kind: str) -> None:
    cls, content = EXAMPLES[kind]
    assert parse_line(line(kind)) == cls(job="a", seq=3, t=12.5, **content)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_further_fields_are_ignored(kind: str) -> None:
    assert parse_line(line(kind, invented=[1])) == parse_line(line(kind))


@pytest.mark.parametrize("kind", [kind for kind in EXAMPLES if SCHEMA[kind]])
def test_a_field_of_the_wrong_type_makes_it_a_log_line(kind: str) -> None:
    for name in SCHEMA[kind]:
        assert is_raw(parse_line(line(kind, **{name: [[]] if SCHEMA[kind][name] != "list" else 0})))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Loading weights",
        "{",
        "{}",
        "[]",
        "null",
        '{"v": 1}',
        line("heartbeat").replace("12.5", "NaN"),
        line("heartbeat").replace("12.5", "1e999"),
        line("heartbeat", t=None),
        line("heartbeat", job=None),
        line("heartbeat", seq={}) + "}",
        line("progress", fraction=True),
        line("progress", step=1.5),
        line("progress", step="1"),
        line("progress").replace("0.5", "Infinity"),
        line("progress", fraction=10**400),
        line("heartbeat").replace("heartbeat", "invented"),
        line("heartbeat").replace("3", "9" * 5000),
        '{"v":' * 100_000,
        '{"a": "' + "x" * 100_000,
    ],
)
def test_whatever_is_no_message_is_a_log_line(text: str) -> None:
    message = parse_line(text)
    assert is_raw(message)
    assert isinstance(message, Log) and message.msg == text[:LOG_CHARACTERS]


@given(st.text() | st.text().map("{".__add__))
def test_no_text_raises(text: str) -> None:
    assert is_raw(parse_line(text))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_value_of_a_field_raises(value: Any) -> None:
    for kind in EXAMPLES:
        for name in ["v", "job", "seq", "t", "type", *SCHEMA[kind]]:
            assert parse_line(line(kind, **{name: value}))


def test_progress_bars_keep_their_last_state() -> None:
    message = parse_line(" 10%|#  |\r 90%|## |\n")
    assert isinstance(message, Log) and message.msg == " 90%|## |"


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_a_failure_that_says_so(version: object) -> None:
    message = parse_line(line("heartbeat", v=version))
    assert isinstance(message, Failure)
    assert (message.code, message.job) == ("internal", "")
    assert "version" in message.msg and "Update" in message.hint


def test_request_round_trip() -> None:
    request = Request(job="a", mode="image", prompt="ein Café\n\U0001f600", input="input.png", camera_height_m=1.5)
    assert Request.from_json(request.to_json()) == request
    assert request.to_json().isascii()


@pytest.mark.parametrize("changes", [{"v": 2}, {"seed": "0"}, {"prompt": 1}, {"collider": 1}, {"model": None}])
def test_a_malformed_request_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Request.from_json(json.dumps({**asdict(Request(job="a")), **changes}))


# -------------------------------------------------------------------------------------------------------- manifests


def test_a_manifest_is_read(scene: Path) -> None:
    manifest = Manifest.read(scene)
    assert (manifest.job, manifest.prompt, manifest.gaussians) == ("scene-1", "a kitchen", 1)
    assert manifest.root_file(scene, "particlefield") == scene / "scene" / "scene.usda"
    assert manifest.root_file(scene, "nurec") == scene / "scene" / "scene_isaac5.usda"


def test_one_file_may_serve_both_encodings(scene: Path) -> None:
    manifest = replace(Manifest.read(scene), usd_isaac5=None)
    assert manifest.root_file(scene, "nurec") == scene / "scene" / "scene.usda"


def test_an_encoding_the_scene_lacks_is_named(scene: Path) -> None:
    manifest = replace(Manifest.read(scene), encodings=["particlefield"])
    with pytest.raises(ProtocolError, match="holds particlefield, not nurec"):
        manifest.root_file(scene, "nurec")


def test_a_deleted_scene_is_named(scene: Path) -> None:
    manifest = Manifest.read(scene)
    (scene / "scene" / "scene.usda").unlink()
    with pytest.raises(ProtocolError, match=r"scene\.usda is gone"):
        manifest.root_file(scene, "particlefield")
    with pytest.raises(ProtocolError, match=r"scene\.usda is gone"):
        Manifest.read(scene)


@pytest.mark.parametrize(
    "path",
    ["../other/scene.usda", "/etc/passwd", "scene/../../x", "C:/x", "..\\x", "C:\\x", "", "a\0b"],
)
@pytest.mark.parametrize("field", ["usd", "usd_isaac5", "preview", "provenance", "input", "files"])
def test_paths_out_of_the_folder_are_refused(scene: Path, field: str, path: str) -> None:
    change(scene, **{field: [{"path": path}] if field == "files" else path})
    with pytest.raises(ProtocolError):
        Manifest.read(scene)


@pytest.mark.parametrize("path", [".", "scene", "x" * 5000])
def test_the_scene_must_be_a_file(scene: Path, path: str) -> None:
    change(scene, usd=path)
    with pytest.raises(ProtocolError):
        Manifest.read(scene)


def test_a_link_out_of_the_folder_is_refused(scene: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.usda"
    outside.write_text("#usda 1.0\n")
    (scene / "scene" / "scene.usda").unlink()
    (scene / "scene" / "scene.usda").symlink_to(outside)
    with pytest.raises(ProtocolError, match="link out of"):
        Manifest.read(scene)


def test_a_loop_of_links_is_refused(scene: Path) -> None:
    loop = scene / "loop"
    loop.symlink_to(loop)
    change(scene, usd="loop/scene.usda")
    with pytest.raises(ProtocolError):
        Manifest.read(scene)


def test_inside_accepts_what_is_inside(tmp_path: Path) -> None:
    assert inside(tmp_path, "scene/not-yet.usda") == tmp_path / "scene" / "not-yet.usda"


@pytest.mark.parametrize("field", SCHEMA["manifest"])
def test_each_manifest_field_is_checked(scene: Path, field: str) -> None:
    change(scene, **{field: 3 if SCHEMA["manifest"][field].startswith(("str", "dict", "list", "bool")) else "x"})
    with pytest.raises(ProtocolError):
        Manifest.read(scene)


@pytest.mark.parametrize(
    "changes",
    [
        {"bounds_m": {}},
        {"bounds_m": {"min": [0, 0], "max": [1, 1, 1]}},
        {"bounds_m": {"min": [0, 0, "0"], "max": [1, 1, 1]}},
        {"bounds_m": {"min": "abc", "max": [1, 1, 1]}},
        {"trusted_viewpoints_m": {"min": [0, 0, 0]}},
        {"time_range": {"start": 0}},
        {"time_range": {"start": 0, "end": "1", "time_codes_per_second": 24}},
        {"meters_per_unit": 0},
        {"meters_per_unit": -1},
        {"warnings": [1]},
        {"encodings": [None]},
        {"files": [7]},
        {"files": [{}]},
        {"files": ["x"]},
        {"v": 2},
        {"v": None},
    ],
)
def test_malformed_contents_are_refused(scene: Path, changes: dict[str, Any]) -> None:
    change(scene, **changes)
    with pytest.raises(ProtocolError):
        Manifest.read(scene)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"v":' * 200_000, b" " * (MANIFEST_BYTES + 1), b"{}"],
)
def test_a_broken_manifest_file_is_refused(scene: Path, content: bytes) -> None:
    (scene / "manifest.json").write_bytes(content)
    with pytest.raises(ProtocolError, match=r"manifest\.json"):
        Manifest.read(scene)


def test_a_manifest_that_is_no_file_is_refused(scene: Path) -> None:
    (scene / "manifest.json").unlink()
    with pytest.raises(ProtocolError, match="gone"):
        Manifest.read(scene)
    os.mkfifo(scene / "manifest.json")  # opening it would wait for a writer
    with pytest.raises(ProtocolError, match="gone"):
        Manifest.read(scene)


# ---------------------------------------------------------------------------------------------------------- reports

REPORT: dict[str, Any] = {
    "v": 1,
    "python": "3.11.9",
    "executable": "/venv/bin/python",
    "versions": {"torch": "2.11"},
    "gpus": [{"name": "GPU", "memory_bytes": 5}],
    "cuda": True,
    "models": [{"name": "mini", "summary": "s", "quality_tier": "preview", "ready": True, "detail": ""}],
    "disk_free_bytes": 9,
    "problems": ["none really"],
}


def test_the_report_is_found_among_other_output() -> None:
    report = parse_probe(f"a warning\n{json.dumps({**REPORT, 'python': '1'})}\n{json.dumps(REPORT)}\nbye\n")
    assert report.python == "3.11.9"
    assert report.gpus[0].memory_bytes == 5
    assert report.models[0].ready
    assert report.problems == ("none really",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "{}",
        "{]",
        json.dumps({**REPORT, "v": 2}),
        json.dumps({**REPORT, "gpus": [1]}),
        json.dumps({**REPORT, "models": [{}]}),
        json.dumps({**REPORT, "problems": [1]}),
        json.dumps({**REPORT, "cuda": None}),
        json.dumps({**REPORT, "disk_free_bytes": 1.5}),
    ],
)
def test_a_malformed_report_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_probe(text)


def test_the_examples_are_all_messages() -> None:
    assert {cls for cls, _ in EXAMPLES.values()} == set(Message.__args__)
