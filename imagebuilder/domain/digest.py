"""Digests, and the one canonical form of a value that they are taken of."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

from imagebuilder.domain.errors import Broken

Canonical: TypeAlias = (
    str | int | float | bool | Sequence["Canonical"] | Mapping[str, "Canonical"] | None
)
"""A value that JSON can write."""


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The SHA-256 of some bytes.

    Invariant: `hex` is 64 lower-case hexadecimal digits.
    """

    hex: str

    def __post_init__(self) -> None:
        """Refuse what is no digest before it becomes a file name."""
        if len(self.hex) != 64 or set(self.hex) - set("0123456789abcdef"):  # noqa: PLR2004 - 64 is the length of SHA-256 in hex
            raise ValueError(f"{self.hex!r} is not a SHA-256 digest")

    def __str__(self) -> str:
        """Read as OCI writes it: the algorithm, a colon, the digits."""
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """The first twelve digits, enough for people."""
        return self.hex[:12]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the digest that str() wrote; the algorithm's name may be left out."""
        return cls(text.removeprefix("sha256:"))

    @classmethod
    def of_bytes(cls, content: bytes) -> Self:
        """Give the digest of content."""
        return cls(hashlib.sha256(content).hexdigest())


class DigestMismatch(Broken):
    """Stored bytes are not the bytes that were stored."""

    code = "digest-mismatch"

    def __init__(self, what: str, *, expected: Digest, found: Digest, hint: str) -> None:
        """Say which thing is damaged and by which digests it is known."""
        super().__init__(
            f"{what} is damaged.",
            context=f"Its digest should be {expected} and is {found}.",
            hint=hint,
        )


def canonical_json(value: Canonical) -> bytes:
    """Give the one JSON text of value: sorted keys, no spaces, UTF-8.

    A file name that is no UTF-8 (Python holds its bytes as lone surrogates) is written as
    json.loads takes it back.

    Source: the idea of RFC 8785; numbers are Python's, which we only read back ourselves.
    """
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_as_json_knows_it,
    ).encode(errors="surrogatepass")


def digest_of(value: Canonical) -> Digest:
    """Give the digest of a value's canonical JSON."""
    return Digest.of_bytes(canonical_json(value))


def _as_json_knows_it(value: object) -> dict[str, Canonical] | list[Canonical]:
    """Give a mapping or sequence of another class as the one that the encoder knows."""
    if isinstance(value, Mapping):
        return dict(value)
    # Bytes are a sequence of numbers to Python; to give them to JSON is a mistake.
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")
