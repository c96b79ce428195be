"""A VMDK is the same whatever number qemu drew for it."""

import uuid
from pathlib import Path

import pytest

from imagebuilder.adapters.local.conversion import Conversion
from imagebuilder.ports.process import Command, CommandResult
from tests.fakes.process import FakeCommandRunner, a_result

IDENTITY = uuid.UUID("12345678-1234-4234-8234-123456789abc")
DESCRIPTOR_BYTES = 20 * 512


def a_file_of_qemu(command: Command, drawn: str) -> CommandResult:
    """Write what qemu-img does: a descriptor that ends in zeros, then data."""
    text = f"# Disk DescriptorFile\nversion=1\nCID={drawn}\nparentCID=ffffffff\n".encode()
    Path(command.argv[-1]).write_bytes(text.ljust(DESCRIPTOR_BYTES, b"\0") + b"data" * 1000)
    return a_result()


@pytest.mark.parametrize("drawn", ["1", "fffffff", "89abcdef"])
def test_vmdk_when_qemu_draws_a_number_of_any_length_then_it_is_ours(
    tmp_path: Path, drawn: str
) -> None:
    commands = FakeCommandRunner({"qemu-img": lambda command: a_file_of_qemu(command, drawn)})
    made = tmp_path / "disk.vmdk"

    Conversion(commands).vmdk(tmp_path / "disk.raw", made, IDENTITY)

    held = made.read_bytes()
    ours = b"# Disk DescriptorFile\nversion=1\nCID=56789abc\nparentCID=ffffffff\n"
    assert held == ours.ljust(DESCRIPTOR_BYTES, b"\0") + b"data" * 1000
