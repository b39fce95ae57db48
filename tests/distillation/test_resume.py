# SPDX-License-Identifier: Apache-2.0
"""A killed run repeats the loss curve it would have had, and two processes do what one does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("regression_run.py")
STEPS = 40


def command(out: Path, *options: str) -> list[str]:
    return [sys.executable, str(SCRIPT), str(out), str(STEPS), *options]


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def curve(out: Path) -> dict[int, dict[str, float]]:
    """Logged figures by step, without the time they took; steps that were logged twice must agree."""
    found: dict[int, dict[str, float]] = {}
    for record in records(out):
        if "event" in record:
            continue
        figures = {name: value for name, value in record.items() if name != "minutes"}
        assert found.setdefault(figures["step"], figures) == figures
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    subprocess.run(command(out), check=True, capture_output=True)
    return out


def test_a_killed_run_repeats_the_curve(uninterrupted: Path, tmp_path: Path) -> None:
    running = subprocess.Popen(command(tmp_path, "--slow"), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "log.jsonl").exists() or len(records(tmp_path)) < 15:
        assert running.poll() is None and time.monotonic() < deadline, "the run ended before it could be killed"
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert max(curve(tmp_path)) < STEPS
    subprocess.run(command(tmp_path), check=True, capture_output=True)
    resumed = [record["resumed_at_step"] for record in records(tmp_path) if record.get("event") == "leg"]
    assert len(resumed) == 2 and 5 <= resumed[1] < STEPS
    assert curve(tmp_path) == curve(uninterrupted)
    one, other = (torch.load(folder / "final.pt", weights_only=True) for folder in (uninterrupted, tmp_path))
    assert all(torch.equal(one[name], other[name]) for name in one)


def run_as_two(script: list[str]) -> None:
    """Starts a script twice, as a launcher would; raises where one of them fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true",
        "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    runs = [
        subprocess.Popen(
            script, env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    errors = [run.communicate(timeout=240)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors


def test_two_processes_equal_one(uninterrupted: Path, tmp_path: Path) -> None:
    run_as_two(command(tmp_path))
    assert records(tmp_path)[0]["processes"] == 2
    together, alone = curve(tmp_path), curve(uninterrupted)
    assert together.keys() == alone.keys()
    for step, figures in alone.items():
        assert together[step] == pytest.approx(figures, abs=3e-4), step
    one, other = (torch.load(folder / "final.pt", weights_only=True) for folder in (uninterrupted, tmp_path))
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-4)


def test_a_sharded_run_saves_whole_tensors_and_resumes(tmp_path: Path) -> None:
    run_as_two([sys.executable, str(SCRIPT.with_name("sharded_run.py")), str(tmp_path)])
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["model"]["0.weight"].shape == state["ema"]["0.weight"].shape == (8, 6)
