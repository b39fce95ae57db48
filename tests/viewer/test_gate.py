# SPDX-License-Identifier: Apache-2.0
"""Who gets into the viewer, asked over the network."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import pytest
import viser
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lyra_core.app.viewer.window import Viewer

PROTOCOL = [f"viser-v{viser.__version__}"]


def _get(viewer: Viewer, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=30)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def _ticket_path(viewer: Viewer) -> str:
    return f"/?{urlsplit(viewer.link).query}"


def _cookie(viewer: Viewer) -> str:
    answer = _get(viewer, _ticket_path(viewer))
    assert answer.status == 302
    return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def test_nobody_gets_in_without_the_link(viewer: Viewer) -> None:
    assert _get(viewer).status == 403
    assert _get(viewer, "/?ticket=guess").status == 403
    assert _get(viewer, "/assets/../../../../etc/passwd").status == 403


def test_a_link_works_once_and_its_cookie_stays_good(viewer: Viewer) -> None:
    path = _ticket_path(viewer)
    cookie = _cookie(viewer)
    assert _get(viewer, path).status == 403
    assert path != _ticket_path(viewer)
    page = _get(viewer, Cookie=cookie)
    assert page.status == 200
    assert b"<html" in page.read()


def test_the_cookie_is_out_of_reach_for_scripts(viewer: Viewer) -> None:
    attributes = (_get(viewer, _ticket_path(viewer)).getheader("Set-Cookie") or "").split("; ")
    assert "HttpOnly" in attributes
    assert "SameSite=Lax" in attributes


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": ""}, {"Origin": "http://evil.example"}])
def test_names_of_others_are_refused_even_with_the_cookie(viewer: Viewer, headers: dict[str, str]) -> None:
    assert _get(viewer, Cookie=_cookie(viewer), **headers).status == 403


def test_the_websocket_asks_for_the_cookie_too(viewer: Viewer) -> None:
    address = f"ws://127.0.0.1:{viewer.port}"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, subprotocols=PROTOCOL)  # type: ignore[arg-type]
    cookie = {"Cookie": _cookie(viewer)}
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, subprotocols=PROTOCOL, additional_headers=cookie, origin="http://evil.example")  # type: ignore[arg-type]
    with connect(address, subprotocols=PROTOCOL, additional_headers=cookie) as connection:  # type: ignore[arg-type]
        assert len(connection.recv(timeout=30)) > 0


def test_it_listens_on_the_loopback_interface_only(viewer: Viewer) -> None:
    outside = socket.gethostbyname(socket.gethostname())
    if outside.startswith("127."):
        pytest.skip("this machine has no address but the loopback one")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((outside, viewer.port), timeout=10).close()


def test_another_viewer_takes_the_next_port_and_other_secrets(viewer: Viewer) -> None:
    second = Viewer(viewer.content, port=viewer.port, budget=1000)
    try:
        assert second.port != viewer.port
        assert _get(second, Cookie=_cookie(viewer)).status == 403
    finally:
        second.close()
