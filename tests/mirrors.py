"""A package archive of a test's own, on loopback."""

import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Answer:
    """What an address gives. `sent` is less than the content when the answer is cut short."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    has_length: bool = True


@dataclass(slots=True)
class Mirror:
    """A running archive: what it gives and what it was asked."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(1 for request in self.requests if request[1] == path)


def basic(credentials: str) -> str:
    """Give the header that carries user:password."""
    return f"Basic {b64encode(credentials.encode()).decode()}"


@contextmanager
def mirror() -> Iterator[Mirror]:
    """Give a running archive that holds nothing yet."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Stay silent."""

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k.lower(): v for k, v in self.headers.items()}
            served.requests.append((self.command, self.path, headers, body))
            answer = served.answers.get(self.path, Answer(status=404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.has_length:
                self.send_header("Content-Length", str(len(answer.content)))
            else:
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.content[: answer.sent])
            if answer.sent is not None:
                self.close_connection = True

        do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the library's names

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served = Mirror(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
