"""Downloads from a real server on this machine's loopback."""

import hashlib
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.web.downloads import DownloadLimits, UrllibFetcher
from imagebuilder.ports.transfers import Checksum, TransferFailed, WebSource

CONTENT = b"a file\n" * 1000
LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class _Answers(BaseHTTPRequestHandler):
    server: "Server"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        name, _, rest = urlsplit(self.path).path.removeprefix("/").partition("/")
        if self.path.startswith("http"):
            self.whole()
        else:
            getattr(self, name.replace("-", "_"))(rest)

    def whole(self, _rest: str = "") -> None:
        self.sent(200, CONTENT, {"Content-Length": str(len(CONTENT))})

    def status(self, code: str) -> None:
        self.sent(int(code), b"", {"Content-Length": "0"})

    def to(self, target: str) -> None:
        self.sent(302, b"", {"Location": f"/{target}", "Content-Length": "0"})

    def away(self, target: str) -> None:
        self.sent(301, b"", {"Location": target, "Content-Length": "0"})

    def loop(self, rest: str) -> None:
        self.to("to/loop/" if rest else "loop/again")

    def deeper(self, depth: str) -> None:
        self.to(f"deeper/{int(depth) + 1}")

    def nowhere(self, _rest: str) -> None:
        self.sent(302, b"", {"Content-Length": "0"})

    def late(self, needed: str) -> None:
        if len(self.server.asked) < int(needed):
            self.status("503")
        else:
            self.whole()

    def busy(self, needed: str) -> None:
        if len(self.server.asked) < int(needed):
            self.status("429")
        else:
            self.whole()

    def short(self, needed: str) -> None:
        if len(self.server.asked) < int(needed):
            self.sent(200, CONTENT[:10], {"Content-Length": str(len(CONTENT))})
        else:
            self.whole()

    def huge(self, _rest: str) -> None:
        self.sent(200, b"", {"Content-Length": str(1 << 50)})

    def endless(self, _rest: str) -> None:
        self.sent(200, b"", {})
        while not self.server.is_over.is_set():
            try:
                self.wfile.write(b"x" * 65536)
            except OSError:
                return

    def drip(self, _rest: str) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        while not self.server.is_over.wait(0.05):
            try:
                self.wfile.write(b"x")
            except OSError:
                return

    def sent(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """A server whose paths say how it answers; `asked` are the paths and headers it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.is_over = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.is_over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


Fetch = Callable[..., bytes]


@pytest.fixture
def fetch(tmp_path: Path, pauses: list[float]) -> Fetch:
    def fetched(
        url: str,
        limits: DownloadLimits | None = None,
        seconds: float | None = 30.0,
        **more: object,
    ) -> bytes:
        fetcher = UrllibFetcher(
            SystemClock(), limits or DownloadLimits(hosts=LOOPBACK), pause=pauses.append
        )
        source = WebSource(url=url, **more)  # type: ignore[arg-type]
        fetcher.fetch(source, tmp_path / "file", seconds)
        return (tmp_path / "file").read_bytes()

    return fetched


@pytest.mark.parametrize("seconds", [None, 30.0])
def test_fetch_then_the_file_is_there(server: Server, fetch: Fetch, seconds: float | None) -> None:
    assert fetch(server.url("whole?a=b#c"), seconds=seconds) == CONTENT
    ((path, headers),) = server.asked
    assert path == "/whole?a=b"
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"
    assert headers["Accept-Encoding"] == "identity"


def test_fetch_when_the_address_names_a_user_then_the_server_is_told_and_nobody_else(
    server: Server, fetch: Fetch
) -> None:
    url = server.url("status/404?token=hush").replace("127", "me:hush@127", 1)
    with pytest.raises(TransferFailed) as failed:
        fetch(url)
    assert server.asked[0][1]["Authorization"] == "Basic bWU6aHVzaA=="
    assert "hush" not in f"{failed.value.message} {failed.value.context}"


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_fetch_when_the_checksum_fits_then_the_file_is_there(
    server: Server, fetch: Fetch, algorithm: str
) -> None:
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    checksum = Checksum(algorithm=algorithm, digest=digest)
    assert fetch(server.url("whole"), checksum=checksum) == CONTENT


def test_fetch_when_the_checksum_does_not_fit_then_fails_at_once(
    server: Server, fetch: Fetch
) -> None:
    checksum = Checksum(algorithm="sha256", digest="0" * 64)
    with pytest.raises(TransferFailed) as failed:
        fetch(server.url("whole"), checksum=checksum)
    assert hashlib.sha256(CONTENT).hexdigest() in failed.value.context
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [404, 403, 204, 206, 304])
def test_fetch_when_the_answer_is_not_200_then_fails_at_once(
    server: Server, fetch: Fetch, status: int
) -> None:
    with pytest.raises(TransferFailed) as failed:
        fetch(server.url(f"status/{status}"))
    assert f"answers {status}" in failed.value.context
    assert len(server.asked) == 1


@pytest.mark.parametrize("path", ["late/5", "busy/3", "short/2"])
def test_fetch_when_it_goes_better_later_then_the_file_is_there(
    server: Server, fetch: Fetch, pauses: list[float], path: str
) -> None:
    assert fetch(server.url(path)) == CONTENT
    assert pauses == [1.0, 2.0, 4.0, 8.0][: int(path[-1]) - 1]


def test_fetch_when_it_never_goes_better_then_five_attempts_are_all(
    server: Server, fetch: Fetch, pauses: list[float]
) -> None:
    with pytest.raises(TransferFailed) as failed:
        fetch(server.url("status/500"))
    assert "attempt 5, the last" in failed.value.context
    assert (len(server.asked), pauses) == (5, [1.0, 2.0, 4.0, 8.0])


def test_fetch_when_nobody_listens_then_tries_five_times(
    server: Server, fetch: Fetch, pauses: list[float]
) -> None:
    server.server_close()
    with pytest.raises(TransferFailed):
        fetch(server.url("whole"))
    assert len(pauses) == 4


def test_fetch_when_redirected_then_follows(server: Server, fetch: Fetch) -> None:
    assert fetch(server.url("to/to/to/whole")) == CONTENT
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("loop/", "in a circle"),
        ("deeper/0", "more than 10 times"),
        ("nowhere/", "answers 302"),
        ("away/file:///etc/passwd", "no address that begins with http"),
        ("away/http://192.0.2.1/x", "not a public address"),
        ("away/http://169.254.169.254/latest", "not a public address"),
    ],
)
def test_fetch_when_a_redirect_leads_nowhere_then_fails_at_once(
    server: Server, fetch: Fetch, pauses: list[float], path: str, reason: str
) -> None:
    with pytest.raises(TransferFailed) as failed:
        fetch(server.url(path))
    assert reason in failed.value.context
    assert pauses == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "http://localhost:9/x",
        "http://[::1]:9/x",
        "http://[::ffff:127.0.0.1]:9/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
        "http://0.0.0.0:9/x",
        "http://10.0.0.1/x",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_fetch_when_the_address_is_not_public_then_nobody_is_asked(
    fetch: Fetch, pauses: list[float], url: str
) -> None:
    with pytest.raises(TransferFailed) as failed:
        fetch(url, DownloadLimits())
    assert "not a public address" in failed.value.context
    assert "download_hosts" in str(failed.value.hint)
    assert pauses == []


@pytest.mark.parametrize("url", ["ftp://example.org/x", "http://", "http://[x/", "http://a:99999/"])
def test_fetch_when_it_is_no_address_of_the_web_then_fails(fetch: Fetch, url: str) -> None:
    with pytest.raises(TransferFailed):
        fetch(url)


@pytest.mark.parametrize("path", ["huge", "endless"])
def test_fetch_when_the_file_is_larger_than_may_be_then_fails_and_stops(
    server: Server, fetch: Fetch, tmp_path: Path, path: str
) -> None:
    limits = DownloadLimits(hosts=LOOPBACK, largest_bytes=100_000)
    with pytest.raises(TransferFailed) as failed:
        fetch(server.url(path), limits)
    assert "larger than the 97.7 KiB" in failed.value.context
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size <= 100_000


@pytest.mark.parametrize("path", ["drip", "endless"])
def test_fetch_when_its_time_is_up_then_fails(server: Server, fetch: Fetch, path: str) -> None:
    with pytest.raises(TransferFailed) as failed:
        fetch(server.url(path), seconds=0.3)
    assert "Its time was up" in failed.value.context


def test_fetch_when_there_is_a_proxy_then_it_is_asked(server: Server, fetch: Fetch) -> None:
    proxy = f"http://me:hush@127.0.0.1:{server.server_port}"
    limits = DownloadLimits(hosts=frozenset({"files.invalid"}), proxy=proxy)
    assert fetch("http://files.invalid/a?b", limits) == CONTENT
    ((path, headers),) = server.asked
    assert path == "http://files.invalid/a?b"
    assert headers["Proxy-Authorization"] == "Basic bWU6aHVzaA=="


@pytest.fixture
def secure(server: Server, tmp_path: Path) -> Server:
    """Give the server behind a certificate that nobody vouches for."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_fetch_when_nobody_vouches_for_the_certificate_then_only_ignoring_it_helps(
    secure: Server, fetch: Fetch, pauses: list[float], host: str
) -> None:
    url = secure.url("whole").replace("http:", "https:").replace("127.0.0.1", host)
    with pytest.raises(TransferFailed) as failed:
        fetch(url)
    assert "certificate" in failed.value.context.lower()
    assert pauses == []
    assert fetch(url, ignores_certificate=True) == CONTENT
