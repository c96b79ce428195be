import json
import shutil
import subprocess
from pathlib import Path

import pytest

from imagebuilder.adapters.local.partition_table import partition_table
from imagebuilder.domain.disk import DiskIdentity, DiskLayout, PartitionRole
from imagebuilder.domain.recipe import Firmware
from imagebuilder.domain.units import GIB

BOTH = (Firmware.BIOS, Firmware.UEFI)


def a_disk(path: Path, layout: DiskLayout, identity: DiskIdentity) -> Path:
    table = partition_table(layout, identity)
    with path.open("wb") as disk:
        disk.truncate(layout.size_bytes)
        disk.write(table.front)
        disk.seek(layout.size_bytes - len(table.back))
        disk.write(table.back)
    return path


@pytest.mark.skipif(shutil.which("sfdisk", path="/usr/sbin:/sbin") is None, reason="no sfdisk")
def test_table_is_read_by_sfdisk_as_it_was_meant(tmp_path: Path) -> None:
    layout = DiskLayout.for_firmware(4 * GIB, BOTH)
    identity = DiskIdentity.of("web")
    disk = a_disk(tmp_path / "disk", layout, identity)

    found = json.loads(subprocess.check_output(["/usr/sbin/sfdisk", "--json", disk]))
    verified = subprocess.run(
        ["/usr/sbin/sfdisk", "--verify", disk], capture_output=True, text=True, check=False
    )

    table = found["partitiontable"]
    assert table["label"] == "gpt"
    assert table["id"].lower() == str(identity.disk)
    assert [
        (p["start"] * 512, p["size"] * 512, p["uuid"].lower()) for p in table["partitions"]
    ] == [
        (p.start_bytes, p.size_bytes, str(identity.partitions[p.role])) for p in layout.partitions
    ]
    assert verified.returncode == 0
    assert "No errors detected" in verified.stdout
    assert verified.stderr == ""


def test_table_names_its_partitions_and_protects_the_disk_from_old_tools() -> None:
    table = partition_table(DiskLayout.for_firmware(GIB, BOTH), DiskIdentity.of("web"))

    assert table.front[510:512] == b"\x55\xaa"
    assert table.front[450] == 0xEE
    assert PartitionRole.ROOT.value.encode("utf-16-le") in table.front


def test_tables_of_two_names_differ() -> None:
    layout = DiskLayout.for_firmware(GIB, BOTH)

    one, other = (partition_table(layout, DiskIdentity.of(name)) for name in ("a", "b"))

    assert one.front != other.front
