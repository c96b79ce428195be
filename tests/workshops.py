"""A workshop of this machine over a folder of the test's, for tests that need root."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.adapters.local.fetching import ArchiveFetcher
from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.adapters.local.roots import LocalRoot, LocalRoots, LocalWorkshop, Places
from imagebuilder.adapters.local.sources import AptSources, Mirrors
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.component import Network
from imagebuilder.domain.layer import Layer, Tree
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import Repository, RootfsParent
from imagebuilder.ports.building import NewLayer
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult
from tests.build import a_digest
from tests.roots import tiny_archive

RUNNER = SystemCommandRunner(SystemClock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """An open workshop and its store."""

    store: FileLayerStore
    roots: LocalRoots
    folder: Path

    def base(self) -> Layer:
        """Give the layer of the tiny root, made when it is not there yet."""
        with self.roots.parent(tiny_parent(), None) as root:
            return self.sealed(root, "base")

    def tree(self, stack: Sequence[Layer]) -> Tree:
        """Give what the store says that a stack shows."""
        return self.store.tree([layer.content for layer in stack])

    def sealed(self, root: LocalRoot, name: str) -> Layer:
        """Keep a root's changes under a key of that name, and publish it."""
        layer = root.seal(NewLayer(key=a_digest(name), name=name))
        self.store.publish(layer)
        return layer


def tiny_parent(archive: Path | None = None) -> PlannedParent:
    """Give the parent that an archive is, by default the tiny root's."""
    path = str(archive or tiny_archive())
    return PlannedParent(asked="rootfs:x", identity="x", source=RootfsParent(path=path))


@contextmanager
def shop(
    folder: Path,
    archives: Sequence[Repository] = (),
    credentials: Mapping[str, str] | None = None,
    boot_id: str = "this boot",
) -> Iterator[Shop]:
    """Open a workshop below a folder."""
    store = FileLayerStore(folder / "layers", boot_id)
    places = Places(work=folder / "work", cache=folder / "cache")
    workshop = LocalWorkshop(RUNNER, SystemClock(), store, places, credentials or {})
    with workshop.opened(tuple(archives)) as roots:
        yield Shop(store=store, roots=roots, folder=folder)


def ran(
    root: LocalRoot, text: str, network: Network = Network.NONE, **more: object
) -> CommandResult:
    """Run a script in a root."""
    return root.machine(network).run(Script(text=text, **more))  # type: ignore[arg-type]


def said(root: LocalRoot, text: str, network: Network = Network.NONE) -> str:
    """Give what a script printed, which has to go well."""
    result = ran(root, text, network)
    assert result.exit_status == 0, result.last_lines
    return result.stdout.decode().strip()


def machine_sources(known: Path) -> AptSources:
    """Give the archives that this machine's own apt has; what it says of them is kept in a file."""
    return AptSources(RUNNER, Mirrors(), Path("/etc/apt"), known, ArchiveFetcher())
