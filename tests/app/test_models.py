# SPDX-License-Identifier: Apache-2.0
"""`lyra models list` and `info`; fetching and converting are tested beside the weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Lyra


def test_list_names_every_model_and_its_state(lyra: Lyra, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = lyra("models", "list", "--json")
    assert done.exit_code == 0
    models = {model["name"]: model["state"] for model in json.loads(done.stdout)}
    assert models == {"lyra": "not pulled", "mini": "ready"}
    assert "not pulled" in lyra("models", "list").stdout


def test_info_names_files_sizes_and_licences(lyra: Lyra, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    facts = json.loads(lyra("models", "info", "lyra", "--json").stdout)
    assert facts["folder"] == str(tmp_path / ".cache/lyra/lyra")
    assert [file["here"] for file in facts["files"]] == [False] * 4
    teacher = facts["released_files"][0]
    assert teacher["name"] == "nvidia/GEN3C-Cosmos-7B/model.pt"
    assert teacher["licence"] == "NVIDIA Open Model License"
    assert (teacher["revision"], teacher["sha256"]) == ("unknown", "unknown")
    assert "plan" not in facts
    text = lyra("models", "info", "lyra").stdout
    assert "about 14.47 GB" in " ".join(text.split())


def test_info_of_the_embedded_model(lyra: Lyra) -> None:
    facts = json.loads(lyra("models", "info", "mini", "--json").stdout)
    assert facts["state"] == "ready"
    assert facts["released_files"] == []
    assert facts["licence"] == "Apache-2.0"
    assert all(file["bytes"] > 0 for file in facts["files"])


@pytest.mark.parametrize("verb", ["pull", "convert"])
def test_the_embedded_model_is_not_made_from_released_files(lyra: Lyra, verb: str) -> None:
    done = lyra("models", verb, "mini")
    assert done.exit_code == 1
    assert done.stderr.startswith("lyra: model 'mini' is not made from released files")


@pytest.mark.parametrize("verb", ["info", "pull", "convert"])
def test_unknown_models(lyra: Lyra, verb: str) -> None:
    done = lyra("models", verb, "maxi")
    assert done.exit_code == 1
    assert "unknown model 'maxi'. Known: lyra, mini" in done.stderr


def test_plan_is_part_of_info(lyra: Lyra) -> None:
    pytest.importorskip("lyra_core.memory.plan")
    facts = json.loads(lyra("models", "info", "lyra", "--plan", "--vram", "24", "--json").stdout)
    assert facts["plan"]
    assert "plan" in lyra("models", "info", "lyra", "--vram", "24").stdout


def test_help_is_light() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from lyra_core.app.cli import app;"
        "done = CliRunner().invoke(app, ['models', 'pull', '--help']);"
        "assert done.exit_code == 0 and '--accept-license' in done.stdout, done.output;"
        "print([m for m in ('torch', 'huggingface_hub', 'diffusers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
