# SPDX-License-Identifier: Apache-2.0
"""From an exception to the `error` message of the protocol."""

from __future__ import annotations

import errno
import sys
import textwrap
from collections.abc import Iterator

from lyra_core.app.worker_protocol import Error, ErrorCode
from lyra_core.errors import LyraError
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
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Unable to allocate")
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
    text = textwrap.shorten(str(error) or type(error).__name__, _LONGEST, placeholder=" ...")
    if code == "internal":
        text = f"internal error ({type(error).__name__}: {text})"
    return Error(code=code, msg=text, hint=HINTS[code], retryable=code in _RETRYABLE)


def _code(error: BaseException, phase: str | None) -> ErrorCode:
    chain = list(_chain(error))
    numbers = {link.errno for link in chain if isinstance(link, OSError)}
    if numbers & set(_FULL) or any("No space left" in str(link) for link in chain):
        return "disk_full"
    if any(map(_is_out_of_memory, chain)):
        return "out_of_memory"
    if isinstance(error, JobError):
        return error.code
    if isinstance(error, LyraError | UsdExportError):
        return _CODE_OF_PHASE.get(phase or "", "bad_request")
    return "bad_request" if numbers & set(_REFUSED) else "internal"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from or during."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)
