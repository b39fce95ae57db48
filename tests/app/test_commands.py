# SPDX-License-Identifier: Apache-2.0
"""The other verbs: help, version, doctor, export, check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import lyra_core
from usd_export.formats.ply import read_ply, write_ply

from .conftest import Lyra
from .test_failures import a_cloud


def test_help_teaches_and_stays_light() -> None:
    code = (
        "import sys; from lyra_core.app.cli import app; app(['generate', '--help'], standalone_mode=False);"
        "print([name for name in ('torch', 'pxr', 'numpy', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lyra generate --image photo.jpg -o photo.usdz" in done.stdout
    assert done.stdout.strip().endswith("[]")


def test_version(lyra: Lyra) -> None:
    assert lyra("--version").stdout.strip() == f"lyra-sim {lyra_core.__version__}"


def test_doctor_reports_everything_it_looked_at(lyra: Lyra) -> None:
    done = lyra("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.exit_code == (0 if report["healthy"] else 1)
    subjects = {finding["subject"]: finding["state"] for finding in report["findings"]}
    assert subjects["python"] == "ok" and subjects["write test"] == "ok"
    assert {"torch", "CUDA", "gsplat", "model mini", "model lyra"} <= set(subjects)
    details = {finding["subject"]: finding["detail"] for finding in report["findings"]}
    assert "licence" in details["cosmos_guardrail"] and "models pull" in details["huggingface_hub"]


def test_export_there_and_back(lyra: Lyra) -> None:
    """A PLY becomes a package with preview and provenance, and comes back in metres, Z-up."""
    write_ply("in.ply", a_cloud(60))
    assert lyra("export", "in.ply", "out.usdz", "--no-collider").exit_code == 0
    assert lyra("check", "out.usdz").exit_code == 0
    done = lyra("export", "out.usdz", "back.ply", "--max-gaussians", "20", "--json")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["gaussians"] == len(read_ply("back.ply")) == 20
    assert {Path(file).name for file in summary["files"]} == {"back.ply", "back.json", "back.preview.png"}
    assert np.allclose(read_ply("back.ply").positions.max(0), summary["bounds_m"]["max"], atol=1e-4)


def test_export_refuses_to_write_over_its_input(lyra: Lyra) -> None:
    write_ply("in.ply", a_cloud())
    before = Path("in.ply").read_bytes()
    assert "is the input itself" in lyra("export", "in.ply", "in.ply").stderr
    assert Path("in.ply").read_bytes() == before
