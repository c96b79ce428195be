"""Verifying: whether what was signed about an artifact is true of the bytes that are here.

Nothing but the artifact, the bundle and a public key is asked: no catalogue, no store, no clock.
What a bundle says is parsed only after its signature was found to be good.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

from imagebuilder.domain.attestation import PredicateType, PublicKey, Statement, predicate_word
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.verification import (
    ArtifactTampered,
    BundleMalformed,
    BundleTampered,
    Expectation,
    ExpectationUnmet,
    KeyWrong,
    PredicateMissing,
    ReadStatement,
    SubjectSwapped,
    Verified,
)
from imagebuilder.formats.dsse import INTOTO_PAYLOAD, Envelope
from imagebuilder.formats.intoto import statement_of
from imagebuilder.formats.sigstore import envelopes_of
from imagebuilder.ports.signing import Verifier
from imagebuilder.ports.traces import FileDigests


class Verifying:
    """Checks artifacts against bundles."""

    def __init__(self, verifier: Verifier, files: FileDigests) -> None:
        """Check signatures with `verifier`, and read artifacts with `files`."""
        self._verifier = verifier
        self._files = files

    def key(self, content: bytes, name: str) -> PublicKey:
        """Give the public key of a PEM file. Raises: KeyUnusable."""
        return self._verifier.public_key(content, name)

    def file(
        self,
        artifact: PurePath,
        bundle: tuple[str, bytes],
        expectation: Expectation,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Verified:
        """Give what was truly said of a file. Shape: `bundle` is its name and what it holds.

        Raises: BundleMalformed; BundleTampered; KeyWrong; ArtifactTampered; SubjectSwapped;
        PredicateMissing; ExpectationUnmet; FileUnreadable.
        """
        name, content = bundle
        # A bundle that is no good is told before a large file is read for nothing.
        found, others = self._signed(name, content, expectation.keys)
        counted = _Counted(on_bytes)
        digest = next(iter(self._files.digests(artifact, counted))).digest
        return self._verified(
            str(artifact), (digest, counted.size_bytes), (found, others), expectation
        )

    def digest(
        self, artifact: str, digest: Digest, bundle: tuple[str, bytes], expectation: Expectation
    ) -> Verified:
        """Give what was truly said of bytes whose digest the caller computed. Raises: as `file`."""
        name, content = bundle
        signed = self._signed(name, content, expectation.keys)
        return self._verified(artifact, (digest, None), signed, expectation)

    def _signed(
        self, name: str, content: bytes, keys: Sequence[PublicKey]
    ) -> tuple[list[ReadStatement], int]:
        """Give what the keys signed, and count what others did."""
        try:
            envelopes = envelopes_of(content)
        except ValueError as error:
            raise BundleMalformed(name, str(error)) from error
        found, others = [], []
        for envelope in envelopes:
            key = self._signer(name, envelope, keys)
            if key is None:
                others.append(envelope.key_hint)
            else:
                found.append(ReadStatement(statement=_statement(name, envelope), key=key))
        if not found:
            raise KeyWrong(name, others, keys)
        return found, len(others)

    def _signer(self, name: str, envelope: Envelope, keys: Sequence[PublicKey]) -> PublicKey | None:
        """Give the key that signed; the hint is nothing to trust, and only tells how it failed."""
        for key in keys:
            if self._verifier.is_signed(envelope.signed_bytes, envelope.signature, key):
                return key
        named = [key for key in keys if key.id.hex == envelope.key_hint]
        if named:
            raise BundleTampered(name, named[0])
        return None

    def _verified(
        self,
        artifact: str,
        file: tuple[Digest, int | None],
        signed: tuple[list[ReadStatement], int],
        expectation: Expectation,
    ) -> Verified:
        (digest, size_bytes), (statements, others) = file, signed
        ours = [
            each
            for each in statements
            if any(subject.digest == digest for subject in each.statement.subjects)
        ]
        if not ours:
            subjects = [s for each in statements for s in each.statement.subjects]
            alike = [s for s in subjects if size_bytes is not None and s.size_bytes == size_bytes]
            if alike:
                raise ArtifactTampered(artifact, digest, alike[0])
            raise SubjectSwapped(artifact, digest, subjects)
        there = {each.statement.predicate_type for each in ours}
        missing = [wanted for wanted in _wanted(expectation) if wanted not in there]
        if missing:
            words = [predicate_word(wanted) for wanted in missing]
            raise PredicateMissing(artifact, words, sorted(map(predicate_word, there)))
        for each in ours:
            if each.statement.predicate_type == PredicateType.PROVENANCE:
                _refuse_other(artifact, each.statement, expectation)
        return Verified(artifact=artifact, digest=digest, statements=tuple(ours), others=others)


class _Counted:
    """Counts what is read, and tells it on."""

    def __init__(self, tell: Callable[[int], None] | None) -> None:
        self.size_bytes = 0
        self._tell = tell

    def __call__(self, count: int) -> None:
        self.size_bytes += count
        if self._tell is not None:
            self._tell(count)


def _statement(name: str, envelope: Envelope) -> Statement:
    if envelope.payload_type != INTOTO_PAYLOAD:
        raise BundleMalformed(name, f"it holds {envelope.payload_type[:80]}, not {INTOTO_PAYLOAD}")
    try:
        return statement_of(envelope.payload)
    except ValueError as error:
        raise BundleMalformed(name, str(error)) from error


def _wanted(expectation: Expectation) -> tuple[str, ...]:
    """Give the types that are asked for: only a provenance tells of which image, and by whom."""
    if not (expectation.image or expectation.builder):
        return expectation.predicates
    return tuple(dict.fromkeys((*expectation.predicates, PredicateType.PROVENANCE)))


def _refuse_other(artifact: str, statement: Statement, expectation: Expectation) -> None:
    """Refuse the provenance of another image, or by another builder, than was asked for."""
    image, builder = provenance_facts(statement)
    named = (image, image.partition("@")[0])
    if expectation.image and expectation.image not in named:
        raise ExpectationUnmet(artifact, "image", expectation.image, image)
    if expectation.builder and expectation.builder != builder:
        raise ExpectationUnmet(artifact, "builder", expectation.builder, builder)


def provenance_facts(statement: Statement) -> tuple[str, str]:
    """Give the reference and the builder that a provenance names, empty where it names none."""
    definition = _mapping(statement.predicate.get("buildDefinition"))
    image = _mapping(definition.get("externalParameters")).get("reference")
    details = _mapping(statement.predicate.get("runDetails"))
    builder = _mapping(details.get("builder")).get("id")
    return str(image or ""), str(builder or "")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
