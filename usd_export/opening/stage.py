# SPDX-License-Identifier: Apache-2.0
"""Opening USD files of unknown quality."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pxr import Sdf, Tf, Usd, UsdUtils

from usd_export.errors import UsdExportError
from usd_export.opening.package import check_package
from usd_export.opening.references import require_only
from usd_export.opening.sandbox import probe
from usd_export.opening.trust import trusted_files, vouch_for_scene

USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")


def open_stage(path: Path) -> Usd.Stage:
    """Open a USD file: the one entry to files of unknown origin.

    A scene that this process neither wrote nor opened before is first examined in a limited child process.

    Raises:
        UsdExportError: If the file is missing, empty, truncated, or no USD, if it crashes the USD library or needs too
            much memory, or if it refers to files outside its folder or package; in one line.
    """
    if not path.is_file():
        raise UsdExportError(f"{path} does not exist or is not a file")
    if path.stat().st_size == 0:
        raise UsdExportError(f"{path} is empty; expected a USD file")
    files = trusted_files(path) or _examined(path)
    try:
        with quiet():
            stage = Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise UsdExportError(f"{path} is damaged or not a USD file ({tf_message(error)}); write it again") from error
    require_only(stage, files)
    return stage


def _examined(path: Path) -> list[Path]:
    if path.suffix.lower() == ".usdz":
        check_package(path)
    files = probe(path)
    vouch_for_scene(path, files)
    return files


def composition_problems(stage: Usd.Stage) -> list[str]:
    """One line for each reference, payload, sublayer or value clip that USD could not follow.

    `Usd.Stage.GetCompositionErrors` would say the same, but USD 24.05 does not have it.
    """
    predicate = Usd.TraverseInstanceProxies(Usd.PrimAllPrimsPredicate)
    indices = [prim.GetPrimIndex() for prim in Usd.PrimRange(stage.GetPseudoRoot(), predicate)]
    problems = [" ".join(str(error).split()) for index in indices if index.IsValid() for error in index.localErrors]
    for index in indices:
        clips = Usd.ClipsAPI(stage.GetPrimAtPath(index.rootNode.path)).GetClipAssetPaths() if index.IsValid() else None
        problems += [f"Could not load value clip @{clip.path}@" for clip in clips or () if not clip.resolvedPath]
    for layer in stage.GetUsedLayers():
        missing = [path for path in layer.subLayerPaths if not Sdf.Layer.FindRelativeToLayer(layer, path)]
        problems += [f"Could not load sublayer @{path}@ of layer @{layer.identifier}@" for path in missing]
    return problems


def tf_message(error: Tf.ErrorException) -> str:
    """The first message of a USD exception, without the place in USD's source."""
    first = error.args[0] if error.args else None
    return str(getattr(first, "commentary", first) or "unknown error").splitlines()[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep USD's warnings off the terminal."""
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        delegate.TakeUncoalescedDiagnostics()
        del delegate
