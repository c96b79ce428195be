"""Reach: what a sandbox can see of the network: one forwarding proxy, and nothing else.

A network namespace is made whose only interface is its own loopback. A listening socket made inside
it stays inside, while the threads that serve it live outside: so there is no bridge, no address
translation, no firewall rule, and nothing to clean up: the namespace ends with its last descriptor,
also when we are killed. The host's loopback and metadata addresses do not exist in there.

The proxy keeps what never changes under its address (.deb files, indexes named by their hash), so
that the next build downloads nothing twice; apt checks every byte of it again inside.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import socketserver
import struct
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, InvalidURL
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from imagebuilder.adapters.local.package_cache import KeptAnswer
from imagebuilder.domain.addresses import is_public

PROXY_PORT = 3128
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 18
_LARGEST_BODY_BYTES = 64 << 20
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
_HOP_HEADERS = frozenset(
    ("connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "upgrade", "host")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Whom a sandbox may talk to.

    `archives` are always allowed, wherever they are; with `is_open` every public address is too.
    Shape: `archives` are (host, port); `credentials` maps the host of one to user:password, added
    here so that no sandbox ever sees them.
    """

    archives: frozenset[tuple[str, int]]
    is_open: bool = False
    credentials: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Reach:
    """An open way out: the namespace to enter, and what is wrong on the far side.

    Shape: `failures` maps the host of an archive that did not answer when it was last asked to why.
    """

    namespace_fd: int
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What tells programs inside to use the proxy."""
        address = f"http://127.0.0.1:{PROXY_PORT}"
        return {"http_proxy": address, "https_proxy": address}


@contextlib.contextmanager
def opened(allowed: Allowed, cache: Path) -> Iterator[Reach]:
    """Give a reach with those limits; it is closed when the context ends."""
    namespace_fd, listener = _listening_inside()
    reach = Reach(namespace_fd=namespace_fd)
    server = _Proxy(listener, allowed, cache, reach.failures)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield reach
    finally:
        server.shutdown()
        server.server_close()
        os.close(namespace_fd)


def _listening_inside() -> tuple[int, socket.socket]:
    made: list[tuple[int, socket.socket] | OSError] = []
    # Only the calling thread moves into the new namespace, so a thread of its own is spent on it.
    thread = threading.Thread(target=lambda: made.append(_in_new_namespace()))
    thread.start()
    thread.join()
    result = made[0]
    if isinstance(result, OSError):
        raise result
    return result


def _in_new_namespace() -> tuple[int, socket.socket] | OSError:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            return OSError(ctypes.get_errno(), "unshare of the network namespace")
        listener = socket.socket()
        request = struct.pack("16sH14x", b"lo", _IFF_UP)
        fcntl.ioctl(listener, _SIOCSIFFLAGS, request)
        listener.bind(("127.0.0.1", PROXY_PORT))
        listener.listen(64)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY), listener
    except OSError as error:
        return error


class _Proxy(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listener: socket.socket, allowed: Allowed, cache: Path, failures: dict[str, str]
    ) -> None:
        super().__init__(listener.getsockname(), _Forwarding, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.allowed = allowed
        self.cache = cache
        self.failures = failures

    def handle_error(self, request: object, client_address: object) -> None:
        """Let go of a client that went away; everything else was answered or noted as a failure."""


class _NotAllowedError(Exception):
    pass


class _AnswerCutShortError(Exception):
    pass


class _ClientGoneError(Exception):
    pass


class _Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_SECONDS
    server: _Proxy

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Stay silent: what the sandbox fetches stands in the step's own output."""

    def do_GET(self) -> None:
        """Answer from the cache, or fetch."""
        address = self._address()
        if address is None:
            return
        kept = KeptAnswer(self.server.cache, self.path)
        content = kept.found() if address in self.server.allowed.archives else None
        if content is None:
            self._fetch(address, kept)
            return
        with content:
            self._answer(200, {"Content-Length": str(os.fstat(content.fileno()).st_size)})
            if self.command == "GET":
                shutil.copyfileobj(content, self.wfile, _CHUNK_BYTES)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def do_POST(self) -> None:
        """Forward what a step sends, such as a registration."""
        address = self._address()
        if address is not None:
            self._fetch(address, None)

    do_PUT = do_POST  # noqa: N815 - the library's name

    def do_CONNECT(self) -> None:
        """Carry an encrypted connection through, unseen."""
        host, _, port = self.path.rpartition(":")
        if not port.isdecimal():
            self.send_error(400, "CONNECT takes a host, a colon and a port")
            return
        address = host.strip("[]").lower(), int(port)
        try:
            upstream = self._connected(address)
        except (_NotAllowedError, OSError) as error:
            self._refuse(address, error)
            return
        self.send_response(200, "Connection established")
        self.end_headers()
        with upstream:
            _carry(self.connection, upstream)
        self.close_connection = True

    def _address(self) -> tuple[str, int] | None:
        """Give host and port of what is asked for; None when it was refused."""
        try:
            url = urlsplit(self.path)
            if url.scheme == "http" and url.hostname:
                return url.hostname, url.port or 80
        except ValueError:
            pass  # a port or an address that is none: refused like every other kind
        self.send_error(400, "Only http:// addresses are forwarded")
        return None

    def _body(self) -> bytes | None:
        """Give what was sent along; None when it was refused."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self.send_error(411, "Say how long the content is")
        elif int(length) > _LARGEST_BODY_BYTES:
            self.send_error(413, "That is more than a build may send at once")
        else:
            return self.rfile.read(int(length))
        return None

    def _fetch(self, address: tuple[str, int], kept: "KeptAnswer | None") -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            return
        connection = HTTPConnection(*address, timeout=_TIMEOUT_SECONDS)
        try:
            with contextlib.closing(connection):
                connection.sock = self._connected(address)
                connection.request(
                    self.command, self._target(), body=body or None, headers=self._headers(address)
                )
                with connection.getresponse() as response:
                    self._note(address, response)
                    self._relay(response, kept)
        except _AnswerCutShortError as error:
            self._fail(address, str(error))
            self.close_connection = True
        except InvalidURL:
            self.send_error(400, "That is no address")
        except (_NotAllowedError, OSError, HTTPException) as error:
            self._refuse(address, error)

    def _target(self) -> str:
        url = urlsplit(self.path)
        return f"{url.path or '/'}{'?' + url.query if url.query else ''}"

    def _headers(self, address: tuple[str, int]) -> dict[str, str]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_HEADERS}
        allowed = self.server.allowed
        if address in allowed.archives and address[0] in allowed.credentials:
            secret = b64encode(allowed.credentials[address[0]].encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        headers["Host"] = urlsplit(self.path).netloc.rpartition("@")[2]
        return headers

    def _relay(self, response: HTTPResponse, kept: "KeptAnswer | None") -> None:
        length = response.getheader("Content-Length")
        headers = {
            k: v
            for k, v in response.getheaders()
            if k.lower() not in (*_HOP_HEADERS, "transfer-encoding")
        }
        if length is None and self.command != "HEAD":
            headers["Connection"] = "close"
            self.close_connection = True
        self._answer(response.status, headers)
        if self.command == "HEAD":
            return
        is_kept = kept is not None and kept.is_lasting and response.status == 200 and bool(length)  # noqa: PLR2004 - HTTP OK
        passed = 0
        with (
            kept.writing(int(length or 0)) if kept and is_kept else contextlib.nullcontext() as copy
        ):
            while chunk := _read(response):
                self._pass_on(chunk)
                passed += len(chunk)
                if copy is not None:
                    copy.write(chunk)
        if length is not None and passed < int(length):
            raise _AnswerCutShortError(f"the answer ended after {passed} of {length} bytes")

    def _pass_on(self, chunk: bytes) -> None:
        try:
            self.wfile.write(chunk)
        except OSError as gone:
            raise _ClientGoneError from gone

    def _connected(self, address: tuple[str, int]) -> socket.socket:
        host, port = address
        allowed = self.server.allowed
        if address in allowed.archives:
            return socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS)
        if not allowed.is_open:
            raise _NotAllowedError("the component may reach package archives only")
        addresses = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        if not all(is_public(str(address)) for address in addresses):
            raise _NotAllowedError("it is not a public address")
        # The address that was checked is the one that is used, whatever the name says next time.
        return socket.create_connection((str(min(addresses)), port), timeout=_TIMEOUT_SECONDS)

    def _note(self, address: tuple[str, int], response: HTTPResponse) -> None:
        """Remember whether an archive answers; errors of its own are as good as no answer."""
        if response.status >= _SERVER_ERROR:
            self._fail(address, f"it answers {response.status} {response.reason}")
        elif response.status < _CLIENT_ERROR and address in self.server.allowed.archives:
            self.server.failures.pop(address[0], None)

    def _fail(self, address: tuple[str, int], reason: str) -> None:
        if address in self.server.allowed.archives:
            self.server.failures[address[0]] = reason

    def _refuse(self, address: tuple[str, int], error: Exception) -> None:
        host = address[0]
        if isinstance(error, _NotAllowedError):
            self.send_error(403, f"{host} is not reachable from here: {error}")
        else:
            reason = str(error) or type(error).__name__
            self._fail(address, reason)
            self.send_error(502, f"{host} does not answer: {' '.join(reason.split())}")

    def _answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _AnswerCutShortError(str(error) or type(error).__name__) from error


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until either side ends or nothing moves for the time limit."""

    def back() -> None:
        with contextlib.suppress(OSError):
            while chunk := other.recv(_CHUNK_BYTES):
                one.sendall(chunk)
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=back, daemon=True)
    thread.start()
    with contextlib.suppress(OSError):
        while chunk := one.recv(_CHUNK_BYTES):
            other.sendall(chunk)
        other.shutdown(socket.SHUT_WR)
    thread.join(_TIMEOUT_SECONDS)
