"""qcow2 files: the same disk is the same file."""

import random
from hashlib import sha256
from pathlib import Path

from imagebuilder.adapters.local.qcow2 import Qcow2
from imagebuilder.domain.units import MIB
from tests.disks import commands


def test_convert_of_the_same_disk_then_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    # Clusters that take differently long to compress are done in another order than they lie in.
    chance = random.Random(7)
    with (tmp_path / "raw").open("wb") as raw:
        for number in range(64):
            raw.write(chance.randbytes(MIB) if number % 3 else b"\x01" * MIB)
    digests = set()
    for number in range(4):
        made = tmp_path / f"{number}.qcow2"
        Qcow2(commands()).convert(tmp_path / "raw", made)
        digests.add(sha256(made.read_bytes()).hexdigest())

    assert len(digests) == 1
