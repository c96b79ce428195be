"""A published folder as programs that others made read it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagebuilder.adapters.signing.key_files import FileKeys
from imagebuilder.adapters.signing.opening import NamedKey
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.attestation import KeyAlgorithm
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import FolderPlace, TargetKind
from imagebuilder.formats.openpgp import certificate
from imagebuilder.wiring.carriers import carriers
from tests.mirrors import Answer, Mirror, mirror
from tests.shipments import a_shipment, the_target

CONTENT = os.urandom(1 << 20)
PULL = Path("/lib/systemd/systemd-pull")
VENDOR_RING = Path("/lib/systemd/import-pubring.gpg")

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not PULL.exists(), reason="there is no systemd-pull (systemd-container)"),
]


def published(tmp_path: Path, key: NamedKey | None = None) -> Path:
    """Give a folder that a version was published to."""
    folder = tmp_path / "published"
    folder.mkdir()
    clock = SystemClock()
    carrier = carriers(SystemCommandRunner(clock), clock, None, key)[TargetKind.FOLDER]
    target = the_target(
        carrier, FolderPlace(path=str(folder), formats=(ArtifactFormat.RAW, ArtifactFormat.QCOW2))
    )
    carrier.place(target, a_shipment(tmp_path, content=CONTENT), lambda _: None)
    return folder


@contextmanager
def served(folder: Path) -> Iterator[Mirror]:
    """Give a web server that hands a folder out."""
    with mirror() as web:
        for file in folder.rglob("*"):
            if file.is_file():
                path = "/" + file.relative_to(folder).as_posix()
                web.answers[path] = Answer(content=file.read_bytes())
        yield web


def pulled(
    web: Mirror, images: Path, *, ring: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Let systemd pull the raw disk, by signature when there is a keyring for the machine's own."""
    images.mkdir()
    verify = "signature" if ring else "checksum"
    address = f"{web.url}/web/web_1.2.0-3.raw"
    argv = [str(PULL), f"--verify={verify}", f"--image-root={images}", "raw", address, "web"]
    if ring is not None:
        over = f'mount --bind {ring} {VENDOR_RING} && exec "$@"'
        argv = ["unshare", "--mount", "sh", "-c", over, "sh", *argv]
    return subprocess.run(argv, capture_output=True, check=False, timeout=50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return published(tmp_path)


@pytest.fixture
def web(folder: Path) -> Iterator[Mirror]:
    with served(folder) as web:
        yield web


def test_sha256sum_takes_every_line(folder: Path) -> None:
    assert shutil.which("sha256sum")
    argv = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    checked = subprocess.run(argv, cwd=folder / "web", capture_output=True, check=True, timeout=50)

    assert sorted(line.split(b":")[0].decode() for line in checked.stdout.splitlines()) == sorted(
        file.name for file in (folder / "web").iterdir() if file.name != "SHA256SUMS"
    )


def test_systemd_pulls_a_raw_disk_by_its_sum(web: Mirror, tmp_path: Path) -> None:
    done = pulled(web, tmp_path / "machines")

    assert done.returncode == 0, done.stderr
    assert b"is valid" in done.stderr
    assert (tmp_path / "machines/web.raw").read_bytes() == CONTENT


def test_systemd_pulls_by_our_signature_and_refuses_sums_that_were_changed(
    tmp_path: Path,
) -> None:
    FileKeys().make(tmp_path / "key", KeyAlgorithm.ECDSA_P256, None)
    key = NamedKey(f"file:{tmp_path}/key", lambda: None, lambda: None)
    signer = key.signer()
    assert signer is not None
    (tmp_path / "key.asc").write_text(certificate(signer.public_key, signer.sign))
    ring = ["--homedir", tmp_path, "--batch", "--dearmor", "--output", tmp_path / "ring"]
    words = [str(word) for word in ["gpg", *ring, tmp_path / "key.asc"]]
    subprocess.run(words, check=True, timeout=50)
    folder = published(tmp_path, key)

    with served(folder) as web:
        good = pulled(web, tmp_path / "good", ring=tmp_path / "ring")
        listed = web.answers["/web/SHA256SUMS"]
        web.answers["/web/SHA256SUMS"] = Answer(content=listed.content + b"0" * 64 + b" *x\n")
        bad = pulled(web, tmp_path / "bad", ring=tmp_path / "ring")

    assert good.returncode == 0, good.stderr
    assert (tmp_path / "good/web.raw").read_bytes() == CONTENT
    assert bad.returncode != 0
    assert not (tmp_path / "bad/web.raw").exists()


def test_systemd_refuses_a_disk_that_is_not_what_the_sums_say(web: Mirror, tmp_path: Path) -> None:
    web.answers["/web/web_1.2.0-3.raw"] = Answer(content=CONTENT[:-1] + b"?")

    done = pulled(web, tmp_path / "machines")

    assert done.returncode != 0
    assert not (tmp_path / "machines/web.raw").exists()
