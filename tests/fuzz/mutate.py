# SPDX-License-Identifier: Apache-2.0
"""Damage to bytes as disks, networks and attackers do it; every step is decided by one random generator."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[bytearray, Random], None]

_EDGE_BYTES = 600  # headers, directories and trailers lie there
_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF)
_NUMBERS = (0, 1, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1)
_WORDS = (b"-1", b"0", b"nan", b"inf", b"1e39", b"4294967296", b"99999999999999999999", b"", b"x", b"\xff")


def mutated(seeds: Sequence[bytes], random: Random, *, keep_length: bool = False) -> bytes:
    """One of the seeds after one to four mutations.

    Args:
        seeds: Honest contents.
        random: Decides everything.
        keep_length: Whether only single places change, so that what lies behind them stays in place.
    """
    data = bytearray(random.choice(seeds))
    kinds = _IN_PLACE if keep_length else (*_IN_PLACE, *_RESIZING)
    for _ in range(random.randint(1, 4)):
        if data:
            random.choice(kinds)(data, random)
    if not keep_length and random.random() < 0.05:
        data += _piece(random.choice(seeds), random)
    return bytes(data)


def _place(data: bytes | bytearray, random: Random) -> int:
    """Anywhere, or near the start, or near the end."""
    near = min(len(data), _EDGE_BYTES)
    offset = random.randrange(near)
    return random.choice((offset, len(data) - near + offset, random.randrange(len(data))))


def _piece(data: bytes | bytearray, random: Random) -> bytes:
    start = _place(data, random)
    return bytes(data[start : start + random.choice((1, 4, 16, 64, 1000))])


def _flip(data: bytearray, random: Random) -> None:
    data[_place(data, random)] ^= 1 << random.randrange(8)


def _set(data: bytearray, random: Random) -> None:
    data[_place(data, random)] = random.choice(_BYTES)


def _number(data: bytearray, random: Random) -> None:
    width = random.choice((2, 4, 8))
    value = random.choice(_NUMBERS) & (1 << 8 * width) - 1
    start = min(_place(data, random), max(0, len(data) - width))
    data[start : start + width] = value.to_bytes(width, random.choice(("little", "big")))[: len(data) - start]


def _nudge(data: bytearray, random: Random) -> None:
    """Lengths and offsets that are off by little."""
    start = min(_place(data, random), len(data) - 4)
    if start >= 0:
        value = struct.unpack_from("<I", data, start)[0] + random.choice((-16, -1, 1, 16))
        struct.pack_into("<I", data, start, value % 2**32)


def _copy(data: bytearray, random: Random) -> None:
    piece = _piece(data, random)
    start = _place(data, random)
    data[start : start + len(piece)] = piece[: len(data) - start]


def _truncate(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


def _delete(data: bytearray, random: Random) -> None:
    start = _place(data, random)
    del data[start : start + random.choice((1, 4, 16, 200))]


def _insert(data: bytearray, random: Random) -> None:
    start = _place(data, random)
    data[start:start] = random.choice((random.randbytes(random.choice((1, 4, 50))), _piece(data, random)))


def _word(data: bytearray, random: Random) -> None:
    """A number written in text becomes another one."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", data[:100_000]))
    if found:
        match = random.choice(found[:40] if random.random() < 0.5 else found)
        data[match.start() : match.end()] = random.choice(_WORDS)


def _line(data: bytearray, random: Random) -> None:
    """A line of text is lost or doubled."""
    ends = [match.end() for match in re.finditer(rb"\n", data[:100_000])]
    if len(ends) > 1:
        index = random.randrange(len(ends) - 1)
        data[ends[index] : ends[index + 1]] = bytes(data[ends[index] : ends[index + 1]]) * random.choice((0, 2, 50))


_IN_PLACE: tuple[Mutation, ...] = (_flip, _set, _number, _nudge, _copy)
_RESIZING: tuple[Mutation, ...] = (_truncate, _delete, _insert, _word, _line)
