"""How a registry that wants tokens is spoken with."""

import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from imagebuilder.adapters.web.registry import Registry
from imagebuilder.domain.digest import DigestMismatch
from imagebuilder.ports.targets import TargetRefused
from tests.build import a_digest

BASIC = f"Basic {b64encode(b'eva:secret').decode()}"


class _Registry(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scopes: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self.scopes.append(parse_qs(parts.query)["scope"][0])
            is_let_in = self.headers.get("Authorization") == BASIC
            self._answer(200 if is_let_in else 401, b'{"token": "t0k"}' if is_let_in else b"{}")
        elif self.headers.get("Authorization") == "Bearer t0k":
            is_there = parts.path.rpartition("/")[2] != "none"
            self._answer(200 if is_there else 404, b"another manifest")
        else:
            port = self.connection.getsockname()[1]
            ask = f'realm="http://127.0.0.1:{port}/token",service="r",scope="repository:web:pull"'
            self._answer(401, b"", {"WWW-Authenticate": f"Bearer {ask}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def repository() -> Iterator[str]:
    _Registry.scopes.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}/web"
        server.shutdown()
        thread.join()


def a_registry(repository: str, password: bytes = b"secret") -> Registry:
    return Registry(repository, is_plain_http=True, credentials=lambda: b"eva:" + password)


def test_a_token_is_got_once_and_used_for_all_that_follows(repository: str) -> None:
    registry = a_registry(repository)

    registry.check()

    assert registry.manifest("none") is None
    assert registry.manifest("some") == b"another manifest"
    assert _Registry.scopes == ["repository:web:pull"]


def test_a_wrong_password_is_refused_and_stands_in_no_error(repository: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        a_registry(repository, b"not-it").check()

    said = f"{refused.value.message} {refused.value.context} {refused.value.hint}"
    assert "not-it" not in said
    assert BASIC not in said


def test_a_manifest_that_is_another_than_was_asked_for_is_not_taken(repository: str) -> None:
    with pytest.raises(DigestMismatch):
        a_registry(repository).manifest(str(a_digest("wanted")))
