# SPDX-License-Identifier: Apache-2.0
"""The corridor: prompt -> image -> depth -> camera paths -> warped guidance -> video latents -> Gaussians -> scene.

Read `LyraPipeline.__call__` from top to bottom and you have read the system. Training and evaluation walk through the
same methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lyra_core import __version__
from lyra_core.cameras import Cameras
from lyra_core.checkpoints import Recall, StageResult, recompute
from lyra_core.conditioning.cache3d import Cache3D, bounded_depth
from lyra_core.conditioning.depth import DepthEstimate, DepthEstimator
from lyra_core.conditioning.movement import clearance_factors
from lyra_core.conditioning.warp import PUBLISHED_MAX_DEPTH
from lyra_core.conditioning.warped_paths import WarpedPaths
from lyra_core.decoder import Anchors, GaussianDecoder, encode_plucker, rows_to_gaussians
from lyra_core.devices import HOME, device_name
from lyra_core.errors import LyraError
from lyra_core.fitting import fit_depth, fit_image, fitted_size
from lyra_core.gaussians import Gaussians
from lyra_core.images import quantized
from lyra_core.memory.plan import Plan
from lyra_core.progress import Progress, no_progress
from lyra_core.refinement import refine_colors
from lyra_core.rendering.render import automatic_backend, drawing_device
from lyra_core.scene import Scene
from lyra_core.stage_results import identity, pack_gaussians, pack_view, unpack_gaussians, unpack_view
from lyra_core.teacher.guardrail import build_guardrail
from lyra_core.teacher.image import BaseView, TextToImage
from lyra_core.teacher.teacher import Teacher, VideoLatents
from lyra_core.trajectories import lyra_cameras
from lyra_core.weights import components
from lyra_core.weights.manifest import Manifest
from lyra_core.weights.presets import Preset, load_preset

GUESSED_GEOMETRY = "geometry is a guess: it looks right near the input view only; do not rely on it for physics"
ASSUMED_SCALE = "scale is assumed (median depth {:g} m): bring a depth map in metres for a measured one"


class Cancelled(LyraError):
    """The caller asked to stop."""


@dataclass(frozen=True)
class Conditioning:
    """Everything the decoder is told about one scene, in scene units (median depth of the base view = 1).

    Attributes:
        image: the input image `[H, W, 3]`.
        depth: its depth at the same size.
        cameras: the paths `[V, F]` at video size; the input camera is the identity.
        video: what the teacher made of the guidance along the paths.
        plucker_latents: encoded rays `[1, V, 32, T, h, w]`.
        anchors: known colours and distances; None for a decoder without anchors.
    """

    image: Tensor
    depth: DepthEstimate
    cameras: Cameras
    video: VideoLatents
    plucker_latents: Tensor
    anchors: Anchors | None

    @property
    def input_camera(self) -> Cameras:
        """The camera `[1]` of the input image."""
        return input_camera(self.depth)


class LyraPipeline:
    """One model, ready to turn prompts and images into scenes.

    Attributes:
        device: where the 3D cache is looked at and colours are refined; results come back to main memory, like all
            else between stages. Networks are placed apart from it (see `memory.placement`).
        plan: what is done about memory, for the provenance.
    """

    def __init__(
        self, preset: Preset, images: TextToImage, depth: DepthEstimator, teacher: Teacher, decoder: GaussianDecoder
    ) -> None:
        self.preset = preset
        self.images = images
        self.depth_estimator = depth
        self.teacher = teacher
        self.decoder = decoder.eval()
        self.guardrail = build_guardrail(preset.guardrail)
        self.device = HOME
        self.plan = str(Plan())

    @classmethod
    def from_pretrained(cls, name: str | Preset = "mini") -> LyraPipeline:
        """Builds a model from verified local weights.

        Args:
            name: a preset of the package, the path of a preset file, or a preset, e.g. `with_quality(...)` of one.

        Raises LyraError for an unknown name, and when weights are missing: with the place where they are expected.
        """
        preset = load_preset(name) if isinstance(name, str) else name
        preset.require_files()
        return cls(
            preset,
            components.build_images(preset),
            components.build_depth(preset),
            components.build_teacher(preset),
            components.build_decoder(preset),
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | None = None,
        *,
        image: Tensor | None = None,
        depth: DepthEstimate | None = None,
        seed: int = 0,
        max_gaussians: int | None = None,
        progress: Progress = no_progress,
        cancelled: Callable[[], bool] = lambda: False,
        recall: Recall = recompute,
    ) -> Scene:
        """From a sentence or a picture to a scene.

        Args:
            prompt: what to show; exactly one of prompt and image must be given.
            image: RGB `[H, W, 3]` in [0, 1], any size.
            depth: of that image, e.g. measured; None lets the model guess it.
            seed: decides everything that is drawn.
            max_gaussians: keeps the most opaque ones only; None for as many as the preset says.
            progress: listens to the phases.
            cancelled: asked between the phases; True stops the run with `Cancelled`.
            recall: keeps what the stages make, e.g. `Checkpoints`, so that a killed run can go on.

        Raises:
            LyraError: both or none of prompt and image, an empty prompt, a depth map that does not fit.
        """
        generator = torch.Generator().manual_seed(seed)

        def phase(name: str) -> None:
            if cancelled():
                raise Cancelled("cancelled before " + name)
            progress(name, 0, 1)

        def view() -> StageResult:
            phase("image")
            base = self.base_view(prompt, image, depth, seed)
            phase("depth")
            return pack_view(base, self.estimate_depth(base))

        def decoding() -> StageResult:
            phase("gaussians")
            return pack_gaussians(self.decode(conditioning))

        def refinement() -> StageResult:
            phase("colours")
            gaussians = self.refine(decoded.prune(max_count=limit), conditioning)
            progress("colours", 1, 1)
            return pack_gaussians(gaussians)

        base, measured = unpack_view(recall("view", self._view_inputs(prompt, image, depth, seed), view))
        normalized, _ = normalize(measured)
        phase("paths")
        cameras = camera_paths(normalized, self.preset)
        phase("warp")
        guidance = self.guidance(base.image, normalized, cameras)
        video = self.videos(guidance, base.image, generator, progress, recall)
        conditioning = self.conditioning(base.image, normalized, cameras, video)
        decoded = unpack_gaussians(recall("decoded", self._decoding_inputs(conditioning), decoding))
        limit = self.preset.max_gaussians if max_gaussians is None else max_gaussians
        inputs = self._refinement_inputs(decoded, conditioning) | {"max_gaussians": limit}
        gaussians = unpack_gaussians(recall("gaussians", inputs, refinement))
        return self.scene(base, measured, conditioning, gaussians, seed=seed)

    def base_view(
        self, prompt: str | None, image: Tensor | None, depth: DepthEstimate | None = None, seed: int = 0
    ) -> BaseView:
        """The one image (and possibly depth map) that leaves the text-to-image stage, or the user's own, fitted."""
        if (prompt is None) == (image is None):
            raise LyraError("give either a prompt or an image, not both and not none.")
        self.guardrail.check_prompt(prompt)
        if image is None:
            if depth is not None:
                raise LyraError("a depth map belongs to an image: give the image too.")
            return self.images(prompt or "", *self.preset.image_size, seed=seed)
        height, width = input_size(image.shape[0], image.shape[1], self.preset)
        return BaseView(
            image=quantized(fit_image(image, height, width)),
            depth=None if depth is None else fit_depth(depth, (image.shape[0], image.shape[1]), height, width),
            source="user",
        )

    def estimate_depth(self, base: BaseView) -> DepthEstimate:
        """The depth that came with the image, or the estimator's guess."""
        return base.depth if base.depth is not None else self.depth_estimator(base.image)

    def guidance(self, image: Tensor, depth: DepthEstimate, cameras: Cameras) -> WarpedPaths:
        """What the paths see of the 3D cache, with holes filled as the preset says; made when asked for."""
        foreground = self.preset.foreground_masking
        cache = Cache3D(image, depth, self.preset.warp_footprint, foreground=foreground, device=self.device)
        return WarpedPaths(cache, cameras, self.preset.hole_fill)

    def condition(
        self, image: Tensor, depth: DepthEstimate, *, generator: torch.Generator | None = None
    ) -> Conditioning:
        """Image `[H, W, 3]` and its depth (any unit) to everything the decoder is told."""
        normalized, _ = normalize(depth)
        cameras = camera_paths(normalized, self.preset)
        guidance = self.guidance(image, normalized, cameras)
        video = self.videos(guidance, image, generator or torch.Generator().manual_seed(0))
        return self.conditioning(image, normalized, cameras, video)

    def videos(
        self,
        guidance: WarpedPaths,
        image: Tensor,
        generator: torch.Generator,
        progress: Progress = no_progress,
        recall: Recall = recompute,
    ) -> VideoLatents:
        """What the teacher makes of the guidance; the image gives it the first frame."""
        teacher = identity(self.preset, "tokenizer", "teacher")
        video = self.teacher(
            guidance,
            fit_image(image, *guidance.size),
            generator=generator,
            progress=progress,
            recall=lambda stage, inputs, make: recall(stage, {**inputs, "model": teacher}, make),
        )
        return self.guardrail.check_videos(video, self.teacher.tokenizer)

    def conditioning(self, image: Tensor, depth: DepthEstimate, cameras: Cameras, video: VideoLatents) -> Conditioning:
        """Adds encoded rays and, for an anchored decoder, the anchors."""
        config = self.decoder.config
        rays = encode_plucker(self.teacher.tokenizer.encode, cameras[None], config.ray_torch_dtype)
        anchors = self.anchors(image, depth, cameras, video) if config.anchored else None
        return Conditioning(image, depth, cameras, video, rays, anchors)

    def anchors(self, image: Tensor, depth: DepthEstimate, cameras: Cameras, video: VideoLatents) -> Anchors:
        """Key frames of the videos and the input image at its own resolution."""
        keys = slice(None, None, self.decoder.config.gaussian_stride[0])
        camera = input_camera(depth)
        return Anchors(
            rgb=video.frames[None, :, keys],
            distance=distance_from_z(video.z[:, keys], cameras[:, keys])[None],
            known=video.known[None, :, keys],
            input_rgb=image[None],
            input_distance=distance_from_z(bounded_depth(depth, PUBLISHED_MAX_DEPTH)[None], camera),
            input_camera=camera,
        )

    def decode(self, conditioning: Conditioning) -> Gaussians:
        """The decoder's Gaussians; differentiable in its weights."""
        return rows_to_gaussians(self.decoder.prune(self.decode_rows(conditioning))[0])

    def decode_rows(self, conditioning: Conditioning) -> Tensor:
        """The decoder's unpruned rows `[1, N, 14]`, in its order."""
        return self.decoder(
            conditioning.video.latents[None],
            conditioning.cameras[None],
            plucker_latents=conditioning.plucker_latents,
            anchors=conditioning.anchors,
        )

    def reconstruct(self, conditioning: Conditioning) -> Gaussians:
        """What a scene is made of: decoded, then refined."""
        return self.refine(self.decode(conditioning), conditioning)

    def refine(self, gaussians: Gaussians, conditioning: Conditioning) -> Gaussians:
        """Pulls the main view towards the input image (nothing happens at 0 iterations, the published behaviour)."""
        device = drawing_device(self.device)
        return refine_colors(
            gaussians.to(device), conditioning.image[None].to(device), conditioning.input_camera.to(device),
            iterations=self.preset.refine_iterations, projection=self.preset.projection,
        ).to(HOME)  # fmt: skip

    @property
    def backends(self) -> str:
        """Which implementations serve what is no network, for logs."""
        warp = "compiled" if self.device == HOME and self.preset.warp_footprint == "adaptive" else "torch"
        device = drawing_device(self.device)
        return f"warp {warp} on {self.device.type}, rendering {automatic_backend(device)} on {device.type}"

    def _view_inputs(
        self, prompt: str | None, image: Tensor | None, depth: DepthEstimate | None, seed: int
    ) -> dict[str, Any]:
        """All that the picture and its depth depend on."""
        return {
            "prompt": prompt, "image": image, "seed": seed,
            "depth": None if depth is None else vars(depth),
            "model": identity(self.preset, "image", "depth"),
            "sizes": self.preset.model_dump(include={"image_size", "video_size", "fov_x"}),
        }  # fmt: skip

    def _decoding_inputs(self, conditioning: Conditioning) -> dict[str, Any]:
        """All that the decoder is told; encoded rays follow from the cameras."""
        anchors = conditioning.anchors
        return {
            "latents": conditioning.video.latents,
            "cameras": vars(conditioning.cameras),
            "anchors": anchors and {**vars(anchors), "input_camera": vars(anchors.input_camera)},
            "model": identity(self.preset, "tokenizer", "decoder"),
        }

    def _refinement_inputs(self, decoded: Gaussians, conditioning: Conditioning) -> dict[str, Any]:
        """All that the colours depend on, but for the number of Gaussians."""
        return {
            "decoded": vars(decoded),
            "image": conditioning.image,
            "camera": vars(conditioning.input_camera),
            "refinement": self.preset.model_dump(include={"refine_iterations", "projection"}),
        }

    def scene(
        self, base: BaseView, depth: DepthEstimate, conditioning: Conditioning, gaussians: Gaussians, *, seed: int
    ) -> Scene:
        """Binds the result to its scale and origin; `depth` is the map as it came, in metres if it is metric."""
        preset = self.preset
        warnings = [*base.warnings, *self.guardrail.warnings]
        if depth.guessed:
            warnings.append(GUESSED_GEOMETRY)
        if not depth.metric:
            warnings.append(ASSUMED_SCALE.format(preset.assumed_median_depth))
        manifest = Manifest.load(preset.weights_folder)
        assumed = f"assumed median depth {preset.assumed_median_depth:g} m"
        provenance = {
            "software": f"lyra-sim {__version__}",
            "model": preset.name,
            "models": {name: entry.sha256 for name, entry in manifest.files.items()},
            "licences": [manifest.licence],
            "quality_tier": preset.quality_tier,
            "quality": preset.quality,
            **({"sampler_steps": self.teacher.diffusion.sampler.steps} if self.teacher.diffusion else {}),
            "device": device_name(self.device),
            "memory_plan": self.plan,
            "trained_on": preset.trained_on,
            "image_source": base.source,
            "depth_source": depth.source,
            "scale_source": f"{depth.source} depth" if depth.metric else assumed,
            "guardrail": self.guardrail.name,
            "projection": preset.projection,
            "camera_paths": list(preset.paths),
            "extent": "the scene is what short camera paths from one view can see: look at it from near them",
            "seed": seed,
            "warnings": warnings,
            **base.notes,
        }
        return Scene(
            gaussians=gaussians,
            image=conditioning.image,
            depth=conditioning.depth,
            measured_depth=depth,
            input_camera=conditioning.input_camera[0],
            path_cameras=conditioning.cameras,
            metres_per_unit=normalize(depth)[1] if depth.metric else preset.assumed_median_depth,
            projection=preset.projection,
            provenance=provenance,
        )


def normalize(depth: DepthEstimate) -> tuple[DepthEstimate, float]:
    """The depth in scene units (median of the valid pixels = 1), and the length of one scene unit in its old unit."""
    valid = depth.z[depth.mask]
    if len(valid) == 0:
        raise LyraError("the depth map has no valid pixel. Give one with positive, finite values.")
    unit = float(valid.median())
    return replace(depth, z=depth.z / unit), unit


def camera_paths(depth: DepthEstimate, preset: Preset) -> Cameras:
    """The camera paths `[V, F]` of a preset at video size, for normalised depth; the input camera is the identity."""
    height, width = video_size(depth, preset)
    cameras = input_camera(depth).resized(height, width)
    movement = clearance_factors(depth, preset.paths) if preset.movement == "clearance" else 1.0
    return lyra_cameras(
        cameras.intrinsics[0], width, height, frames=preset.frames, paths=preset.paths, movement=movement
    )


def input_camera(depth: DepthEstimate) -> Cameras:
    """The camera `[1]` of a depth map: at the origin, looking along +z."""
    height, width = depth.z.shape
    return Cameras(torch.eye(4)[None], depth.intrinsics[None].float(), width, height)


def input_size(height: int, width: int, preset: Preset) -> tuple[int, int]:
    """Height and width the model takes a picture of height x width at."""
    rows, columns = fitted_size(height, width, preset.video_size)
    scale = preset.image_size[0] / preset.video_size[0]
    return round(rows * scale), round(columns * scale)


def video_size(depth: DepthEstimate, preset: Preset) -> tuple[int, int]:
    """Height and width of the videos for an input of the size of `depth`."""
    scale = preset.video_size[0] / preset.image_size[0]
    return round(depth.z.shape[0] * scale), round(depth.z.shape[1] * scale)


def distance_from_z(z: Tensor, cameras: Cameras) -> Tensor:
    """Euclidean distance along the pixel rays `[..., H, W]` of z-depth `[..., H, W]`."""
    _, directions = cameras.rays(torch.float32)
    forward = cameras.c2w[..., None, None, :3, 2]
    return z / (directions * forward).sum(-1)
