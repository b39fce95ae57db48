# SPDX-License-Identifier: Apache-2.0
"""A video to a moving scene, a preview and a provenance file: what `lyra generate --video` does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyra_core.app.generate import (
    GenerateRequest,
    Load,
    Summary,
    budget_of,
    frame_facts,
    load_pipeline,
    summarize,
    write_files,
)
from lyra_core.app.outputs import OutputPaths, output_paths, write_json
from lyra_core.app.phases import PhaseListener
from lyra_core.errors import LyraError
from lyra_core.files import replacing, require_writable_folder
from usd_export.options import EncodingChoice, Preset

if TYPE_CHECKING:
    from lyra_core.dynamic.scene import DynamicScene
    from lyra_core.pipeline import LyraPipeline
    from lyra_core.video.posed import PosedVideo
    from lyra_core.weights.presets import Preset as ModelPreset
    from lyra_core.weights.quality import QualityName
    from usd_export.placement.scale import Measurement

CLIP_FRAMES = 121
"""Frames that are taken from a video, as published; a shorter one is played back and forth."""

FILM_SUFFIX = ".mp4"


@dataclass(frozen=True)
class VideoRequest:
    """What the user asked for.

    Attributes:
        output: `*.usdz`, a folder (a name without suffix, or `*.usda`), or a splat file for a sequence of them.
        video: a video file, a folder of frames, or a result folder of ViPE.
        cameras: of the video, from the user; with `depth` or not at all.
        depth: of its frames, likewise.
        times: which frames of the clip are reconstructed, see `parse_times`.
        start: where in the video the clip begins [s].
        duration: of the clip [s]; None takes frames at 24 a second.
        smoothing: passes of a mean over neighbouring instants for what moves.
        model: preset name, or the path of a preset file.
        quality: see `GenerateRequest`, like the next three.
        steps: of the teacher's sampler.
        vram_gib: GPU memory to plan with [GiB].
        ram_gib: main memory to plan with.
        seed: decides everything that is drawn.
        max_gaussians: most Gaussians on view.
        collider: whether what stands still gets a collider, and what robots need to know.
        collider_preset: kind of scene the collider is built for.
        camera_height: height of the first camera above the floor; None keeps the model's own scale.
        physics_scene: whether the file plays on its own.
        preview: a picture, or an .mp4 in which camera and time move; None puts a picture beside the scene.
    """

    output: Path
    video: Path
    cameras: Path | None = None
    depth: Path | None = None
    times: str = "0:121:4"
    start: float = 0.0
    duration: float | None = None
    smoothing: int = 0
    model: str = "mini"
    quality: QualityName = "standard"
    steps: int | None = None
    vram_gib: float | None = None
    ram_gib: float | None = None
    seed: int = 0
    max_gaussians: int | None = None
    collider: bool = True
    collider_preset: Preset = "indoor"
    camera_height: Measurement | None = None
    physics_scene: bool = False
    preview: Path | None = None

    @property
    def target(self) -> Path:
        """Where the scene goes: a `.usda` is the `scene.usda` of a folder of its name."""
        return self.output.with_suffix("") if self.output.suffix.lower() == ".usda" else self.output

    def still(self) -> GenerateRequest:
        """The request for a scene of the first frame, where nothing moves."""
        film = self.preview is not None and self.preview.suffix.lower() == FILM_SUFFIX
        return GenerateRequest(
            self.target, image=self.video, model=self.model, seed=self.seed, max_gaussians=self.max_gaussians,
            collider=self.collider, collider_preset=self.collider_preset, physics_scene=self.physics_scene,
            vram_gib=self.vram_gib, ram_gib=self.ram_gib, preview=None if film else self.preview,
        )  # fmt: skip


def generate_video(request: VideoRequest, listener: PhaseListener, load: Load = load_pipeline) -> Summary:
    """Makes and writes the scene; the output places are checked first.

    Args:
        request: what to make.
        listener: hears of every phase; what it raises ends the run.
        load: where the model comes from, for callers that keep it.

    Raises LyraError or UsdExportError; then nothing was written and older files are untouched.
    """
    paths = _checked(request)
    listener("inputs", 0, 1)
    from lyra_core.dynamic.pipeline import reconstruct_video
    from lyra_core.dynamic.scene import DynamicScene
    from lyra_core.dynamic.times import parse_times
    from lyra_core.memory.placement import run_with_plans
    from lyra_core.scene import Scene
    from lyra_core.weights.presets import load_preset, with_quality
    from usd_export.provenance import input_hashes

    preset = with_quality(load_preset(request.model), request.quality, request.steps)
    preset.require_files()
    frames = parse_times(request.times, CLIP_FRAMES)
    listener("model", 0, 1)
    pipeline = load(preset)
    video = _posed(request, preset, pipeline, listener)

    def make() -> DynamicScene | Scene:
        return reconstruct_video(
            pipeline, video, [frame for frame in frames if frame < len(video)], seed=request.seed,
            smoothing=request.smoothing, max_gaussians=request.max_gaussians, progress=listener,
        )  # fmt: skip

    scene = run_with_plans(pipeline, make, budget=budget_of(request.still()), tell=listener.note)
    files = sorted(request.video.iterdir()) if request.video.is_dir() else [request.video]
    scene.provenance["inputs"] = {
        name: digest for path in files if path.is_file() for name, digest in input_hashes(path).items()
    }
    if isinstance(scene, DynamicScene):
        return _write_moving(scene, video, request, paths, listener)
    scene = scene.scaled_to(request.camera_height) if request.camera_height else scene
    scene.collider_preset = request.collider_preset
    still = request.still()
    files = write_files(scene, still, output_paths(request.target, still.preview), listener)
    listener.finish()
    return summarize(scene, still, files, (), listener)


def require_video_options(
    *,
    prompt: str | None = None,
    image: Path | None = None,
    encoding: EncodingChoice = "auto",
    ground_check: bool = False,
    ros_map: Path | None = None,
    save_inputs: Path | None = None,
    keep_intermediates: bool = False,
) -> None:
    """Raises LyraError for what does not go with a video."""
    if prompt is not None or image is not None:
        raise LyraError("give a prompt, --image FILE or --video FILE, not two of them.")
    if encoding not in ("auto", "particlefield"):
        raise LyraError(f"--encoding {encoding} stores no motion. Use particlefield, or leave it out.")
    given = {
        "--ground-check": ground_check, "--ros-map": ros_map, "--save-inputs": save_inputs,
        "--keep-intermediates": keep_intermediates,
    }  # fmt: skip
    unknown = [option for option, value in given.items() if value]
    if unknown:
        raise LyraError(f"{unknown[0]} does not go with --video. Leave it out.")


def _posed(request: VideoRequest, preset: ModelPreset, pipeline: LyraPipeline, listener: PhaseListener) -> PosedVideo:
    """Frames of the size that the model takes, with cameras and depth."""
    from lyra_core.pipeline import input_size
    from lyra_core.video.posing import pose_video
    from lyra_core.video.reading import Part

    return pose_video(
        request.video, CLIP_FRAMES, lambda height, width: input_size(height, width, preset), pipeline.depth_estimator,
        Part(request.start, request.duration), cameras=request.cameras, depth=request.depth, progress=listener,
    )  # fmt: skip


def _write_moving(
    scene: DynamicScene, video: PosedVideo, request: VideoRequest, paths: OutputPaths, listener: PhaseListener
) -> Summary:
    """All files of a moving scene, and what there is to say about it."""
    from lyra_core.app.motion_preview import write_film, write_motion_preview

    if request.camera_height:
        scene = replace(scene, still=scene.still.scaled_to(request.camera_height))
    still = scene.still
    still.collider_preset = request.collider_preset
    notes: tuple[str, ...] = ()
    if request.collider and paths.kind != "splats":
        listener("collider", 0, 1)
        still.collider  # noqa: B018 - built here so that its time shows as a phase
        listener("robotics", 0, 1)
        notes = still.robotics.notes
    with replacing(paths.preview) as preview, replacing(paths.provenance) as provenance:
        listener("preview", 0, 1)
        if paths.preview.suffix.lower() == FILM_SUFFIX:
            write_film(preview, scene)
        else:
            moments = (video.times[:, None] - scene.times[None]).abs().argmin(0)
            write_motion_preview(preview, scene, video.frames[moments], request.video.name)
        write_json(provenance, {**scene.provenance, "frame": frame_facts(still)})
        listener("write", 0, 1)
        files = scene.save(paths.scene, collider=request.collider, physics_scene=request.physics_scene)
    listener.finish()
    made = summarize(
        still, replace(request.still(), collider=request.collider and paths.kind != "splats"),
        [*files, paths.preview, paths.provenance], notes, listener,
    )  # fmt: skip
    return replace(
        made, gaussians=scene.report.static + scene.report.moving, warnings=[*_motion_notes(scene), *made.warnings]
    )


def _motion_notes(scene: DynamicScene) -> list[str]:
    """What a user should know about the motion, one sentence each."""
    facts: dict[str, Any] = asdict(scene.report)
    saved = 1 - scene.report.split_bytes / max(scene.report.unsplit_bytes, 1)
    return [
        f"{facts['instants']} instants over {scene.duration:.2f} s; {100 * scene.report.static_share:.0f} % of the "
        f"Gaussians stand still and are stored once, which saves {100 * saved:.0f} % of the memory",
        f"made with: {scene.provenance['motion']['method']}",
    ]


def _checked(request: VideoRequest) -> OutputPaths:
    """Everything that can be refused without loading a model."""
    from lyra_core.dynamic.times import parse_times

    if not request.video.exists():
        raise LyraError(f"there is no video {request.video}. Give a video file or a folder of frames.")
    parse_times(request.times, CLIP_FRAMES)
    film = request.preview if request.preview and request.preview.suffix.lower() == FILM_SUFFIX else None
    paths = output_paths(request.target, None if film else request.preview)
    if film is None:
        return paths
    from lyra_core.synthesis.video_file import require_video_codec

    require_video_codec()
    require_writable_folder(film)
    return replace(paths, preview=film)
