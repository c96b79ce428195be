"""Hooks are called over HTTP, on this machine's loopback, through the real bootstrap."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest

from imagebuilder.api.app import HttpDoor, Inside, door_of
from imagebuilder.api.server import DoorBlocked, open_door
from imagebuilder.domain.signature import signed
from imagebuilder.ports.catalogue import StoreUnavailable
from imagebuilder.ports.pipelines import AppliedPipeline, Pause
from tests.build import SOME_DAY, a_pipeline
from tests.functional.conftest import Cli

KEY = b"s3cret"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass(frozen=True, slots=True)
class Caller:
    """Speaks to the door at a port."""

    port: int

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def call(self, pipeline: str, body: bytes = b"", *, key: bytes = KEY) -> Answer:
        headers = {"Imagebuilder-Signature": signed(key, int(time.time()), body)}
        return self.ask("POST", f"/hooks/{pipeline}", body, headers)


@pytest.fixture
def caller(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    """Give a caller of hooks of a catalogue with one pipeline."""
    monkeypatch.setenv("IMAGEBUILDER_HOOK_KEY", "env:HOOK_KEY")
    monkeypatch.setenv("HOOK_KEY", KEY.decode())
    application = cli.application()
    applied = AppliedPipeline(
        pipeline=a_pipeline("web"),
        first_applied_at=SOME_DAY,
        applied_at=SOME_DAY,
        applied_by="eva",
        cursor_at=SOME_DAY,
    )
    application.pipelines.put(applied)
    with open_door(door_of(application), "127.0.0.1", 0) as port:
        yield Caller(port)


def test_hook_when_signed_then_a_run_is_queued(cli: Cli, caller: Caller) -> None:
    body = b'{"reason": "a new page", "parameters": {"nginx.port": 8080}}'

    answer = caller.call("web", body)

    assert answer.status == 202
    (told,) = answer.json["runs"]
    assert (told["state"], told["image"]) == ("queued", "debian-web")
    run = cli.application().runs.get(told["id"])
    assert run.order is not None
    assert (run.order.trigger, run.order.why) == ("hook", "asked for by a hook: a new page")
    assert run.order.overrides == {"nginx.port": "8080"}


def test_hook_when_the_call_comes_again_then_is_refused(cli: Cli, caller: Caller) -> None:
    headers = {"Imagebuilder-Signature": signed(KEY, int(time.time()), b"{}")}
    assert caller.ask("POST", "/hooks/web", b"{}", headers).status == 202

    again = caller.ask("POST", "/hooks/web", b"{}", headers)

    assert (again.status, again.code) == (409, "hook-replayed")
    assert len(cli.json("run", "list")) == 1


def test_hook_when_forged_then_says_so_and_starts_nothing(cli: Cli, caller: Caller) -> None:
    for answer in (
        caller.call("web", key=b"other"),
        caller.call("nowhere", key=b"other"),
        caller.ask("POST", "/hooks/web"),
    ):
        assert (answer.status, answer.code) == (403, "hook-forged")
        assert answer.json["error"].keys() == {"code", "message", "context", "hint"}
    assert cli.json("run", "list") == []


def test_hook_when_old_then_says_so(caller: Caller) -> None:
    headers = {"Imagebuilder-Signature": signed(KEY, int(time.time()) - 3600, b"")}

    answer = caller.ask("POST", "/hooks/web", b"", headers)

    assert (answer.status, answer.code) == (403, "hook-misdated")


def test_hook_when_it_could_not_start_then_the_same_call_may_come_again(
    cli: Cli, caller: Caller
) -> None:
    pipelines = cli.application().pipelines
    pipelines.set_pause(a_pipeline("web").name, Pause(at=SOME_DAY, actor="eva"))
    headers = {"Imagebuilder-Signature": signed(KEY, int(time.time()), b"")}
    paused = caller.ask("POST", "/hooks/web", b"", headers)
    assert (paused.status, paused.code) == (409, "pipeline-paused")

    pipelines.set_pause(a_pipeline("web").name, None)

    assert caller.ask("POST", "/hooks/web", b"", headers).status == 202


@pytest.mark.parametrize(
    ("pipeline", "body", "status", "code"),
    [
        ("nowhere", b"", 404, "pipeline-not-found"),
        ("web", b"[]", 422, "hook-malformed"),
        ("web", b'{"variants": ["none"]}', 422, "variant-unknown"),
    ],
)
def test_hook_when_what_it_asks_for_cannot_be_then_says_why(
    caller: Caller, pipeline: str, body: bytes, status: int, code: str
) -> None:
    answer = caller.call(pipeline, body)

    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Content-Type"] == "application/json"


def test_hook_when_the_body_is_too_large_then_is_not_read(caller: Caller) -> None:
    answer = caller.ask("POST", "/hooks/web", b"x" * ((1 << 20) + 1))

    assert (answer.status, answer.code) == (413, "body-too-large")
    with socket.create_connection(("127.0.0.1", caller.port)) as large:
        large.sendall(b"POST /hooks/web HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
        assert large.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "path-unknown"),
        ("GET", "/hooks/", 404, "path-unknown"),
        ("POST", "/hooks/a/b", 404, "path-unknown"),
        ("GET", "/hooks/web", 405, "method-unfit"),
        ("POST", "/metrics", 405, "method-unfit"),
        ("DELETE", "/healthz", 405, "method-unfit"),
    ],
)
def test_path_when_there_is_nothing_then_says_what_there_is(
    caller: Caller, method: str, path: str, status: int, code: str
) -> None:
    answer = caller.ask(method, path)

    assert (answer.status, answer.code) == (status, code)
    assert ("Allow" in answer.headers) == (status == 405)


def test_metrics_then_count_what_the_catalogue_holds(caller: Caller) -> None:
    assert caller.call("web").status == 202

    page = caller.ask("GET", "/metrics")

    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/plain; version=")
    lines = page.body.decode().splitlines()
    assert 'imagebuilder_runs{pipeline="web",state="queued"} 1.0' in lines
    assert 'imagebuilder_queue_runs{pool="build.amd64"} 1.0' in lines
    assert "imagebuilder_pipelines 1.0" in lines


def test_healthz_then_says_that_all_is_well(caller: Caller) -> None:
    health = caller.ask("GET", "/healthz")

    assert (health.status, health.json) == (200, {"status": "ok"})
    assert caller.ask("HEAD", "/healthz").body == b""


def test_door_when_something_is_wrong_inside_then_says_so_and_goes_on() -> None:
    def unavailable() -> None:
        raise StoreUnavailable("/catalogue.db", "The disk is full.", hint="Free some.")

    def broken() -> tuple[bytes, str]:
        raise RuntimeError("hush")

    inside = Inside(admit=lambda _: [], metrics=broken, check=unavailable)
    with open_door(HttpDoor(inside), "127.0.0.1", 0) as port:
        caller = Caller(port)
        health = caller.ask("GET", "/healthz")
        assert (health.status, health.code) == (503, "store-unavailable")
        fault = caller.ask("GET", "/metrics")
        assert (fault.status, fault.code) == (500, "unexpected")
        assert b"hush" not in fault.body


def test_door_when_somebody_sends_nonsense_then_others_are_answered(caller: Caller) -> None:
    with socket.create_connection(("127.0.0.1", caller.port)) as slow:
        slow.sendall(b"POST /hooks/web HTTP/1.1\r\nContent-Length: 100\r\n\r\nslow")
        with socket.create_connection(("127.0.0.1", caller.port)) as rude:
            rude.sendall(b"\0\xff\r\n\r\n" + b"x" * 100_000)
        assert caller.ask("GET", "/healthz").status == 200


def test_door_when_the_address_is_taken_then_says_so(caller: Caller) -> None:
    inside = Inside(admit=lambda _: [], metrics=lambda: (b"", ""), check=lambda: None)

    with pytest.raises(DoorBlocked), open_door(HttpDoor(inside), "127.0.0.1", caller.port):
        pytest.fail("it was opened")


def test_door_when_closed_then_nobody_answers_and_the_port_is_free_again() -> None:
    inside = Inside(admit=lambda _: [], metrics=lambda: (b"", ""), check=lambda: None)
    with open_door(HttpDoor(inside), "127.0.0.1", 0) as port:
        assert Caller(port).ask("GET", "/healthz").status == 200

    with pytest.raises(ConnectionRefusedError):
        Caller(port).ask("GET", "/healthz")
    with open_door(HttpDoor(inside), "127.0.0.1", port) as again:
        assert again == port
