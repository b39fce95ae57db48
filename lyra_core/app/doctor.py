# SPDX-License-Identifier: Apache-2.0
"""`lyra doctor`: what this installation can do."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from lyra_core import __version__
from lyra_core.errors import LyraError

State = Literal["ok", "missing", "broken"]

REQUIRED = ("torch", "diffusers", "numba", "usd-core", "scikit-image", "trimesh", "omniverse-asset-validator")
"""Distributions that lyra-sim cannot do without."""
_OPTIONAL = {
    "huggingface_hub": ("fetches released weights, `lyra models pull`", "lyra-sim"),
    "cosmos_guardrail": ("looks at prompts and videos of `lyra`, as its licence asks", "cosmos_guardrail"),
    "moge": ("depth of a photo for `lyra`", "git+https://github.com/microsoft/MoGe.git"),
    "transformers": ("other depth models, and the text encoder of `lyra`", "transformers"),
    "gsplat": ("draws Gaussians on a GPU", "lyra-sim[cuda]"),
    "mamba-ssm": ("the decoder's scans on a GPU", "lyra-sim[cuda]"),
    "newton": ("drops bodies onto colliders, `lyra check --report`", "lyra-sim[physics]"),
    "viser": ("shows scenes in a browser, `lyra view`", "lyra-sim[view]"),
    "ray": ("training data on a cluster, `lyra synthesize --runner ray`", "lyra-sim[batch]"),
}
"""Distributions that more can be done with: what, and what to give to pip."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    state: State
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """The whole report."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is broken; optional parts may be missing."""
        return all(finding.state != "broken" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}


def diagnose() -> Diagnosis:
    """Looks at everything; changes nothing."""
    findings = [Finding("lyra-sim", "ok", __version__), _python()]
    findings += [_package(name) for name in REQUIRED]
    findings += [_package(name, *about) for name, about in _OPTIONAL.items()]
    findings += [_guarded("compute", _compute), _guarded("CUDA", _cuda)]
    findings += _weights()
    findings.append(_guarded("write test", _write_test))
    return Diagnosis(tuple(findings))


def show(diagnosis: Diagnosis) -> str:
    """The report as aligned lines."""
    width = max(len(finding.subject) for finding in diagnosis.findings)
    lines = [f"{finding.state:<8} {finding.subject:<{width}}  {finding.detail}" for finding in diagnosis.findings]
    verdict = "Everything needed is there." if diagnosis.healthy else "Something needed is broken, see above."
    return "\n".join([*lines, "", verdict])


def _python() -> Finding:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return Finding("python", "ok" if good else "broken", version if good else f"{version}; 3.11 or newer is needed")


def _package(name: str, purpose: str = "", source: str = "") -> Finding:
    """An installed distribution, or what is missing without it; broken where it has no purpose of its own."""
    try:
        version = metadata.version(name)
        return Finding(name, "ok", f"{version}; {purpose}" if purpose else version)
    except metadata.PackageNotFoundError:
        if not purpose:
            return Finding(name, "broken", "not installed; install lyra-sim again")
        return Finding(name, "missing", f"optional: {purpose}; pip install '{source}'")


def _guarded(subject: str, look: Callable[[], Finding]) -> Finding:
    """The finding of `look`, or what went wrong while looking."""
    try:
        return look()
    except Exception as error:
        return Finding(subject, "broken", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _compute() -> Finding:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("compute", "ok", f"{cores} CPU cores, {torch.get_num_threads()} torch threads")


def _cuda() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding("CUDA", "missing", "no CUDA device; everything runs on the CPU")
    return Finding("CUDA", "ok", torch.cuda.get_device_name(0))


def _weights() -> list[Finding]:
    """Every preset: are its files there, and are they the ones the manifest lists?"""
    from lyra_core.weights.manifest import Manifest, verified
    from lyra_core.weights.presets import load_preset, preset_names

    findings = []
    for name in preset_names():
        preset = load_preset(name)
        files, missing = preset.files, preset.missing_files
        listed = Manifest.load(preset.weights_folder).files
        if missing:
            state: State = "missing" if preset.weights_source else "broken"
            detail = f"{', '.join(missing)} expected in {preset.weights_folder}"
            findings.append(Finding(f"model {name}", state, detail))
            continue
        try:
            size = sum(verified(preset.weights_folder, file).stat().st_size for file in files) / 1e6
            untrained = [file for file in files if file in listed and not listed[file].trained]
            detail = f"{len(files)} files, {size:.1f} MB, sha256 verified"
            detail += f"; not trained: {', '.join(untrained)}" if untrained else ""
            findings.append(Finding(f"model {name}", "ok", detail))
        except LyraError as error:
            findings.append(Finding(f"model {name}", "broken", str(error)))
    return findings


def _write_test() -> Finding:
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe"
        probe.write_bytes(b"lyra")
    here = "writable" if os.access(Path.cwd(), os.W_OK) else "read-only"
    return Finding("write test", "ok", f"temporary folder works; current folder is {here}")
