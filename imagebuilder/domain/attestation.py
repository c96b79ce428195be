"""Attestation: a signed statement about artifacts; provenance is the kind that says how they came.

Here stands what is stated, neutral of any standard, and by whose key. How a statement is written is
a format's, how it is signed an adapter's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import Refused, WrongState
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import ImageVersion


class PredicateType(StrEnum):
    """What a statement says of its subjects.

    Source: SLSA 1.0 provenance; CycloneDX 1.6; in-toto attestation, test-result v0.1; ours.
    """

    PROVENANCE = "https://slsa.dev/provenance/v1"
    BILL = "https://cyclonedx.org/bom"
    TESTS = "https://in-toto.io/attestation/test-result/v0.1"
    COMPLIANCE = "urn:imagebuilder:predicate:compliance:v1"
    ASSURANCE = "urn:imagebuilder:predicate:assurance:v1"
    PROMOTION = "urn:imagebuilder:predicate:promotion:v1"

    @property
    def word(self) -> str:
        """How people call it."""
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> "PredicateType":
        """Give the type of a word or a whole URI. Raises: ValueError."""
        by_word = {known.word: known for known in cls}
        return by_word[text] if text in by_word else cls(text)


def predicate_word(predicate_type: str) -> str:
    """Give how people call a type, which may be one that we do not know."""
    known = {known.value: known.word for known in PredicateType}
    return known.get(predicate_type, predicate_type)


class KeyAlgorithm(StrEnum):
    """What a key signs with."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """What a signature is checked with.

    `id` is the SHA-256 of its DER form. Shape: `pem` is a SubjectPublicKeyInfo as text.
    """

    id: Digest
    algorithm: KeyAlgorithm
    pem: str


class KeyState(StrEnum):
    """Whether a known key signs, only signed once, or is believed no more."""

    ACTIVE = "active"
    RETIRED = "retired"
    COMPROMISED = "compromised"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A public key that signed for this catalogue, which stays so that its bundles can be checked.

    `ended` is who retired it, or gave it up as compromised.
    """

    key: PublicKey
    first_used_at: datetime
    state: KeyState = KeyState.ACTIVE
    ended: Act | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A file that is spoken of."""

    name: str
    digest: Digest
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Something that went into a build; `unknown` says why its digest is not known, when it is not.

    `kind` is what it was to the build: recipe, component, tests, parent, package, package-index.
    """

    kind: str
    name: str
    uri: str
    digest: Digest | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderIdentity:
    """Who built: the installation by a name that its owner gave it, and our own version."""

    id: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a version came to be. Shape: `parameters` maps component.parameter to its value."""

    version: ImageVersion
    builder: BuilderIdentity
    materials: tuple[Material, ...]
    started_at: datetime | None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionDecision:
    """That a channel was let mean a version, by whom, and how it came to that."""

    channel: str
    reference: str
    version_id: VersionId
    before: str | None
    how: str
    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is said of subjects. Shape: `predicate` is as its type's standard has it."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Canonical]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """The record of a signed statement about a version; `bundle` is the blob that holds it."""

    version_id: VersionId
    predicate_type: str
    bundle: Digest
    key_id: Digest
    signed_at: datetime


def subjects_of(version: ImageVersion) -> tuple[Subject, ...]:
    """Give what statements about a version speak of: its artifacts, and its disk if no artifact is.

    Two formats may be the same bytes; each is a subject under its own name.
    """
    stem = f"{version.image}-{version.version}".replace("/", "-")
    found = [
        Subject(name=f"{stem}.{a.format}", digest=a.digest, size_bytes=a.size_bytes)
        for a in version.artifacts
    ]
    if all(subject.digest != version.disk_digest for subject in found):
        found.append(Subject(name=f"{stem}.disk", digest=version.disk_digest))
    return tuple(found)


def newest_of_each(attestations: Iterable[Attestation]) -> tuple[Attestation, ...]:
    """Give the last signed attestation of each type and key; promotions are all kept."""
    found: dict[tuple[str, Digest, Digest | None], Attestation] = {}
    for each in attestations:
        is_promotion = each.predicate_type == PredicateType.PROMOTION
        found[each.predicate_type, each.key_id, each.bundle if is_promotion else None] = each
    return tuple(found.values())


class KeyUnknown(WrongState):
    """No public key that this catalogue knows is named so."""

    code = "key-unknown"

    def __init__(self, asked: str, known: tuple[str, ...]) -> None:
        """Name those that are known."""
        super().__init__(
            f"No one key of this catalogue has an id that starts with {asked[:80]!r}.",
            context=f"Known are {', '.join(known)}." if known else "Nothing was signed yet.",
            hint="List them with: imagebuilder key list",
        )


class KeyEnded(Refused):
    """A key that signs no more is named to sign with."""

    code = "key-ended"

    def __init__(self, known: KnownKey) -> None:
        """Name it, and say who ended it and why."""
        act = known.ended
        why = f": {act.why}" if act and act.why else ""
        super().__init__(
            f"The key {known.key.id.short} is {known.state} and signs no more.",
            context=f"{act.actor} said so on {act.at:%Y-%m-%d}{why}." if act else "",
            hint="Put a new one in the place of its file with: imagebuilder key rotate; or set "
            "signing_key to another.",
        )


class NoSigningKey(WrongState):
    """Something is to be signed, and nobody said with what."""

    code = "no-signing-key"

    def __init__(self) -> None:
        """Say how to make a key and name it."""
        super().__init__(
            "There is no key to sign with.",
            hint="Make one with: imagebuilder key generate FILE; then set signing_key to file:FILE "
            "in the settings, or name another's: hsm:... or awskms:...",
        )
