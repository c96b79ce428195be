"""Keys that never leave what holds them: a PKCS#11 token, or a cloud's key service."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import AWSSigner, HSMSigner, SSlibKey

from imagebuilder.adapters.signing.public_keys import SUPPORTED, sslib_key, told
from imagebuilder.domain.attestation import PublicKey
from imagebuilder.ports.signing import KeyUnusable, SignerUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

# ruff: noqa: PLC0415 - cryptography takes a tenth of a second to load

_MODULE_HINT = (
    "Set PYKCS11LIB to the token's library, signing_passphrase to its PIN, and signing_key to "
    "hsm:ID?label=LABEL; ID is the key's number."
)
_KMS_HINT = "Name a key that signs with ECC_NIST_P256, such as awskms:alias/images."


class HeldSigner:
    """Signs by asking what holds the private key."""

    def __init__(
        self, name: str, signer: HSMSigner | AWSSigner, public_key: PublicKey, failures: "_Failures"
    ) -> None:
        """Sign with a library's signer; `failures` are what it raises when it cannot."""
        self._name = name
        self._signer = signer
        self._public_key = public_key
        self._failures = failures

    @property
    def public_key(self) -> PublicKey:
        """What its signatures are checked with."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Give a signature of a message. Raises: SignerUnavailable; KeyUnusable."""
        try:
            return bytes.fromhex(self._signer.sign(message).signature)
        except self._failures as error:
            if type(error).__name__.startswith("Pin"):
                # A token that is asked again and again with a wrong PIN locks itself.
                raise KeyUnusable(self._name, f"The PIN: {_said(error)}", _MODULE_HINT) from error
            raise SignerUnavailable(self._name, _said(error)) from error


_Failures: TypeAlias = tuple[type[Exception], ...]


def opened_token(uri: str, passphrase: Callable[[], bytes | None]) -> HeldSigner:
    """Give what signs with a key of a PKCS#11 token. Raises: KeyUnusable; SignerUnavailable."""
    number, label = _token_place(uri)

    def pin(_: str) -> str:
        found = passphrase()
        if found is None:
            raise KeyUnusable(uri, "No PIN is named.", _MODULE_HINT)
        return found.decode(errors="replace")

    failures: _Failures = (ValueError, *_token_failures())
    try:
        _, key = HSMSigner.import_(number, label, pin)
    except UnsupportedLibraryError as error:
        hint = "Install what speaks with tokens: pip install 'imagebuilder[hsm]'"
        raise KeyUnusable(uri, f"{error}.", hint) from error
    except failures as error:
        raise SignerUnavailable(uri, _said(error)) from error
    public = told(_crypto_key(key), uri)
    signer = HSMSigner(number, sslib_key(_crypto_key(key), public.id), pin, label)
    return HeldSigner(uri, signer, public, failures)


def opened_kms(uri: str, client: Callable[[], Any]) -> HeldSigner:
    """Give what signs with a key of AWS KMS. Raises: KeyUnusable; SignerUnavailable."""
    from botocore.exceptions import BotoCoreError, ClientError
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key_id = uri.partition(":")[2]
    if not key_id:
        raise KeyUnusable(uri, "It names no key.", _KMS_HINT)
    failures: _Failures = (BotoCoreError, ClientError)
    try:
        asked = client()
        answer = asked.get_public_key(KeyId=key_id)
    except failures as error:
        raise SignerUnavailable(uri, _said(error)) from error
    try:
        found = load_der_public_key(answer["PublicKey"])
    except ValueError as error:
        raise KeyUnusable(uri, "Its public key is none that we know.", SUPPORTED) from error
    public = told(found, uri)
    known = sslib_key(found, public.id)
    if known.scheme not in AWSSigner.aws_algos:
        raise KeyUnusable(uri, f"The service does not sign with {public.algorithm}.", _KMS_HINT)
    return HeldSigner(uri, _KmsSigner(key_id, known, asked), public, failures)


class _KmsSigner(AWSSigner):
    """The library's signer, with a client of ours, which has time limits."""

    def __init__(self, key_id: str, public_key: SSlibKey, client: Any) -> None:  # noqa: ANN401 - boto3 makes its classes as it runs
        # The library's own would make a client that waits for minutes.
        self.aws_key_id = key_id
        self._public_key = public_key
        self.client = client
        self.aws_algo = self.aws_algos[public_key.scheme]


def _token_place(uri: str) -> tuple[int, str | None]:
    parts = urlsplit(uri)
    try:
        number = int(parts.path or HSMSigner.SCHEME_KEYID)
    except ValueError as error:
        raise KeyUnusable(uri, f"{parts.path[:40]!r} is no number.", _MODULE_HINT) from error
    return number, dict(parse_qsl(parts.query)).get("label")


def _token_failures() -> _Failures:
    try:
        from pkcs11.exceptions import PKCS11Error
    except ImportError:
        return ()
    return (PKCS11Error, RuntimeError, OSError)


def _crypto_key(key: SSlibKey) -> "PublicKeyTypes":
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return load_pem_public_key(key.keyval["public"].encode())


def _said(error: Exception) -> str:
    """Give what an error says, or what it is when it says nothing, as those of tokens do."""
    return f"{str(error).strip() or type(error).__name__}."
