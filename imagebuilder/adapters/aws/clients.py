"""Clients of AWS services, which boto3 finds credentials and region for in its own way."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

# ruff: noqa: PLC0415 - a third of a second that what needs no AWS need not wait

Boto: TypeAlias = Any
"""A client, session or credentials, or what AWS is told and answers: boto3 makes their classes as
it runs, out of models, so there are no types to name."""

_MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a service is waited for, and how often it is asked again."""

    connect_seconds: float
    read_seconds: float
    attempts: int


def made_client(
    service: str, endpoint: str | None, patience: Patience, *, region: str | None = None
) -> Boto:
    """Give a client of the service at an endpoint, by default its own; of a region if named."""
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(region_name=region)
    keep_quiet(session.events)
    return session.client(
        service,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            retries={"total_max_attempts": patience.attempts, "mode": "standard"},
        ),
    )


def keep_quiet(events: Boto, secrets: Collection[str] = ()) -> None:
    """Let no error of AWS repeat secrets, which it does where it finds them malformed.

    All behind its first paragraph is left out: there stands the request as it was signed, with the
    token of its session.
    """

    def shorten(parsed: Boto, **_: Boto) -> None:
        error = parsed.get("Error", {})
        said = str(error.get("Message", "")).strip().partition("\n")[0]
        for secret in tuple(secrets):
            said = said.replace(secret, "***")
        error["Message"] = said[:_MOST_CHARACTERS]

    events.register("after-call", shorten)  # before botocore makes an error of it, and logs it
