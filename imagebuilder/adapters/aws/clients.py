"""Clients of AWS services, which boto3 finds credentials and region for in its own way."""

from dataclasses import dataclass
from typing import Any

# ruff: noqa: PLC0415 - a third of a second that what needs no AWS need not wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a service is waited for, and how often it is asked again."""

    connect_seconds: float
    read_seconds: float
    attempts: int


def made_client(
    service: str, endpoint: str | None, patience: Patience, *, region: str | None = None
) -> Any:  # noqa: ANN401 - boto3 makes its classes as it runs
    """Give a client of the service at an endpoint, by default its own; of a region if named."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session(region_name=region).client(
        service,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            retries={"total_max_attempts": patience.attempts, "mode": "standard"},
        ),
    )
