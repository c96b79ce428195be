"""Attesting: what is known of a version is stated, signed and kept; only here is signed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from imagebuilder.domain.attestation import (
    Attestation,
    BuilderIdentity,
    KeyEnded,
    KeyState,
    KeyUnknown,
    KnownKey,
    Material,
    NoSigningKey,
    PromotionDecision,
    Provenance,
    PublicKey,
    Statement,
    newest_of_each,
)
from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import ImageBuilderError, Unavailable
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.formats.dsse import INTOTO_PAYLOAD, Envelope, pae
from imagebuilder.formats.intoto import (
    assurance_statement,
    bill_statement,
    compliance_statement,
    promotion_statement,
    provenance_statement,
    statement_bytes,
    tests_statement,
)
from imagebuilder.formats.materials import image_material, materials_of, parameters_of
from imagebuilder.formats.sigstore import bundle_bytes
from imagebuilder.ports.attestations import AttestationStore
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.runs import RunNotFound, RunStore
from imagebuilder.ports.signing import KeyOpener, Signer
from imagebuilder.ports.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationDesk:
    """What statements are made of, what signs them, and where they are kept.

    `bill` gives the CycloneDX document of a version, `summary` what was found against it; None
    where there is none. Shape: `package_files` gives, by name, version and architecture of a
    package, the digest of its file where that is known.
    """

    versions: VersionStore
    runs: RunStore
    attestations: AttestationStore
    blobs: BlobStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock
    key: KeyOpener
    builder: BuilderIdentity
    bill: Callable[[ImageVersion], bytes | None] = lambda _: None
    package_files: Callable[[ImageVersion], Mapping[tuple[str, str, str], Digest]] = lambda _: {}
    summary: Callable[[ImageVersion], Mapping[str, Canonical] | None] = lambda _: None


class Attesting:
    """Signs statements about versions with the key that the settings name."""

    def __init__(self, desk: AttestationDesk, actor: str) -> None:
        """Sign in the name of `actor`."""
        self._desk = desk
        self._actor = actor

    def signer(self) -> Signer | None:
        """Give what signs, None when no key is named.

        Raises: KeyEnded; KeyUnusable; KeyExposed; SignerUnavailable; SecretMissing.
        """
        signer = self._desk.key.signer()
        if signer is not None:
            for known in self.keys():
                if known.key.id == signer.public_key.id and known.state is not KeyState.ACTIVE:
                    raise KeyEnded(known)
        return signer

    def refuse_unusable_key(self) -> None:
        """Let a build begin only if its version can be signed, as far as that is ours to say.

        A token or service that does not answer now may answer then. Raises: KeyEnded; KeyUnusable;
        KeyExposed; SecretMissing.
        """
        try:
            self.signer()
        except Unavailable:
            return

    def sign_recorded(self, version: ImageVersion) -> str:
        """Sign what is known of a version that was just recorded, unless no key is named.

        Durable: done again, it signs what is not signed yet. What keeps it from signing is given
        as a line, empty when nothing did: the version stays recorded, and unsigned.
        """
        try:
            signer = self.signer()
            if signer is not None and not self._desk.attestations.of_versions([version.id]):
                self._sign(signer, version, self._statements(version))
        except ImageBuilderError as error:
            return _unsigned(version.reference, error)
        return ""

    def attest(self, version: ImageVersion) -> Sequence[Attestation]:
        """Sign all that is known of a version, again if it was signed before.

        Raises: NoSigningKey; KeyEnded; KeyUnusable; KeyExposed; SignerUnavailable; SecretMissing.
        """
        signer = self.signer()
        if signer is None:
            raise NoSigningKey
        return self._sign(signer, version, self._statements(version))

    def sign_promotion(self, decision: PromotionDecision) -> str:
        """Sign that a channel was let mean a version, unless no key is named.

        The move stands, signed or not: a token that is out must not keep a channel from being
        rolled back. What kept it from being signed is given as a line.
        """
        try:
            signer = self.signer()
            if signer is not None:
                version = self._desk.versions.get(decision.version_id)
                self._sign(signer, version, [promotion_statement(version, decision)])
        except ImageBuilderError as error:
            return _unsigned(f"The move of {decision.channel}", error)
        return ""

    def of(self, version_id: VersionId) -> Sequence[Attestation]:
        """Give what was signed about a version, in the order of its signing."""
        return self._desk.attestations.of_versions([version_id])

    def bundles(self, version_id: VersionId) -> Sequence[tuple[Attestation, bytes]]:
        """Give what was last signed of each type with each key. Raises: BlobMissing."""
        return [
            (each, self._desk.blobs.read(each.bundle))
            for each in newest_of_each(self.of(version_id))
        ]

    def keys(self) -> Sequence[KnownKey]:
        """Give every public key that signed here, the first used first."""
        return self._desk.attestations.keys()

    def believed(self) -> tuple[PublicKey, ...]:
        """Give the keys that what was signed here is checked with: all but compromised ones."""
        return tuple(k.key for k in self.keys() if k.state is not KeyState.COMPROMISED)

    def know(self, key: PublicKey) -> None:
        """Keep the public key of a key that is in use from now on."""
        self._desk.attestations.know(KnownKey(key=key, first_used_at=self._desk.clock.now()))

    def end(self, asked: str, state: KeyState, why: str) -> KnownKey:
        """Keep that a key signs no more, or is believed no more, and give it as it is then.

        What is compromised stays so, and since when. Raises: KeyUnknown.
        """
        desk = self._desk
        with desk.transactions.together():
            known = desk.attestations.keys()
            found = [k for k in known if asked and k.key.id.hex.startswith(asked)]
            if len(found) != 1:
                raise KeyUnknown(asked, tuple(k.key.id.short for k in known))
            if found[0].state is KeyState.COMPROMISED:
                return found[0]
            act = Act(actor=self._actor, at=desk.clock.now(), why=why)
            desk.attestations.end(found[0].key.id, state, act)
            desk.audit.add(
                AuditEntry(
                    act=act,
                    action=AuditAction.KEY_ENDED,
                    subject=found[0].key.id.hex,
                    before={"state": found[0].state},
                    after={"state": state},
                )
            )
        return replace(found[0], state=state, ended=act)

    def _sign(
        self, signer: Signer, version: ImageVersion, statements: Sequence[Statement]
    ) -> Sequence[Attestation]:
        """Sign all first, then keep all: the catalogue does not wait for a token."""
        desk, key = self._desk, signer.public_key
        signed = [(each, _bundle(signer, each)) for each in statements]
        at = desk.clock.now()
        kept = [
            Attestation(
                version_id=version.id,
                predicate_type=statement.predicate_type,
                bundle=desk.blobs.put(bundle),
                key_id=key.id,
                signed_at=at,
            )
            for statement, bundle in signed
        ]
        with desk.transactions.together():
            desk.attestations.know(KnownKey(key=key, first_used_at=at))
            for each in kept:
                desk.attestations.add(each)
            desk.audit.add(
                AuditEntry(
                    act=Act(actor=self._actor, at=at),
                    action=AuditAction.VERSION_ATTESTED,
                    subject=version.reference,
                    after={"key": key.id.hex, "predicates": [e.predicate_type for e in kept]},
                )
            )
        return kept

    def _statements(self, version: ImageVersion) -> Sequence[Statement]:
        found = [] if version.is_imported else [self._provenance(version)]
        bill = self._desk.bill(version)
        if bill is not None:
            found.append(bill_statement(version, bill))
        if version.reports:
            found.append(tests_statement(version))
        if version.assessments:
            found.append(compliance_statement(version))
        summary = self._desk.summary(version)
        if summary is not None:
            found.append(assurance_statement(version, summary))
        return found

    def _provenance(self, version: ImageVersion) -> Statement:
        return provenance_statement(
            Provenance(
                version=version,
                builder=self._desk.builder,
                materials=tuple(self._materials(version)),
                started_at=self._started_at(version),
                parameters=parameters_of(version),
            )
        )

    def _started_at(self, version: ImageVersion) -> datetime | None:
        try:
            return self._desk.runs.get(version.run_id).started_at
        except RunNotFound:
            return None

    def _materials(self, version: ImageVersion) -> Iterator[Material]:
        files = self._desk.package_files(version)
        yield from materials_of(version, self._parent(version), files)
        if version.copied_from is not None:
            source = self._desk.versions.get(version.copied_from)
            yield image_material("source", source)

    def _parent(self, version: ImageVersion) -> ImageVersion | None:
        parent_id = version.parent.version_id
        return None if parent_id is None else self._desk.versions.get(parent_id)


def _bundle(signer: Signer, statement: Statement) -> bytes:
    payload = statement_bytes(statement)
    envelope = Envelope(
        payload=payload,
        payload_type=INTOTO_PAYLOAD,
        signature=signer.sign(pae(INTOTO_PAYLOAD, payload)),
        key_hint=signer.public_key.id.hex,
    )
    return bundle_bytes(envelope)


def _unsigned(what: str, error: ImageBuilderError) -> str:
    said = " ".join(part for part in (error.message, error.context) if part)
    return f"{what} is not signed: {said}"
