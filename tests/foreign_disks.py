"""Disks as others make them: a partition table, and a root in ext4 that is ours in nothing."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.roots import tiny_root

ROOT_TYPE = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2-1
"""
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")
"""The attribute of a file with cap_net_raw+ep, of version 2. Source: linux/capability.h."""
START_BYTES = 1 << 20
_SIZE_BYTES = 96 << 20


def a_foreign_root(folder: Path) -> Path:
    """Give a root that knows what it is, with all that files can be besides files."""
    root = folder / "root"
    shutil.copytree(tiny_root(), root, symlinks=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_CODENAME=bookworm\nVERSION_ID="12"\n')
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text(STATUS)
    special = root / "srv"
    special.mkdir()
    (special / "suid").write_text("suid")
    (special / "hard").hardlink_to(special / "suid")
    (special / "suid").chmod(0o4755)
    (special / "owned").write_text("owned")
    shutil.chown(special / "owned", 1000, 2000)
    (special / "link").symlink_to("../etc//passwd")
    (special / "able").write_text("able")
    os.setxattr(special / "able", "security.capability", NET_RAW)
    return root


def a_foreign_disk(folder: Path, root: Path, *, has_table: bool = True, label: str = "gpt") -> Path:
    """Give a raw disk with that root, in its second partition or all by itself."""
    system = folder / "root.ext4"
    _sized(system, _SIZE_BYTES)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, system)
    if not has_table:
        return system
    disk = folder / "foreign.raw"
    _sized(disk, _SIZE_BYTES + 8 * START_BYTES)
    types = ("U", ROOT_TYPE) if label == "gpt" else ("ef", "83")
    table = f"label: {label}\nstart=1MiB, size=4MiB, type={types[0]}\n"
    table += f"start=5MiB, size=96MiB, type={types[1]}\n"
    subprocess.run(["sfdisk", "-q", disk], input=table.encode(), check=True, timeout=50)
    run("dd", "status=none", f"if={system}", f"of={disk}", "bs=1M", "seek=5", "conv=notrunc,sparse")
    return disk


def a_foreign_qcow2(folder: Path, raw: Path) -> Path:
    """Give a disk as a qcow2 file."""
    made = folder / "foreign.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, made)
    return made


def run(*argv: str | Path) -> None:
    """Run a program, which has to go well."""
    words = [str(word) for word in argv]
    subprocess.run(words, check=True, timeout=50)


def _sized(file: Path, size_bytes: int) -> None:
    with file.open("wb") as opened:
        opened.truncate(size_bytes)
