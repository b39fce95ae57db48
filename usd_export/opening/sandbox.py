# SPDX-License-Identifier: Apache-2.0
"""Opening USD layers of unknown origin in a limited child process first.

USD's parsers are fast C++ code, and a damaged or hostile layer can crash, hang or exhaust them. A child process of
limited memory and processor time opens the scene, refuses references that lead out of it, and reads every value once.
Only what the child survives is opened by the caller. `python -m usd_export.opening.sandbox FILE` is that child.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from usd_export.errors import UsdExportError

_BASE_BYTES = 3 << 29  # of address space: Python and USD with one thread take 0.9 GiB
_BYTES_PER_BYTE = 10  # usda text takes 6 times its size to parse; usdc, less than its size
_BASE_SECONDS = 20
_BYTES_PER_SECOND = 5 << 20  # usda text is parsed at 100 MB/s
_STACK_BYTES = 2 << 20  # a quarter of what the caller has, who may open the layers in another thread
_WALL_FACTOR = 20  # a busy machine is no hang

_REFUSED = 3


def probe(path: Path) -> list[Path]:
    """Open a USD file in a child process.

    Returns:
        The layers and packages on disk that the scene consists of, the root first.

    Raises:
        UsdExportError: If a reference leads out of the scene, or the child crashes, hangs or needs too much memory.
    """
    seconds = _WALL_FACTOR * _processor_seconds(path.stat().st_size)
    command = [sys.executable, "-P", "-S", "-m", "usd_export.opening.sandbox", str(path.absolute())]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, env=_environment(),
            cwd=path.absolute().parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UsdExportError(f"{path} could not be opened within {seconds} s; it is damaged or too large") from error
    except OSError as error:
        raise UsdExportError(f"{path} could not be checked: {sys.executable} does not start ({error})") from error
    if done.returncode == 0:
        return [Path(file) for file in json.loads(done.stdout)]
    if done.returncode == _REFUSED:
        raise UsdExportError(json.loads(done.stdout))
    raise UsdExportError(f"{path} is damaged: {_death(done)}; write or download it again")


def _processor_seconds(size: int) -> int:
    return _BASE_SECONDS + size // _BYTES_PER_SECOND


def _environment() -> dict[str, str]:
    """Only what the child needs to find its code: no settings of USD, no search path for layers."""
    here = str(Path(__file__).parents[2])
    environment = {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in (*sys.path, here)),  # noqa: PTH100
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "PXR_WORK_THREAD_LIMIT": "1",  # each thread would cost address space
    }
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
    return environment | {name: os.environ[name] for name in kept if name in os.environ}


def _death(done: subprocess.CompletedProcess[bytes]) -> str:
    """Why the child ended, in a few words."""
    if done.returncode == -signal.SIGXCPU:
        return "opening it takes too long"
    if b"MemoryError" in done.stderr or b"bad_alloc" in done.stderr:
        return "opening it takes too much memory"
    if done.returncode < 0:
        return f"opening it crashes the USD library ({signal.Signals(-done.returncode).name})"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"opening it fails ({lines[-1] if lines else 'no message'})"


class _Limits:
    """Memory and processor time that grow with the files of the scene."""

    def __init__(self) -> None:
        self._total = 0

    def allow(self, file: Path) -> None:
        """Make room for one more file."""
        import resource

        self._total += file.stat().st_size
        memory = _BASE_BYTES + _BYTES_PER_BYTE * self._total
        _lower(resource.RLIMIT_AS, memory)
        _lower(resource.RLIMIT_CPU, _processor_seconds(self._total))
        _lower(resource.RLIMIT_STACK, _STACK_BYTES)
        _lower(resource.RLIMIT_FSIZE, 0)
        _lower(resource.RLIMIT_CORE, 0)


def _lower(limit: int, value: int) -> None:
    """Set the soft limit, as far as the hard one allows."""
    import resource

    hard = resource.getrlimit(limit)[1]
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _examine(root: Path) -> list[Path]:
    """Everything that a caller may do with the scene later, on every prim and attribute."""
    limits = _Limits()
    limits.allow(root)

    from pxr import Tf, Usd

    from usd_export.opening.references import require_only, scene_files
    from usd_export.opening.stage import tf_message

    try:
        found = scene_files(root, limits.allow)
        stage = Usd.Stage.Open(str(root))
        require_only(stage, found.files)
        for prim in Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()):
            prim.GetAllMetadata()
            for attribute in prim.GetAttributes():
                attribute.Get()
                for time in attribute.GetTimeSamples():
                    attribute.Get(time)
    except Tf.ErrorException as error:
        if "bad_alloc" in str(error):
            raise MemoryError from error
        raise UsdExportError(f"{root} is damaged or not a USD file ({tf_message(error)}); write it again") from error
    return found.files


def _main(path: str) -> int:
    try:
        print(json.dumps([str(file) for file in _examine(Path(path))]))
    except UsdExportError as error:
        print(json.dumps(str(error)))
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
