"""Packs: tests that are ready to be named in a recipe, as pack:NAME.

What they test stands in their files; here are only their names.
"""

from enum import StrEnum

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.spelling import did_you_mean

PACK_PREFIX = "pack:"


class Pack(StrEnum):
    """The packs there are."""

    SSH = "ssh"
    NO_DEFAULT_PASSWORDS = "no-default-passwords"
    BOOTS_CLEAN = "boots-clean"
    NO_SECRETS = "no-secrets"
    EC2_READY = "ec2-ready"


def pack_name(path: str) -> str | None:
    """Give the name after pack: in a path of tests; None when it is a path."""
    return path.removeprefix(PACK_PREFIX) if path.startswith(PACK_PREFIX) else None


class PackUnknown(InvalidInput):
    """There is no pack of that name."""

    code = "pack-unknown"

    def __init__(self, name: str) -> None:
        """Quote it and name the packs there are."""
        known = [pack.value for pack in Pack]
        super().__init__(
            f"There is no pack {name}.",
            context=f"There are {', '.join(known)}.",
            hint=did_you_mean(name, known) or "See: imagebuilder pack list",
        )


def pack_of(name: str) -> Pack:
    """Give the pack of a name. Raises: PackUnknown."""
    try:
        return Pack(name)
    except ValueError as unknown:
        raise PackUnknown(name) from unknown
