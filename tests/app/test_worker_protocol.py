# SPDX-License-Identifier: Apache-2.0
"""What the worker accepts and how it speaks: requests that are not ones, messages from many threads, noise."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from lyra_core.app.jobs.failures import JobError, failure
from lyra_core.app.jobs.output import MessageWriter
from lyra_core.app.worker_protocol import (
    MAX_LINE,
    MAX_PROMPT,
    Log,
    ProtocolError,
    Result,
    SceneManifest,
    read_request,
    type_text,
)
from lyra_core.errors import LyraError
from lyra_core.faults import GpuLost, OutOfMemory
from usd_export.errors import UsdExportError

from .running_worker import make_job

IMAGE = {"mode": "image", "prompt": None, "input": "input.png"}


def test_the_least_request_has_the_documented_defaults(tmp_path: Path) -> None:
    request = read_request(make_job(tmp_path / "job"))
    assert (request.model, request.seed, request.encoding, request.collider_preset) == (
        "mini",
        0,
        "universal",
        "indoor",
    )
    assert request.collider and request.camera_height_m is None and request.max_gaussians is None


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"v": 2}, "v"),
        ({"v": True}, "v"),
        ({"job": "../job"}, "job"),
        ({"job": "job\n"}, "job"),
        ({"mode": "hologram"}, "mode"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": " \t"}, "a text job needs a prompt"),
        ({"prompt": "x" * (MAX_PROMPT + 1)}, "prompt"),
        ({"prompt": "\ud800"}, "content"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 10**400}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": float("nan")}, "seed"),
        ({"camera_height_m": float("nan")}, "camera_height_m"),
        ({"camera_height_m": float("inf")}, "camera_height_m"),
        ({"camera_height_m": 0}, "camera_height_m"),
        ({"camera_height_m": 1e300}, "camera_height_m"),
        ({"camera_height_m": "1.5"}, "camera_height_m"),
        ({"max_gaussians": 0}, "max_gaussians"),
        ({"collider": 1}, "collider"),
        ({"collider_preset": "space"}, "collider_preset"),
        ({"encoding": "mp3"}, "encoding"),
        ({"command": "rm"}, "command"),
        ({"input": "input.png"}, "a text job has no picture"),
        ({"mode": "image"}, "needs the name of its input"),
        ({**IMAGE, "input": "../secret.png"}, "input"),
        ({**IMAGE, "input": "/etc/passwd"}, "input"),
        ({**IMAGE, "input": "C:secret.png"}, "input"),
        ({**IMAGE, "input": "..\\secret.png"}, "input"),
        ({**IMAGE, "input": ".."}, "input"),
        ({**IMAGE, "depth": "a\0b"}, "depth"),
        ({**IMAGE, "input_sha256": "0" * 63}, "input_sha256"),
    ],
)
def test_a_request_is_refused_by_the_name_of_its_field(tmp_path: Path, fields: dict[str, Any], place: str) -> None:
    folder = make_job(tmp_path / "job", **fields)
    with pytest.raises(ProtocolError, match=r"request\.json is not a request: ") as caught:
        read_request(folder)
    assert place in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"v": 1, "job": "j', b"[]", b"null", b"\xff\xfe", b"[" * 5000])
def test_content_that_is_no_request(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "request.json").write_bytes(content)
    with pytest.raises(ProtocolError, match="is not a request"):
        read_request(tmp_path)


def test_a_huge_or_absent_request(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="cannot be read"):
        read_request(tmp_path)
    (tmp_path / "request.json").write_bytes(b" " * (MAX_LINE + 1))
    with pytest.raises(ProtocolError, match="bytes"):
        read_request(tmp_path)


def test_types_are_told_as_json_has_them() -> None:
    assert type_text(float | None) == "float?"
    assert type_text(dict[str, int]) == "dict"
    assert type_text(bool) == "bool"


def test_a_manifest_has_no_numbers_that_json_lacks() -> None:
    holes = SceneManifest.model_construct(collider={"voxel_size": float("nan")}, bounds_m={"max": [float("inf")]})
    text = holes.model_dump_json(include={"collider", "bounds_m"})
    assert json.loads(text) == {"collider": {"voxel_size": None}, "bounds_m": {"max": [None]}}


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    writer = MessageWriter(descriptor)
    assert writer.begin("job") and not writer.begin("another")
    texts = [f"{letter} ä 🐉 \ud800" * 50 for letter in "abcdefgh"]

    def talk(text: str) -> None:
        for _ in range(100):
            writer.send(Log(level="info", msg=text))

    threads = [threading.Thread(target=talk, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.end(lambda: Result(manifest="first"))
    writer.end(lambda: Result(manifest="second"))
    os.close(descriptor)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["seq"] for line in lines] == list(range(801))
    assert lines[-1]["manifest"] == "first"
    assert all(line["job"] == "job" for line in lines)


def test_a_reader_that_is_gone_is_noticed() -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    writer = MessageWriter(descriptor)
    writer.send(Log(level="info", msg="anybody there?"))
    os.close(descriptor)
    assert writer.broken


def test_what_libraries_print_goes_to_the_log(tmp_path: Path) -> None:
    """From Python, from C, from a child process, before, during and after a job."""
    code = """
import ctypes, os, subprocess, sys
from pathlib import Path
from lyra_core.app.jobs.output import MessageWriter, output_to, take_stdout
from lyra_core.app.worker_protocol import Log

def noise(text):
    print(text, "from Python", flush=True)
    print(text, "without flush")
    os.write(1, f"{text} from C\\n".encode())
    subprocess.run([sys.executable, "-c", f"print('{text} from a child')"])

lines = take_stdout()
writer = MessageWriter(lines)
noise("before")
with output_to(Path("worker.log")):
    noise("during")
    writer.send(Log(level="info", msg="hello"))
    print("and to stderr", file=sys.stderr)
noise("after")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert [json.loads(line)["msg"] for line in done.stdout.splitlines()] == ["hello"]
    log = (tmp_path / "worker.log").read_text()
    assert log.count("during") == 4 and "and to stderr" in log
    assert done.stderr.count("before") == 4 and done.stderr.count("after") == 4
    assert "during" not in done.stderr and "before" not in log and "after" not in log


def _raised(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "phase", "code"),
    [
        (LyraError("x"), None, "bad_request"),
        (UsdExportError("x"), "write", "bad_request"),
        (LyraError("x"), "inputs", "input_unreadable"),
        (LyraError("x"), "model", "weights_missing"),
        (JobError("no_gpu", "x"), "inputs", "no_gpu"),
        (MemoryError(), "inputs", "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "model", "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "warp", "out_of_memory"),
        (OutOfMemory("also with another plan"), "gaussians", "out_of_memory"),
        (GpuLost(RuntimeError("CUDA error: unspecified launch failure")), "latents", "no_gpu"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "preview", "no_gpu"),
        (RuntimeError("CUDA error: out of memory"), "preview", "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "inputs", "disk_full"),
        (_raised(UsdExportError("x"), OSError(errno.ENOSPC, "")), "write", "disk_full"),
        (_raised(UsdExportError("x"), OSError(errno.EACCES, "")), "write", "bad_request"),
        (PermissionError(errno.EACCES, "x"), None, "bad_request"),
        (KeyError("x"), "inputs", "internal"),
        (RuntimeError("x"), "warp", "internal"),
    ],
)
def test_every_failure_has_a_code_and_a_hint(error: BaseException, phase: str | None, code: str) -> None:
    message = failure(error, phase)
    assert message.code == code
    assert message.hint and message.msg
    assert message.retryable == (code in ("no_gpu", "out_of_memory", "weights_missing", "disk_full"))


def test_long_messages_are_cut() -> None:
    assert len(failure(LyraError("word " * 10_000)).msg) <= 1000
