# SPDX-License-Identifier: Apache-2.0
"""From an exception to the `error` message of the protocol."""

from __future__ import annotations

import errno
import textwrap

from lyra_core.app.worker_protocol import Error, ErrorCode
from lyra_core.errors import LyraError
from lyra_core.faults import GpuLost, chain, is_disk_full, is_gpu_lost, is_out_of_memory
from usd_export.errors import UsdExportError

HINTS: dict[ErrorCode, str] = {
    "bad_request": "Change what was asked for, then start again.",
    "no_gpu": "Choose the device cpu, or another GPU, or check the driver.",
    "out_of_memory": "Close other programs, or ask for fewer Gaussians, then start again.",
    "weights_missing": "Put the weights in place (lyra doctor shows where), or choose another model.",
    "input_unreadable": "Choose another file.",
    "disk_full": "Free some space, or choose another output folder, then start again.",
    "internal": "The traceback is in worker.log in the job folder; please report it.",
}
"""What a user can do, by code."""

_RETRYABLE: frozenset[ErrorCode] = frozenset({"no_gpu", "out_of_memory", "weights_missing", "disk_full"})
"""The same request can succeed once the machine is put right."""
_CODE_OF_PHASE: dict[str, ErrorCode] = {"inputs": "input_unreadable", "model": "weights_missing"}
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_LONGEST = 1000


class JobError(LyraError):
    """A failure whose code is known where it arises."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def failure(error: BaseException, phase: str | None = None) -> Error:
    """The message for a user.

    Args:
        error: what was raised.
        phase: the phase of the run in which it was.
    """
    code = _code(error, phase)
    if is_gpu_lost(error) and not isinstance(error, GpuLost):
        error = GpuLost(error)
    text = textwrap.shorten(str(error) or type(error).__name__, _LONGEST, placeholder=" ...")
    if code == "internal":
        text = f"internal error ({type(error).__name__}: {text})"
    return Error(code=code, msg=text, hint=HINTS[code], retryable=code in _RETRYABLE)


def _code(error: BaseException, phase: str | None) -> ErrorCode:
    links = list(chain(error))
    numbers = {link.errno for link in links if isinstance(link, OSError)}
    if is_disk_full(error):
        return "disk_full"
    if any(map(is_out_of_memory, links)):
        return "out_of_memory"
    if any(map(is_gpu_lost, links)):
        return "no_gpu"
    if isinstance(error, JobError):
        return error.code
    if isinstance(error, LyraError | UsdExportError):
        return _CODE_OF_PHASE.get(phase or "", "bad_request")
    return "bad_request" if numbers & set(_REFUSED) else "internal"
