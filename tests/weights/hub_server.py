# SPDX-License-Identifier: Apache-2.0
"""A server that speaks the hub's protocol for model files, on this machine, with the hub's ways to fail.

Small files are served at once, with their git hash as ETag. Large ones (here: `.pt` and `.jit`) redirect to "storage":
the same server under another host name, so that clients must not send their token there.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Behaviour:
    """How the server acts; change it between requests.

    Attributes:
        commit: of all repositories; "main" and the commit itself are known revisions.
        token: what `Authorization: Bearer` must say; None for open repositories.
        gated: whether a missing token is answered as for a gated repository, else as for a missing one.
        forbidden: whether even a token gets 403.
        drop_after: bytes after which the connection is cut; None for never. Shorter bodies pass.
        drops: how often it is cut; -1 for always.
        corrupt: names whose bodies have one wrong byte.
        claimed_bytes: size claimed for every large file; None for the true one.
        broken: whether everything answers 500.
    """

    commit: str = COMMIT
    token: str | None = None
    gated: bool = True
    forbidden: bool = False
    drop_after: int | None = None
    drops: int = -1
    corrupt: set[str] = field(default_factory=set)
    claimed_bytes: int | None = None
    broken: bool = False


@dataclass
class Request:
    """What a client asked."""

    method: str
    path: str
    start: int
    token: str | None


class HubServer:
    """Serves `root`/OWNER/NAME/FILE at /OWNER/NAME/resolve/REVISION/FILE."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.behaviour = Behaviour()
        self.requests: list[Request] = []
        hub = self

        class Handler(_Handler):
            server_of_files = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    @property
    def endpoint(self) -> str:
        """For `HF_ENDPOINT`."""
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, name: str) -> list[Request]:
        """Requests for the content of a file, in order."""
        return [request for request in self.requests if request.method == "GET" and request.path.endswith(name)]

    @contextmanager
    def running(self) -> Iterator[HubServer]:
        """Answers requests while the context is open."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_of_files: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent."""

    def _answer(self) -> None:
        hub, behaviour = self.server_of_files, self.server_of_files.behaviour
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        if self.path.startswith("/api/"):  # what the client wants to know besides files
            return self._refuse(404, "", "not served")
        hub.requests.append(Request(self.command, self.path, self._start(), token))
        if behaviour.broken:
            return self._refuse(500, "", "out of order")
        if self.path.startswith("/storage/"):
            return self._body(self.path.removeprefix("/storage/"))
        repository, _, rest = self.path.removeprefix("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if not self._admitted(token):
            return None
        if revision not in ("main", behaviour.commit):
            return self._refuse(404, "RevisionNotFound", "Invalid rev id")
        if not (hub.root / repository / file).is_file():
            return self._refuse(404, "EntryNotFound", "Entry not found")
        name = f"{repository}/{file}"
        return self._redirect(name) if file.endswith((".pt", ".jit")) else self._body(name)

    def _admitted(self, token: str | None) -> bool:
        behaviour = self.server_of_files.behaviour
        if behaviour.forbidden:
            self._refuse(403, "", "token lacks permission")
        elif behaviour.token is not None and token != behaviour.token:
            self._refuse(401, "GatedRepo" if behaviour.gated else "RepoNotFound", "Access is restricted")
        else:
            return True
        return False

    def _start(self) -> int:
        wanted = self.headers.get("Range") or "bytes=0-"
        return int(wanted.removeprefix("bytes=").partition("-")[0])

    def _content(self, name: str) -> bytes:
        return (self.server_of_files.root / name).read_bytes()

    def _redirect(self, name: str) -> None:
        hub, content = self.server_of_files, self._content(name)
        claimed = hub.behaviour.claimed_bytes
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{hub.port}/storage/{name}")
        self.send_header("X-Repo-Commit", hub.behaviour.commit)
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content) if claimed is None else claimed))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self, name: str) -> None:
        behaviour, content, start = self.server_of_files.behaviour, self._content(name), self._start()
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        if name in behaviour.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        rest = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{blob}"')
        self.send_header("X-Repo-Commit", behaviour.commit)
        self.send_header("Content-Length", str(len(rest)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if behaviour.drop_after is not None and behaviour.drops != 0 and len(rest) > behaviour.drop_after:
            behaviour.drops -= 1
            rest = rest[: behaviour.drop_after]
            self.close_connection = True
        self.wfile.write(rest)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()
