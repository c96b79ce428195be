"""Keys that a token or a service holds, of a software token and of a double of AWS."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest

from imagebuilder.adapters.aws.clients import Patience, made_client
from imagebuilder.adapters.signing.opening import NamedKey
from imagebuilder.adapters.signing.public_keys import SslibVerifier
from imagebuilder.domain.attestation import KeyAlgorithm
from imagebuilder.ports.signing import KeyUnusable, Signer, SignerUnavailable

_LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
_PATIENCE = Patience(connect_seconds=2, read_seconds=10, attempts=1)
REGION = "eu-central-1"

pytestmark = pytest.mark.filterwarnings("default")  # the double's own


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a token called images, whose key 2 is on P-256; its PIN is 1234."""
    if shutil.which("softhsm2-util") is None or not _LIBRARY.exists():
        pytest.skip("softhsm2 is not installed")
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    monkeypatch.setenv("PYKCS11LIB", str(_LIBRARY))
    key = tmp_path / "key.pem"
    for argv in (
        "softhsm2-util --init-token --free --label images --pin 1234 --so-pin 5678",
        f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {key}",
        f"softhsm2-util --import {key} --token images --label k --id 02 --pin 1234",
    ):
        subprocess.run(argv.split(), check=True, capture_output=True)


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


def opened(uri: str, *, pin: bytes | None = None, endpoint: str | None = None) -> Signer:
    key = NamedKey(uri, lambda: pin, lambda: made_client("kms", endpoint, _PATIENCE))
    signer = key.signer()
    assert signer is not None
    return signer


def is_true(signer: Signer) -> bool:
    verifier, signature = SslibVerifier(), signer.sign(b"what is signed")
    assert not verifier.is_signed(b"something else", signature, signer.public_key)
    return verifier.is_signed(b"what is signed", signature, signer.public_key)


@pytest.mark.usefixtures("token")
def test_a_token_signs(tmp_path: Path) -> None:
    signer = opened("hsm:2?label=images", pin=b"1234")

    assert signer.public_key.algorithm is KeyAlgorithm.ECDSA_P256
    assert is_true(signer)


# One run, for a process knows a token's library by what it was set up with at first.
@pytest.mark.usefixtures("token")
def test_a_token_that_cannot_sign_says_why() -> None:
    with pytest.raises(KeyUnusable) as wrong:
        opened("hsm:2?label=images", pin=b"9999").sign(b"")
    assert "PIN" in wrong.value.context
    assert "9999" not in str(wrong.value.__dict__)
    with pytest.raises(SignerUnavailable):
        opened("hsm:7?label=images", pin=b"1234")
    with pytest.raises(SignerUnavailable):
        opened("hsm:2?label=another", pin=b"1234")


def test_a_token_without_its_library_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)

    with pytest.raises(SignerUnavailable, match="hsm:2"):
        opened("hsm:2", pin=b"1234")
    with pytest.raises(KeyUnusable):
        opened("hsm:two", pin=b"1234")


def test_a_key_of_kms_signs(endpoint: str) -> None:
    client = boto3.client("kms", endpoint_url=endpoint, region_name=REGION)
    made = client.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
    client.create_alias(AliasName="alias/images", TargetKeyId=made["KeyMetadata"]["KeyId"])

    signer = opened("awskms:alias/images", endpoint=endpoint)

    assert signer.public_key.algorithm is KeyAlgorithm.ECDSA_P256
    # We send the digest and say so; the double does not know that, and takes its digest again.
    signature, seen = signer.sign(b"what is signed"), hashlib.sha256(b"what is signed").digest()
    assert SslibVerifier().is_signed(seen, signature, signer.public_key)


def test_a_key_of_kms_that_cannot_sign_says_why(endpoint: str) -> None:
    with pytest.raises(SignerUnavailable) as missing:
        opened("awskms:alias/gone", endpoint=endpoint)
    assert "NotFound" in missing.value.context
    with pytest.raises(SignerUnavailable):
        opened("awskms:alias/images", endpoint="http://127.0.0.1:9")
    with pytest.raises(KeyUnusable):
        opened("awskms:", endpoint=endpoint)
