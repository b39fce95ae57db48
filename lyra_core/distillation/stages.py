# SPDX-License-Identifier: Apache-2.0
"""Training stages as data: one YAML file each holds every number in which a stage differs from the published defaults.

The published decoder is trained in nine stages (Lyra, arXiv 2509.19296 and its released configurations): each starts
from the weights of the one before and goes on counting its steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lyra_core.decoder import DecoderConfig
from lyra_core.distillation.losses import LossWeights
from lyra_core.errors import LyraError
from lyra_core.weights.presets import load_preset, one_line

_FOLDER = Path(__file__).with_name("presets")


class WorldsRecipe(BaseModel):
    """What the embedded recipe adds: it trains on crops of true views of procedural worlds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    crops: int
    """Rendered crops per step."""
    crop: tuple[int, int]
    """Width and height of a crop [px]."""
    heldout_views: tuple[int, ...]
    """Unseen views per held-out world in the figures."""


class Smoke(BaseModel):
    """A training of a minute or two that must lower the held-out error: a check of the whole machinery."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    worlds: int
    """Worlds to train on."""
    heldout: int
    """Worlds to measure on."""
    model: dict[str, Any]
    """What differs in the model preset."""
    stage: dict[str, Any]
    """What differs in the stage."""


class Stage(BaseModel):
    """One training stage; every default is what all nine published stages share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """What logs and states call it."""
    summary: str
    """One sentence."""
    model: str = "lyra"
    """Model preset whose tokenizer and decoder are used."""
    follows: str | None = None
    """The stage whose weights it starts from; None starts from scratch."""
    data: Literal["clips", "worlds", "moving"] = "clips"
    """The teacher's clips, or procedural worlds that stand still or move."""
    decoder: dict[str, Any] = Field(default_factory=dict)
    """Decoder options that differ from the model preset's."""

    size: tuple[int, int] = (704, 1280)
    """Height and width of inputs and targets [px]."""
    frames: int = 121
    """Input frames per view, 1 modulo 8."""
    targets: int = 9
    """Target pictures per input view; in a dynamic stage, target views of the one instant."""
    views: int = 1
    """Input views at most."""
    motion_reversal: bool = True
    """Whether an instant is also supervised from where a clip played backwards has its cameras (moving worlds)."""
    drawn_views: bool = False
    """Whether their number is drawn from 1 to `views` for every sample."""
    late_targets: bool = False
    """Whether late target frames are favoured."""
    stored_latents: bool = True
    """Latents from disk, or encoded on the fly from the frames."""
    random_share: float = 0.0
    """Share of the kept Gaussians that are drawn instead of taken by opacity."""

    batch: int = 1
    """Samples per process and step."""
    processes: int = 8
    """Processes of the published run; with fewer, each takes more samples, one after the other."""
    steps: int | None = None
    """The step to end at, counted over all stages; None for a stage that only the clock ends."""
    minutes: float | None = None
    """Wall-clock bound when none is given [min]."""
    learning_rate: float = 1e-4
    """Peak rate of AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW."""
    weight_decay: float = 1e-2
    """Of AdamW."""
    decay_vectors: bool = True
    """Whether norms, biases and the scan's A, dt and D decay too."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    constant_share: float = 1.0
    """Share of the stage at the peak rate before a cosine starts; 1 never lets it fall."""
    clip_norm: float = 1.0
    """Bound of the gradient norm."""
    ema_decay: float = 0.0
    """Of the averaged weights; 0 has none."""
    precision: Literal["bf16", "no"] = "bf16"
    """Of autocast."""
    perceptual_chunk: int = 32
    """Pictures per perceptual chunk."""
    save_every_steps: int = 500
    """Steps between saved states."""
    evaluate_every_steps: int = 500
    """Steps between held-out evaluations."""
    heldout: int = 16
    """Clips that are never trained on."""
    losses: LossWeights = LossWeights()
    """Weights of the losses."""
    worlds: WorldsRecipe | None = None
    """Only for data "worlds" and "moving"."""
    smoke: Smoke | None = None
    """How to try it in a minute; None where that cannot be, because its data are not at hand."""

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        if self.frames % 8 != 1:
            raise ValueError(f"frames must be 1 modulo 8, not {self.frames}")
        if any(side % 16 for side in self.size):
            raise ValueError(f"both sides of the pictures must be multiples of 16, not {self.size}")
        if (self.data == "clips") == (self.worlds is not None):
            raise ValueError('`worlds` belongs to data "worlds" or "moving", and only to them')
        if self.steps is None and self.minutes is None:
            raise ValueError("a stage needs steps or minutes to end at")
        return self

    def decoder_config(self) -> DecoderConfig:
        """The decoder of this stage. Raises LyraError for options that it does not know."""
        return DecoderConfig.from_dict({**load_preset(self.model).decoder.config, **self.decoder})

    def smaller(self) -> Stage:
        """The stage as its smoke test runs it. Raises LyraError where there is none."""
        if self.smoke is None:
            raise LyraError(f"stage {self.name!r} has no smoke test: its clips have to be made first.")
        return Stage.model_validate({**self.model_dump(), **self.smoke.stage, "smoke": None})

    @property
    def dynamic(self) -> bool:
        """Whether one instant of a moving scene is the target."""
        return self.decoder_config().use_time_embedding

    @property
    def tokens(self) -> int:
        """Tokens of the longest sequence: views x latent frames x rows x columns."""
        latent_frames = 1 + (self.frames - 1) // self.decoder_config().latent_period
        return self.views * latent_frames * (self.size[0] // 16) * (self.size[1] // 16)

    @property
    def first_step(self) -> int:
        """Where its count of steps starts: where the stage before ended."""
        return 0 if self.follows is None else load_stage(self.follows).steps or 0

    @property
    def target_pictures(self) -> int:
        """Target pictures (on worlds: crops) of the largest sample."""
        if self.worlds is not None:
            return self.worlds.crops
        return self.targets if self.dynamic else self.targets * self.views


def stage_names() -> list[str]:
    """Names of the stages that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_stage(name: str) -> Stage:
    """The stage called `name`, or the one in the YAML file at path `name`.

    Raises LyraError for an unknown name or a file that is no stage.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"
    if not path.is_file() or (path.parent == _FOLDER and name not in stage_names()):
        raise LyraError(f"unknown training preset {name!r}. Known: {', '.join(stage_names())}; or give a .yaml path.")
    try:
        stage = Stage.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LyraError(f"{path} is not a training preset: {one_line(error)}") from error
    stage.decoder_config()
    return stage


def published_stages() -> list[Stage]:
    """The nine published stages, in the order of their steps."""
    stages = [load_stage(name) for name in stage_names()]
    return sorted((stage for stage in stages if stage.model == "lyra"), key=lambda stage: stage.steps or 0)
