# SPDX-License-Identifier: Apache-2.0
"""Large weight files are hashed once, and again as soon as anything about them has changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lyra_core.errors import LyraError
from lyra_core.weights.manifest import record, sha256, verified, weight_sha256
from lyra_core.weights.receipts import LARGE, RECEIPTS_NAME, remembered


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file just large enough for a receipt; a hole, so it costs no disk."""
    path = tmp_path / "net.safetensors"
    with path.open("wb") as stream:
        stream.truncate(LARGE)
    return path


@pytest.fixture
def counted() -> tuple[Callable[[Path], str], list[Path]]:
    """`sha256`, and every file it has read."""
    read: list[Path] = []

    def digest(path: Path) -> str:
        read.append(path)
        return sha256(path)

    return digest, read


def test_an_unchanged_file_is_read_once(
    weights: Path, counted: tuple[Callable[[Path], str], list[Path]], tmp_path: Path
) -> None:
    digest, read = counted
    found = [remembered(weights, digest) for _ in range(3)]
    assert found == [sha256(weights)] * 3
    assert read == [weights]
    small = tmp_path / "small.safetensors"
    small.write_bytes(b"x")
    assert remembered(small, digest) == remembered(small, digest)
    assert read == [weights, small, small], "small files leave no receipt"
    assert list(json.loads((tmp_path / RECEIPTS_NAME).read_text())) == [weights.name]


def spoil(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(LARGE // 2)
        stream.write(b"\1")


def test_a_changed_file_of_the_same_size_is_refused(weights: Path, tmp_path: Path) -> None:
    record(weights, trained=True, command="train")
    assert verified(tmp_path, weights.name) == weights
    spoil(weights)
    with pytest.raises(LyraError, match=r"net\.safetensors differ from manifest\.json"):
        verified(tmp_path, weights.name)


def test_setting_the_time_back_hides_nothing(weights: Path, tmp_path: Path) -> None:
    record(weights, trained=True, command="train")
    state = weights.stat()
    spoil(weights)
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert weights.stat().st_mtime_ns == state.st_mtime_ns
    with pytest.raises(LyraError, match="differ from"):
        verified(tmp_path, weights.name)


def test_another_file_of_the_same_name_is_read(weights: Path, tmp_path: Path) -> None:
    first, state = weight_sha256(weights), weights.stat()
    other = tmp_path / "other"
    with other.open("wb") as stream:
        stream.truncate(LARGE)
    spoil(other)
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(weights)
    assert weight_sha256(weights) == sha256(weights) != first


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"net.safetensors": {"bytes": 1}}', b"\xff\0"])
def test_damaged_receipts_are_none(
    weights: Path, content: bytes, counted: tuple[Callable[[Path], str], list[Path]], tmp_path: Path
) -> None:
    digest, read = counted
    (tmp_path / RECEIPTS_NAME).write_bytes(content)
    assert remembered(weights, digest) == remembered(weights, digest)
    assert read == [weights]


def test_a_folder_that_cannot_be_written_costs_time_only(
    weights: Path, counted: tuple[Callable[[Path], str], list[Path]], tmp_path: Path
) -> None:
    """A folder stands where the receipts would be: so it fails for the superuser too."""
    digest, read = counted
    (tmp_path / RECEIPTS_NAME).mkdir()
    assert remembered(weights, digest) == remembered(weights, digest)
    assert read == [weights, weights]
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECEIPTS_NAME, weights.name]


def test_a_file_that_changes_while_it_is_read_leaves_no_receipt(weights: Path, tmp_path: Path) -> None:
    def slow(path: Path) -> str:
        digest = sha256(path)
        spoil(path)
        return digest

    remembered(weights, slow)
    assert not (tmp_path / RECEIPTS_NAME).exists()
