"""The double at work: a server on the loopback, in threads of this process."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from tests.aws_double.accounts import Accounts, admin_key
from tests.aws_double.application import Application
from tests.aws_double.calls import CallLog
from tests.aws_double.faults import Faults
from tests.aws_double.world import World, new_world

HOME = "111111111111"
"""An account, for tests that need but one."""
REGION = "eu-central-1"
SECRET = "any-secret"
"""No signature is checked."""
_LOADER: Final = botocore.loaders.create_loader()
"""Shared by all sessions: to read the model of a service takes a quarter of a second."""
_NO_RETRIES: Final = Config(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, max_pool_connections=16
)


class Double:
    """A double that is at work."""

    def __init__(self, application: Application, endpoint: str, folder: Path) -> None:
        """Speak for an application that is served at an endpoint, its blocks kept in a folder."""
        self._application = application
        self._folder = folder
        self.endpoint = endpoint
        self._clients: dict[tuple[Any, ...], Any] = {}

    @property
    def world(self) -> World:
        """All that is known besides what moto knows."""
        return self._application.world

    def renew(self) -> None:
        """Begin anew: nothing in it, nothing asked, nothing wrong. Clients stay what they are."""
        self.world.spool.close()
        _forget_what_moto_knows()
        self._application.world = new_world(self._folder)

    @property
    def log(self) -> CallLog:
        """What was asked."""
        return self.world.log

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.world.faults

    @property
    def accounts(self) -> Accounts:
        """Who there is."""
        return self.world.accounts

    def environment(self, account: str = HOME, region: str = REGION) -> dict[str, str]:
        """Give the variables with which any program of AWS asks this double."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": admin_key(account),
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
        }

    def client(self, service: str, account: str = HOME, region: str = REGION, **more: Any) -> Any:
        """Give a client of boto3 that never tries again; more is for its session's credentials."""
        place = (service, account, region, *sorted(more.items()))
        if place not in self._clients:
            keys = {"aws_access_key_id": admin_key(account), "aws_secret_access_key": SECRET}
            core = botocore.session.Session()
            core.register_component("data_loader", _LOADER)
            session = boto3.session.Session(
                region_name=region, botocore_session=core, **(keys | more)
            )
            self._clients[place] = session.client(
                service, endpoint_url=self.endpoint, config=_NO_RETRIES
            )
        return self._clients[place]


class _Handler(MotoRequestHandler):
    """Keeps connections, which werkzeug's own always closes."""

    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            started[:] = status, headers

        try:
            body = b"".join(self.server.app(environ, start))  # type: ignore[arg-type]  # any WSGI application
        except ConnectionAbortedError:
            self.close_connection = True
            return
        status, headers = started
        number, _, phrase = status.partition(" ")
        self.send_response(int(number), phrase)
        for name, value in headers:
            if name.lower() not in {"content-length", "connection", "date", "server"}:
                self.send_header(name, value)
        length = dict(headers).get("Content-Length", "0")
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", length if is_head else str(len(body)))
        if environ["wsgi.input"] is self.rfile and self.headers.get("Content-Length", "0") != "0":
            self.send_header("Connection", "close")  # moto may have left some of it unread
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


class _Server(ThreadedWSGIServer):
    """Ends its open connections when it is closed, so that no thread outlives it."""

    daemon_threads = False

    def __init__(self, application: Application, port: int) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__("127.0.0.1", port, application, handler=_Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was quicker
        super().server_close()


@contextmanager
def running_double(port: int = 0) -> Iterator[Double]:
    """Give a double with nothing in it, at work until the end of the block.

    What moto knows is of the process: two doubles at a time in one would share it.

    Raises:
        SystemExit: somebody listens on that port
    """
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    _forget_what_moto_knows()
    with tempfile.TemporaryDirectory(prefix="aws-double-") as folder:
        application = Application(new_world(Path(folder)))
        server = _Server(application, port)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Double(application, f"http://127.0.0.1:{server.server_port}", Path(folder))
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            application.world.spool.close()


def _forget_what_moto_knows() -> None:
    BackendDict.reset()
    reset_model_data()
