"""Calls: one call to AWS, paced, tried again while that can help, its refusal told in one way.

The SDK tries nothing again here: what it would not (a snapshot not seen yet, a quota of what is
under way) we must, and two loops within each other multiply.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Never

from imagebuilder.adapters.aws.accounts import Accounts, Entrance
from imagebuilder.adapters.aws.clients import Boto
from imagebuilder.adapters.aws.pacing import Pacing, jittered
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.clock import Clock

# ruff: noqa: PLC0415 - a third of a second that what needs no AWS need not wait
_BUSY = frozenset(
    ("RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled",
     "RequestThrottledException", "TooManyRequestsException", "SlowDown", "TooManyUpdates",
     "PriorRequestNotComplete", "ConcurrentLimitExceededException",
     "InternalError", "InternalFailure", "InternalServerException", "InternalServerError",
     "ServiceUnavailable", "ServiceUnavailableException", "Unavailable", "RequestTimeout"),
)  # fmt: skip
_EXPIRED = frozenset(("RequestExpired", "ExpiredToken", "ExpiredTokenException"))
_SERVER_ERROR = 500


class CallRefused(Exception):
    """AWS said no: `code` and `said` are its words, `call` what was asked of whom."""

    def __init__(self, entrance: Entrance, call: str, code: str, said: str) -> None:
        """Keep them apart."""
        super().__init__(f"{entrance.key} {call}: {code}: {said}")
        self.entrance = entrance
        self.call = call
        self.code = code
        self.said = said


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a call is tried that may go better, with pauses that double up to the longest.

    Shape: `until` maps further codes, or a code and a word of what is said, to the moment of the
    clock until which they are tried again.
    """

    attempts: int = 8
    first_seconds: float = 0.2
    longest_seconds: float = 10.0
    until: Mapping[str, float] = field(default_factory=dict)

    def until_when(self, refused: CallRefused) -> float | None:
        """Give until when a refusal is tried again, if it is one of these."""
        for key, moment in self.until.items():
            code, _, word = key.partition(" ")
            if code == refused.code and word in refused.said:
                return moment
        return None


_USUAL = Patience()


class Calls:
    """Makes calls in the name of accounts; safe for many threads."""

    def __init__(
        self,
        accounts: Accounts,
        clock: Clock,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Enter accounts; pause between attempts."""
        self._accounts = accounts
        self.clock = clock
        self.pause = pause
        self._pacing = Pacing(clock, pause)

    def call(
        self,
        entrance: Entrance,
        operation: str,
        patience: Patience = _USUAL,
        **parameters: Boto,
    ) -> Boto:
        """Give the answer to an operation such as ec2:CopyImage.

        Raises: CallRefused; TargetUnavailable.
        """
        for attempt in range(10_000):
            self._pacing.wait(entrance.account, entrance.region, operation)
            try:
                return self._asked(entrance, operation, parameters)
            except CallRefused as refused:
                if refused.code in _EXPIRED:
                    self._accounts.forget(entrance)
                elif (until := patience.until_when(refused)) is not None:
                    if self.clock.monotonic() >= until:
                        raise
                    self._rest(patience, attempt)
                    continue
                else:
                    raise
                if attempt + 1 >= patience.attempts:
                    raise
            except TargetUnavailable:
                if attempt + 1 >= patience.attempts:
                    raise
            self._rest(patience, attempt)
        raise AssertionError(operation)

    def _rest(self, patience: Patience, attempt: int) -> None:
        longest = min(patience.longest_seconds, patience.first_seconds * 2 ** min(attempt, 16))
        self.pause(jittered(longest))

    def pages(
        self,
        entrance: Entrance,
        operation: str,
        **parameters: Boto,
    ) -> Iterator[Boto]:
        """Give the pages of a listing; one may be empty and not be the last.

        Raises: CallRefused; TargetUnavailable.
        """
        page = self.call(entrance, operation, **parameters)
        yield page
        while token := page.get("NextToken"):
            page = self.call(entrance, operation, **parameters, NextToken=token)
            if page.get("NextToken") == token:
                reason = "What should be the next page leads to itself."
                raise TargetUnavailable(entrance.key, operation, reason)
            yield page

    def _asked(self, entrance: Entrance, operation: str, parameters: Mapping[str, Boto]) -> Boto:
        from botocore import exceptions, xform_name
        from botocore.parsers import ResponseParserError

        service, _, name = operation.partition(":")
        try:
            with self._accounts.client(entrance, service) as client:
                ask = getattr(client, xform_name(name))
                try:
                    answer = ask(**parameters)
                except (ResponseParserError, ValueError, KeyError) as error:
                    reason = "What it answered cannot be read; it may be cut off."
                    raise TargetUnavailable(entrance.key, operation, reason) from error
                return _held(answer, (entrance.key, operation))
        except exceptions.ClientError as error:
            answer, asked = error.response["Error"], operation
            if error.operation_name == "AssumeRole":
                asked = "sts:AssumeRole"
            code, said = answer.get("Code", ""), answer.get("Message", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _BUSY or status >= _SERVER_ERROR:
                reason = f"{code}: {said}"
                raise TargetUnavailable(entrance.key, asked, reason) from error
            raise CallRefused(entrance, asked, code, said) from error
        except (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError) as error:
            raise CallRefused(entrance, operation, NO_CREDENTIALS, str(error)) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise TargetUnavailable(entrance.key, operation, str(error)) from error
        except exceptions.BotoCoreError as error:
            raise CallRefused(entrance, operation, type(error).__name__, str(error)) from error


class _Answer(dict[str, Boto]):
    """A part of an answer; what it must have and lacks, AWS has not answered."""

    def __init__(self, parts: Mapping[str, Boto], asked: tuple[str, str]) -> None:
        super().__init__(parts)
        self._asked = asked

    def __missing__(self, name: str) -> Never:
        raise TargetUnavailable(*self._asked, f"Its answer has no {name}.")


def _held(value: Boto, asked: tuple[str, str]) -> Boto:
    if isinstance(value, dict):
        return _Answer({name: _held(part, asked) for name, part in value.items()}, asked)
    return [_held(part, asked) for part in value] if isinstance(value, list) else value


NO_CREDENTIALS = "NoCredentials"
"""Our own code, where there was nobody to ask as."""
