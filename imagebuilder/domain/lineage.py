"""Lineage: which version was built on which.

Shape: edges run parent -> child.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ParentEdge
from imagebuilder.domain.versions import BuildVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How much of a lineage is asked for.

    `depth` counts generations each way, None for all; `limit` the versions that are given at most,
    the nearest first.
    """

    up: bool = True
    down: bool = True
    depth: int | None = None
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """A version as its relatives are told of it. `distance` is negative for ancestors."""

    id: VersionId
    image: ImageName
    version: BuildVersion
    created_at: datetime
    parent: ParentEdge
    copied_from: VersionId | None
    distance: int

    @property
    def reference(self) -> str:
        """How people name it: debian-web@1.2.0/3."""
        return f"{self.image}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """A version and its relatives, by distance and then the order of their recording.

    `left_out` counts the relatives within the scope that its limit left out.
    """

    focus: VersionId
    kin: tuple[Kin, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNode:
    """A version, or the outside thing (suite, file) that a lineage starts from."""

    id: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEdge:
    """One step of descent, with what the child's recipe asked for."""

    parent: str
    child: str
    asked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The part of the graph that was asked for. Invariant: every edge's ends are among `nodes`."""

    focus: VersionId
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]

    def parents(self, node: str) -> tuple[str, ...]:
        """Give what a node was built on."""
        return tuple(e.parent for e in self.edges if e.child == node)

    def children(self, node: str) -> tuple[str, ...]:
        """Give what was built on a node."""
        return tuple(e.child for e in self.edges if e.parent == node)


def origin_of(identity: str, *, asked: str) -> LineageNode:
    """Give the node of an outside parent: one for each identity, however recipes ask for it."""
    return LineageNode(id=f"origin:{identity}", label=asked, kind="origin")


def lineage_of(
    focus: VersionId, nodes: Iterable[LineageNode], edges: Iterable[LineageEdge]
) -> Lineage:
    """Give the ancestors and descendants of focus, and nothing beside them."""
    known = {node.id: node for node in nodes}
    all_edges = tuple(edges)
    ancestors = _reached(focus, {(e.child, e.parent) for e in all_edges})
    descendants = _reached(focus, {(e.parent, e.child) for e in all_edges})
    kept = (ancestors | descendants) & known.keys()
    return Lineage(
        focus=focus,
        nodes=tuple(known[i] for i in sorted(kept)),
        edges=tuple(e for e in all_edges if e.parent in kept and e.child in kept),
    )


def _reached(start: str, steps: set[tuple[str, str]]) -> set[str]:
    onward: dict[str, list[str]] = {}
    for here, there in steps:
        onward.setdefault(here, []).append(there)
    seen, waiting = {start}, [start]
    while waiting:
        fresh = [n for n in onward.get(waiting.pop(), []) if n not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return seen
