# SPDX-License-Identifier: Apache-2.0
"""Memory plans: what a model needs stage by stage under each, as arithmetic on its sizes, and which one fits.

A stage needs the weights that are on the device while it runs, its largest set of intermediates at once, and a reserve.
Intermediates are given as a number of copies of the map or the tokens they belong to, derived beside each formula;
tests hold them against the networks of full size on the meta device (`peak`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lyra_core.memory.budget import Budget
from lyra_core.memory.sizes import ModelSizes, model_sizes
from lyra_core.weights.presets import Preset

RESERVE = 1_500_000_000
"""For the driver's context, libraries' workspaces and the gaps of the allocator [bytes]."""

TILE_FRAMES = 2
"""Latent frames per tile of the tokenizer: half the memory of what follows is fixed, so one would save little more."""

DECODER_CHUNK = 8192
"""Tokens per chunk of the decoder, which is also the stretch its scan works on."""

NEXT_SHARE = 0.8
"""After running out of memory, the next plan may need this share of what the last one was estimated to need."""

_SINGLE, _TILES_PER_GAUSSIAN = 4, 10


@dataclass(frozen=True)
class Measure:
    """One way to need less.

    Attributes:
        name: in plans.
        text: what it does and what it costs.
        without_gpu: whether it also helps where everything shares one memory.
    """

    name: str
    text: str
    without_gpu: bool


SEQUENTIAL = Measure("sequential stages", "weights wait in main memory until their stage; seconds per scene", False)
TILES = Measure("tiled tokenizer", f"{TILE_FRAMES} latent frames at a time; exact, about a third slower", True)
OFFLOAD = Measure("block offload", "the transformer's blocks visit the GPU one by one; exact, slower by copying", False)
EIGHT_BITS = Measure("8-bit storage", "float8 weights, computed with in full precision; a small loss of quality", True)
CHUNKS = Measure("chunked decoder", f"{DECODER_CHUNK} tokens at a time; exact, projects twice", True)

MEASURES = (SEQUENTIAL, TILES, OFFLOAD, EIGHT_BITS, CHUNKS)
"""In the order in which they are added until a plan fits."""


@dataclass(frozen=True)
class Plan:
    """A set of measures."""

    measures: tuple[Measure, ...] = ()

    def __contains__(self, measure: Measure) -> bool:
        """Whether the plan takes a measure."""
        return measure in self.measures

    def __str__(self) -> str:
        """For people."""
        return " + ".join(measure.name for measure in self.measures) or "everything resident"

    def without(self, measure: Measure) -> Plan:
        """The plan less one measure."""
        return Plan(tuple(other for other in self.measures if other != measure))


@dataclass(frozen=True)
class Estimate:
    """What a plan needs.

    Attributes:
        stages: bytes on the device while each stage runs.
        host: bytes of main memory beside that, at most.
    """

    stages: Mapping[str, int]
    host: int

    @property
    def peak(self) -> int:
        """Bytes on the device at most."""
        return max(self.stages.values())

    @property
    def largest(self) -> str:
        """The stage that needs most."""
        return max(self.stages, key=lambda name: self.stages[name])


@dataclass(frozen=True)
class Choice:
    """The plan for a budget, and why.

    Attributes:
        plan: what to do.
        estimate: what it needs.
        budget: what there is.
        reasons: one sentence each: what had to be given up for which stage.
    """

    plan: Plan
    estimate: Estimate
    budget: Budget
    reasons: tuple[str, ...] = field(default=())

    @property
    def fits(self) -> bool:
        """Whether the estimate stays within the budget of the device."""
        return self.estimate.peak <= self.budget.device


def choose_plan(preset: Preset, budget: Budget) -> Choice:
    """The first plan that fits `budget`, less the measures it does not need; the strictest one where none fits."""
    return choose(sizes_on(preset, budget), budget)


def choose(sizes: ModelSizes, budget: Budget) -> Choice:
    """As `choose_plan`, for known sizes."""
    ladder = tuple(measure for measure in MEASURES if budget.gpu or measure.without_gpu)
    plan, reasons = Plan(), []
    for measure in ladder:
        needed = estimate(sizes, plan, gpu=budget.gpu)
        if needed.peak <= budget.device:
            break
        reasons.append(f"with {plan} the stage {needed.largest!r} needs {gib(needed.peak)}")
        plan = Plan((*plan.measures, measure))
    plan = _without_needless(plan, lambda less: estimate(sizes, less, gpu=budget.gpu), budget.device)
    return Choice(plan, estimate(sizes, plan, gpu=budget.gpu), budget, tuple(reasons))


def _without_needless(plan: Plan, needs: Callable[[Plan], Estimate], room: int) -> Plan:
    """The plan less every measure that it also fits without, or that spares nothing; the last added first."""
    for measure in reversed(plan.measures):
        less = plan.without(measure)
        if needs(less).peak <= room or needs(less) == needs(plan):
            plan = less
    return plan


def next_choice(sizes: ModelSizes, failed: Choice) -> Choice | None:
    """What to try after the estimate of `failed` proved too low; None where nothing needs clearly less."""
    room = Budget(int(NEXT_SHARE * failed.estimate.peak), failed.budget.host, failed.budget.gpu)
    choice = choose(sizes, room)
    return choice if choice.estimate.peak < failed.estimate.peak else None


def plan_lines(preset: Preset, budget_bytes: int | None) -> list[str]:
    """The plan for a model in words; needs no weights.

    Args:
        preset: the model.
        budget_bytes: of GPU memory; None for what is free here (main memory where there is no GPU).
    """
    found = Budget.read()
    budget = found if budget_bytes is None else Budget(budget_bytes, found.host, gpu=True)
    return describe(choose_plan(preset, budget), preset.name)


def announce(choice: Choice) -> list[str]:
    """A choice in a few sentences, for somebody who waits for a scene: what, what it needs, and why."""
    place = "GPU memory" if choice.budget.gpu else "main memory"
    needed = f"about {gib(choice.estimate.peak)} of {gib(choice.budget.device)} {place}"
    doubt = "" if choice.fits else ", which is probably not enough"
    headline = f"memory plan: {choice.plan}; needs {needed}, most of it for {choice.estimate.largest}{doubt}"
    return [headline, *(f"because {reason}" for reason in choice.reasons)]


def describe(choice: Choice, model: str) -> list[str]:
    """A choice in words."""
    place = "GPU memory" if choice.budget.gpu else "main memory"
    lines = [f"{model} in {gib(choice.budget.device)} of {place}: {choice.plan}"]
    if not choice.fits:
        lines.append(f"! probably not enough: {choice.estimate.largest!r} needs {gib(choice.estimate.peak)} even so")
    lines += [f"  because {reason}" for reason in choice.reasons]
    lines += [f"  {measure.name}: {measure.text}" for measure in choice.plan.measures]
    lines += [f"  {name:<18} {gib(size):>9}" for name, size in choice.estimate.stages.items()]
    if choice.budget.gpu:
        lines.append(f"  {'main memory':<18} {gib(choice.estimate.host):>9}")
    if choice.budget.gpu and choice.estimate.host > choice.budget.host:
        lines.append(f"! only {gib(choice.budget.host)} of main memory are free: expect swapping, or free some")
    return lines


def gib(size: float) -> str:
    """Bytes in words."""
    return f"{size / 2**30:.1f} GiB"


def sizes_on(preset: Preset, budget: Budget) -> ModelSizes:
    """Sizes at the precision that is used on the device of `budget`: float32 without a GPU."""
    return model_sizes(preset, word=None if budget.gpu else _SINGLE)


def estimate(sizes: ModelSizes, plan: Plan, *, gpu: bool = True) -> Estimate:
    """What a plan needs; without a GPU, clips and weights share the one memory with the work."""
    weights = {
        "tokenizer": sizes.tokenizer.parameters * sizes.word,
        "transformer": _transformer_weights(sizes, plan),
        "decoder": sizes.decoder.parameters * sizes.word,
    }
    together = sum(weights.values())
    shared = RESERVE if gpu else RESERVE + _clips(sizes)

    def stage(owner: str, work: int) -> int:
        resident = weights[owner] if SEQUENTIAL in plan else together
        return resident + work + shared

    work = {
        "tokenizer encode": ("tokenizer", _encode(sizes, tiled=TILES in plan)),
        "transformer": ("transformer", _transformer(sizes)),
        "tokenizer decode": ("tokenizer", _decode(sizes, tiled=TILES in plan)),
        "decoder": ("decoder", _gaussians(sizes, chunked=CHUNKS in plan)),
        "rendering": ("decoder", _rendering(sizes)),
    }
    if sizes.transformer is None:
        del work["transformer"]
    stages = {name: stage(owner, size) for name, (owner, size) in work.items()}
    return Estimate(stages, _stored_weights(sizes, plan) + _clips(sizes))


def _encode(sizes: ModelSizes, *, tiled: bool) -> int:
    """Encoding one clip (or one tile of it) to latents."""
    # A residual block holds its input, the shortcut, the normalised map, its padded copy, three taps in a row, the
    # result, and half of what the block before left: 8.5 maps. A tile also holds its past in front of it, twice.
    frames, copies = _fine_frames(sizes, tiled), 10.5 if tiled else 8.5
    maps = copies * _fine_cells(sizes) * frames * sizes.tokenizer.encoder_width * sizes.word
    return int(max(maps, _middle(sizes, tiled)) + _clip(sizes, tiled) + _past(sizes, tiled))


def _decode(sizes: ModelSizes, *, tiled: bool) -> int:
    """Decoding the latents of one clip (or one tile of them)."""
    # As for encoding within a block; where a block begins its input is the wider map, held 5.5 times with the taps.
    wide, narrow = sizes.tokenizer.decoder_widths
    frames, past = _fine_frames(sizes, tiled), 2 if tiled else 0
    maps = max((5.5 + past) * wide, (8.5 + past) * narrow) * _fine_cells(sizes) * frames * sizes.word
    return int(max(maps, _middle(sizes, tiled)) + _clip(sizes, tiled) + _past(sizes, tiled))


def _fine_cells(sizes: ModelSizes) -> int:
    """Cells of one frame on the tokenizer's finest grid."""
    return sizes.height * sizes.width // sizes.tokenizer.patch**2


def _fine_frames(sizes: ModelSizes, tiled: bool) -> int:
    """Frames on the finest grid that are worked on at once; a tile carries the two before it."""
    per_latent = sizes.tokenizer.time // sizes.tokenizer.patch
    whole = 1 + per_latent * (sizes.latent_frames - 1)
    return min(whole, per_latent * TILE_FRAMES + 2) if tiled else whole


def _middle(sizes: ModelSizes, tiled: bool) -> int:
    """Attention over time in the middle: input, norm, query, key, value, copies of the last three, and the result."""
    frames = sizes.latent_frames
    return 9 * frames * sizes.latent_cells * sizes.tokenizer.middle_width * sizes.word


def _clip(sizes: ModelSizes, tiled: bool) -> int:
    """The video itself on the device: the part that is worked on."""
    whole = 3 * sizes.frames * sizes.height * sizes.width * sizes.word
    return min(whole, whole * TILE_FRAMES // sizes.latent_frames) if tiled else whole


def _past(sizes: ModelSizes, tiled: bool) -> int:
    """What a tile remembers of the frames before: two frames of every convolution over time on the finest grid."""
    if not tiled:
        return 0
    wide, narrow = sizes.tokenizer.decoder_widths
    return 2 * _fine_cells(sizes) * (wide + 7 * narrow) * sizes.word


def _transformer_weights(sizes: ModelSizes, plan: Plan) -> int:
    """The transformer's weights on the device."""
    network = sizes.transformer
    if network is None:
        return 0
    stored = network.castable if EIGHT_BITS in plan else 0
    block = network.block_parameters * sizes.word - stored * (sizes.word - 1)
    rest = (network.parameters - network.blocks * network.block_parameters) * sizes.word
    restored = 2 * network.largest * sizes.word if EIGHT_BITS in plan else 0  # with and without its scale
    return rest + block * (1 if OFFLOAD in plan else network.blocks) + restored


def _stored_weights(sizes: ModelSizes, plan: Plan) -> int:
    """All weights in main memory, which keeps them while they visit the device."""
    transformer = _transformer_weights(sizes, plan.without(OFFLOAD))
    return (sizes.tokenizer.parameters + sizes.decoder.parameters) * sizes.word + transformer


def _transformer(sizes: ModelSizes) -> int:
    """One evaluation of the transformer for one video; the branches of the guidance run one after the other."""
    # Turning the keys by their positions holds state, position code, normalised state, query, key and value, and four
    # float32 copies of the key; the widened state of the MLP is smaller. Beside them: inputs and rotation angles.
    network = sizes.transformer
    if network is None:
        return 0
    tokens = sizes.latent_frames * sizes.latent_cells // 4
    return tokens * (
        network.width * (6 * sizes.word + 4 * _SINGLE)
        + 2 * network.inputs * sizes.word
        + 4 * network.head_dim * _SINGLE
    )


def _gaussians(sizes: ModelSizes, *, chunked: bool) -> int:
    """Decoding the latents of all videos to Gaussians."""
    network = sizes.decoder
    tokens = sizes.views * sizes.latent_frames * sizes.latent_cells // 4
    projected = 2 * network.inner + 2 * network.state_dim + network.heads
    mixed = network.inner + 2 * network.state_dim
    # A scan block holds tokens and their norm, the projection, for both directions what is mixed and the result, then
    # gate, gated, finished and flipped result, and three float32 copies within the norm.
    block = 2 * network.width + projected + 2 * mixed + 2 * network.inner + 4 * network.inner
    numbers = tokens * block * sizes.word + 3 * tokens * network.inner * _SINGLE
    if chunked:
        # Tokens, their norm and their flipped norm, and both results with one of them joined.
        chunk = min(tokens, DECODER_CHUNK)
        whole = tokens * (3 * network.width + 3 * network.inner) * sizes.word
        numbers = min(numbers, whole + chunk * (block * sizes.word + 3 * network.inner * _SINGLE))
    states = 4 * min(tokens, DECODER_CHUNK) * network.heads * network.state_dim * sizes.word
    rows = 3 * 14 * network.gaussians * sizes.word
    return max(numbers + states, rows)


def _rendering(sizes: ModelSizes) -> int:
    """Drawing one picture: parameters, projections, sorted pairs of tile and Gaussian (assumed: ten tiles each)."""
    per_gaussian = (14 + 9 + 2 * 3 * _TILES_PER_GAUSSIAN) * _SINGLE
    return sizes.decoder.kept * per_gaussian + 8 * sizes.height * sizes.width * _SINGLE


def _clips(sizes: ModelSizes) -> int:
    """Main memory for the videos: frames, depth and mask of all; the one in work twice, as decoded and as frames."""
    clip = sizes.frames * sizes.height * sizes.width
    return sizes.views * clip * (3 * _SINGLE + _SINGLE + 1) + 2 * clip * 3 * _SINGLE
