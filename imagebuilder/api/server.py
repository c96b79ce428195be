"""The server of the door: waitress, in threads of its own, with limits."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.hook import LARGEST_BODY_BYTES

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_LARGEST_HEADER_BYTES = 16 * 1024
_IDLE_SECONDS = 30
_MOST_CONNECTIONS = 100
_THREADS = 4
_LOOK_SECONDS = 0.5


class DoorBlocked(Unavailable):
    """The address that the door was to be at cannot be listened on."""

    code = "door-blocked"

    def __init__(self, host: str, port: int, reason: str) -> None:
        """Name the address, and what the system said."""
        super().__init__(
            f"Nothing can be listened to on {host} port {port}.",
            context=reason,
            hint="Choose another address, or end who listens there.",
        )


@contextmanager
def open_door(app: "WSGIApplication", host: str, port: int) -> Iterator[int]:
    """Answer requests to the end of the block, and give the port; 0 asks for a free one.

    Raises: DoorBlocked.
    """
    # It takes 20 ms to load, which no other command need wait.
    from waitress import create_server, wasyncore  # noqa: PLC0415

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, address = found[0][0], found[0][4]
        listening = socket.create_server((str(address[0]), port), family=family)
    except OSError as error:
        raise DoorBlocked(host, port, str(error)) from error
    channels: dict[int, object] = {}
    server = create_server(
        app,
        map=channels,
        sockets=[listening],
        threads=_THREADS,
        ident=None,
        connection_limit=_MOST_CONNECTIONS,
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=_IDLE_SECONDS,
        max_request_header_size=_LARGEST_HEADER_BYTES,
        # One more than is taken, so that it is our own answer that tells of it.
        max_request_body_size=LARGEST_BODY_BYTES + 1024,
        clear_untrusted_proxy_headers=True,
        log_untrusted_proxy_headers=False,
    )
    is_over = threading.Event()

    def answer() -> None:
        while not is_over.is_set():
            wasyncore.loop(timeout=_LOOK_SECONDS, map=channels, count=1)

    thread = threading.Thread(target=answer, name="door", daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        is_over.set()
        server.pull_trigger()
        thread.join()
        server.task_dispatcher.shutdown()
        wasyncore.close_all(map=channels)
