# SPDX-License-Identifier: Apache-2.0
"""Which files a scene consists of, found without composing it: whatever its layers name must lie beside the root.

Runs in the limited process of `usd_export.opening.sandbox` before USD follows any of these names itself.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pxr import Ar, Sdf, Usd

from usd_export.errors import UsdExportError
from usd_export.opening.package import check_package

_ASSET_TYPES = (Sdf.ValueTypeNames.Asset, Sdf.ValueTypeNames.AssetArray)
_HOLDERS = (Sdf.PrimSpec, Sdf.VariantSpec)  # of references, payloads and clips
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass
class SceneFiles:
    """What a root layer leads to, in every variant.

    Attributes:
        files: Layers and packages on disk, the root first.
        layers: The opened layers; as long as they are held, USD does not read them again.
    """

    files: list[Path] = field(default_factory=list)
    layers: list[Sdf.Layer] = field(default_factory=list)


def scene_files(root: Path, before_open: Callable[[Path], None]) -> SceneFiles:
    """Follow all references of a root layer.

    Args:
        root: The file to open; the folder it lies in, or the package it is, bounds the scene.
        before_open: Called with each file before anything of it is read.

    Raises:
        UsdExportError: If a layer names something absolute or outside, or a package is unsafe; naming layer and prim.
        Tf.ErrorException: If a layer is damaged.
    """
    walk = _Walk(root, before_open)
    walk.follow(absolute(root))
    return walk.found


def require_only(stage: Usd.Stage, files: Iterable[Path]) -> None:
    """Check that a stage was composed from known files alone.

    Raises:
        UsdExportError: Naming a layer that comes from elsewhere, such as the working directory.
    """
    known = {file.resolve() for file in files}
    for layer in stage.GetUsedLayers(includeClipLayers=False):
        if not layer.anonymous and Path(_split(layer.realPath)[0]).resolve() not in known:
            raise UsdExportError(f"{layer.realPath} does not lie beside the scene that refers to it; copy it there")


def absolute(path: Path) -> Path:
    """Absolute path without `..`; links stay as they are, as USD keeps them."""
    return Path(os.path.abspath(path))  # noqa: PTH100


class _Walk:
    def __init__(self, root: Path, before_open: Callable[[Path], None]) -> None:
        self._folder = absolute(root).parent
        self._real_folders = (self._folder.resolve(), root.resolve().parent)
        self._before_open = before_open
        self.found = SceneFiles()

    def follow(self, root: Path) -> None:
        """Find everything below a root layer."""
        pending, seen = [str(root)], set[str]()
        while pending:
            identifier = pending.pop()
            if identifier in seen or not self._enter(identifier):
                continue
            seen.add(identifier)
            layer = Sdf.Layer.FindOrOpen(identifier)
            if layer is None:
                continue
            self.found.layers.append(layer)
            named = filter(None, layer.GetCompositionAssetDependencies())  # internal references have no file
            pending += [self._inside(layer, asset) for asset in named]
            for asset, site in _value_assets(layer):
                self._inside(layer, asset, site)
            pending += [clip for asset in _clip_assets(layer) for clip in _matching(_anchored(layer, asset))]

    def _enter(self, identifier: str) -> bool:
        """Whether the file behind an identifier exists; a missing one is left to USD to report."""
        file = Path(_split(identifier)[0])
        if file in self.found.files:
            return True
        if not file.exists():
            return False
        if not file.is_file():
            raise UsdExportError(f"{file} is not an ordinary file; replace it by the layer itself")
        self._before_open(file)
        if file.suffix.lower() == ".usdz":
            check_package(file)
        self.found.files.append(file)
        return True

    def _inside(self, layer: Sdf.Layer, asset: str, site: str | None = None) -> str:
        """Identifier of what a layer names at a prim or property, by default at whichever composes it."""
        problem = self._problem(layer, asset)
        if problem:
            raise UsdExportError(
                f"{layer.identifier} at {site or _arc_site(layer, asset)} refers to {asset!r}, which is {problem}; "
                "put the file beside the scene and name it by a relative path"
            )
        return _anchored(layer, asset)

    def _problem(self, layer: Sdf.Layer, asset: str) -> str | None:
        if "`" in asset:
            return "an expression, so its place is open"
        if _ABSOLUTE.match(asset):
            return "an absolute path"
        file, inner = _split(_anchored(layer, asset))
        if Ar.IsPackageRelativePath(inner) or inner.lower().endswith(".usdz"):
            return "a package inside a package"
        if inner == ".." or inner.startswith("../"):
            return f"outside the package {file}"
        if not Path(file).is_relative_to(self._folder):
            return f"outside the folder {self._folder}"
        if not any(Path(file).resolve().is_relative_to(folder) for folder in self._real_folders):
            return f"a link out of the folder {self._folder}"
        return None


def _split(identifier: str) -> tuple[str, str]:
    """File on disk and path inside of it, if that is a package."""
    if not Ar.IsPackageRelativePath(identifier):
        return identifier, ""
    file, inner = Ar.SplitPackageRelativePathOuter(identifier)
    return file, inner


def _anchored(layer: Sdf.Layer, asset: str) -> str:
    """Identifier of a relative path in a layer; unlike USD's own function, with every `..` resolved."""
    path = Sdf.Layer.SplitIdentifier(asset)[0]
    file, inner = _split(layer.identifier)
    if file.lower().endswith(".usdz"):
        folder = posixpath.dirname(inner or check_package(Path(file))[0].name)
        return Ar.JoinPackageRelativePath(file, posixpath.normpath(posixpath.join(folder, path)))
    target, target_inner = _split(path)
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
    return Ar.JoinPackageRelativePath(joined, posixpath.normpath(target_inner)) if target_inner else joined


def _arc_site(layer: Sdf.Layer, asset: str) -> str:
    """The prim that references or loads an asset."""
    for spec in _specs(layer):
        if isinstance(spec, _HOLDERS) and asset in _arc_assets(spec):
            return str(spec.path)
    return "its sublayers"


def _arc_assets(spec: Sdf.Spec) -> list[str]:
    lists = [spec.GetInfo(arc) for arc in ("references", "payload") if spec.HasInfo(arc)]
    kinds = ("explicitItems", "addedItems", "prependedItems", "appendedItems")
    return [item.assetPath for items in lists for kind in kinds for item in getattr(items, kind)]


def _value_assets(layer: Sdf.Layer) -> Iterator[tuple[str, str]]:
    """Assets that are no composition arcs, with their site: values of attributes, and value clips."""
    for spec in _specs(layer):
        if isinstance(spec, _HOLDERS) and spec.HasInfo("clips"):
            values = [value for clips in spec.GetInfo("clips").values() for value in _clip_values(clips)]
        elif isinstance(spec, Sdf.AttributeSpec) and spec.typeName in _ASSET_TYPES:
            times = layer.ListTimeSamplesForPath(spec.path)
            values = [spec.default, *(layer.QueryTimeSample(spec.path, time) for time in times)]
        else:
            continue
        yield from ((path, str(spec.path)) for value in values for path in _paths(value) if path)


def _clip_assets(layer: Sdf.Layer) -> list[str]:
    """Assets that value clips of a layer name, templates among them."""
    return [asset for asset, site in _value_assets(layer) if isinstance(layer.GetObjectAtPath(site), _HOLDERS)]


def _matching(identifier: str) -> list[str]:
    """Identifiers that a template of value clips stands for, with digits for each `#`; others stand for themselves."""
    if "#" not in identifier:
        return [identifier]
    file, inner = _split(identifier)
    pattern = re.compile(re.sub("(\\\\#)+", r"\\d+", re.escape(inner or Path(file).name)))
    if inner:
        names = [entry.name for entry in check_package(Path(file))]
        return [Ar.JoinPackageRelativePath(file, name) for name in names if pattern.fullmatch(name)]
    files = sorted(Path(file).parent.iterdir()) if Path(file).parent.is_dir() else []
    return [str(found) for found in files if pattern.fullmatch(found.name)]


def _clip_values(clips: object) -> list[object]:
    keys = ("assetPaths", "manifestAssetPath", "templateAssetPath")
    return [clips.get(key) for key in keys] if isinstance(clips, dict) else []


def _paths(value: object) -> list[str]:
    """Paths of one asset, of an array of them, of plain text, or of nothing."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sdf.AssetPath):
        return [value.path]
    return [asset.path for asset in value] if isinstance(value, Sdf.AssetPathArray) else []


def _specs(layer: Sdf.Layer) -> list[Sdf.Spec]:
    paths: list[Sdf.Path] = []
    layer.Traverse(Sdf.Path.absoluteRootPath, paths.append)
    return [spec for path in paths if (spec := layer.GetObjectAtPath(path)) is not None]
