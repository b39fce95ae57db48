# SPDX-License-Identifier: Apache-2.0
"""`lyra generate`: a prompt or a picture to a scene file, a preview and a provenance file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyra_core.app.console import PhaseBars
from lyra_core.app.outputs import OutputPaths, output_paths, peak_memory_mb, write_json
from lyra_core.errors import LyraError
from lyra_core.files import replacing, require_writable_folder

if TYPE_CHECKING:
    from lyra_core.scene import Scene


@dataclass(frozen=True)
class GenerateRequest:
    """What the user asked for."""

    output: Path
    prompt: str | None = None
    image: Path | None = None
    depth: Path | None = None
    model: str = "mini"
    seed: int = 0
    max_gaussians: int | None = None
    collider: bool = True
    preview: Path | None = None
    save_inputs: Path | None = None


@dataclass(frozen=True)
class Summary:
    """What one run made; the content of `--json`."""

    files: list[str]
    gaussians: int
    bounds_m: dict[str, list[float]]
    seconds: dict[str, float]
    peak_memory_mb: float
    model: str
    seed: int
    warnings: list[str]
    provenance: dict[str, Any] = field(default_factory=dict)
    collider: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def generate(request: GenerateRequest, bars: PhaseBars) -> Summary:
    """Runs the corridor and writes everything; the output places are checked first.

    Raises LyraError or UsdExportError; then nothing was written and older files are untouched.
    """
    paths = _checked(request)
    bars("inputs", 0, 1)
    from lyra_core.depth_maps import read_depth
    from lyra_core.images import read_image
    from lyra_core.weights.presets import load_preset

    preset = load_preset(request.model)
    preset.require_files()
    image = read_image(request.image) if request.image else None
    depth = read_depth(request.depth, preset.assumed_intrinsics) if request.depth else None

    bars("model", 0, 1)
    from lyra_core.pipeline import LyraPipeline

    pipeline = LyraPipeline.from_pretrained(request.model)
    scene = pipeline(
        request.prompt, image=image, depth=depth, seed=request.seed, max_gaussians=request.max_gaussians, progress=bars
    )
    if request.image:
        scene.provenance["inputs"] = _input_hashes(request)
    bars("frame", 0, 1)
    scene.frame  # noqa: B018 - the parts below are built here so that their times show as phases
    if request.collider:
        bars("collider", 0, 1)
        scene.collider  # noqa: B018
    files = _write(scene, request, paths, bars)
    bars.finish()
    return _summary(scene, request, files, bars)


def _input_hashes(request: GenerateRequest) -> dict[str, str]:
    """SHA-256 of the files the scene is made from, by name."""
    from usd_export.provenance import input_hashes

    files = [path for path in (request.image, request.depth) if path]
    return {name: digest for path in files for name, digest in input_hashes(path).items()}


def _write(scene: Scene, request: GenerateRequest, paths: OutputPaths, bars: PhaseBars) -> list[Path]:
    """All files; the ones beside the scene get their names only once the scene has its own."""
    from lyra_core.app.preview import write_preview

    inputs = save_inputs(scene, request.save_inputs) if request.save_inputs else []
    with replacing(paths.preview) as preview, replacing(paths.provenance) as provenance:
        bars("preview", 0, 1)
        title = request.prompt or (request.image.name if request.image else "")
        write_preview(preview, scene, title, collider=request.collider)
        write_json(provenance, {**scene.provenance, "frame": _frame_facts(scene)})
        bars("write", 0, 1)
        files = scene.save(paths.scene, collider=request.collider)
    return [*files, paths.preview, paths.provenance, *inputs]


def _frame_facts(scene: Scene) -> dict[str, Any]:
    frame = scene.frame
    return {
        "metres_per_scene_unit": frame.scale,
        "metric": frame.metric,
        "up_source": frame.up_source,
        "floor_source": frame.floor_source,
    }


def save_inputs(scene: Scene, folder: Path) -> list[Path]:
    """The image and the depth map the scene was made from: fed back, they give the same scene."""
    from lyra_core.depth_maps import write_depth
    from lyra_core.images import write_image

    folder.mkdir(exist_ok=True)
    image, depth = folder / "image.png", folder / "depth.npz"
    write_image(image, scene.image)
    write_depth(depth, scene.measured_depth)
    return [image, depth]


def _summary(scene: Scene, request: GenerateRequest, files: list[Path], bars: PhaseBars) -> Summary:
    low, high = scene.bounds()
    return Summary(
        files=[str(path) for path in files],
        gaussians=len(scene.gaussians),
        bounds_m={"min": low, "max": high},
        seconds=bars.seconds,
        peak_memory_mb=peak_memory_mb(),
        model=scene.provenance["model"],
        seed=request.seed,
        warnings=list(scene.provenance["warnings"]),
        provenance=scene.provenance,
        collider=asdict(scene.collider.report) if request.collider else None,
    )


def _checked(request: GenerateRequest) -> OutputPaths:
    """Everything that can be refused without loading a model."""
    if (request.prompt is None) == (request.image is None):
        raise LyraError('give either a prompt or --image FILE, e.g. lyra generate "a small kitchen" -o kitchen.usdz')
    if request.prompt is not None and not request.prompt.strip():
        raise LyraError('the prompt is empty. Describe the scene, for example "a warehouse aisle with blue shelves".')
    if request.depth and not request.image:
        raise LyraError("--depth belongs to a picture. Give --image FILE too.")
    if request.save_inputs:
        require_writable_folder(request.save_inputs)
    return output_paths(request.output, request.preview)
