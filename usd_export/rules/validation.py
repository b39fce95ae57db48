# SPDX-License-Identifier: Apache-2.0
"""Checking a written scene with everybody's rules: usd-core's, NVIDIA's asset validator's, and our own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pxr import Usd

from usd_export.errors import UsdExportError
from usd_export.formats.splat_writer import SPLAT_SUFFIXES, splat_format
from usd_export.layout import ISAAC5_LAYER, ROOT_LAYER
from usd_export.opening.package import check_package, damaged_entries
from usd_export.opening.stage import USD_SUFFIXES, open_stage, quiet
from usd_export.rules.findings import Finding, Severity
from usd_export.rules.scene_rules import scene_findings
from usd_export.scene_reader import open_scene

__all__ = ["Finding", "check"]


def check(path: str | Path) -> list[Finding]:
    """Check a splat file, a USD file or a scene folder.

    A file that cannot be read at all is one finding; nothing that is wrong with the content raises.

    Returns:
        Findings without duplicates, errors first; empty if all is well.

    Raises:
        UsdExportError: If the path does not exist or has an unknown suffix, or if this OpenUSD is too old to check.
    """
    file = Path(path)
    if not file.exists():
        raise UsdExportError(f"{file} does not exist; give a splat file, a USD file or a scene folder")
    if not file.is_dir():
        return _ordered(_file_findings(file))
    found = _file_findings(file / ROOT_LAYER)
    if (file / ISAAC5_LAYER).exists():
        found += _file_findings(file / ISAAC5_LAYER)
    return _ordered(found)


def _file_findings(file: Path) -> list[Finding]:
    known = (*SPLAT_SUFFIXES, *USD_SUFFIXES)
    if not file.name.lower().endswith(known):
        raise UsdExportError(f"{file} has an unknown suffix; use {', '.join(known)} or a scene folder")
    if not splat_format(file):
        _require_validators()
    try:
        if splat_format(file):
            open_scene(file)
            return []
        with quiet():
            return [*_package_findings(file), *_stage_findings(open_stage(file))]
    except UsdExportError as error:
        return [Finding("error", "lyra:readable", str(error), str(file))]


def _require_validators() -> None:
    try:
        from pxr import UsdValidation  # noqa: F401
    except ImportError as error:
        version = ".".join(map(str, Usd.GetVersion()))
        raise UsdExportError(f"OpenUSD {version} has no UsdValidation; check with a newer usd-core") from error


def _ordered(found: list[Finding]) -> list[Finding]:
    """Errors first, each thing once."""
    unique: dict[tuple[str, str], Finding] = {}
    for finding in found:
        unique.setdefault((finding.message, finding.where), finding)
    return sorted(unique.values(), key=lambda f: (f.severity, f.rule, f.where, f.message))


def _stage_findings(stage: Usd.Stage) -> list[Finding]:
    return [*scene_findings(stage), *_usd_findings(stage), *_nvidia_findings(stage)]


def _package_findings(file: Path) -> Iterator[Finding]:
    """Zip-level damage, which USD itself does not notice as long as it finds the root layer."""
    if file.suffix.lower() != ".usdz":
        return
    for entry in damaged_entries(file, check_package(file)):
        yield Finding("error", "lyra:package", "the checksum of an entry is wrong; write the file again", entry.name)


def _usd_findings(stage: Usd.Stage) -> Iterator[Finding]:
    """All validators that come with OpenUSD; a `.nurec` payload is foreign to them, but Kit loads it."""
    from pxr import UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    for error in UsdValidation.ValidationContext(validators).Validate(stage):
        if error.GetName() == "UnsupportedFileExtensionInPackage" and "extension 'nurec'" in error.GetMessage():
            continue
        severity: Severity = "error" if error.GetType() == UsdValidation.ValidationErrorType.Error else "warning"
        yield Finding(severity, f"usd:{error.GetName()}", error.GetMessage(), _site(error.GetSites()))


def _site(sites: list) -> str:
    """Prim or property path of the first site, else its layer."""
    for site in sites:
        if site.GetProperty():
            return str(site.GetProperty().GetPath())
        if site.GetPrim():
            return str(site.GetPrim().GetPath())
        if site.GetLayer():
            return site.GetLayer().GetDisplayName()
    return "stage"


def _nvidia_findings(stage: Usd.Stage) -> Iterator[Finding]:
    """NVIDIA's default rules plus the Gaussian rule VG.035, which its own command line leaves out."""
    with _root_logger_kept():
        from omni.asset_validator import GaussianSplatSchemaChecker, IssueSeverity, ValidationEngine

    engine = ValidationEngine(init_rules=True)
    engine.enable_rule(GaussianSplatSchemaChecker)
    for issue in engine.validate(stage).issues():
        severity: Severity = "error" if issue.severity in (IssueSeverity.ERROR, IssueSeverity.FAILURE) else "warning"
        rule = issue.rule.__name__ if issue.rule else "engine"
        yield Finding(severity, f"nvidia:{rule}", issue.message, _place(issue.at))


def _place(at: object) -> str:
    """Path of the prim or property an issue is about, else the name of its layer."""
    from omni.asset_validator import LayerId, StageId

    if isinstance(at, StageId):
        at = at.root_layer
    if isinstance(at, LayerId):
        return Path(at.identifier).name
    return str(getattr(getattr(at, "prim_id", at), "path", "stage"))


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Importing the asset validator calls logging.basicConfig, which does nothing if the root logger has a handler."""
    root, guard = logging.getLogger(), logging.NullHandler()
    root.addHandler(guard)
    try:
        yield
    finally:
        root.removeHandler(guard)
