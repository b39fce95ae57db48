# SPDX-License-Identifier: Apache-2.0
"""How much memory there is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lyra_core.errors import LyraError

_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Budget:
    """Memory that may be used.

    Attributes:
        device: bytes where the networks run.
        host: bytes of main memory.
        gpu: whether these are two memories.
    """

    device: int
    host: int
    gpu: bool

    @classmethod
    def read(cls, *, vram: int | None = None, ram: int | None = None) -> Budget:
        """What is free now: of the first GPU and of main memory, or of main memory only where there is no GPU.

        Args:
            vram: bytes of GPU memory instead of those that are free.
            ram: bytes of main memory, likewise.

        Raises LyraError for `vram` where there is no GPU.
        """
        import torch

        host = free_main_memory() if ram is None else ram
        if torch.cuda.is_available():
            return cls(torch.cuda.mem_get_info()[0] if vram is None else vram, host, gpu=True)
        if vram is not None:
            raise LyraError("torch finds no GPU here, so there is no GPU memory to limit. Limit main memory instead.")
        return cls(host, host, gpu=False)


def free_main_memory() -> int:
    """Bytes of main memory that can be had without swapping."""
    if _MEMINFO.is_file():
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="utf-8").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
