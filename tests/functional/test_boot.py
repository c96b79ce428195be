"""`imagebuilder image boot` on a disk of one sector, which ends its machine at once."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from imagebuilder.domain.recipe import ArtifactFormat
from tests.build import a_draft, an_artifact
from tests.functional.conftest import Cli

RESET = bytes(
    [
        *(0xB0, 0xFE),  # mov al, 0xFE
        *(0xE6, 0x64),  # out 0x64, al: the keyboard controller resets the machine
        *(0xF4, 0xEB, 0xFD),  # hlt, for ever
    ]
)


@pytest.mark.qemu
@pytest.mark.timeout(120)
def test_boot_when_the_machine_ends_itself_then_exits_with_0_and_leaves_no_key(cli: Cli) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    application = cli.application()
    disk = RESET.ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20)
    artifact = replace(
        an_artifact(ArtifactFormat.RAW),
        digest=application.blobs.put(disk),
        size_bytes=len(disk),
    )
    application.cataloguing.record(a_draft("tiny", artifacts=(artifact,)))

    done = subprocess.run(
        [sys.executable, "-m", "imagebuilder", "image", "boot", "tiny", "--forward", "18080:80"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    assert "Log in from another terminal with: ssh " in done.stderr
    assert "Its port 80 is 127.0.0.1:18080" in done.stderr
    assert list((cli.home / "work").iterdir()) == []
