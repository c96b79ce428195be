"""Keys and signatures of ours, read by GnuPG."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from imagebuilder.adapters.signing.key_files import FileKeys, opened_key_file
from imagebuilder.domain.attestation import KeyAlgorithm
from imagebuilder.formats.openpgp import certificate, detached_signature
from imagebuilder.ports.signing import Signer
from tests.build import SOME_DAY

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no gpg")

AT_SECONDS = int(SOME_DAY.timestamp())
FILES = 20
"""So many signatures that some have numbers with zeros in front."""


@pytest.fixture(params=list(KeyAlgorithm))
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> Signer:
    path = tmp_path / "key"
    if request.param is KeyAlgorithm.ECDSA_P384:
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(generate_private_key(SECP384R1()).private_bytes(*form))
        path.chmod(0o600)
    else:
        FileKeys().make(path, request.param, None)
    return opened_key_file(path, lambda: None)


def gpg(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    home.mkdir(mode=0o700, exist_ok=True)
    argv = ["gpg", "--homedir", home, "--batch", "--trust-model=always", "--status-fd=1"]
    argv += ["--no-autostart", "--no-auto-check-trustdb", *arguments]
    words = [str(word) for word in argv]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=50)


def test_gpg_takes_the_key_and_its_signatures_and_no_other(signer: Signer, tmp_path: Path) -> None:
    home = tmp_path / "g"
    (tmp_path / "key.asc").write_text(certificate(signer.public_key, signer.sign))
    assert "IMPORT_OK 1" in gpg(home, "--import", tmp_path / "key.asc").stdout
    listed = gpg(home, "--list-keys", "--with-colons").stdout
    assert f"imagebuilder {signer.public_key.id.short}" in listed

    file, signature = tmp_path / "SHA256SUMS", tmp_path / "SHA256SUMS.gpg"
    for number in range(FILES):
        content = b"x" * (number * 100)
        file.write_bytes(content)
        made = detached_signature(content, signer.public_key, signer.sign, AT_SECONDS)
        signature.write_bytes(made)
        assert "GOODSIG" in gpg(home, "--verify", signature, file).stdout

    file.write_bytes(b"another")
    assert "BADSIG" in gpg(home, "--verify", signature, file).stdout


def test_the_fingerprint_of_a_key_is_always_the_same(signer: Signer, tmp_path: Path) -> None:
    found = set()
    for number in range(2):
        (tmp_path / "key.asc").write_text(certificate(signer.public_key, signer.sign))
        home = tmp_path / str(number)
        gpg(home, "--import", tmp_path / "key.asc")
        lines = gpg(home, "--list-keys", "--with-colons").stdout.splitlines()
        found.add(next(line for line in lines if line.startswith("fpr")))

    assert len(found) == 1
