"""Diagnosing: whether this machine has what builds need, and getting what it lacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.units import GIB, size_text
from imagebuilder.ports.host import HostFacts
from imagebuilder.ports.process import Command, CommandFailed, CommandRunner, OnLine
from imagebuilder.ports.sharing import SharedStore, SharedStoreUnavailable

_NEEDED_FREE_BYTES = 10 * GIB
_INSTALL_SECONDS = 1800.0
_QUIETLY = ("--yes", "--no-install-recommends")
_APT_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing the machine should have, and whether it has it.

    `package` is the Debian package that brings it, empty for a condition no package can meet.
    `detail` says what is wrong, or what was found. Without what is required no build works.
    """

    name: str
    needed_for: str
    package: str
    is_present: bool
    detail: str = ""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class _Requirement:
    """A Debian package, and the programs or the files by which its presence is seen."""

    package: str
    needed_for: str
    programs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    is_required: bool = True


_REQUIREMENTS = (
    _Requirement("mmdebstrap", "making the root of a Debian suite", ("mmdebstrap",)),
    _Requirement(
        "debian-archive-keyring",
        "checking the signatures of packages",
        files=("/usr/share/keyrings/debian-archive-keyring.gpg",),
    ),
    _Requirement("gpgv", "checking the signatures of packages", ("gpgv",)),
    _Requirement("bubblewrap", "running components and tests in a sandbox", ("bwrap",)),
    _Requirement("systemd-container", "booting images in a container", ("systemd-nspawn",)),
    _Requirement("qemu-system-x86", "booting images through firmware", ("qemu-system-x86_64",)),
    _Requirement("qemu-utils", "making qcow2, vmdk and vhd files", ("qemu-img", "qemu-io")),
    _Requirement(
        "ovmf",
        "booting images through UEFI",
        files=("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ),
    _Requirement("grub-common", "making boot loaders", ("grub-mkimage",)),
    _Requirement(
        "grub-pc-bin", "disks that boot with a BIOS", files=("/usr/lib/grub/i386-pc/boot.img",)
    ),
    _Requirement(
        "grub-efi-amd64-bin",
        "disks that boot with UEFI",
        files=("/usr/lib/grub/x86_64-efi/moddep.lst",),
    ),
    _Requirement("fdisk", "partitioning disks", ("sfdisk",)),
    _Requirement("e2fsprogs", "making file systems", ("mke2fs", "debugfs", "e2fsck")),
    _Requirement("dosfstools", "making the EFI file system", ("mkfs.vfat",)),
    _Requirement("mtools", "filling the EFI file system", ("mcopy", "mmd")),
    _Requirement("openssh-client", "logging in to booted images", ("ssh", "ssh-keygen")),
    _Requirement(
        "util-linux", "keeping programs apart and under control", ("setpriv", "unshare", "nsenter")
    ),
    _Requirement("mount", "mounting layers", ("mount", "umount")),
    # Debian from 12 on and Ubuntu from 24.04 on call it so.
    _Requirement(
        "openscap-scanner",
        "scanning images whose recipes ask for compliance",
        ("oscap",),
        is_required=False,
    ),
    _Requirement("packer", "building recipes with builder: packer", ("packer",), is_required=False),
)


class Diagnosing:
    """Tells what the machine lacks, and installs it when asked to."""

    def __init__(
        self,
        host: HostFacts,
        runner: CommandRunner,
        home: PurePath,
        shared: SharedStore | None = None,
    ) -> None:
        """Ask host and shared, install with runner; home is where builds keep their files."""
        self._host = host
        self._runner = runner
        self._home = home
        self._shared = shared

    def check(self) -> tuple[Diagnosis, ...]:
        """Give everything builds need, programs first, and whether it is there."""
        return (*self._programs_and_files(), *self._conditions())

    def fix(self, on_line: OnLine | None = None) -> tuple[Diagnosis, ...]:
        """Install the missing packages and give the diagnosis afterwards; nothing missing, no work.

        What only some builds want is told of there when it could not be installed.
        Raises: PackagesNotInstalled; ProgramMissing: this machine has no apt-get, or no sudo.
        """
        found = self._programs_and_files()
        # Nobody is to miss what builds need because what only some of them want has another name
        # on this machine: apt installs all of one call, or nothing.
        required = missing_packages([d for d in found if d.is_required])
        advised = missing_packages([d for d in found if not d.is_required])
        if required or advised:
            # A failed update is no failure yet: the lists the machine has may do.
            self._runner.run(self._apt("update"), on_line)
        if required:
            self._install(required, on_line)
        for package in advised:
            self._runner.run(self._apt("install", *_QUIETLY, package), on_line)
        return self.check()

    def _programs_and_files(self) -> tuple[Diagnosis, ...]:
        programs = [
            Diagnosis(
                name=program,
                needed_for=requirement.needed_for,
                package=requirement.package,
                is_present=self._host.has_program(program),
                is_required=requirement.is_required,
            )
            for requirement in _REQUIREMENTS
            for program in requirement.programs
        ]
        files = [
            Diagnosis(
                name=file,
                needed_for=requirement.needed_for,
                package=requirement.package,
                is_present=self._host.has_file(PurePath(file)),
                is_required=requirement.is_required,
            )
            for requirement in _REQUIREMENTS
            for file in requirement.files
        ]
        return (*programs, *files)

    def _conditions(self) -> tuple[Diagnosis, ...]:
        shared = () if self._shared is None else (_answering(self._shared),)
        return (self._root(), self._overlay(), self._free_space(), self._user_namespace(), *shared)

    def _root(self) -> Diagnosis:
        is_root = self._host.is_root()
        return Diagnosis(
            name="root",
            needed_for="mounting layers",
            package="",
            is_present=is_root,
            detail="" if is_root else "Builds need root today: run them as root or with sudo.",
        )

    def _overlay(self) -> Diagnosis:
        reason = self._host.why_no_overlay(self._home)
        return Diagnosis(
            name="overlay mounts",
            needed_for="building each component as a layer",
            package="",
            is_present=not reason,
            detail=reason,
        )

    def _free_space(self) -> Diagnosis:
        free_bytes = self._host.free_bytes(self._home)
        return Diagnosis(
            name="free space",
            needed_for="layers, disks and artifacts",
            package="",
            is_present=free_bytes >= _NEEDED_FREE_BYTES,
            detail=f"{size_text(free_bytes)} at {self._home}; "
            f"{size_text(_NEEDED_FREE_BYTES)} are enough to begin with.",
            is_required=False,
        )

    def _user_namespace(self) -> Diagnosis:
        reason = self._host.why_no_user_namespace()
        return Diagnosis(
            name="user namespaces",
            needed_for="making root inside a sandbox less than root outside",
            package="",
            is_present=not reason,
            detail=reason,
            is_required=False,
        )

    def _install(self, packages: Sequence[str], on_line: OnLine | None) -> None:
        try:
            self._runner.check(self._apt("install", *_QUIETLY, *packages), on_line)
        except CommandFailed as error:
            raise PackagesNotInstalled(packages, error.result.last_lines) from error

    def _apt(self, *words: str) -> Command:
        # sudo may not ask for a password: it would wait for a terminal it does not have.
        asking = () if self._host.is_root() else ("sudo", "--non-interactive")
        return Command(
            argv=(*asking, "apt-get", "-o", "DPkg::Lock::Timeout=120", *words),
            environment=_APT_ENVIRONMENT,
            timeout_seconds=_INSTALL_SECONDS,
        )


def _answering(shared: SharedStore) -> Diagnosis:
    try:
        shared.check()
    except SharedStoreUnavailable as error:
        why = error.context
    else:
        why = ""
    return Diagnosis(
        name="shared store",
        needed_for="taking layers and files of other machines, and giving ours",
        package="",
        is_present=not why,
        detail=f"{shared.place}: {why}" if why else shared.place,
        is_required=False,
    )


def missing_packages(diagnoses: Sequence[Diagnosis]) -> tuple[str, ...]:
    """Give the Debian packages that would bring what is missing, sorted."""
    missing = {d.package for d in diagnoses if not d.is_present and d.package}
    return tuple(sorted(missing))


class PackagesNotInstalled(Unavailable):
    """The machine's package manager did not install what we need."""

    code = "packages-not-installed"

    def __init__(self, packages: Sequence[str], last_lines: str) -> None:
        """Name the packages and what was said last."""
        super().__init__(
            f"The packages {', '.join(packages)} could not be installed.",
            context=last_lines,
            hint=f"Install them yourself as root: apt-get install {' '.join(packages)}",
        )
