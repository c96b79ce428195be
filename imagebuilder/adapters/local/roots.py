"""LocalWorkshop: root file systems as overlays, in a mount namespace of our own.

Every mount is private to this process and its children, so that all of them are gone when it ends,
also by kill -9. Scratch space is memory when there is plenty, else a folder of the store.
"""

import contextlib
import ctypes
import itertools
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Self

from imagebuilder.adapters.local import manifest, network
from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.adapters.local.parents import ParentMaker
from imagebuilder.adapters.local.pinning import ARCHIVE_INSIDE, INSIDE, Pins, archive_line
from imagebuilder.adapters.local.sandbox import Confinement, SandboxMachine
from imagebuilder.adapters.local.sources import address_of, sources_list
from imagebuilder.adapters.local.space import free_memory_bytes, full_told, small_memory
from imagebuilder.adapters.local.workplace import remove_tree, sweep, working_folder
from imagebuilder.domain.component import Network
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Layer, stack_content, total_size_bytes
from imagebuilder.domain.plan import DEFAULT_SOURCE_DATE_EPOCH, PlannedParent
from imagebuilder.domain.recipe import Repository
from imagebuilder.domain.units import GIB
from imagebuilder.ports.building import NewLayer, NotPrivileged
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.process import Command, CommandRunner, OnLine

_CLONE_NEWNS = 0x00020000
_PLENTY_BYTES = 6 * GIB
_OWN_SOURCES = "/etc/apt/sources.list.d/debian.sources"
_KEYRINGS = "imagebuilder-keyrings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the workshop keeps what it needs below the state folder."""

    work: Path
    cache: Path


class LocalWorkshop:
    """Makes roots on this machine."""

    def __init__(
        self,
        commands: CommandRunner,
        clock: Clock,
        layers: FileLayerStore,
        places: Places,
        credentials: Mapping[str, str],
    ) -> None:
        """Work with these; credentials (host -> user:password) go to the proxy and nowhere else."""
        self._commands = commands
        self._clock = clock
        self._layers = layers
        self._places = places
        self._credentials = credentials
        self.pins: Pins | None = None

    def held_to(self, pins: Pins) -> Self:
        """Give a workshop as this is, where apt installs the versions that pins name."""
        made = copy(self)
        made.pins = pins
        return made

    @contextlib.contextmanager
    def opened(self, archives: Sequence[Repository]) -> Iterator["LocalRoots"]:
        """Open it for one build.

        Raises: NotPrivileged: this process may not mount.
        """
        _enter_own_mounts(self._commands)
        self._places.work.mkdir(parents=True, exist_ok=True)
        # Whatever a killed process had here, the next may never make a folder of that kind.
        sweep(self._places.work)
        with full_told(self._places.work), contextlib.ExitStack() as stack:
            scratch = stack.enter_context(working_folder(self._places.work, "build-"))
            roots = scratch / "roots"
            roots.mkdir()
            if free_memory_bytes() > _PLENTY_BYTES:
                mount = ["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", str(roots)]
                self._commands.check(Command(argv=mount))
                stack.callback(self._commands.check, Command(argv=["umount", "-l", str(roots)]))
            site = _Site(roots, self._places.cache, tuple(archives), self._credentials, stack)
            site.pins = self.pins
            # Sealed layers are used from the scratch folder until all of them are in the store.
            stack.callback(self._layers.forget_scratch)
            yield LocalRoots(self._commands, self._clock, self._layers, site)
            self._layers.settle()


class _Site:
    """One open workshop: its scratch folder, archives and ways out."""

    def __init__(
        self,
        scratch: Path,
        cache: Path,
        archives: tuple[Repository, ...],
        credentials: Mapping[str, str],
        stack: contextlib.ExitStack,
    ) -> None:
        self.scratch = scratch
        self.archives = archives
        self._cache = cache
        self._credentials = credentials
        self._stack = stack
        self._numbers = itertools.count(1)
        self.pins: Pins | None = None

    def folder(self, name: str) -> Path:
        """Make a new empty folder."""
        folder = self.scratch / f"{next(self._numbers)}-{name}"
        folder.mkdir()
        return folder

    def reach(self, wanted: Network) -> network.Reach | None:
        """Give the way out that a component declared."""
        match wanted:
            case Network.NONE:
                return None
            case Network.PACKAGES:
                return self._to_archives
            case Network.FULL:
                return self._to_everywhere

    @cached_property
    def _to_archives(self) -> network.Reach:
        return self._open(is_open=False)

    @cached_property
    def _to_everywhere(self) -> network.Reach:
        return self._open(is_open=True)

    def _open(self, *, is_open: bool) -> network.Reach:
        addresses = frozenset(address_of(archive.url) for archive in self.archives)
        allowed = network.Allowed(
            archives=addresses, is_open=is_open, credentials=self._credentials
        )
        return self._stack.enter_context(network.opened(allowed, self._cache / "packages"))

    @cached_property
    def apt_folders(self) -> dict[str, Path]:
        """Apt's lists and archives, shared by the build's components and by no layer."""
        return {"/var/lib/apt/lists": self.folder("lists"), "/var/cache/apt": self.folder("apt")}

    @cached_property
    def apt_sources(self) -> dict[str, Path]:
        """The build's sources and their keyrings, over whatever the image says."""
        text, keyrings = sources_list(self.archives, f"/run/{_KEYRINGS}")
        if self.pinned_archive is not None:
            text += f"{archive_line(ARCHIVE_INSIDE)}\n"
        path = self.folder("sources") / "sources.list"
        path.write_text(text)
        return {"/etc/apt/sources.list": path, **keyrings}

    @cached_property
    def pinned_archive(self) -> Path | None:
        """The archive of what no archive has any more, if anything of that is wanted."""
        if self.pins is None or not self.pins.has_archive:
            return None
        folder = self.folder("archive")
        self.pins.archive(folder, self.archives[0].suites[0])
        return folder

    @cached_property
    def pin_files(self) -> dict[str, Path]:
        """What holds apt in an image to the versions of pins."""
        return {} if self.pins is None else self.pins.files(self.folder("pins"))

    @cached_property
    def nothing(self) -> Path:
        """An empty file."""
        path = self.folder("nothing") / "empty"
        path.touch()
        return path


class LocalRoots:
    """Makes roots while the workshop is open."""

    def __init__(
        self, commands: CommandRunner, clock: Clock, layers: FileLayerStore, site: _Site
    ) -> None:
        """Make them at a site."""
        self._commands = commands
        self._clock = clock
        self._layers = layers
        self._site = site

    def scratch(
        self, stack: Sequence[Layer], *, is_bounded: bool = False
    ) -> contextlib.AbstractContextManager["LocalRoot"]:
        """Give a writable root on top of layers; what is written is gone unless it was sealed."""
        # The kernel takes no folder twice; of two equal layers the upper alone makes the same tree.
        contents = dict.fromkeys(layer.content for layer in reversed(stack))
        lowers = [*map(self._layers.tree_path, contents)]
        return self.overlay(lowers, stack, is_bounded=is_bounded)

    @contextlib.contextmanager
    def overlay(
        self, lowers: Sequence[Path], stack: Sequence[Layer], *, is_bounded: bool = False
    ) -> Iterator["LocalRoot"]:
        """Give a writable root on top of folders, the highest first, which are those layers."""
        session = self._site.folder("root")
        if is_bounded:
            self._commands.check(Command(argv=small_memory(session)))
        upper, work, root = session / "upper", session / "work", session / "root"
        for folder in (upper, work, root):
            folder.mkdir()
        _copy_attributes(lowers[0], upper)
        self._mount(session, lowers)
        made = LocalRoot(self, root, upper, session, tuple(stack))
        made.is_bounded = is_bounded
        try:
            yield made
        finally:
            for mounted in (root, session)[: 1 + is_bounded]:
                self._commands.check(Command(argv=["umount", "-l", str(mounted)]))
            made.end()

    def _mount(self, session: Path, lowers: Sequence[Path]) -> None:
        """Mount the overlay that a session's folders are for, the highest layer first."""
        # Short relative names keep many layers within the page that mount(2) takes, and whatever
        # the state folder is called out of the options.
        for number, lower in enumerate(lowers):
            (session / str(number)).symlink_to(lower)
        options = (
            f"lowerdir={':'.join(map(str, range(len(lowers))))},upperdir=upper,workdir=work,"
            "index=off,metacopy=off,redirect_dir=off,volatile"
        )
        self._commands.check(
            Command(
                argv=["mount", "-t", "overlay", "overlay", "-o", options, str(session / "root")],
                folder=str(session),
                # The newer way to mount takes no more than 256 bytes of layers.
                environment={"LIBMOUNT_FORCE_MOUNT2": "always", "LC_ALL": "C.UTF-8"},
            )
        )

    @contextlib.contextmanager
    def parent(self, parent: PlannedParent, on_line: OnLine | None) -> Iterator["LocalRoot"]:
        """Bootstrap a suite or unpack a tar file into a root of its own.

        Raises: MirrorUnreachable; SignatureRefused; ArchiveRefused; CommandFailed.
        """
        session = self._site.folder("parent")
        root = session / "root"
        _make_folder(root, 0o755)
        made = LocalRoot(self, root, root, session, ())
        try:
            reach = self._site.reach(Network.PACKAGES)
            maker = ParentMaker(self._commands, reach, self._site.archives)
            maker.pins, maker.pinned_archive = self._site.pins, self._site.pinned_archive
            # What the archives hold is asked once: the components use what the bootstrap read.
            maker.make(parent, root, self._site.apt_folders["/var/lib/apt/lists"], on_line)
            yield made
        finally:
            made.end()

    def confined(self, root: Path, session: Path, wanted: Network) -> SandboxMachine:
        """Give a sandbox over a root, with folders that live as long as the session."""
        folders = {"/tmp": session / "tmp", "/run": session / "run"}  # noqa: S108 - inside the image
        for folder, mode in zip(folders.values(), (0o1777, 0o755), strict=True):
            _make_folder(folder, mode)
        uses_apt = wanted is not Network.NONE and _is_plain_folder(root / "etc", root / "etc/apt")
        sources = dict(self._site.apt_sources) if uses_apt and self._site.archives else {}
        if sources:
            # Apt reads keyrings as a user of its own; the folder of the script is root's alone.
            _make_folder(folders["/run"] / _KEYRINGS, 0o755)
        # The distribution's own file would be asked beside the build's sources.
        if sources and _is_plain_file(root, _OWN_SOURCES):
            sources[_OWN_SOURCES] = self._site.nothing
        environment = {"SOURCE_DATE_EPOCH": str(DEFAULT_SOURCE_DATE_EPOCH)}
        apt_folders = dict(self._site.apt_folders) if uses_apt else {}
        if sources and self._site.pin_files:
            _make_folder(folders["/run"] / PurePath(INSIDE).name, 0o755)
            sources |= self._site.pin_files
            environment["APT_CONFIG"] = f"{INSIDE}/apt.conf"
            if self._site.pinned_archive is not None:
                apt_folders[ARCHIVE_INSIDE] = self._site.pinned_archive
        return SandboxMachine(
            self._commands,
            Confinement(
                root=root,
                folders={**folders, **apt_folders},
                read_only=sources,
                reach=self._site.reach(wanted),
                environment=environment,
            ),
        )

    def sealed(self, root: "LocalRoot", wanted: NewLayer) -> Layer:
        """Keep what was changed in a root as a layer."""
        manifest.set_latest_time(root.upper, DEFAULT_SOURCE_DATE_EPOCH)
        tree = manifest.scan(root.upper)
        layer = Layer(
            key=wanted.key,
            content=Digest.of_bytes(manifest.written(tree)),
            parent_content=None if wanted.fits_any else stack_content(root.stack),
            name=wanted.name,
            created_at=self._clock.now(),
            size_bytes=total_size_bytes(tree.entries),
            evidence=wanted.evidence,
        )
        self._layers.keep(root.upper, layer, tree, self.copy)
        return layer

    def copy(self, source: Path, target: Path) -> None:
        """Copy a folder with all that is kept of files."""
        self._commands.check(Command(argv=["cp", "-a", "--", str(source), str(target)]))


class LocalRoot:
    """A mounted root. `upper` is where its changes are."""

    def __init__(
        self, roots: LocalRoots, path: Path, upper: Path, session: Path, stack: tuple[Layer, ...]
    ) -> None:
        """Stand for the root that roots mounted."""
        self._roots = roots
        self._session = session
        self.path = path
        self.upper = upper
        self.stack = stack
        self.is_bounded = False
        self._is_sealed = False

    def machine(self, network: Network) -> SandboxMachine:
        """Give a sandbox over this root with that reach."""
        made = self._roots.confined(self.path, self._session, network)
        return made.bounded() if self.is_bounded else made

    def on_top(self) -> contextlib.AbstractContextManager["LocalRoot"]:
        """Give a throw-away root on top of this one, which is not written to meanwhile."""
        return self._roots.overlay([self.path], self.stack)

    def seal(self, wanted: NewLayer) -> Layer:
        """Keep what was changed as a layer, which nobody finds by its key until it is published."""
        self._is_sealed = True
        return self._roots.sealed(self, wanted)

    def end(self) -> None:
        """Take its folders away, unless what was changed is used on as a layer."""
        if not self._is_sealed:
            remove_tree(self._session)

    def keep_copy(self, folder: PurePath) -> None:
        """Copy the whole root to a folder that stays, for people to look inside."""
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        # A run that goes on may fail again; what it kept before is not what it has now.
        if Path(folder).exists():
            remove_tree(Path(folder))
        self._roots.copy(self.path, Path(folder))


def _enter_own_mounts(commands: CommandRunner) -> None:
    """Leave the machine's mount namespace for good, so that no mount of ours outlives us."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise NotPrivileged("make mounts of its own", os.strerror(ctypes.get_errno()))
    commands.check(Command(argv=["mount", "--make-rprivate", "/"]))


def _copy_attributes(source: Path, target: Path) -> None:
    """Give an upper folder the attributes of the one below: overlayfs shows the upper's."""
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _is_plain_file(root: Path, inside: str) -> bool:
    path = root / inside.lstrip("/")
    folders = [above for above in path.parents if above.is_relative_to(root)]
    return _is_plain_folder(*folders) and path.is_file() and not path.is_symlink()


def _make_folder(folder: Path, mode: int) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)


def _is_plain_folder(*paths: Path) -> bool:
    return all(path.is_dir() and not path.is_symlink() for path in paths)
