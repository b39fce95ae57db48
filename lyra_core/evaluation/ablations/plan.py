# SPDX-License-Identifier: Apache-2.0
"""Which decoders an ablation compares: one YAML file holds the common stage, the rows, and what each changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lyra_core.distillation.stages import Stage
from lyra_core.errors import LyraError
from lyra_core.trajectories import PUBLISHED_PATHS
from lyra_core.weights.presets import one_line

DEFAULT_PLAN = Path(__file__).parents[1] / "ablations.yaml"

Source = Literal["self", "real", "both"]
"""What a row is trained on: the teacher's frames, the ray tracer's of the same paths, or clips of either kind."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Strict):
    """One line of the table."""

    name: str
    """As in the table."""
    published: str | None = None
    """The same line in `published.yaml`, table `ablations`; None where the paper has no such number."""
    data: Source = "self"
    """See `Source`."""
    anchors: tuple[str, ...] | None = None
    """Settings it makes sense in; None for all."""
    inputs: tuple[str, ...] = PUBLISHED_PATHS
    """Camera paths whose videos the decoder reads, in training and when it is scored."""
    stage: dict[str, Any] = Field(default_factory=dict)
    """What differs in the common stage; the dicts `decoder` and `losses` are merged."""


class Plan(_Strict):
    """A whole table."""

    stage: dict[str, Any]
    """The stage that all rows share, see `distillation.stages.Stage`; `model` relative to this file."""
    anchors: dict[str, dict[str, Any]]
    """Settings under which every row runs: name to decoder options."""
    rows: tuple[Row, ...]
    """Lines, the reference first."""
    seeds: int = Field(default=3, ge=1)
    """Trainings per line, with seeds 0, 1, ..."""
    worlds: int = Field(default=24, ge=1)
    """Procedural worlds to train on."""
    heldout: int = Field(default=12, ge=1)
    """Worlds to score on."""
    folder: Path = Field(exclude=True)
    """Where this file is."""

    def stage_of(self, row: Row, anchors: str) -> Stage:
        """The training stage of a line. Raises LyraError where the two do not make one."""
        merged = _merged(self.stage, {"decoder": self.anchors[anchors]}, row.stage)
        merged |= {
            "name": f"ablation-{anchors}-{slug(row.name)}",
            "summary": row.name,
            "model": str(self.folder / merged["model"]),
            "views": len(row.inputs),
            "heldout": self.heldout,
        }
        try:
            stage = Stage.model_validate(merged)
            stage.decoder_config()
        except ValidationError as error:
            raise LyraError(f"row {row.name!r} is no training stage: {one_line(error)}") from error
        return stage

    def runs(self) -> list[tuple[str, int, Row]]:
        """Settings, seeds and rows in the order of work: whole tables first, then their repetitions."""
        return [
            (anchors, seed, row)
            for anchors in self.anchors
            for seed in range(self.seeds)
            for row in self.rows
            if row.anchors is None or anchors in row.anchors
        ]


def load_plan(path: Path) -> Plan:
    """The plan in a YAML file. Raises LyraError for one that is none."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Plan.model_validate({**values, "folder": path.absolute().parent})
    except (OSError, TypeError, ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LyraError(f"{path} is no ablation plan: {one_line(error)}") from error


def slug(name: str) -> str:
    """A name that can be a folder's."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """Later parts win; dicts within are merged."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            known = whole.get(name)
            whole[name] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return whole
