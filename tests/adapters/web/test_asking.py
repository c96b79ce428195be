"""What services of other people may answer, and what then does not happen."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from imagebuilder.adapters.web.asking import HttpService, Request
from imagebuilder.adapters.web.glance_carrier import GlanceCarrier
from imagebuilder.adapters.web.registry import Registry
from imagebuilder.adapters.web.registry_carrier import RegistryCarrier
from imagebuilder.adapters.web.registry_images import RegistryImages
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.target import GlancePlace, OciPlace, TargetUnavailable
from imagebuilder.ports.building import StorageFull
from imagebuilder.ports.foreign import RegistryReference
from imagebuilder.ports.targets import PlacingFailed, TargetRefused
from tests.listeners import free_port
from tests.shipments import a_shipment, the_target

SECRETS = {"Authorization": "Bearer s3cret", "X-Auth-Token": "s3cret"}


@dataclass(kw_only=True)
class Answer:
    """What is answered; the body alone says 200."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Stranger(ThreadingHTTPServer):
    """Answers what a test tells it, by the end of the path; `seen` are the headers it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.seen: list[dict[str, str]] = []
        self.host = f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"


class _Handler(BaseHTTPRequestHandler):
    server: Stranger

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(dict(self.headers))
        path = self.path.partition("?")[0]
        known = (a for end, a in self.server.answers.items() if path.endswith(end))
        self._say(next(known, Answer(status=404)))

    def __getattr__(self, name: str) -> Any:
        """Answer whatever is asked in the same way."""
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


class _Forgetful(_Handler):
    """A registry that has all it was given by its digest, and never anything by a tag."""

    def do_PUT(self) -> None:
        self.server.seen.append(dict(self.headers))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        digest = unquote(self.path).rpartition("digest=")[2] if "digest=" in self.path else ""
        digest = digest or str(Digest.of_bytes(body))
        self.server.answers[digest] = Answer(body=body)
        self._say(Answer(status=201))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._say(Answer(status=202, headers={"Location": "/upload"}))

    def do_PATCH(self) -> None:
        self.do_POST()


@contextmanager
def a_stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with a_stranger() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Stranger]:
    with a_stranger() as server:
        yield server


def ask(stranger: Stranger, path: str = "v2/thing?sign=s1gn") -> Any:
    service = HttpService("glance:x", stranger.url, "a hint")
    request = Request(method="GET", path=path, headers=SECRETS)
    return service.required(request, service.ask(request)).json()


def said(error: ImageBuilderError) -> str:
    return f"{error.message} {error.context} {error.hint}"


def test_ask_when_it_leads_to_another_host_then_it_is_asked_and_told_no_secret(
    stranger: Stranger, elsewhere: Stranger
) -> None:
    stranger.answers["thing"] = Answer(status=307, headers={"Location": f"{elsewhere.url}/there"})
    elsewhere.answers["there"] = Answer(body=b'"here"')

    assert ask(stranger) == "here"

    (sent,) = elsewhere.seen
    assert "s3cret" not in str(sent)
    assert "s3cret" in str(stranger.seen)


def test_ask_when_it_leads_to_nobody_then_the_error_tells_no_address_that_signs(
    stranger: Stranger,
) -> None:
    location = f"http://127.0.0.1:{free_port()}/x?sign=s1gn"
    stranger.answers["thing"] = Answer(status=307, headers={"Location": location})

    with pytest.raises(TargetUnavailable) as unavailable:
        ask(stranger)

    assert "s1gn" not in said(unavailable.value)


def test_ask_when_it_leads_round_and_round_then_it_ends(stranger: Stranger) -> None:
    stranger.answers["thing"] = Answer(status=307, headers={"Location": "/v2/thing"})

    with pytest.raises(TargetUnavailable):
        ask(stranger)


def test_ask_when_an_error_repeats_what_we_sent_then_the_secret_is_left_out(
    stranger: Stranger,
) -> None:
    stranger.answers["thing"] = Answer(status=403, body=b"no s3cret of yours is good here")

    with pytest.raises(TargetRefused) as refused:
        ask(stranger)

    assert "no *** of yours" in said(refused.value)
    assert "s3cret" not in said(refused.value)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_ask_when_the_answer_is_endless_then_it_is_not_taken(
    stranger: Stranger, encoding: str
) -> None:
    body = bytes(17 << 20)
    packed = body if encoding == "identity" else gzip.compress(body)
    stranger.answers["thing"] = Answer(body=packed, headers={"Content-Encoding": encoding})

    with pytest.raises(TargetUnavailable, match="glance:x"):
        ask(stranger)


def test_a_secret_that_no_header_can_hold_is_told_in_no_error(stranger: Stranger) -> None:
    service = HttpService("glance:x", stranger.url, "a hint")
    request = Request(method="GET", path="v2", headers={"X-Auth-Token": "s3\ncret"})

    with pytest.raises(TargetUnavailable) as unavailable:
        service.ask(request)

    assert "cret" not in said(unavailable.value)
    assert unavailable.value.__cause__ is None


def a_registry(stranger: Stranger) -> Registry:
    return Registry(f"{stranger.host}/web", is_plain_http=True, credentials=lambda: b"eva:word")


def test_registry_when_whom_it_led_to_asks_who_we_are_then_nobody_tells(
    stranger: Stranger, elsewhere: Stranger
) -> None:
    stranger.answers["/v2/"] = Answer(status=307, headers={"Location": f"{elsewhere.url}/blob"})
    asks = {"WWW-Authenticate": f'Bearer realm="{elsewhere.url}/token"'}
    elsewhere.answers["blob"] = Answer(status=401, headers=asks)
    elsewhere.answers["token"] = Answer(body=b'{"token": "t"}')

    with pytest.raises(TargetRefused):
        a_registry(stranger).check()

    assert all("Authorization" not in sent for sent in elsewhere.seen)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=401, headers={"WWW-Authenticate": 'Bearer realm="http://["'}),
        Answer(status=202, headers={"Location": "http://["}),
        Answer(headers={"Content-Length": "many"}),
        Answer(headers={"Content-Length": "9" * 5000}),
    ],
)
def test_registry_when_it_answers_nonsense_then_it_is_an_error_of_that_target(
    stranger: Stranger, answer: Answer
) -> None:
    stranger.answers[""] = answer

    with pytest.raises((TargetUnavailable, PlacingFailed)):
        a_registry(stranger).push_bytes(b"content")


def test_registry_when_its_token_is_no_token_then_it_is_an_error_of_that_target(
    stranger: Stranger,
) -> None:
    asks = {"WWW-Authenticate": f'Bearer realm="{stranger.url}/token"'}
    stranger.answers |= {
        "/token": Answer(body=b'{"token": "t\\n0k"}'),
        "": Answer(status=401, headers=asks),
    }

    with pytest.raises(TargetUnavailable):
        a_registry(stranger).check()


@pytest.mark.timeout(60)
def test_registry_that_keeps_no_list_of_bundles_is_asked_to_so_often_and_no_more(
    stranger: Stranger, tmp_path: Path
) -> None:
    carrier = RegistryCarrier(lambda _: b"")
    place = OciPlace(repository=f"{stranger.host}/web", is_plain_http=True)
    shipment = a_shipment(tmp_path, bundle=b"{}\n")

    stranger.RequestHandlerClass = _Forgetful

    with pytest.raises(TargetUnavailable, match="referrers"):
        carrier.place(the_target(carrier, place), shipment, lambda _: None)

    assert len(stranger.seen) < 200


@pytest.mark.parametrize(
    "body",
    [b"[]", b'{"images": 5}', b'{"images": [5]}', b'{"images": [{"id": 5, "status": []}]}'],
)
def test_glance_when_it_lists_nonsense_then_it_is_an_error_of_that_target(
    stranger: Stranger, tmp_path: Path, body: bytes
) -> None:
    carrier = GlanceCarrier(lambda _: b"token")
    stranger.answers["v2/images"] = Answer(body=body)
    target = the_target(carrier, GlancePlace(endpoint=stranger.url, members=("p",)))
    shipment = a_shipment(tmp_path)

    with pytest.raises(PlacingFailed):
        carrier.place(target, shipment, lambda _: None)


def test_hindrances_when_the_address_is_of_something_else_then_it_is_one(
    stranger: Stranger, tmp_path: Path
) -> None:
    version = a_shipment(tmp_path).version
    registries, glances = RegistryCarrier(lambda _: b""), GlanceCarrier(lambda _: b"")
    registry = OciPlace(repository=f"{stranger.host}/web", is_plain_http=True)

    assert registries.hindrances(the_target(registries, registry), version)
    assert glances.hindrances(the_target(glances, GlancePlace(endpoint=stranger.url)), version)


def test_fetch_when_it_is_larger_than_there_is_room_then_nothing_of_it_is_taken(
    stranger: Stranger, tmp_path: Path
) -> None:
    layer = {"mediaType": "x", "digest": str(Digest.of_bytes(b"x")), "size": 1 << 60}
    stranger.answers["manifests/latest"] = Answer(body=json.dumps({"layers": [layer]}).encode())
    images = RegistryImages(lambda _: b"", lambda: nullcontext(tmp_path))
    reference = RegistryReference(
        text=f"{stranger.host}/web:latest", credentials="", is_plain_http=True
    )

    with pytest.raises(StorageFull), images.fetched(reference, lambda _: None):
        pass

    assert len(stranger.seen) == 1
    assert list(tmp_path.iterdir()) == []
