"""What brings versions to targets of each kind."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.domain.target import FolderPlace, S3Place, Target, TargetKind
from imagebuilder.settings import secret_of

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePath

    from imagebuilder.domain.digest import Digest
    from imagebuilder.ports.clock import Clock
    from imagebuilder.ports.process import CommandRunner
    from imagebuilder.ports.shelves import Shelf
    from imagebuilder.ports.signing import KeyOpener
    from imagebuilder.ports.targets import Carrier


def carriers(
    commands: "CommandRunner",
    clock: "Clock",
    aws_endpoint: str | None,
    key: "KeyOpener | None" = None,
) -> "Mapping[TargetKind, Carrier]":
    """Give the carrier of each kind of target that there is one for; key signs what is listed."""
    from imagebuilder.adapters.aws.accounts import Accounts
    from imagebuilder.adapters.aws.calls import Calls
    from imagebuilder.adapters.aws.carrier import AwsCarrier
    from imagebuilder.adapters.libvirt.pool_carrier import PoolCarrier
    from imagebuilder.adapters.web.glance_carrier import GlanceCarrier
    from imagebuilder.adapters.web.registry_carrier import RegistryCarrier
    from imagebuilder.services.shelving import Shelving

    shelving = Shelving(_shelf_of, _digest_of, partial(_sealed, key, clock))
    return {
        TargetKind.AWS: AwsCarrier(Calls(Accounts(secret_of, endpoint=aws_endpoint), clock)),
        TargetKind.FOLDER: shelving,
        TargetKind.S3: shelving,
        TargetKind.OCI: RegistryCarrier(secret_of),
        TargetKind.GLANCE: GlanceCarrier(secret_of),
        TargetKind.LIBVIRT: PoolCarrier(commands),
    }


def _sealed(key: "KeyOpener | None", clock: "Clock", content: bytes) -> bytes:
    from imagebuilder.formats.openpgp import detached_signature

    signer = key.signer() if key is not None else None
    if signer is None:
        return b""
    at_seconds = int(clock.now().timestamp())
    return detached_signature(content, signer.public_key, signer.sign, at_seconds)


def _shelf_of(target: Target) -> "Shelf":
    match target.spec.place:
        case FolderPlace(path=path):
            from imagebuilder.adapters.system.folder_shelf import FolderShelf

            return FolderShelf(Path(path))
        case S3Place() as place:
            from imagebuilder.adapters.aws.bucket_shelf import BucketShelf

            return BucketShelf(place)
        case other:
            raise TypeError(f"{type(other).__name__} is no shelf")


def _digest_of(file: "PurePath") -> "Digest":
    from imagebuilder.adapters.system.file_digests import SystemFileDigests

    return next(SystemFileDigests().digests(file)).digest
