# SPDX-License-Identifier: Apache-2.0
"""Stills: the data of the depth network that is cheap to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lyra_core.app.cli import app
from lyra_core.distillation.generate import HELDOUT_SEED, base_camera, generate_still, still_arrays
from lyra_core.synthetic.grammar import make_world, render_world


def test_a_still_is_the_base_view_of_its_world() -> None:
    arrays, world = still_arrays(3), make_world(3)
    assert arrays["rgb"].shape == (1, 176, 320, 3) and arrays["rgb"].dtype == np.uint8
    coarse = render_world(world, base_camera(world, 44, 80), supersample=1)
    z, blocks = coarse.z[0].numpy(), arrays["z"][0].astype(np.float32).reshape(44, 4, 80, 4)
    inside = (z >= blocks.min((1, 3)) * 0.99) & (z <= blocks.max((1, 3)) * 1.01)
    assert inside.mean() > 0.99


@pytest.mark.parametrize(("seed", "folder"), [(4, "stills"), (HELDOUT_SEED + 4, "heldout/stills")])
def test_finished_stills_are_kept_and_held_out_seeds_have_their_own_folder(
    seed: int, folder: str, tmp_path: Path
) -> None:
    path = tmp_path / folder / f"{seed:07d}.npz"
    generate_still(seed, tmp_path)
    assert list(tmp_path.rglob("*.npz")) == [path]
    path.write_bytes(b"finished before")
    generate_still(seed, tmp_path)
    assert path.read_bytes() == b"finished before"


def test_the_command_writes_nothing_but_stills(tmp_path: Path) -> None:
    arguments = ["train", "worlds", "--data", str(tmp_path), "--stills", "--count", "2", "--processes", "1"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npz")) == [
        "stills/0000000.npz", "stills/0000001.npz",
    ]  # fmt: skip
