"""Public keys: read, told by their digest, and used to check signatures."""

from typing import TYPE_CHECKING

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

from imagebuilder.domain.attestation import KeyAlgorithm, PublicKey
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.signing import KeyUnusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

# ruff: noqa: PLC0415 - cryptography takes a tenth of a second to load

LARGEST_KEY_BYTES = 64 * 1024
_ALGORITHMS = {
    "ecdsa-sha2-nistp256": KeyAlgorithm.ECDSA_P256,
    "ecdsa-sha2-nistp384": KeyAlgorithm.ECDSA_P384,
    "ed25519": KeyAlgorithm.ED25519,
}
SUPPORTED = "Use a key on the curve P-256 or P-384, or an ed25519 key: imagebuilder key generate"


class SslibVerifier:
    """Checks signatures with securesystemslib."""

    def public_key(self, content: bytes, name: str) -> PublicKey:
        """Give the public key of a PEM file. Raises: KeyUnusable."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        if b"PRIVATE KEY-----" in content:
            hint = "Name the public key, such as FILE.pub, and keep the private one to yourself."
            raise KeyUnusable(name, "It is a private key.", hint)
        if len(content) > LARGEST_KEY_BYTES:
            raise KeyUnusable(name, "It is too large for a key.", _PEM_HINT)
        try:
            return told(load_pem_public_key(content), name)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyUnusable(
                name, f"It is no public key in PEM form: {error}", _PEM_HINT
            ) from error

    def is_signed(self, message: bytes, signature: bytes, key: PublicKey) -> bool:
        """Whether a signature is of this message, by this key."""
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        known = sslib_key(load_pem_public_key(key.pem.encode()), key.id)
        try:
            known.verify_signature(Signature(known.keyid, signature.hex()), message)
        except UnverifiedSignatureError:
            return False
        return True


def told(key: "PublicKeyTypes", name: str) -> PublicKey:
    """Give a key as the domain knows it. Raises: KeyUnusable: nothing is signed with such a key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = PublicFormat.SubjectPublicKeyInfo
    key_id = Digest.of_bytes(key.public_bytes(Encoding.DER, form))
    try:
        scheme = sslib_key(key, key_id).scheme
    except ValueError as error:
        raise KeyUnusable(name, f"It has an {error}.", SUPPORTED) from error
    if scheme not in _ALGORITHMS:
        raise KeyUnusable(name, f"It is a key for {scheme}.", SUPPORTED)
    pem = key.public_bytes(Encoding.PEM, form).decode()
    return PublicKey(id=key_id, algorithm=_ALGORITHMS[scheme], pem=pem)


def sslib_key(key: "PublicKeyTypes", key_id: Digest) -> SSlibKey:
    """Give a key as the library knows it. Raises: ValueError: it does not know such keys."""
    return SSlibKey.from_crypto(key, keyid=key_id.hex)


_PEM_HINT = "Write it with: imagebuilder key show --pem, or openssl pkey -in PRIVATE -pubout"
