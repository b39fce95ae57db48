# SPDX-License-Identifier: Apache-2.0
"""Where released files are taken from: the Hugging Face hub, or a folder that somebody filled.

`huggingface_hub.hf_hub_download` starts a file again when a run was killed; at 14 GB that hurts. So the library is used
one storey lower: its request for what the hub has, and its download into an open file with a starting position.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.progress import Progress
from lyra_core.weights.official.sources import UNKNOWN, Source, find_official

_BLOCK = 1 << 24


@dataclass(frozen=True)
class Offer:
    """What an origin has for one file.

    Attributes:
        location: address or path of the content.
        bytes: its size.
        commit: of the repository; "unknown" in a folder.
        etag: the hub's: sha256 of a large file, git blob hash of a small one; None in a folder.
    """

    location: str
    bytes: int
    commit: str
    etag: str | None = None


class Origin(Protocol):
    """Something released files can be had from."""

    def look_up(self, source: Source, revision: str) -> Offer:
        """What it has for `source` at `revision`. Raises LyraError when that is nothing."""
        ...

    def fetch(self, source: Source, offer: Offer, path: Path, progress: Progress) -> None:
        """Brings the content to `path`, which appears only when it is complete. Raises LyraError."""
        ...


class Folder:
    """Released files that are already on this machine: a folder per repository, or the hub's own cache."""

    def __init__(self, root: Path, reason: str = "") -> None:
        """reason: why no other place is asked, for the message. Raises LyraError when there is no such folder."""
        if not root.is_dir():
            raise LyraError(f"folder {root} does not exist.{reason} Name the folder that holds the released files.")
        self._root = root
        self._reason = reason

    def look_up(self, source: Source, revision: str) -> Offer:
        """See `Origin`; the revision is that of the list, which a folder cannot prove."""
        path = find_official(self._root, source)
        if path is None:
            raise LyraError(
                f"{source.name} is not in {self._root} (looked for {source.name}, for REPOSITORY/FILE and in a "
                f"hub cache).{self._reason}"
            )
        return Offer(str(path), path.stat().st_size, UNKNOWN)

    def fetch(self, source: Source, offer: Offer, path: Path, progress: Progress) -> None:
        """Copies the file."""
        with replacing(path) as temporary, Path(offer.location).open("rb") as stream, temporary.open("wb") as target:
            while block := stream.read(_BLOCK):
                target.write(block)
                progress(source.name, target.tell(), offer.bytes)


class Hub:
    """The Hugging Face hub, or whatever speaks its protocol at `HF_ENDPOINT`; the token is the library's business."""

    def look_up(self, source: Source, revision: str) -> Offer:
        """See `Origin`; asks for the headers of the file only."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        reference = "main" if revision == UNKNOWN else revision
        with _hub_errors(source, reference):
            found = get_hf_file_metadata(hf_hub_url(source.repository.id, source.file.path, revision=reference))
        if found.commit_hash is None or found.etag is None or found.size is None:
            raise LyraError(f"{_endpoint()} does not answer as a hub for {source.name}. Check HF_ENDPOINT.")
        return Offer(found.location, found.size, found.commit_hash, found.etag)

    def fetch(self, source: Source, offer: Offer, path: Path, progress: Progress) -> None:
        """Downloads beside `path`, from where an earlier attempt at the same content stopped."""
        from huggingface_hub.file_download import http_get

        part = part_path(path, offer)
        if part.is_file() and part.stat().st_size > offer.bytes:
            part.unlink()
        with _hub_errors(source, offer.commit), part.open("ab") as stream:
            http_get(
                offer.location,
                stream,
                resume_size=stream.tell(),
                headers=_headers(offer),
                expected_size=offer.bytes,
                tqdm_class=_bar(source.name, progress),
            )
        part.replace(path)


def part_path(path: Path, offer: Offer) -> Path:
    """Where an unfinished download to `path` waits; other content on the hub means another name."""
    return path.with_name(f".{path.name}.{(offer.etag or offer.commit)[:16]}.part")


def hub_is_offline() -> bool:
    """Whether the user forbade the network (`HF_HUB_OFFLINE`)."""
    from huggingface_hub import is_offline_mode

    return is_offline_mode()


def hub_cache() -> Folder:
    """What `huggingface_hub` has cached on this machine."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Folder(Path(HF_HUB_CACHE), " HF_HUB_OFFLINE is set, so the hub itself is not asked.")


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is, or will be made [bytes]."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def _endpoint() -> str:
    from huggingface_hub.constants import ENDPOINT

    return ENDPOINT


def _headers(offer: Offer) -> dict[str, str]:
    """Request headers; the token stays with the hub when the content is elsewhere."""
    from huggingface_hub.utils import build_hf_headers

    own = urlsplit(offer.location).netloc == urlsplit(_endpoint()).netloc
    return build_hf_headers(token=None if own else False)


def _bar(name: str, progress: Progress) -> type[Any]:
    """A progress bar class for the library that draws nothing and tells `progress`."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            progress(name, int(self.n), int(self.total or self.n))
            return None

    return Bar


@contextmanager
def _hub_errors(source: Source, revision: str) -> Iterator[None]:
    """Says in one line what the hub or the disk refused, and what to do."""
    from httpx2 import HTTPError
    from huggingface_hub import errors

    repository = source.repository.id
    try:
        yield
    except errors.GatedRepoError as error:
        raise _no_access(repository, "is gated") from error
    except errors.RepositoryNotFoundError as error:
        raise _no_access(repository, "does not exist, or not for you") from error
    except errors.RevisionNotFoundError as error:
        raise LyraError(f"{repository} has no revision {revision}. Update lyra-sim, or use --from.") from error
    except errors.EntryNotFoundError as error:
        raise LyraError(f"{source.name} does not exist at revision {revision}. Was it renamed? Use --from.") from error
    except errors.HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise _no_access(repository, "refuses this account") from error
        text = " ".join(str(error).split())
        raise LyraError(f"{_endpoint()} failed at {source.name} ({text[:200]}). {_AGAIN}") from error
    except HTTPError as error:
        raise LyraError(f"the connection for {source.name} failed ({type(error).__name__}). {_AGAIN}") from error
    except errors.OfflineModeIsEnabled as error:
        raise LyraError(f"{source.name} needs the network, and HF_HUB_OFFLINE is set. Use --from DIR.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            reason = os.strerror(error.errno or 0)
            raise LyraError(f"{source.name} does not fit on the disk ({reason}). Free some space. {_AGAIN}") from error
        text = " ".join(str(error).split())
        raise LyraError(f"{source.name} did not arrive ({text[:200]}). {_AGAIN}") from error


_AGAIN = "Run the command again: it goes on where it stopped."


def _no_access(repository: str, what: str) -> LyraError:
    return LyraError(
        f"repository {repository} {what}. Accept its terms at https://huggingface.co/{repository} and log in "
        "(`hf auth login`, or HF_TOKEN), then run the command again; or use --from DIR."
    )
