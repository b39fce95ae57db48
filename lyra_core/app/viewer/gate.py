# SPDX-License-Identifier: Apache-2.0
"""Access to the viewer: a link that works once, then a cookie; everybody else is turned away.

The server listens on the loopback interface only, but so does every program of every user of this machine, and web
pages can make a browser call it. Hence the link carries a secret, the cookie that it is exchanged for is checked at
every request and websocket, and names of hosts and origins must be those of the loopback interface, which stops DNS
rebinding and foreign pages.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websockets.asyncio.server
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

HOST = "127.0.0.1"
_LOOPBACK = {HOST, "localhost", "::1"}
_TICKET = "ticket"
_REFUSAL = "This viewer opens with the link that `lyra view` has printed. Each link works once.\n"


class Gate:
    """Lets in whoever has the latest link.

    Args:
        used: Called when a link has been used up and `link` gives another one.
    """

    def __init__(self, used: Callable[[], None] = lambda: None) -> None:
        self._used = used
        self._ticket = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(24)
        self._cookie = f"lyra_view_{secrets.token_hex(4)}"  # cookies are shared by all ports of a host

    def link(self, port: int) -> str:
        """The address to open; it works once."""
        return f"http://{HOST}:{port}/?{_TICKET}={self._ticket}"

    def answer(self, request: Request) -> Response | None:
        """What a request gets instead of the viewer; None lets it pass."""
        if not self._is_local(request):
            return _refused()
        if self._has_cookie(request):
            return None
        ticket = parse_qs(urlsplit(request.path).query).get(_TICKET, [""])[0]
        if not secrets.compare_digest(ticket.encode(), self._ticket.encode()):
            return _refused()
        self._ticket = secrets.token_urlsafe(24)
        self._used()
        cookie = f"{self._cookie}={self._session}; HttpOnly; SameSite=Lax; Path=/"
        return Response(HTTPStatus.FOUND, "Found", Headers({"Location": "/", "Set-Cookie": cookie}))

    def _is_local(self, request: Request) -> bool:
        origin = request.headers.get("Origin")
        hosts = [f"//{request.headers.get('Host', '')}", *([origin] if origin is not None else [])]
        return all(_hostname(host) in _LOOPBACK for host in hosts)

    def _has_cookie(self, request: Request) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        for header in request.headers.get_all("Cookie"):
            try:
                cookies.load(header)
            except CookieError:
                return False
        given = cookies[self._cookie].value if self._cookie in cookies else ""
        return secrets.compare_digest(given.encode(), self._session.encode())


@contextmanager
def guarding(gate: Gate) -> Iterator[None]:
    """Every websocket server that is started within asks `gate` first; viser offers no place for such a check."""
    serve = websockets.asyncio.server.serve

    def guarded(*arguments: Any, process_request: Callable[[Any, Request], Any], **options: Any) -> Any:
        def check(connection: Any, request: Request) -> Any:
            return gate.answer(request) or process_request(connection, request)

        return serve(*arguments, process_request=check, **options)

    websockets.asyncio.server.serve = guarded  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        websockets.asyncio.server.serve = serve  # type: ignore[misc]


def _hostname(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _refused() -> Response:
    headers = Headers({"Content-Type": "text/plain; charset=utf-8", "Connection": "close"})
    return Response(HTTPStatus.FORBIDDEN, "Forbidden", headers, _REFUSAL.encode())
