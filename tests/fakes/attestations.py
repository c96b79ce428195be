"""An AttestationStore in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from imagebuilder.domain.attestation import Attestation, KeyState, KnownKey
from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import VersionId
from imagebuilder.ports.catalogue import VersionStore


class FakeAttestationStore:
    """Keeps attestations in a list and keys in a dictionary."""

    def __init__(self, versions: VersionStore) -> None:
        """Keep what was signed about recorded versions."""
        self._versions = versions
        self.kept: list[Attestation] = []
        self._keys: dict[Digest, KnownKey] = {}

    def add(self, attestation: Attestation) -> None:
        """Keep that a statement was signed, by a key that is known."""
        self._versions.get(attestation.version_id)
        if attestation.key_id not in self._keys:
            raise ValueError(f"nobody knows the key {attestation.key_id}")
        self.kept.append(attestation)

    def of_versions(self, ids: Collection[VersionId]) -> Sequence[Attestation]:
        """Give what was signed about versions, of each in the order of its signing."""
        return [each for each in self.kept if each.version_id in ids]

    def know(self, key: KnownKey) -> None:
        """Keep a public key; one that is known stays as it is."""
        self._keys.setdefault(key.key.id, key)

    def keys(self) -> Sequence[KnownKey]:
        """Give every key that is known, the first used first."""
        return sorted(self._keys.values(), key=lambda k: (k.first_used_at, k.key.id))

    def end(self, key_id: Digest, state: KeyState, act: Act) -> None:
        """Keep that a key signs no more, or is believed no more."""
        self._keys[key_id] = replace(self._keys[key_id], state=state, ended=act)
