"""AttestationStore: what was signed about versions, and the public keys that signed it."""

from collections.abc import Collection, Sequence
from typing import Protocol

from imagebuilder.domain.attestation import Attestation, KeyState, KnownKey
from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import VersionId


class AttestationStore(Protocol):
    """Keeps attestations and public keys for ever. Durable: each call is one transaction."""

    def add(self, attestation: Attestation) -> None:
        """Keep that a statement was signed, by a key that is known. Raises: VersionNotFound."""
        ...

    def of_versions(self, ids: Collection[VersionId]) -> Sequence[Attestation]:
        """Give what was signed about versions, of each in the order of its signing."""
        ...

    def know(self, key: KnownKey) -> None:
        """Keep a public key; one that is known stays as it is."""
        ...

    def keys(self) -> Sequence[KnownKey]:
        """Give every key that is known, the first used first."""
        ...

    def end(self, key_id: Digest, state: KeyState, act: Act) -> None:
        """Keep that a key signs no more, or is believed no more."""
        ...
