# SPDX-License-Identifier: Apache-2.0
"""How much memory there is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

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
    def read(cls) -> Budget:
        """What is free now: of the first GPU and of main memory, or of main memory only where there is no GPU."""
        import torch

        host = free_main_memory()
        if not torch.cuda.is_available():
            return cls(host, host, gpu=False)
        return cls(torch.cuda.mem_get_info()[0], host, gpu=True)


def free_main_memory() -> int:
    """Bytes of main memory that can be had without swapping."""
    if _MEMINFO.is_file():
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="utf-8").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
