"""Finishing: what turns a root file system into one that can be handed out.

The initramfs and the finish layer are made after all components and are no part of what a child
image is built on: it gets its own.
"""

import json
from collections.abc import Iterable, Sequence
from shlex import quote

from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.disk import esp_uuid, fstab, grub_config, root_uuid
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.layer import EntryKind, Tree
from imagebuilder.domain.plan import BUILDER_MODE
from imagebuilder.domain.recipe import DiskSpec, Firmware, Repository
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult


class FinishFailed(StepFailed):
    """The image could not be made ready to be handed out."""

    code = "finish-failed"

    def __init__(self, what: str, result: CommandResult) -> None:
        """Say what could not be made and what was said."""
        super().__init__(
            f"The {what} could not be made: exit status {result.exit_status}.",
            context=result.last_lines,
            hint="Look at the last component that changed what it is made from.",
        )


_INITRAMFS_CONFIGURATION = (
    *("/etc/initramfs-tools/", "/usr/share/initramfs-tools/", "/etc/modprobe.d/"),
    *("/usr/lib/modprobe.d/", "/etc/udev/", "/usr/sbin/mkinitramfs"),
)
_MODULES = "/usr/lib/modules/"


def kernel_release(tree: Tree) -> str | None:
    """Give the newest kernel that has both an image in /boot and its modules, or None."""
    prefix = "/boot/vmlinuz-"
    found = [
        path.removeprefix(prefix)
        for path, entry in tree.items()
        if path.startswith(prefix) and entry.kind is EntryKind.FILE
    ]
    return max((r for r in found if _MODULES + r in tree), key=_in_natural_order, default=None)


def _in_natural_order(text: str) -> list[tuple[int, str]]:
    parts: list[str] = []
    for character in text:
        if parts and parts[-1].isdecimal() == character.isdecimal():
            parts[-1] += character
        else:
            parts.append(character)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def initramfs_key(tree: Tree, release: str) -> Digest:
    """Give the identity of what decides which files go into an initramfs, and how."""
    prefixes = (f"{_MODULES}{release}/", *_INITRAMFS_CONFIGURATION)
    script = initramfs_script(release).text
    return digest_of(["initramfs", BUILDER_MODE, script, _contents(tree, prefixes)])


def _contents(tree: Tree, prefixes: tuple[str, ...]) -> Canonical:
    chosen = sorted((path, e) for path, e in tree.items() if path.startswith(prefixes))
    return [
        [path, e.mode, str(e.content or e.target or "")]
        for path, e in chosen
        if e.kind is not EntryKind.DIRECTORY
    ]


_COMPRESSION_LEVEL = (
    "grep -qs '^ *COMPRESSLEVEL=' /etc/initramfs-tools/initramfs.conf "
    "/etc/initramfs-tools/conf.d/* || set -- -l 3\n"
)
"""The tool's own level takes five times as long, for a ninth less; one that is set counts."""


def initramfs_script(release: str) -> Script:
    """Give the script that makes the initramfs and prints the names of all that went into it."""
    image = quote(f"/boot/initrd.img-{release}")
    return Script(
        text=f"set -e\n{_COMPRESSION_LEVEL}"
        f'mkinitramfs "$@" -o {image} {quote(release)} >&2\nlsinitramfs {image}\n',
        environment={"INITRD": ""},
        timeout_seconds=900,
    )


def initramfs_inputs(listing: str, tree: Tree) -> bytes:
    """Write down which files of the tree went into an initramfs, and what they held."""
    return json.dumps(dict(_inputs(listing.split("\n"), tree)), sort_keys=True).encode()


def is_initramfs_current(inputs: bytes, tree: Tree) -> bool:
    """Whether every file that went into an initramfs still holds the same."""
    recorded: dict[str, str] = json.loads(inputs)
    return all(
        path in tree and str(tree[path].content) == content for path, content in recorded.items()
    )


def _inputs(names: Iterable[str], tree: Tree) -> Iterable[tuple[str, str]]:
    for name in names:
        # An initramfs names files by their place before or after the merge of / and /usr.
        for path in (f"/{name}", f"/usr/{name}"):
            entry = tree.get(path)
            if entry is not None and entry.kind is EntryKind.FILE:
                yield path, str(entry.content)


def finish_script(
    *, image: str, disk: DiskSpec, release: str | None, repositories: Sequence[Repository]
) -> Script:
    """Give the script that writes what a machine starts by and removes what belongs to one machine.

    Source: machine-id(5): an empty file is filled at the first boot.
    """
    lines = ["set -e", *_REMOVALS]
    lines += _written("/etc/hostname", f"{image}\n")
    lines += _written("/etc/machine-id", "")
    if release is not None:
        esp = esp_uuid(image) if Firmware.UEFI in disk.firmware else None
        root = root_uuid(image)
        lines += _written("/etc/fstab", fstab(root, esp))
        lines += _written(
            "/boot/grub/grub.cfg", grub_config(kernel_release=release, root_uuid=root)
        )
        if esp is not None:
            lines.append("mkdir -p /boot/efi")
    if repositories:
        lines += [
            "if [ -d /etc/apt ]; then",
            "rm -f /etc/apt/sources.list",
        ]
        lines += _written("/etc/apt/sources.list.d/debian.sources", _sources(repositories))
        lines.append("fi")
    return Script(text="\n".join(lines) + "\n")


_REMOVALS = (
    "rm -f /usr/sbin/policy-rc.d",
    "rm -f /etc/apt/apt.conf.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "rm -f /var/lib/dbus/machine-id /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub",
    "rm -f /root/.bash_history /var/lib/systemd/random-seed /var/lib/systemd/credential.secret",
    "rm -f /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old /var/cache/debconf/*-old",
    "rm -f /boot/*.dpkg-old /etc/.pwd.lock /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-",
    "rm -rf /var/tmp/* /var/lib/cloud/instances /var/lib/dhcp/*.leases",
    "if [ -d /var/log ]; then find /var/log -type f -delete; fi",
)


def _written(path: str, content: str) -> list[str]:
    end = "IMAGEBUILDER_END"
    folder = path.rpartition("/")[0]
    return [f"mkdir -p {folder}", f"rm -f {path}", f"cat > {path} <<'{end}'", content + end]


def _sources(repositories: Sequence[Repository]) -> str:
    """Write archives in apt's deb822 style. Source: sources.list(5)."""
    return "\n".join(
        f"Types: deb\nURIs: {repository.url}\nSuites: {' '.join(repository.suites)}\n"
        f"Components: {' '.join(repository.components)}\n"
        f"Signed-By: {keyring_inside(number, repository)}\n"
        for number, repository in enumerate(repositories)
    )


def keyring_inside(number: int, repository: Repository) -> str:
    """Give where an archive's keyring stands in the image: Debian's own, or one we put there."""
    if repository.keyring is None:
        return "/usr/share/keyrings/debian-archive-keyring.gpg"
    return f"/etc/apt/keyrings/imagebuilder-{number}.gpg"
