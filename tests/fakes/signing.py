"""A Signer, a Verifier and a KeyOpener in memory: a signature is a digest that anybody can make."""

from imagebuilder.domain.attestation import KeyAlgorithm, PublicKey
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.ports.signing import KeyUnusable

_PEM = "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n"


class FakeSigner:
    """Signs as the owner of a name."""

    def __init__(self, name: str = "ann", failure: ImageBuilderError | None = None) -> None:
        """Sign as `name`, or fail."""
        self._name = name
        self.failure = failure

    @property
    def public_key(self) -> PublicKey:
        """What its signatures are checked with."""
        return FakeVerifier().public_key(_PEM.format(self._name).encode(), self._name)

    def sign(self, message: bytes) -> bytes:
        """Give a signature of a message."""
        if self.failure is not None:
            raise self.failure
        return _signature(self.public_key, message)


class FakeVerifier:
    """Checks what a FakeSigner signed."""

    def public_key(self, content: bytes, name: str) -> PublicKey:
        """Give the public key that a PEM file called `name` holds."""
        if not content.startswith(b"-----BEGIN PUBLIC KEY-----\n"):
            raise KeyUnusable(name, "It is no public key.", "Name one.")
        return PublicKey(
            id=Digest.of_bytes(content), algorithm=KeyAlgorithm.ED25519, pem=content.decode()
        )

    def is_signed(self, message: bytes, signature: bytes, key: PublicKey) -> bool:
        """Whether a signature is of this message, by this key."""
        return signature == _signature(key, message)


class FakeKeyOpener:
    """Gives a signer, or what is wrong with it."""

    def __init__(
        self, signer: FakeSigner | None = None, failure: ImageBuilderError | None = None
    ) -> None:
        """Give `signer`, or raise `failure`."""
        self._signer = signer
        self.failure = failure

    def signer(self) -> FakeSigner | None:
        """Give the signer, None when no key is named."""
        if self.failure is not None:
            raise self.failure
        return self._signer


def _signature(key: PublicKey, message: bytes) -> bytes:
    return Digest.of_bytes(key.pem.encode() + message).hex.encode()
