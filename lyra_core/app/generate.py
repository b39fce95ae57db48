# SPDX-License-Identifier: Apache-2.0
"""A prompt or a picture to a scene, a preview and a provenance file: what `lyra generate` and the worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyra_core.app.outputs import OutputPaths, output_paths, peak_memory_mb, write_json
from lyra_core.app.phases import PhaseListener
from lyra_core.errors import LyraError
from lyra_core.files import replacing, require_writable_folder
from usd_export.options import EncodingChoice, Preset

if TYPE_CHECKING:
    from lyra_core.checkpoints import Checkpoints
    from lyra_core.memory.budget import Budget
    from lyra_core.pipeline import LyraPipeline
    from lyra_core.scene import Scene
    from lyra_core.weights.presets import Preset as ModelPreset
    from lyra_core.weights.presets import QualityName
    from usd_export.placement.scale import Measurement
    from usd_export.scene_target import Target


@dataclass(frozen=True)
class GenerateRequest:
    """What the user asked for.

    Attributes:
        output: `*.usdz`, a file of splats, or a folder.
        prompt: what to show; exactly one of prompt and image.
        image: a picture instead.
        depth: depth map of that picture.
        model: preset name, or the path of a preset file.
        seed: decides everything that is drawn.
        quality: one of `lyra_core.weights.presets.QUALITIES`.
        steps: of the teacher's sampler instead of the quality's; only for models that have one.
        vram_gib: GPU memory to plan with [GiB]; None for what is free.
        ram_gib: main memory to plan with, likewise.
        max_gaussians: keeps the most opaque ones only.
        collider: whether the scene gets a collider, and what robots need to know.
        collider_preset: kind of scene the collider is built for.
        encoding: how the Gaussians are stored; `auto` is universal in a folder, else a particle field.
        camera_height: height of the camera above the floor; None keeps the model's own scale.
        physics_scene: whether the file plays on its own.
        ground_check: whether to refuse a scene that has a spawn pose without floor, or none.
        ros_map: folder for the occupancy map as ROS has it; made if only its parent exists.
        preview: preview picture; None puts it beside the scene.
        save_inputs: folder for the image and the depth map that the scene is made from.
        keep_intermediates: whether the results of the stages stay when the run is over.
    """

    output: Path
    prompt: str | None = None
    image: Path | None = None
    depth: Path | None = None
    model: str = "mini"
    seed: int = 0
    quality: QualityName = "standard"
    steps: int | None = None
    vram_gib: float | None = None
    ram_gib: float | None = None
    max_gaussians: int | None = None
    collider: bool = True
    collider_preset: Preset = "indoor"
    encoding: EncodingChoice = "auto"
    camera_height: Measurement | None = None
    physics_scene: bool = False
    ground_check: bool = False
    ros_map: Path | None = None
    preview: Path | None = None
    save_inputs: Path | None = None
    keep_intermediates: bool = False

    @property
    def stages(self) -> Path:
        """Folder of the stages' results: a run that was killed leaves it, and the next one goes on from there."""
        name = f"{self.output.stem}.stages"
        return self.output.with_name(name if self.keep_intermediates else f".{name}")


@dataclass(frozen=True)
class Summary:
    """What one run made; the content of `--json`. Lengths are metres, positions those of the Z-up world."""

    files: list[str]
    gaussians: int
    sh_degree: int
    bounds_m: dict[str, list[float]]
    trusted_viewpoints_m: dict[str, Any]
    metric: bool
    scale_source: str
    seconds: dict[str, float]
    peak_memory_mb: float
    model: str
    seed: int
    warnings: list[str]
    provenance: dict[str, Any]
    collider: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


Load = Callable[["ModelPreset"], "LyraPipeline"]
"""From a preset to its model."""


def load_pipeline(preset: ModelPreset) -> LyraPipeline:
    """The model from its verified weights. Raises LyraError when they are not there."""
    from lyra_core.pipeline import LyraPipeline

    return LyraPipeline.from_pretrained(preset)


def generate(request: GenerateRequest, listener: PhaseListener, load: Load = load_pipeline) -> Summary:
    """Runs the corridor and writes everything; the output places are checked first.

    Args:
        request: what to make.
        listener: hears of every phase and of the memory plan; what it raises ends the run.
        load: where the model comes from, for callers that keep it.

    Raises:
        MachineFault: memory ran out or the GPU failed; finished stages are kept for the next run, as on a full disk.
        LyraError, UsdExportError: everything else; nothing was written.

    In any case older files are untouched.
    """
    paths = _checked(request)
    from lyra_core.checkpoints import Checkpoints
    from lyra_core.faults import MachineFault, is_disk_full

    stages = Checkpoints(request.stages)
    keep = request.keep_intermediates
    try:
        return _generate(request, paths, listener, load, stages)
    except Exception as error:
        keep = keep or isinstance(error, MachineFault) or is_disk_full(error)
        if isinstance(error, MachineFault) and request.stages.is_dir():
            error.args = (f"{error} What is finished waits in {request.stages}: the next run goes on from there.",)
        raise
    finally:
        if not keep:
            stages.remove()


def _generate(
    request: GenerateRequest,
    paths: OutputPaths,
    listener: PhaseListener,
    load: Load,
    stages: Checkpoints,
) -> Summary:
    """`generate` after the checks."""
    listener("inputs", 0, 1)
    from lyra_core.depth_maps import read_depth
    from lyra_core.images import read_image
    from lyra_core.memory.placement import run_with_plans
    from lyra_core.weights.presets import load_preset, with_quality

    preset = with_quality(load_preset(request.model), request.quality, request.steps)
    preset.require_files()
    budget = budget_of(request)
    image = read_image(request.image) if request.image else None
    depth = read_depth(request.depth, preset.assumed_intrinsics) if request.depth else None

    listener("model", 0, 1)
    pipeline = load(preset)

    def make() -> Scene:
        return pipeline(
            request.prompt,
            image=image,
            depth=depth,
            seed=request.seed,
            max_gaussians=request.max_gaussians,
            progress=listener,
            recall=stages,
        )

    scene = run_with_plans(pipeline, make, budget=budget, tell=listener.note)
    if request.image:
        scene.provenance["inputs"] = _input_hashes(request)
    return deliver(scene, request, paths, listener)


def deliver(scene: Scene, request: GenerateRequest, paths: OutputPaths, listener: PhaseListener) -> Summary:
    """Everything after a scene is made: metres, collider, files, summary; `request` says what is wanted of it.

    Raises as `generate`.
    """
    scene.collider_preset = request.collider_preset
    listener("frame", 0, 1)
    scene = scene.scaled_to(request.camera_height) if request.camera_height else scene
    scene.frame  # noqa: B018 - the parts below are built here so that their times show as phases
    notes: tuple[str, ...] = ()
    if request.collider:
        listener("collider", 0, 1)
        scene.collider  # noqa: B018
        if paths.kind != "splats":
            listener("robotics", 0, 1)
            notes = scene.robotics.notes
    if request.ground_check:
        from usd_export.robotics import check_ground

        check_ground(scene.collider, scene.frame, scene.robotics).require()
    files = write_files(scene, request, paths, listener)
    listener.finish()
    return summarize(scene, request, files, notes, listener)


def budget_of(request: GenerateRequest) -> Budget:
    """The memory that the user gives, or what is free. Raises LyraError for GPU memory without a GPU."""
    from lyra_core.memory.budget import Budget

    vram, ram = (None if size is None else int(size * 2**30) for size in (request.vram_gib, request.ram_gib))
    return Budget.read(vram=vram, ram=ram)


def _input_hashes(request: GenerateRequest) -> dict[str, str]:
    """SHA-256 of the files the scene is made from, by name."""
    from usd_export.provenance import input_hashes

    files = [path for path in (request.image, request.depth) if path]
    return {name: digest for path in files for name, digest in input_hashes(path).items()}


def write_files(scene: Scene, request: GenerateRequest, paths: OutputPaths, listener: PhaseListener) -> list[Path]:
    """All files; the ones beside the scene get their names only once the scene has its own."""
    from lyra_core.app.preview import write_preview

    inputs = save_inputs(scene, request.save_inputs) if request.save_inputs else []
    with replacing(paths.preview) as preview, replacing(paths.provenance) as provenance:
        listener("preview", 0, 1)
        title = request.prompt or (request.image.name if request.image else "")
        write_preview(preview, scene, title, collider=request.collider)
        write_json(provenance, {**scene.provenance, "frame": frame_facts(scene)})
        listener("write", 0, 1)
        files = scene.save(
            paths.scene,
            collider=request.collider,
            encoding=request.encoding,
            physics_scene=request.physics_scene,
        )
    maps = _write_ros_map(scene, request.ros_map) if request.ros_map else []
    return [*files, paths.preview, paths.provenance, *maps, *inputs]


def _write_ros_map(scene: Scene, folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return scene.robotics.occupancy.save_ros(folder)


def frame_facts(scene: Scene) -> dict[str, Any]:
    """How the scene stands in the world, for the provenance file."""
    frame = scene.frame
    return {
        "metres_per_scene_unit": frame.scale,
        "scale_source": frame.scale_source,
        "scale_uncertainty": frame.scale_uncertainty,
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


def summarize(
    scene: Scene, request: GenerateRequest, files: list[Path], notes: tuple[str, ...], listener: PhaseListener
) -> Summary:
    """What a run made; `notes` are remarks beside those of the provenance."""
    low, high = scene.bounds()
    viewpoints = scene.frame.apply(scene.trusted_viewpoints)
    return Summary(
        files=[str(path) for path in files],
        gaussians=len(scene.gaussians),
        sh_degree=scene.gaussians.to_cloud().sh_degree,
        bounds_m={"min": low, "max": high},
        trusted_viewpoints_m={
            "min": viewpoints.min(0).tolist(), "max": viewpoints.max(0).tolist(), "count": len(viewpoints),
        },
        metric=scene.frame.metric,
        scale_source=scene.frame.scale_source,
        seconds=listener.seconds,
        peak_memory_mb=peak_memory_mb(),
        model=scene.provenance["model"],
        seed=request.seed,
        warnings=[*scene.provenance["warnings"], *notes],
        provenance=scene.provenance,
        collider=asdict(scene.collider.report) if request.collider else None,
    )  # fmt: skip


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
    paths = output_paths(request.output, request.preview)
    _check_scene_options(request, paths.kind)
    return paths


def _check_scene_options(request: GenerateRequest, kind: Target) -> None:
    """Whether the output can hold what was asked for."""
    from usd_export.scene_target import default_encoding, require_scene_options

    encoding = default_encoding(request.output) if request.encoding == "auto" else request.encoding
    require_scene_options(request.output, kind, encoding, half=False)
    if request.physics_scene and kind == "splats":
        raise LyraError(f"{request.output} holds splats only. Write a .usdz or a folder with --with-physics-scene.")
    needs_collider = "--ros-map" if request.ros_map else "--ground-check" if request.ground_check else None
    if needs_collider and (kind == "splats" or not request.collider):
        raise LyraError(f"{needs_collider} needs a collider. Write one to a .usdz or a folder.")
    if request.ros_map and not request.ros_map.is_dir():
        require_writable_folder(request.ros_map)
