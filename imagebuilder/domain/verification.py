"""Verification: what a signed statement must be to speak for a file, and why it does not."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagebuilder.domain.attestation import PredicateType, PublicKey, Statement, Subject
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What is asked: signed by one of these keys, of these types, of this image, by this builder.

    `image` is a name or a whole reference; empty, any will do, as for `builder`.
    """

    keys: tuple[PublicKey, ...]
    predicates: tuple[str, ...] = (PredicateType.PROVENANCE,)
    image: str = ""
    builder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStatement:
    """A statement that one of the keys signed."""

    statement: Statement
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A file, and what was truly said of it; `others` counts what keys that nobody gave signed."""

    artifact: str
    digest: Digest
    statements: tuple[ReadStatement, ...]
    others: int = 0


class Unsigned(Refused):
    """Nobody signed anything about a file."""

    code = "unsigned"

    def __init__(self, artifact: str, looked: str, hint: str) -> None:
        """Say where it was looked."""
        super().__init__(f"{artifact} is not signed.", context=looked, hint=hint)


class NothingToVerify(Refused):
    """A version has nothing here that could be what was signed."""

    code = "nothing-to-verify"

    def __init__(self, reference: str) -> None:
        """Name it."""
        super().__init__(
            f"There is nothing of {reference} here that can be verified.",
            context="It has no artifact, and its record does not say where it lies instead.",
            hint="Verify a file of it, where it is: imagebuilder verify FILE --key PUB",
        )


class BundleMalformed(Refused):
    """A bundle is none, or was cut."""

    code = "bundle-malformed"

    def __init__(self, bundle: str, reason: str) -> None:
        """Say what is wrong with it."""
        super().__init__(
            f"The bundle {bundle} is no whole sigstore bundle.",
            context=f"To be exact, {reason}.",
            hint="Get it anew from where the artifact is; it must come whole.",
        )


class BundleTampered(Refused):
    """A bundle says that a key signed it, and that key did not sign what stands there."""

    code = "bundle-tampered"

    def __init__(self, bundle: str, key: PublicKey) -> None:
        """Name the key."""
        super().__init__(
            f"The bundle {bundle} was changed after it was signed.",
            context=f"It names the key {key.id.short}, whose signature does not fit what it says.",
            hint="Do not trust it; get the artifact and its bundle anew from who signed them.",
        )


class KeyWrong(Refused):
    """What was signed was signed by others."""

    code = "key-wrong"

    def __init__(self, bundle: str, signers: Sequence[str], keys: Sequence[PublicKey]) -> None:
        """Say whose key it was as far as the bundle tells, and which were given."""
        told = ", ".join(sorted({signer[:12] or "an unnamed key" for signer in signers}))
        super().__init__(
            f"The bundle {bundle} is not signed with the key that was given.",
            context=f"It was signed with {told}; given was {', '.join(k.id.short for k in keys)}.",
            hint="Ask who built the image for the public key of that id; --key may be repeated.",
        )


class ArtifactTampered(Refused):
    """A file is as large as what was signed, and is something else."""

    code = "artifact-tampered"

    def __init__(self, artifact: str, found: Digest, signed: Subject) -> None:
        """Tell both digests."""
        super().__init__(
            f"{artifact} is not what was signed: its bytes were changed.",
            context=f"It has {found}. Signed was {signed.name} with {signed.digest}, as large.",
            hint="Do not use it; get the artifact anew.",
        )


class SubjectSwapped(Refused):
    """A bundle is whole and truly signed, and speaks of another file."""

    code = "subject-swapped"

    def __init__(self, artifact: str, found: Digest, subjects: Sequence[Subject]) -> None:
        """Say what it does speak of."""
        told = "\n".join(f"{s.name} {s.digest}" for s in list(dict.fromkeys(subjects))[:8])
        super().__init__(
            f"The bundle speaks of another file than {artifact}.",
            context=f"The file has {found}. Signed was:\n{told}",
            hint="Give the bundle that belongs to it; a file that was cut has another size, too.",
        )


class PredicateMissing(Refused):
    """A file is signed, but not for what was asked."""

    code = "predicate-missing"

    def __init__(self, artifact: str, missing: Sequence[str], there: Sequence[str]) -> None:
        """Say what there is."""
        super().__init__(
            f"Nobody signed the {' and the '.join(missing)} of {artifact}.",
            context=f"Signed is: {', '.join(there) or 'nothing'}.",
            hint="Ask for what is signed with --predicate, or sign with: imagebuilder image attest",
        )


class ExpectationUnmet(Refused):
    """A file is signed, and is not the one that was wanted."""

    code = "expectation-unmet"

    def __init__(self, artifact: str, what: str, wanted: str, found: str) -> None:
        """Say what was wanted and what it is."""
        super().__init__(
            f"{artifact} is of the {what} {found or 'that nobody named'}, not {wanted}.",
            context="Its signature is good; it is a true image, but not the one you asked for.",
            hint="Get the artifact that you meant, or ask for this one.",
        )
