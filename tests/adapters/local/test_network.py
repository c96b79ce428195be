"""The proxy: asked from inside its namespace, before an archive on the machine's loopback."""

import ctypes
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from imagebuilder.adapters.local import network
from imagebuilder.adapters.local.network import Allowed, Reach
from tests.mirrors import Answer, Mirror, basic, mirror

pytestmark = pytest.mark.root

ThingT = TypeVar("ThingT")
DEB = "/debian/pool/main/n/nginx/nginx_1.0_amd64.deb"
HASHED = "/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/abc"
INDEX = "/debian/dists/bookworm/InRelease"


@pytest.fixture
def archive() -> Iterator[Mirror]:
    with mirror() as served:
        yield served


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "packages"


@contextmanager
def reaching(archive: Mirror, cache: Path, **more: object) -> Iterator[Reach]:
    allowed = Allowed(archives=frozenset({("127.0.0.1", archive.port)}), **more)  # type: ignore[arg-type]
    with network.opened(allowed, cache) as reach:
        yield reach


def inside(reach: Reach, work: Callable[[], ThingT]) -> ThingT:
    """Do something in the namespace of a reach, in a thread that is spent on it."""
    done: list[ThingT] = []

    def enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(reach.namespace_fd, 0) == 0
        done.append(work())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(60)
    assert done, "it failed inside, or took too long"
    return done[0]


def told(reach: Reach, request: str) -> bytes:
    """Send a request to the proxy as it is and give all that comes back."""

    return inside(reach, lambda: raw(request.replace("\n", "\r\n").encode()))


def get(reach: Reach, url: str, *headers: str, method: str = "GET") -> tuple[int, bytes]:
    """Ask for an address and give status and content."""
    lines = [f"{method} {url} HTTP/1.1", "Host: wrong.example.org", "Connection: close", *headers]
    head, _, body = told(reach, "\n".join(lines) + "\n\n").partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_get_from_an_archive_gives_its_answer_and_asks_it_by_its_own_name(
    archive: Mirror, cache: Path
) -> None:
    archive.answers[INDEX] = Answer(b"signed")
    with reaching(archive, cache) as reach:
        assert get(reach, archive.url + INDEX) == (200, b"signed")
    (_, path, headers, _) = archive.requests[0]
    assert path == INDEX
    assert headers["host"] == f"127.0.0.1:{archive.port}"


@pytest.mark.parametrize(
    "url",
    [
        "http://archive.example.org/debian/x.deb",
        "http://127.0.0.1:1/debian/x.deb",
        "http://localhost:22/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_get_of_anything_but_an_archive_is_refused(
    archive: Mirror, cache: Path, url: str, method: str
) -> None:
    with reaching(archive, cache) as reach:
        assert get(reach, url, method=method)[0] == 403
        assert reach.failures == {}


def test_get_of_another_port_of_an_archives_host_is_refused(archive: Mirror, cache: Path) -> None:
    with mirror() as other, reaching(archive, cache) as reach:
        assert get(reach, other.url + INDEX)[0] == 403
        assert other.requests == []


def test_get_when_redirected_then_passes_it_on_and_the_new_place_is_checked_too(
    archive: Mirror, cache: Path
) -> None:
    with mirror() as other, reaching(archive, cache) as reach:
        archive.answers[DEB] = Answer(status=302, headers={"Location": other.url + DEB})
        assert get(reach, archive.url + DEB)[0] == 302
        assert get(reach, other.url + DEB)[0] == 403
        assert other.requests == []


@pytest.mark.parametrize(
    "request_",
    [
        "GET /etc/passwd HTTP/1.1\n\n",
        "GET file:///etc/passwd HTTP/1.1\n\n",
        "GET https://127.0.0.1/ HTTP/1.1\n\n",
        "GET ftp://127.0.0.1/ HTTP/1.1\n\n",
        "GET http://127.0.0.1:99999999/ HTTP/1.1\n\n",
        "GET http://127.0.0.1:x/ HTTP/1.1\n\n",
        "GET http://[::1/ HTTP/1.1\n\n",
        "POST http://127.0.0.1:x/ HTTP/1.1\n\n",
        "CONNECT nowhere HTTP/1.1\n\n",
        "CONNECT :x HTTP/1.1\n\n",
    ],
)
def test_anything_that_is_no_address_is_answered_with_400(
    archive: Mirror, cache: Path, request_: str
) -> None:
    with reaching(archive, cache) as reach:
        text = request_.replace("\n\n", "\nHost: x\nConnection: close\n\n")
        assert told(reach, text).split()[1] == b"400"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Transfer-Encoding: chunked", b"411"),
        ("Content-Length: -5", b"411"),
        ("Content-Length: x", b"411"),
        ("Content-Length: 99999999999", b"413"),
    ],
)
def test_post_when_its_length_is_not_told_or_too_large_then_is_refused(
    archive: Mirror, cache: Path, header: str, status: bytes
) -> None:
    with reaching(archive, cache) as reach:
        request = f"POST {archive.url}/ HTTP/1.1\nHost: x\n{header}\n\n"
        assert told(reach, request).split()[1] == status
    assert archive.requests == []


def test_post_then_what_is_sent_arrives(archive: Mirror, cache: Path) -> None:
    archive.answers["/register"] = Answer(b"ok")
    request = f"POST {archive.url}/register HTTP/1.1\nContent-Length: 4\nConnection: close\n\nbody"
    with reaching(archive, cache) as reach:
        assert told(reach, request).endswith(b"ok")
    assert archive.requests[0][3] == b"body"


class TestCredentials:
    def test_get_from_an_archive_then_the_proxy_adds_them(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[INDEX] = Answer(b"signed")
        with reaching(archive, cache, credentials={"127.0.0.1": "user:pass"}) as reach:
            assert get(reach, archive.url + INDEX, "Authorization: Basic wrong")[0] == 200
            assert "pass" not in str(reach.environment)
        assert archive.requests[0][2]["authorization"] == basic("user:pass")

    def test_get_from_elsewhere_on_that_host_then_they_are_not_added(
        self, archive: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As if the loopback were public: what is not an archive must not see them all the same.
        monkeypatch.setattr("ipaddress.IPv4Address.is_global", True)
        with (
            mirror() as other,
            reaching(archive, cache, credentials={"127.0.0.1": "user:pass"}, is_open=True) as reach,
        ):
            other.answers["/"] = Answer(b"ok")
            assert get(reach, other.url + "/") == (200, b"ok")
            assert "authorization" not in other.requests[0][2]


class TestCache:
    @pytest.mark.parametrize("path", [DEB, HASHED])
    def test_get_of_what_never_changes_then_is_fetched_once(
        self, archive: Mirror, cache: Path, path: str
    ) -> None:
        archive.answers[path] = Answer(b"package" * 100_000)
        for _ in range(2):
            with reaching(archive, cache) as reach:
                for _ in range(2):
                    assert get(reach, archive.url + path) == (200, b"package" * 100_000)
        assert archive.count(path) == 1

    def test_get_of_an_index_then_is_fetched_every_time(self, archive: Mirror, cache: Path) -> None:
        archive.answers[INDEX] = Answer(b"signed")
        with reaching(archive, cache) as reach:
            get(reach, archive.url + INDEX)
            get(reach, archive.url + INDEX)
        assert archive.count(INDEX) == 2

    def test_get_when_the_kept_file_was_damaged_then_is_fetched_again(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[DEB] = Answer(b"package")
        with reaching(archive, cache) as reach:
            get(reach, archive.url + DEB)
            (kept,) = (path for path in cache.rglob("*") if path.is_file())
            kept.write_bytes(b"garbage")
            assert get(reach, archive.url + DEB) == (200, b"package")
        assert archive.count(DEB) == 2
        assert [p.read_bytes() for p in cache.rglob("*") if p.is_file()] == [b"package"]

    @pytest.mark.parametrize("status", [206, 404, 500])
    def test_get_when_it_is_not_the_whole_file_then_is_not_kept(
        self, archive: Mirror, cache: Path, status: int
    ) -> None:
        archive.answers[DEB] = Answer(b"part", status=status)
        with reaching(archive, cache) as reach:
            assert get(reach, archive.url + DEB) == (status, b"part")
        assert [path for path in cache.rglob("*") if path.is_file()] == []

    def test_get_when_it_is_cut_short_then_is_told_and_not_kept(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[DEB] = Answer(b"package" * 1000, sent=500)
        with reaching(archive, cache) as reach:
            status, body = get(reach, archive.url + DEB)
            assert (status, len(body)) == (200, 500)
            assert reach.failures == {"127.0.0.1": "the answer ended after 500 of 7000 bytes"}
        assert [path for path in cache.rglob("*") if path.is_file()] == []

    def test_get_when_its_length_is_not_told_then_is_passed_on_and_not_kept(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[DEB] = Answer(b"package", has_length=False)
        with reaching(archive, cache) as reach:
            assert get(reach, archive.url + DEB) == (200, b"package")
        assert [path for path in cache.rglob("*") if path.is_file()] == []

    def test_get_of_what_is_kept_for_a_host_that_is_no_archive_now_is_refused(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[DEB] = Answer(b"package")
        with reaching(archive, cache) as reach:
            get(reach, archive.url + DEB)
        with mirror() as other, reaching(other, cache) as reach:
            assert get(reach, archive.url + DEB)[0] == 403

    def test_head_of_what_is_kept_then_gives_its_length_and_no_content(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[DEB] = Answer(b"package")
        with reaching(archive, cache) as reach:
            get(reach, archive.url + DEB)
            head = told(reach, f"HEAD {archive.url}{DEB} HTTP/1.1\nHost: x\nConnection: close\n\n")
        assert b"Content-Length: 7" in head
        assert head.endswith(b"\r\n\r\n")


class TestFailures:
    def test_get_when_an_archive_is_down_then_is_noted_until_it_answers(
        self, archive: Mirror, cache: Path
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        allowed = Allowed(archives=frozenset({("127.0.0.1", port)}))
        with network.opened(allowed, cache) as reach:
            assert get(reach, f"http://127.0.0.1:{port}{INDEX}")[0] == 502
            assert "refused" in reach.failures["127.0.0.1"]

    def test_get_when_an_archive_is_broken_then_is_noted_until_it_answers(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[INDEX] = Answer(status=503)
        with reaching(archive, cache) as reach:
            assert get(reach, archive.url + INDEX)[0] == 503
            assert reach.failures == {"127.0.0.1": "it answers 503 Service Unavailable"}
            archive.answers[INDEX] = Answer(b"signed")
            get(reach, archive.url + INDEX)
            assert reach.failures == {}

    def test_get_when_a_file_is_not_there_then_the_archive_answered_all_the_same(
        self, archive: Mirror, cache: Path
    ) -> None:
        with reaching(archive, cache) as reach:
            assert get(reach, archive.url + "/nothing")[0] == 404
            assert reach.failures == {}


class TestOpen:
    """With reach `full`, everything public, and nothing else but the archives."""

    def test_get_when_a_public_name_leads_to_the_loopback_then_is_refused(
        self, archive: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", archive.port))]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: resolved)
        with reaching(archive, cache, is_open=True) as reach:
            assert get(reach, f"http://rebound.example.org:{archive.port}/")[0] == 403
        assert archive.requests == []

    def test_get_when_one_of_several_addresses_is_private_then_is_refused(
        self, archive: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolved = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))
            for address in ("93.184.216.34", "10.0.0.1")
        ]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: resolved)
        with reaching(archive, cache, is_open=True) as reach:
            assert get(reach, "http://mixed.example.org/")[0] == 403

    def test_get_when_the_name_changes_its_meaning_then_the_checked_address_is_used(
        self, archive: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        connected: list[tuple[str, int]] = []

        def resolve(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
            asked.append(host)
            address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

        def connect(address: tuple[str, int], timeout: float) -> socket.socket:
            connected.append(address)
            raise ConnectionRefusedError

        with reaching(archive, cache, is_open=True) as reach, pytest.MonkeyPatch.context() as patch:
            patch.setattr("socket.getaddrinfo", resolve)
            patch.setattr("imagebuilder.adapters.local.network.socket.create_connection", connect)
            request = b"GET http://rebound.example.org/ HTTP/1.1\r\nConnection: close\r\n\r\n"
            assert b" 502 " in inside(reach, lambda: raw(request))
        assert connected == [("93.184.216.34", 80)]

    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
            *("0.0.0.0", "100.64.0.1", "[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]"),
            *("2130706433", "0x7f000001", "127.1"),
        ],
    )
    def test_get_and_connect_of_addresses_that_are_not_public_are_refused(
        self, archive: Mirror, cache: Path, host: str
    ) -> None:
        with reaching(archive, cache, is_open=True) as reach:
            assert get(reach, f"http://{host}:1/")[0] == 403
            connect = f"CONNECT {host}:443 HTTP/1.1\nConnection: close\n\n"
            assert told(reach, connect).split()[1] == b"403"


def raw(request: bytes) -> bytes:
    """Send bytes to the proxy of the namespace we are in, by a socket that nobody patches."""
    with socket.socket() as opened:
        opened.settimeout(20)
        opened.connect(("127.0.0.1", network.PROXY_PORT))
        opened.sendall(request)
        got = b""
        while chunk := opened.recv(65536):
            got += chunk
        return got


class TestConnect:
    def test_connect_to_an_archive_then_carries_both_ways(
        self, archive: Mirror, cache: Path
    ) -> None:
        archive.answers[INDEX] = Answer(b"signed")
        request = (
            f"CONNECT 127.0.0.1:{archive.port} HTTP/1.1\n\n"
            f"GET {INDEX} HTTP/1.1\nHost: x\nConnection: close\n\n"
        )

        def talk() -> bytes:
            head, tail = request.replace("\n", "\r\n").split("\r\n\r\n", 1)
            with socket.create_connection(("127.0.0.1", network.PROXY_PORT), 20) as opened:
                opened.sendall(f"{head}\r\n\r\n".encode())
                assert b" 200 " in opened.recv(4096)
                opened.sendall(tail.encode())
                got = b""
                while chunk := opened.recv(4096):
                    got += chunk
                return got

        with reaching(archive, cache) as reach:
            assert inside(reach, talk).endswith(b"signed")

    def test_connect_to_anything_else_is_refused(self, archive: Mirror, cache: Path) -> None:
        with reaching(archive, cache) as reach:
            assert told(reach, "CONNECT 127.0.0.1:22 HTTP/1.1\n\n").split()[1] == b"403"


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_opened_when_its_context_ends_then_namespace_and_threads_are_gone(
    archive: Mirror, cache: Path
) -> None:
    gc.collect()  # else what earlier tests left could be closed in between
    before = threading.active_count(), open_files()
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(reaching(archive, cache))

    assert (threading.active_count(), open_files()) == before


def test_opened_then_the_only_interface_inside_is_its_loopback(
    archive: Mirror, cache: Path
) -> None:
    with reaching(archive, cache) as reach:
        names = inside(reach, lambda: [name for _, name in socket.if_nameindex()])
    assert names == ["lo"]
