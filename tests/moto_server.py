"""A stand-in for those services of Amazon's of which a test needs no more than their answers."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_moto() -> Iterator[str]:
    """Give the address of a server that ends with the context."""
    # ruff: noqa: PLC0415 - a second that tests which ask no such service need not wait
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
