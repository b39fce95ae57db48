# SPDX-License-Identifier: Apache-2.0
"""When the machine gives out and not the request: memory or disk ran out, a GPU failed."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator

from lyra_core.errors import LyraError

_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "Unable to allocate", "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)  # fmt: skip
_GPU = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS_", "CUDNN_STATUS_", "cuDNN error")


class MachineFault(LyraError):
    """The same request can succeed once the machine is put right, so what is finished is worth keeping."""


class OutOfMemory(MachineFault):
    """No plan fits into the memory that is there."""


class GpuLost(MachineFault):
    """The GPU failed while it worked; CUDA does not recover from that within a process."""

    def __init__(self, error: BaseException) -> None:
        """error: what torch raised."""
        reason = str(error).strip().partition("\n")[0]
        super().__init__(
            f"the GPU failed while it worked ({reason}). Check the card and its driver (nvidia-smi) and run the same "
            "again, or hide the GPU with CUDA_VISIBLE_DEVICES= to work on the CPU."
        )


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from or during."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def is_disk_full(error: BaseException) -> bool:
    """Whether a write found no room, also where another error came of it."""
    full = (errno.ENOSPC, errno.EDQUOT)
    links = list(chain(error))
    return any(isinstance(link, OSError) and link.errno in full for link in links) or any(
        "No space left" in str(link) for link in links
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch's CPU allocator and the CUDA libraries only say so in words."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError | OutOfMemory) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def is_gpu_lost(error: BaseException) -> bool:
    """Whether the GPU failed. Running out of memory is no failure of the GPU."""
    if isinstance(error, GpuLost):
        return True
    return isinstance(error, RuntimeError) and not is_out_of_memory(error) and any(text in str(error) for text in _GPU)
