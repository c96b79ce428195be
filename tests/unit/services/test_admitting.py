"""Calls from outside start pipelines once, if they are signed and of now."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from imagebuilder.domain.errors import Refused
from imagebuilder.domain.hook import (
    HookCall,
    HookForged,
    HookMalformed,
    HookMisdated,
    HookReplayed,
    HooksClosed,
    HookWish,
)
from imagebuilder.domain.run import Run, RunState
from imagebuilder.domain.signature import signed
from imagebuilder.services.admitting import Admitting, Gatehouse
from imagebuilder.setting_faults import SecretMissing
from tests.build import SOME_DAY, a_run, an_order
from tests.fakes.clock import FakeClock
from tests.fakes.hooks import FakeHookCalls
from tests.fakes.transactions import FakeTransactions

NOW = int(SOME_DAY.timestamp())
KEYS = {"env:KEY": b"s3cret", "file:/keys/web": b"of web", "file:/keys/db": b"of db"}


def secret_of(reference: str) -> bytes:
    if reference not in KEYS:
        raise SecretMissing(reference, "There is no such file.")
    return KEYS[reference]


@dataclass(slots=True)
class Gate:
    """Admitting, and what it started."""

    key: str = "env:KEY"
    started: list[tuple[str, HookWish]] = field(default_factory=list)
    calls: FakeHookCalls = field(default_factory=FakeHookCalls)
    clock: FakeClock = field(default_factory=lambda: FakeClock(SOME_DAY))

    def start(self, pipeline: str, wish: HookWish) -> Sequence[Run]:
        self.started.append((pipeline, wish))
        return [a_run(state=RunState.QUEUED, order=an_order(pipeline))]

    def admit(self, call: HookCall) -> Sequence[Run]:
        gatehouse = Gatehouse(
            key=self.key,
            secret_of=secret_of,
            start=self.start,
            calls=self.calls,
            transactions=FakeTransactions(),
            clock=self.clock,
        )
        return Admitting(gatehouse).admit(call)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def a_call(
    body: bytes = b"{}", *, key: bytes = b"s3cret", at: int = NOW, pipeline: str = "web"
) -> HookCall:
    return HookCall(pipeline=pipeline, body=body, signature=signed(key, at, body))


def a_github_call(body: bytes = b"{}", *, key: bytes = b"s3cret", event: str = "push") -> HookCall:
    digest = hmac.new(key, body, hashlib.sha256).hexdigest()
    return HookCall(pipeline="web", body=body, body_signature=f"sha256={digest}", event=event)


def test_admit_then_starts_what_the_call_asks_for(gate: Gate) -> None:
    body = b'{"reason": "a new page", "parameters": {"web.port": 80}}'

    (run,) = gate.admit(a_call(body))

    assert run.state is RunState.QUEUED
    wish = HookWish(reason="a new page", parameters={"web.port": "80"})
    assert gate.started == [("web", wish)]


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_admit_when_the_call_is_of_about_now_then_is_let_in(gate: Gate, seconds: int) -> None:
    assert gate.admit(a_call(at=NOW + seconds))


@pytest.mark.parametrize(
    ("seconds", "told"), [(-301, "301 s ago"), (301, "301 s from now"), (-NOW, f"{NOW} s ago")]
)
def test_admit_when_the_call_is_of_another_time_then_is_refused(
    gate: Gate, seconds: int, told: str
) -> None:
    with pytest.raises(HookMisdated, match=told):
        gate.admit(a_call(at=NOW + seconds))

    assert gate.started == []


@pytest.mark.parametrize(
    "call",
    [
        HookCall(pipeline="web", body=b"{}"),
        HookCall(pipeline="web", body=b"{}", signature="t=1,v1=0"),
        HookCall(pipeline="web", body=b'{"reason": "x"}', signature=a_call().signature),
        a_call(key=b"other"),
        a_github_call(key=b"other"),
        HookCall(pipeline="web", body=b"{}", body_signature="sha1=00"),
        HookCall(pipeline="web", body=b"{", signature="x"),
        HookCall(
            pipeline="web",
            body=b"{}",
            signature="t=1,v1=0",
            body_signature=a_github_call().body_signature,
        ),
    ],
    ids=["none", "nonsense", "body", "key", "github", "sha1", "malformed", "both"],
)
def test_admit_when_the_call_is_forged_then_nothing_is_started(gate: Gate, call: HookCall) -> None:
    with pytest.raises(HookForged):
        gate.admit(call)

    assert (gate.started, gate.calls.taken) == ([], {})


@pytest.mark.parametrize("call", [a_call(), a_github_call()], ids=["ours", "github"])
def test_admit_when_the_call_comes_again_then_is_refused(gate: Gate, call: HookCall) -> None:
    gate.admit(call)

    with pytest.raises(HookReplayed):
        gate.admit(call)

    gate.clock.advance(299)
    with pytest.raises(HookReplayed):
        gate.admit(call)
    assert len(gate.started) == 1


def test_admit_when_the_call_is_sent_to_another_pipeline_then_is_the_same_call(gate: Gate) -> None:
    gate.admit(a_call())

    with pytest.raises(HookReplayed):
        gate.admit(a_call(pipeline="db"))


def test_admit_when_the_same_is_asked_for_at_another_moment_then_is_another_call(
    gate: Gate,
) -> None:
    gate.admit(a_call())
    gate.admit(a_call(at=NOW + 1))

    assert len(gate.started) == 2


def test_admit_when_github_asks_whether_somebody_is_here_then_nothing_is_started(
    gate: Gate,
) -> None:
    assert gate.admit(a_github_call(event="ping")) == ()
    assert gate.started == []
    with pytest.raises(Refused):
        gate.admit(a_github_call(event="ping", key=b"other"))


def test_admit_when_the_body_is_wrong_then_the_call_is_not_used_up(gate: Gate) -> None:
    with pytest.raises(HookMalformed):
        gate.admit(a_call(b'{"reason": 1}'))

    assert gate.calls.taken == {}


def test_admit_when_each_pipeline_has_a_key_then_another_is_of_no_use(gate: Gate) -> None:
    gate.key = "file:/keys/{pipeline}"

    gate.admit(a_call(key=b"of web"))

    for call in (
        a_call(key=b"of web", pipeline="db"),
        a_call(key=b"of web", pipeline="nowhere"),
        a_call(key=b"of web", pipeline="../keys/web"),
    ):
        with pytest.raises(HookForged) as caught:
            gate.admit(call)
        assert caught.value.context == "Its signature is not that of this body."
    assert [pipeline for pipeline, _ in gate.started] == ["web"]


@pytest.mark.parametrize(("key", "why"), [("", "No key is set"), ("env:GONE", "env:GONE")])
def test_admit_when_there_is_no_key_then_hooks_are_closed(gate: Gate, key: str, why: str) -> None:
    gate.key = key

    with pytest.raises(HooksClosed) as caught:
        gate.admit(a_call())

    assert why in caught.value.context


def test_admit_then_calls_of_more_than_a_year_ago_are_forgotten(gate: Gate) -> None:
    gate.admit(a_github_call(b'{"a": 1}'))
    gate.clock.advance(367 * 24 * 3600)

    gate.admit(a_github_call(b'{"a": 2}'))

    assert len(gate.calls.taken) == 1
