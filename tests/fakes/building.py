"""Layers and roots in memory: what a script writes is one entry that says which script it was."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath, PurePosixPath

from imagebuilder.domain.component import Network
from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.layer import (
    Entry,
    EntryKind,
    Layer,
    LayerTree,
    Tree,
    merged,
    stack_content,
)
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import Repository, Suite
from imagebuilder.ports.building import LayerDamaged, LayerMissing, Lookup, NewLayer
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import OnLine
from tests.fakes.machine import Answer, FakeMachine, nothing_to_say

RELEASE = "6.1.0-9-amd64"


def a_file(content: str = "") -> Entry:
    return Entry(
        kind=EntryKind.FILE,
        mode=0o644,
        uid=0,
        gid=0,
        mtime=0,
        size_bytes=len(content),
        content=Digest.of_bytes(content.encode()),
    )


def a_folder() -> Entry:
    return Entry(kind=EntryKind.DIRECTORY, mode=0o755, uid=0, gid=0, mtime=0)


def a_bootable_base() -> dict[str, Entry]:
    """Give the files of a root with a kernel and what its initramfs is made of."""
    return {
        "/": a_folder(),
        f"/boot/vmlinuz-{RELEASE}": a_file("kernel"),
        f"/usr/lib/modules/{RELEASE}": a_folder(),
        f"/usr/lib/modules/{RELEASE}/ext4.ko": a_file("ext4"),
        "/usr/sbin/mkinitramfs": a_file("mkinitramfs"),
        "/usr/bin/busybox": a_file("busybox"),
    }


class FakeLayerStore:
    """Keeps layers in dictionaries.

    Shape: `damaged` holds the contents that are said to be damaged. `while_waiting` is called with
    a key before the right to build it is given.
    """

    def __init__(self) -> None:
        self.files: set[Digest] = set()
        self.manifests: dict[Digest, LayerTree] = {}
        self.records: dict[Digest, Layer] = {}
        self.keys: dict[Digest, Layer] = {}
        self.damaged: set[Digest] = set()
        self.settled: dict[Digest, Layer] = {}
        self.waited_for: list[Digest] = []
        self.while_waiting: Callable[[Digest], None] = lambda _key: None

    def find(self, key: Digest, on: Sequence[Layer], not_before: datetime | None = None) -> Lookup:
        layer = self.keys.get(key)
        if layer is None:
            return Lookup(layer=None, reason="never built")
        if layer.parent_content != stack_content(on):
            return Lookup(layer=None, reason="built on another build of the layers below")
        if not_before is not None and layer.created_at < not_before:
            return Lookup(layer=None, reason="too old")
        if layer.content in self.damaged:
            self.forget(layer)
            return Lookup(layer=None, reason="damaged: /etc differs")
        return Lookup(layer=layer)

    def publish(self, layer: Layer) -> None:
        self.keys[layer.key] = layer

    def afterwards(self, piece: Callable[[], None]) -> None:
        piece()

    def settle(self) -> None:
        self.settled = dict(self.keys)

    def get(self, content: Digest) -> Layer:
        if content not in self.files:
            raise LayerMissing("a layer", content)
        if content in self.damaged:
            raise LayerDamaged(self.records[content].name, "/etc")
        return self.records[content]

    def has(self, content: Digest) -> bool:
        return content in self.files

    @contextmanager
    def building(self, key: Digest) -> Iterator[None]:
        self.waited_for.append(key)
        self.while_waiting(key)
        yield

    def tree(self, contents: Sequence[Digest]) -> Tree:
        for content in contents:
            if content not in self.manifests:
                raise LayerMissing("a layer", content)
        return merged(self.manifests[content] for content in contents)

    def adopt(self, layer: Layer, tree: LayerTree) -> None:
        self.files.add(layer.content)
        self.manifests[layer.content] = tree
        self.records[layer.content] = layer
        self.damaged.discard(layer.content)

    def forget(self, layer: Layer) -> None:
        """Lose a layer's files, as if its folder had been removed; what it held is still known."""
        self.keys.pop(layer.key, None)
        self.files.discard(layer.content)

    def named(self, name: str) -> Layer:
        """Give the published layer of a name."""
        return next(layer for layer in self.keys.values() if layer.name == name)


@dataclass(slots=True)
class FakeRoot:
    """A root that remembers what was run in it and where it was kept."""

    site: "FakeRoots"
    stack: tuple[Layer, ...]
    upper: dict[str, Entry]
    path: PurePath
    scripts: list[Script] = field(default_factory=list)

    def machine(self, network: Network) -> FakeMachine:
        def answer(script: Script) -> Answer:
            self.scripts.append(script)
            self.site.scripts.append(script)
            written = f"/did/{len(self.stack)}-{len(self.scripts)}"
            self.upper[written] = a_file(script.text + script.stdin.decode())
            return self.site.answer(script)

        self.site.networks.append(network)
        return FakeMachine(answer)

    def seal(self, wanted: NewLayer) -> Layer:
        text = canonical_json({path: str(e.content) for path, e in self.upper.items()})
        layer = Layer(
            key=wanted.key,
            content=Digest.of_bytes(text),
            parent_content=None if wanted.fits_any else stack_content(self.stack),
            name=wanted.name,
            created_at=self.site.clock.now(),
            size_bytes=len(text),
            evidence=wanted.evidence,
        )
        self.site.layers.adopt(layer, LayerTree(entries=dict(self.upper)))
        self.site.sealed.append(layer.name)
        return layer

    @contextmanager
    def on_top(self) -> Iterator["FakeRoot"]:
        with self.site.opened(self.stack, dict(self.upper)) as root:
            yield root

    def keep_copy(self, folder: PurePath) -> None:
        self.site.kept.append(folder)
        self.site.kept_roots.append(self)


@dataclass(slots=True)
class FakeRoots:
    """Roots over a fake store; every script of every root is answered by one function."""

    layers: FakeLayerStore
    clock: Clock
    answer: Callable[[Script], Answer] = nothing_to_say
    base: dict[str, Entry] = field(default_factory=a_bootable_base)
    scripts: list[Script] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    kept: list[PurePath] = field(default_factory=list)
    kept_roots: list[FakeRoot] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    made: list[FakeRoot] = field(default_factory=list)
    open: set[PurePath] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def scratch(self, stack: Sequence[Layer], *, is_bounded: bool = False) -> Iterator[FakeRoot]:
        with self.opened(tuple(stack), {}) as root:
            yield root

    @contextmanager
    def parent(self, parent: PlannedParent, on_line: OnLine | None) -> Iterator[FakeRoot]:
        with self.opened((), dict(self.base)) as root:
            yield root

    @contextmanager
    def opened(self, stack: tuple[Layer, ...], upper: dict[str, Entry]) -> Iterator[FakeRoot]:
        root = FakeRoot(self, stack, upper, PurePosixPath(f"/roots/{next(self._numbers)}"))
        self.made.append(root)
        self.open.add(root.path)
        try:
            yield root
        finally:
            self.open.discard(root.path)


@dataclass(slots=True)
class FakeWorkshop:
    """A workshop that says which archives it was opened for."""

    roots: FakeRoots
    opened_for: list[tuple[Repository, ...]] = field(default_factory=list)

    @contextmanager
    def opened(self, archives: Sequence[Repository]) -> Iterator[FakeRoots]:
        self.opened_for.append(tuple(archives))
        yield self.roots


@dataclass(slots=True)
class FakePackageSources:
    """Archives whose signed index is what the test says: `day` stands for what it holds."""

    day: str = "monday"
    asked: int = 0
    fails: BaseException | None = None
    url: str = "http://deb.example.org/debian"

    def repositories(self, suite: Suite) -> tuple[Repository, ...]:
        return (Repository(url=self.url, suites=(suite,)),)

    def indexes(self, repositories: Sequence[Repository]) -> Mapping[str, Digest]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return {
            f"{r.url} {suite}": Digest.of_bytes(f"{self.day} {suite}".encode())
            for r in repositories
            for suite in r.suites
        }
