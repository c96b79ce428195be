"""Notices are posted to a real server on this machine's loopback, signed."""

import json
from collections.abc import Iterator

import pytest

from imagebuilder.adapters.web.connections import Ways
from imagebuilder.adapters.web.webhook import WebhookNotifier
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.domain.signature import is_signed, signed_at
from imagebuilder.ports.notices import NoticeUndelivered
from imagebuilder.setting_faults import SecretMissing
from tests.build import SOME_DAY
from tests.fakes.clock import FakeClock
from tests.listeners import HookListener, listening_hooks

PAYLOAD = {"id": "notice-1", "event": "failed", "text": "zu groß"}
LOOPBACK = Ways(hosts=frozenset({"127.0.0.1"}))


@pytest.fixture
def hooks() -> Iterator[HookListener]:
    with listening_hooks() as listener:
        yield listener


def secret_of(reference: str) -> bytes:
    if reference != "env:KEY":
        raise SecretMissing(reference, "There is no such variable.")
    return b"s3cret"


def notifier(ways: Ways = LOOPBACK, *, seconds: float = 10) -> WebhookNotifier:
    return WebhookNotifier(FakeClock(SOME_DAY), secret_of, ways, seconds=seconds)


def a_target(url: str, secret: str = "env:KEY") -> NoticeTarget:
    return NoticeTarget(kind=NoticeKind.WEBHOOK, to=url, secret=secret)


def test_send_then_posts_the_notice_signed_with_its_moment_and_id(hooks: HookListener) -> None:
    notifier().send(a_target(hooks.url("a/b?c=d")), PAYLOAD)

    ((path, headers, body),) = hooks.posted
    assert path == "/a/b?c=d"
    assert json.loads(body) == PAYLOAD
    assert headers["Content-Type"] == "application/json"
    assert (headers["Imagebuilder-Id"], headers["Imagebuilder-Event"]) == ("notice-1", "failed")
    signature = headers["Imagebuilder-Signature"]
    assert is_signed(signature, b"s3cret", body)
    assert signed_at(signature) == int(SOME_DAY.timestamp())


def test_send_when_the_target_has_no_secret_then_nothing_is_signed(hooks: HookListener) -> None:
    notifier().send(a_target(hooks.url("").replace("127", "ann:hush@127"), secret=""), PAYLOAD)

    ((_, headers, _),) = hooks.posted
    assert "Imagebuilder-Signature" not in headers
    assert headers["Authorization"] == "Basic YW5uOmh1c2g="
    assert headers["Host"] == f"127.0.0.1:{hooks.server_port}"


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 429, 500])
def test_send_when_the_answer_is_not_good_then_it_has_not_arrived(
    hooks: HookListener, status: int
) -> None:
    hooks.answers = status

    with pytest.raises(NoticeUndelivered) as caught:
        notifier().send(a_target(hooks.url("key-in-the-path")), PAYLOAD)

    assert caught.value.reason == f"It answers {status}, not 2xx."
    assert "key-in-the-path" not in caught.value.message + caught.value.context
    assert len(hooks.posted) == 1


def test_send_when_the_host_is_not_public_then_nothing_is_asked(hooks: HookListener) -> None:
    with pytest.raises(NoticeUndelivered, match="could not be told") as caught:
        notifier(Ways()).send(a_target(hooks.url("")), PAYLOAD)

    assert "not a public address" in caught.value.context
    assert "notice_hosts" in caught.value.hint
    assert hooks.posted == []


def test_send_when_the_secret_is_missing_then_nothing_is_sent(hooks: HookListener) -> None:
    with pytest.raises(NoticeUndelivered) as caught:
        notifier().send(a_target(hooks.url(""), secret="env:OTHER"), PAYLOAD)

    assert "env:OTHER" in caught.value.context
    assert hooks.posted == []


def test_send_when_nobody_answers_then_gives_up_in_time(hooks: HookListener) -> None:
    with pytest.raises(NoticeUndelivered) as caught:
        notifier(seconds=0.2).send(a_target(hooks.url("hangs")), PAYLOAD)

    assert len(hooks.posted) == 1
    assert caught.value.reason


def test_send_when_nobody_listens_then_says_so() -> None:
    with listening_hooks() as gone:
        url = gone.url("")

    with pytest.raises(NoticeUndelivered) as caught:
        notifier().send(a_target(url), PAYLOAD)

    assert "127.0.0.1 does not answer well" in caught.value.context


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1/", "http://", "https://[::1", "http://127.0.0.1:0/", "file:///x"]
)
def test_send_when_it_is_no_address_of_the_web_then_says_so(url: str) -> None:
    with pytest.raises(NoticeUndelivered) as caught:
        notifier().send(a_target(url), PAYLOAD)

    assert caught.value.reason == "It is no address of the web."
