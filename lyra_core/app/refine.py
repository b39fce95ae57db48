# SPDX-License-Identifier: Apache-2.0
"""`lyra refine`: fits a scene's Gaussians to the frames they were decoded from, and says what that was good for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyra_core.app.generate import GenerateRequest, Summary, deliver
from lyra_core.app.outputs import output_paths
from lyra_core.app.phases import PhaseListener
from lyra_core.checkpoints import MANIFEST_NAME, Checkpoints
from lyra_core.errors import LyraError

if TYPE_CHECKING:
    from lyra_core.refinement_by_frames import Frames, Refinement
    from lyra_core.scene import Scene
    from lyra_core.weights.presets import Preset

STAGES_SUFFIX = ".stages"


@dataclass(frozen=True)
class RefineRequest:
    """What the user asked for.

    Attributes:
        scene: a scene made with `--keep-intermediates`, or the folder of its stages.
        steps: of the optimisation.
        model: the preset it was made with, where its name alone does not lead there; None for that in its provenance.
        wanted: the output, as for a scene that is generated.
    """

    scene: Path
    steps: int
    model: str | None
    wanted: GenerateRequest

    @property
    def stages(self) -> Path:
        """Folder of the stages."""
        folder = self.scene.suffix == STAGES_SUFFIX
        return self.scene if folder else self.scene.with_name(f"{self.scene.stem}{STAGES_SUFFIX}")

    @property
    def provenance(self) -> Path:
        """Where the scene's own provenance is."""
        return self.stages.with_suffix(".json")


@dataclass(frozen=True)
class _Material:
    """What a scene was made of."""

    scene: Scene
    frames: Frames


def refine(request: RefineRequest, listener: PhaseListener) -> tuple[Summary, Refinement]:
    """Writes the refined scene as a new one; the old one stays.

    Raises:
        LyraError: stages or provenance are missing, damaged or of another model, the output is the scene itself, or
            the frames that were held back did not gain. Nothing is written then.
    """
    paths = output_paths(request.wanted.output, request.wanted.preview)
    about = _provenance(request)
    if paths.provenance.absolute() == request.provenance.absolute():
        raise LyraError(f"{request.wanted.output} is the scene itself. Give another name with -o: the old one is kept.")
    from lyra_core.devices import HOME, working_device
    from lyra_core.refinement_by_frames import refine_by_frames
    from lyra_core.rendering.render import drawing_device

    listener("model", 0, 1)
    material = _material(Checkpoints(request.stages), _preset(request, about), int(about["seed"]), listener)
    scene = material.scene
    result = refine_by_frames(
        scene.gaussians.to(drawing_device(working_device())), material.frames, steps=request.steps,
        projection=scene.projection, seed=int(about["seed"]), progress=listener,
    )  # fmt: skip
    if not result.step:
        raise LyraError(
            f"{request.steps} steps did not improve the frames that were held back "
            f"({result.before['held_back']:.2f} dB before). Nothing was written: the scene is as good as it gets so."
        )
    scene.gaussians = result.gaussians.to(HOME)
    scene.metres_per_unit = about["frame"]["metres_per_scene_unit"]
    scene.provenance = {**_inherited(about), "refinement": _facts(result, request, material.frames)}
    return deliver(scene, request.wanted, paths, listener), result


def gains(result: Refinement) -> str:
    """Before and after, for a person."""
    pairs = (
        f"{name.replace('_', ' ')} {result.before[name]:.2f} -> {result.after[name]:.2f}" for name in result.before
    )
    return f"step {result.step}; PSNR [dB]: {', '.join(pairs)}"


def _inherited(about: dict[str, Any]) -> dict[str, Any]:
    """The provenance of the old scene, without the frame, which follows from the new one."""
    return {name: value for name, value in about.items() if name != "frame"}


def _facts(result: Refinement, request: RefineRequest, frames: Frames) -> dict[str, Any]:
    return {
        "method": "per-scene optimisation against the teacher's frames",
        "scene": request.scene.name,
        "steps": result.step,
        "frames": {"fitted": len(frames.fitted), "held_back": len(frames.held_back)},
        "psnr_before": {name: round(value, 3) for name, value in result.before.items()},
        "psnr_after": {name: round(value, 3) for name, value in result.after.items()},
    }


def _material(stages: Checkpoints, preset: Preset, seed: int, listener: PhaseListener) -> _Material:
    """Scene and frames, from what the stages kept; only the model's geometry works, and nothing is sampled again."""
    import torch

    from lyra_core.pipeline import Conditioning, LyraPipeline, camera_paths, normalize
    from lyra_core.refinement_by_frames import Frames
    from lyra_core.stage_results import unpack_gaussians, unpack_view

    gaussians = unpack_gaussians(stages.kept("gaussians"))
    base, measured = unpack_view(stages.kept("view"))
    preset.require_files()
    pipeline = LyraPipeline.from_pretrained(preset)
    depth, _ = normalize(measured)
    cameras = camera_paths(depth, preset)
    listener("frames", 0, 1)
    recall = stages.only_kept
    video = pipeline.videos(
        pipeline.guidance(base.image, depth, cameras), base.image, torch.Generator().manual_seed(seed), listener, recall
    )
    told = Conditioning(base.image, depth, cameras, video, torch.empty(0), None)
    scene = pipeline.scene(base, measured, told, gaussians, seed=seed)
    return _Material(scene, Frames.of(video.frames, cameras, base.image, told.input_camera))


def _preset(request: RefineRequest, about: dict[str, Any]) -> Preset:
    """The model at the quality the scene was made with."""
    from lyra_core.weights.presets import load_preset, with_quality

    preset = load_preset(request.model or str(about["model"]))
    return with_quality(preset, about.get("quality", "standard"), about.get("sampler_steps"))


def _provenance(request: RefineRequest) -> dict[str, Any]:
    """What is known of the scene. Raises LyraError where that, or its stages, are not there."""
    if not (request.stages / MANIFEST_NAME).is_file():
        raise LyraError(
            f"{request.stages} holds no stages. Only a scene made with `lyra generate --keep-intermediates` can be "
            "refined: its frames are needed."
        )
    try:
        about = json.loads(request.provenance.read_text(encoding="utf-8"))
        if not {"model", "seed", "frame"} <= set(about):
            raise ValueError("model, seed or frame is missing")
    except (OSError, ValueError, TypeError) as error:
        raise LyraError(
            f"{request.provenance} is missing or damaged ({error}). It is written beside every scene and says which "
            "model made it: put it back, or make the scene again."
        ) from error
    return about
