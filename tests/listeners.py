"""Servers on this machine's loopback that remember what they are told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Posted(BaseHTTPRequestHandler):
    server: "HookListener"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, dict(self.headers), body))
        if self.path == "/hangs":
            self.server.is_over.wait()
            return
        self.send_response(self.server.answers)
        self.send_header("Location", self.server.url("elsewhere"))
        self.send_header("Content-Length", "0")
        self.end_headers()


class HookListener(ThreadingHTTPServer):
    """Takes webhooks, and answers each with a status."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Posted)
        self.answers = 204
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.is_over = threading.Event()

    def url(self, path: str) -> str:
        """Give the address of a path."""
        return f"http://127.0.0.1:{self.server_port}/{path}"


def free_port() -> int:
    """Give a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def listening_hooks() -> Iterator[HookListener]:
    """Give a listener that is at work until the end of the block."""
    with HookListener() as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener
        finally:
            listener.is_over.set()
            listener.shutdown()
            thread.join()
