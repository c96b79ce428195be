"""What answers in place of AWS is malformed, cut off, endless, or repeats our secrets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import getitem
from typing import NamedTuple

import pytest

from imagebuilder.adapters.aws.accounts import Accounts, Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.target import Access, TargetUnavailable
from tests.aws_double.serving import REGION
from tests.clouds import AT_HOME, ROLE, SECRETS, QuickClock, environment_at

SECRET = SECRETS["env:EXTERNAL_ID"].decode()
SNAPSHOTS = (
    "<R><snapshotSet><item><snapshotId>snap-1</snapshotId></item></snapshotSet>"
    "<nextToken>again</nextToken></R>"
)
INVALID_ID = (
    "<ErrorResponse><Error><Code>ValidationError</Code><Message>1 validation error detected: "
    f"Value '{SECRET}' at 'externalId' failed to satisfy constraint</Message></Error>"
    "</ErrorResponse>"
)
MISMATCH = (
    '{"__type": "InvalidSignatureException", "message": "The signature does not match.\\n\\n'
    "The Canonical String should have been\\n'x-amz-security-token:a-session-s-token'\"}"
)


class Said(NamedTuple):
    """An answer."""

    body: str
    status: int = 200


@contextmanager
def calls_answered(answer: Callable[[str], Said]) -> Iterator[Calls]:
    """Give calls to a server that answers whatever it likes to who signed a request."""

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            said = answer(self.headers["Authorization"])
            self.send_response(said.status)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        clock = QuickClock()
        try:
            with environment_at(endpoint):
                accounts = Accounts(SECRETS.__getitem__, endpoint=endpoint)
                yield Calls(accounts, clock, pause=clock.pause)
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("ec2:DescribeSnapshots", SNAPSHOTS[:40]),
        ("ec2:DescribeSnapshots", "\0\1 no XML" * 1000),
        (
            "ec2:DescribeSnapshots",
            "<R><snapshotSet><item><volumeSize>much</volumeSize></item></snapshotSet></R>",
        ),
        ("sts:GetCallerIdentity", ""),
    ],
    ids=["cut off", "no XML", "a word for a number", "empty"],
)
def test_call_when_the_answer_cannot_be_read_then_it_is_unavailable_and_says_so_briefly(
    operation: str, body: str
) -> None:
    with calls_answered(lambda _: Said(body)) as calls, pytest.raises(TargetUnavailable) as error:
        calls.call(AT_HOME, operation)
    assert AT_HOME.key in error.value.message
    assert len(error.value.context) < 200


@pytest.mark.parametrize("path", [("Nothing",), ("Snapshots", 0, "State")], ids=["top", "below"])
def test_call_when_the_answer_lacks_a_part_then_it_is_unavailable_and_names_the_part(
    path: tuple[str | int, ...],
) -> None:
    with calls_answered(lambda _: Said(SNAPSHOTS)) as calls:
        found = calls.call(AT_HOME, "ec2:DescribeSnapshots")
    with pytest.raises(TargetUnavailable, match="ec2:DescribeSnapshots") as error:
        reduce(getitem, path, found)
    assert f"no {path[-1]}" in error.value.context


def test_pages_when_a_page_leads_to_itself_then_it_ends() -> None:
    with (
        calls_answered(lambda _: Said(SNAPSHOTS)) as calls,
        pytest.raises(TargetUnavailable, match="ec2:DescribeSnapshots"),
    ):
        list(calls.pages(AT_HOME, "ec2:DescribeSnapshots"))


def everything_of(error: BaseException | None) -> str:
    """Give all that an error and those it came of say."""
    said = ""
    while error is not None:
        fields = (error.context, error.hint) if isinstance(error, ImageBuilderError) else ()
        said += f"{error} {fields} {vars(error)}"
        error = error.__cause__ or error.__context__
    return said


def test_call_when_aws_repeats_the_external_id_then_neither_error_nor_log_has_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    access = Access(role=ROLE, external_id="env:EXTERNAL_ID")
    entrance = Entrance(account="222222222222", region=REGION, access=access)
    with (
        calls_answered(lambda _: Said(INVALID_ID, 400)) as calls,
        pytest.raises(CallRefused, match=r"'\*\*\*' at 'externalId'") as error,
    ):
        calls.call(entrance, "sts:GetCallerIdentity")
    assert SECRET not in everything_of(error.value)
    assert SECRET not in caplog.text


def test_call_when_aws_repeats_the_signed_request_then_the_error_does_not() -> None:
    with (
        calls_answered(lambda _: Said(MISMATCH, 400)) as calls,
        pytest.raises(CallRefused, match="The signature does not match") as error,
    ):
        calls.call(AT_HOME, "ssm:GetParameter", Name="/x")
    assert "a-session-s-token" not in everything_of(error.value)


def test_call_when_it_is_throttled_to_the_end_then_it_is_unavailable() -> None:
    busy = "<R><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></R>"
    with calls_answered(lambda _: Said(busy, 503)) as calls, pytest.raises(TargetUnavailable):
        calls.call(AT_HOME, "ec2:DescribeSnapshots")
    throttled = "<R><Errors><Error><Code>Throttling</Code></Error></Errors></R>"
    with calls_answered(lambda _: Said(throttled, 400)) as calls, pytest.raises(TargetUnavailable):
        calls.call(AT_HOME, "ec2:DescribeSnapshots")


def test_call_when_our_own_credentials_expired_then_a_role_is_taken_on_with_those_given_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expired = "<E><Error><Code>ExpiredToken</Code><Message>expired</Message></Error></E>"
    given = (
        "<R><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s"
        "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z"
        "</Expiration></Credentials></AssumeRoleResult></R>"
    )
    who = "<R><GetCallerIdentityResult><Account>2</Account></GetCallerIdentityResult></R>"
    answers = [Said(expired, 400), Said(given), Said(who)]

    signed = []

    def answer(by: str) -> Said:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NEW")
        signed.append(by.partition("=")[2].partition("/")[0])
        return answers.pop(0)

    entrance = Entrance(account="222222222222", region=REGION, access=Access(role=ROLE))
    with calls_answered(answer) as calls:
        assert calls.call(entrance, "sts:GetCallerIdentity")["Account"] == "2"
    assert signed[1:] == ["NEW", "A"]
