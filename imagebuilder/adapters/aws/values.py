"""AwsValues: parameters, secrets and metadata of an account, asked for as its own tools do.

Credentials and region are found by boto3 in its own way (its variables, its files, a role). boto3
is loaded when a component first asks.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imagebuilder.adapters.aws.clients import Boto, Patience, made_client
from imagebuilder.ports.values import (
    OutsideValue,
    ValueNotFound,
    ValuesRefused,
    ValuesUnavailable,
)

if TYPE_CHECKING:
    from urllib.request import Request

_SECRETS_MANAGER = "/aws/reference/secretsmanager/"
_PATIENCE = Patience(connect_seconds=10, read_seconds=30, attempts=4)
_METADATA_SECONDS = 5.0
_LONGEST_METADATA_BYTES = 64 * 1024
_ABSENT = {"ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"}
_BUSY = {"ThrottlingException", "InternalServerError", "ServiceUnavailable", "RequestTimeout"}


class AwsValues:
    """Gives values of the account that boto3 finds credentials for."""

    def __init__(self, *, endpoint: str | None = None, metadata: str | None = None) -> None:
        """Ask the services at endpoint, by default their own; metadata is its service's address."""
        self._endpoint = endpoint
        self._metadata = metadata
        self._clients: dict[str, Boto] = {}

    def parameter(self, path: str) -> OutsideValue:
        """Give a parameter, or a secret by /aws/reference/secretsmanager/NAME.

        Raises: ValueNotFound; ValuesRefused; ValuesUnavailable.
        """
        reference = f"aws:ssm:{path}"
        answer = _asked(
            reference,
            lambda: self._client("ssm").get_parameter(Name=path, WithDecryption=True),
        )["Parameter"]
        return OutsideValue(
            text=answer["Value"],
            version=_version(answer),
            is_secret=answer["Type"] == "SecureString" or path.startswith(_SECRETS_MANAGER),
        )

    def metadata(self, path: str) -> OutsideValue:
        """Give what an instance is told of itself. Raises: ValueNotFound; ValuesRefused."""
        reference = f"aws:imds:{path}"
        if self._metadata is None:
            raise ValuesRefused(
                reference,
                "An image is built here, on no instance, so nothing is told of one.",
                "Use a parameter instead, or set imds_endpoint to where metadata is served.",
            )
        from urllib.error import HTTPError, URLError  # noqa: PLC0415 - as boto3
        from urllib.request import Request  # noqa: PLC0415 - as boto3

        address = self._metadata.rstrip("/")
        try:
            asking = Request(  # noqa: S310 - the settings checked that it is http
                f"{address}/latest/api/token",
                method="PUT",
                headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"},
            )
            token = _fetched(asking)
            text = _fetched(
                Request(  # noqa: S310 - as above
                    f"{address}/latest/meta-data/{path}",
                    headers={"X-aws-ec2-metadata-token": token},
                )
            )
        except HTTPError as error:
            if error.code == 404:  # noqa: PLR2004 - HTTP's own number
                raise ValueNotFound(reference, "the metadata service") from error
            raise ValuesUnavailable(reference, str(error)) from error
        except (URLError, OSError) as error:
            raise ValuesUnavailable(reference, str(error)) from error
        return OutsideValue(text=text)

    def account(self) -> str:
        """Give the account's number. Raises: ValuesRefused; ValuesUnavailable."""
        answer = _asked("context:accountId", lambda: self._client("sts").get_caller_identity())
        return str(answer["Account"])

    def region(self) -> str:
        """Give the region that names are looked up in. Raises: ValuesRefused."""
        return str(_asked("context:region", lambda: self._client("ssm").meta.region_name))

    def _client(self, service: str) -> Boto:
        if service not in self._clients:
            self._clients[service] = made_client(service, self._endpoint, _PATIENCE)
        return self._clients[service]


def _asked(reference: str, ask: Callable[[], Boto]) -> Boto:
    from botocore import exceptions  # noqa: PLC0415 - as in `_client`

    try:
        return ask()
    except exceptions.ClientError as error:
        raise _refusal(reference, error.response["Error"]) from error
    except (exceptions.NoCredentialsError, exceptions.NoRegionError) as error:
        hint = "Give boto3 an account: AWS_PROFILE, or AWS_ACCESS_KEY_ID and the rest, AWS_REGION."
        raise ValuesRefused(reference, str(error), hint) from error
    except exceptions.BotoCoreError as error:
        raise ValuesUnavailable(reference, str(error)) from error


def _refusal(
    reference: str, error: dict[str, Any]
) -> ValueNotFound | ValuesRefused | ValuesUnavailable:
    code, message = error.get("Code", ""), error.get("Message", "")
    if code in _ABSENT:
        return ValueNotFound(reference, "the account's parameter store")
    if code in _BUSY:
        return ValuesUnavailable(reference, f"{code}: {message}")
    return ValuesRefused(
        reference, f"{code}: {message}", "Let the account's role read this name, or take another."
    )


def _version(answer: dict[str, Any]) -> str:
    """Give what tells this value from earlier ones; a secret's own version when it is one."""
    source = json.loads(answer.get("SourceResult") or "{}")
    stages = source.get("VersionIdsToStages", {}).items()
    staged = (version for version, names in stages if "AWSCURRENT" in names)
    return str(
        source.get("VersionId") or source.get("versionId") or next(staged, answer["Version"])
    )


def _fetched(request: "Request") -> str:
    from urllib.request import urlopen  # noqa: PLC0415 - as boto3

    with urlopen(request, timeout=_METADATA_SECONDS) as answer:  # noqa: S310 - as where it is made
        content: bytes = answer.read(_LONGEST_METADATA_BYTES)
    return content.decode(errors="replace")
