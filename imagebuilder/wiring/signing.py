"""What signs, and what checks; to check needs no settings and no home."""

from functools import partial
from typing import TYPE_CHECKING

from imagebuilder.settings import Settings, secret_of

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from typing import Any

    from imagebuilder.adapters.signing.key_files import FileKeys
    from imagebuilder.adapters.signing.opening import NamedKey
    from imagebuilder.services.verifying import Verifying

_KMS_SECONDS = 10


def verifying() -> "Verifying":
    """Give what checks artifacts against bundles."""
    from imagebuilder.adapters.signing.public_keys import SslibVerifier
    from imagebuilder.adapters.system.file_digests import SystemFileDigests
    from imagebuilder.services.verifying import Verifying

    return Verifying(SslibVerifier(), SystemFileDigests())


def named_key(settings: Settings) -> "NamedKey":
    """Give the opener of the key that settings name."""
    from imagebuilder.adapters.signing.opening import NamedKey

    given = settings.signing

    def passphrase() -> bytes | None:
        return secret_of(given.passphrase) if given.passphrase else None

    return NamedKey(given.key, passphrase, partial(_kms_client, settings.notices.aws_endpoint))


def key_maker() -> "FileKeys":
    """Give what makes keys."""
    from imagebuilder.adapters.signing.key_files import FileKeys

    return FileKeys()


def _kms_client(endpoint: str | None) -> "Any":  # noqa: ANN401 - boto3 makes its classes as it runs
    from imagebuilder.adapters.aws.clients import Patience, made_client

    patience = Patience(connect_seconds=_KMS_SECONDS, read_seconds=_KMS_SECONDS, attempts=2)
    return made_client("kms", endpoint, patience)
