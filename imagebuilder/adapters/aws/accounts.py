"""Accounts: clients of AWS's services, and the identities in which they are called.

What reads the models of services is shared, and so are clients: to make them for each account
would take gigabytes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import RLock
from typing import Any

from imagebuilder import __version__
from imagebuilder.adapters.aws.clients import Boto, keep_quiet
from imagebuilder.adapters.aws.identities import CurrentIdentity
from imagebuilder.domain.target import Access

# ruff: noqa: PLC0415 - a third of a second that what needs no AWS need not wait
_SESSION_NAME = "imagebuilder"
_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A region of an account, and how the account is entered."""

    account: str
    region: str
    access: Access = field(default_factory=Access)

    @property
    def key(self) -> str:
        """How books name it: aws:123456789012/eu-central-1."""
        return f"aws:{self.account}/{self.region}"


class Accounts:
    """Knows the way into accounts; safe for many threads."""

    def __init__(self, secret_of: Callable[[str], bytes], *, endpoint: str | None = None) -> None:
        """Enter by secrets referred to; ask the services at endpoint, by default their own."""
        self._secret_of = secret_of
        self._endpoint = endpoint
        self._current = CurrentIdentity()
        self._credentials: dict[tuple[str, Access], Boto] = {}
        self._clients: dict[tuple[str, str], Boto] = {}
        self._sessions: dict[str, Boto] = {}
        self._told: set[str] = set()
        self._lock = RLock()

    @contextmanager
    def client(self, entrance: Entrance, service: str) -> Iterator[Boto]:
        """Give a client that speaks for an account within, in this thread.

        Raises: NoCredentialsError; whatever the secret of an external id cannot be read for.
        """
        with self._lock:
            credentials = self._identity(entrance)
            client = self._client("ours", service, entrance.region)
        with self._current.of(credentials):
            yield client

    def forget(self, entrance: Entrance) -> None:
        """Enter an account anew at the next call."""
        with self._lock:
            self._credentials.pop(_who(entrance), None)
            # It may be those of whoever runs us that are no longer good, and were given anew.
            self._sessions.pop("ambient", None)
            self._clients.pop(("ambient sts", entrance.region), None)

    def _identity(self, entrance: Entrance) -> Boto:
        who = _who(entrance)
        if who not in self._credentials:
            self._credentials[who] = (
                self._assumed(entrance) if entrance.access.role else self._own()
            )
        return self._credentials[who]

    def _own(self) -> Boto:
        from botocore.exceptions import NoCredentialsError

        found = self._session("ambient").get_credentials()
        if found is None:
            raise NoCredentialsError
        return found

    def _assumed(self, entrance: Entrance) -> Boto:
        from botocore.credentials import DeferredRefreshableCredentials

        self._own()
        sts = self._client("ambient", "sts", entrance.region)
        asked = {"RoleArn": role_arn(entrance), "RoleSessionName": _SESSION_NAME}

        def refreshed() -> dict[str, Any]:
            reference = entrance.access.external_id
            secret = self._secret_of(reference).decode(errors="replace") if reference else ""
            if secret:
                self._told.add(secret)
            more = {"ExternalId": secret} if reference else {}
            given = sts.assume_role(**asked, **more)["Credentials"]
            return {
                "access_key": given["AccessKeyId"],
                "secret_key": given["SecretAccessKey"],
                "token": given["SessionToken"],
                "expiry_time": given["Expiration"].isoformat(),
            }

        return DeferredRefreshableCredentials(refreshed, "sts-assume-role")

    def _session(self, whose: str) -> Boto:
        if whose not in self._sessions:
            from botocore.session import Session

            session = Session()
            if whose == "ours":
                session.register_component("credential_provider", self._current)
            session.register_component("data_loader", _loader())
            keep_quiet(session, self._told)
            self._sessions[whose] = session
        return self._sessions[whose]

    def _client(self, whose: str, service: str, region: str) -> Boto:
        place = (f"{whose} {service}", region)
        if place not in self._clients:
            from botocore.config import Config

            self._clients[place] = self._session(whose).create_client(
                service,
                region_name=region,
                endpoint_url=self._endpoint,
                config=Config(
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    max_pool_connections=_CONNECTIONS,
                    request_checksum_calculation="when_required",
                    user_agent=f"imagebuilder/{__version__}",
                    retries={"total_max_attempts": 1},  # `Calls` tries again, and nothing else
                ),
            )
        return self._clients[place]


@cache
def _loader() -> Boto:
    """Give what reads the models of services: for each session anew it would take seconds."""
    from botocore.loaders import create_loader

    return create_loader()


def role_arn(entrance: Entrance) -> str:
    """Give the ARN of the role by which an account is entered."""
    role = entrance.access.role.replace("{account}", entrance.account)
    if role.startswith("arn:"):
        return role
    return f"arn:{partition_of(entrance.region)}:iam::{entrance.account}:role/{role}"


def partition_of(region: str) -> str:
    """Give the part of AWS that a region is of, which ARNs begin with."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _who(entrance: Entrance) -> tuple[str, Access]:
    """Whoever runs us is one, whichever account is meant."""
    return (entrance.account if entrance.access.role else "", entrance.access)
