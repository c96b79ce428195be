"""Ancestry: the graph of what versions were made of, and how each stands to its parent now.

What was asked for (a channel, a wildcard, a name) may mean another version later. Whether it does
is computed for a moment from what it means then, and never kept.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.channel import LATEST
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId, is_channel_name
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.lineage import Descent, Kin
from imagebuilder.domain.standing import Standing

_OURS = "image:"
_SUITE = "debian:"


class Ancestry(StrEnum):
    """How a version stands to the parent it was built on.

    Source: HCP Packer's ancestry status, told of the pair by the channel asked for at build time.
    """

    UP_TO_DATE = "up-to-date"
    OUT_OF_DATE = "out-of-date"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a reference means at a moment: a version and how people name it."""

    id: VersionId
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A version and its parent. `now` is what was asked for at another moment: None for nothing."""

    status: Ancestry
    asked: str
    now: Meaning | None = None

    @property
    def told(self) -> str:
        """What was asked for, without the image's own name: @stable, @1.x, or the image itself."""
        _, at, rest = self.asked.partition("@")
        return f"@{rest}" if at else self.asked.removeprefix(_OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Movable:
    """What may mean another version later: a channel, a wildcard or, when empty, the newest."""

    image: ImageName
    asked: str

    @property
    def channel(self) -> ChannelName | None:
        """The channel that is asked for: of a bare name, the newest usable version."""
        if not self.asked:
            return LATEST
        return ChannelName(self.asked) if is_channel_name(self.asked) else None


def movable(asked: str) -> Movable | None:
    """Give what was asked for, if it may mean another version later.

    An exact build never does; a suite or a file has no versions of ours.
    """
    if not asked.startswith(_OURS):
        return None
    image, _, rest = asked.removeprefix(_OURS).partition("@")
    return None if "/" in rest else Movable(image=ImageName(image), asked=rest)


def pair_of(kin: Kin, meanings: Mapping[str, Meaning | None]) -> Pair:
    """Give how a version stands to its parent. Shape: what was asked -> what that means now."""
    asked = kin.parent.asked
    if movable(asked) is None or kin.parent.version_id is None:
        return Pair(status=Ancestry.UNDETERMINED, asked=asked)
    now = meanings.get(asked)
    is_same = now is not None and now.id == kin.parent.version_id
    status = Ancestry.UP_TO_DATE if is_same else Ancestry.OUT_OF_DATE
    return Pair(status=status, asked=asked, now=now)


def stale_among(kin: Iterable[Kin], pairs: Mapping[VersionId, Pair]) -> frozenset[VersionId]:
    """Give the versions whose own pair, or an ancestor's, is out of date."""
    parents = {each.id: each.parent.version_id for each in kin}
    known: dict[VersionId, bool] = {}
    for start in parents:
        line: list[VersionId] = []
        at: VersionId | None = start
        while at is not None and at in parents and at not in known:
            line.append(at)
            at = parents[at]
        is_stale = at is not None and known.get(at, False)
        for version_id in reversed(line):
            is_stale = is_stale or pairs[version_id].status is Ancestry.OUT_OF_DATE
            known[version_id] = is_stale
    return frozenset(version_id for version_id, is_stale in known.items() if is_stale)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentUsed:
    """A component as it stood when a version was built."""

    name: str
    version: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a version was made from beside its parent, and the files that came out."""

    plan: Digest
    components: tuple[ComponentUsed, ...] = ()
    indexes: Mapping[str, Digest] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()


def inputs_of(version: ImageVersion) -> Inputs:
    """Give what a version was made from."""
    components = [
        ComponentUsed(name=x.name, version=x.component_version, digest=x.component_digest)
        for x in version.layers
        if x.component_digest is not None
    ]
    return Inputs(
        plan=version.plan_digest,
        components=tuple(dict.fromkeys(components)),
        indexes=version.indexes,
        artifacts=version.artifacts,
    )


class NodeKind(StrEnum):
    """What a node of a lineage is."""

    VERSION = "version"
    ORIGIN = "origin"
    COMPONENT = "component"
    INDEX = "index"
    PLAN = "plan"
    ARTIFACT = "artifact"


class EdgeKind(StrEnum):
    """Why one node comes from another."""

    PARENT = "parent"
    COPIED_FROM = "copied-from"
    SUITE = "suite"
    FILE = "file"
    COMPONENT = "component"
    INDEX = "index"
    PLAN = "plan"
    ARTIFACT = "artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """How a version in a lineage stands. `revoker` is the ancestor whose revocation it inherits.

    `pair` is how it stands to its parent; it is stale when that pair, or an ancestor's, is out of
    date, and current when a channel means it: `latest` means the newest usable one.
    """

    kin: Kin
    standing: Standing
    pair: Pair
    is_stale: bool
    channels: tuple[ChannelName, ...] = ()
    revoker: str = ""
    placements: tuple[Placement, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether a channel means it."""
        return bool(self.channels)

    @property
    def state_text(self) -> str:
        """Its state, and of an inherited revocation where it comes from."""
        state = self.standing.state
        return f"{state} (inherited from {self.revoker})" if self.revoker else state


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """A version, or a thing it was made from or came to. Versions alone have facts."""

    id: str
    kind: NodeKind
    label: str
    digest: Digest | None = None
    facts: VersionFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdge:
    """One step from what was there to what was made of it; `pair` of parents that are ours."""

    parent: str
    child: str
    kind: EdgeKind
    asked: str = ""
    pair: Pair | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageGraph:
    """The part of the graph that was asked for.

    Invariant: it has no circle; every edge's ends are among `nodes`, each of which is there once.
    `left_out` counts the relatives that a limit left out, where `is_more_left_out` not all of them.
    """

    focus: VersionId
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    left_out: int = 0
    is_more_left_out: bool = False

    @property
    def versions(self) -> tuple[VersionFacts, ...]:
        """The versions in it, the nearest first."""
        return tuple(node.facts for node in self.nodes if node.facts is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the versions of a descent at a moment.

    Shape: `meanings` maps what was asked for to what it means then; `names` ids to references.
    """

    standings: Mapping[VersionId, Standing]
    channels: Mapping[VersionId, Sequence[ChannelName]]
    meanings: Mapping[str, Meaning | None]
    names: Mapping[VersionId, str]
    inputs: Mapping[VersionId, Inputs] = field(default_factory=dict)
    placements: Sequence[Placement] = ()


def graph_of(
    descent: Descent, ancestors: Iterable[Kin], facts: Facts, *, with_origins: bool = True
) -> LineageGraph:
    """Give the graph of a descent; the suites and files that versions began from, if wanted.

    `ancestors` are all that the focus has, also those outside of the scope: whether a version is
    stale hangs on them.
    """
    line = {kin.id: kin for kin in (*descent.kin, *ancestors)}
    pairs = {kin.id: pair_of(kin, facts.meanings) for kin in line.values()}
    stale = stale_among(line.values(), pairs)
    nodes = {
        kin.id: _version_node(kin, pairs[kin.id], facts, is_stale=kin.id in stale)
        for kin in descent.kin
    }
    found: dict[str, GraphNode] = {}
    edges: list[GraphEdge] = []
    for node in nodes.values():
        for other, edge in _made_of(node, facts.inputs):
            if other is not None and other.kind is NodeKind.ORIGIN and not with_origins:
                continue
            if other is not None:
                found.setdefault(other.id, other)
            if other is not None or edge.parent in nodes:
                edges.append(edge)
    return LineageGraph(
        focus=descent.focus,
        nodes=(*nodes.values(), *found.values()),
        edges=tuple(edges),
        left_out=descent.left_out,
        is_more_left_out=descent.is_more_left_out,
    )


def stale_part(graph: LineageGraph, *, is_all: bool = False) -> LineageGraph:
    """Give of a graph the versions that are stale, and those on the way to them from the focus.

    Every older version is stale by nature, so only current ones count, unless all are asked for.
    """
    wanted = {
        facts.kin.id for facts in graph.versions if facts.is_stale and (is_all or facts.is_current)
    }
    return narrowed(graph, wanted)


def narrowed(graph: LineageGraph, wanted: Collection[str]) -> LineageGraph:
    """Give of a graph the focus, what is wanted, and the versions on the way between them."""
    up: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.kind in (EdgeKind.PARENT, EdgeKind.COPIED_FROM):
            up.setdefault(edge.child, []).append(edge.parent)
    above = {node.id: _above(node.id, up) for node in graph.nodes if node.facts is not None}
    focus = str(graph.focus)
    kept = {focus}
    for each in wanted:
        low, high = (focus, each) if each in above[focus] else (each, focus)
        kept |= {between for between in above[low] & above.keys() if high in above[between]}
    return _cut(graph, kept)


def _cut(graph: LineageGraph, kept: Collection[str]) -> LineageGraph:
    """Give a graph with some of its versions only, and with what those were made of."""
    dropped = {node.id for node in graph.nodes if node.facts is not None and node.id not in kept}
    edges = tuple(e for e in graph.edges if e.parent not in dropped and e.child not in dropped)
    ends = {end for edge in edges for end in (edge.parent, edge.child)}
    nodes = tuple(n for n in graph.nodes if n.id in kept or (n.facts is None and n.id in ends))
    return replace(graph, nodes=nodes, edges=edges)


def _above(start: str, up: Mapping[str, Sequence[str]]) -> set[str]:
    """Give a node and all that it comes from."""
    seen, waiting = {start}, [start]
    while waiting:
        fresh = [each for each in up.get(waiting.pop(), ()) if each not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return seen


def _version_node(kin: Kin, pair: Pair, facts: Facts, *, is_stale: bool) -> GraphNode:
    standing = facts.standings.get(kin.id)
    if standing is None:
        raise AssertionError(f"{kin.reference} is recorded and has no standing")
    revocation = standing.revocation
    revoker = ""
    if standing.is_inherited and revocation is not None:
        revoker = facts.names.get(revocation.version_id, revocation.version_id)
    return GraphNode(
        id=kin.id,
        kind=NodeKind.VERSION,
        label=kin.reference,
        facts=VersionFacts(
            kin=kin,
            standing=standing,
            pair=pair,
            is_stale=is_stale,
            channels=tuple(facts.channels.get(kin.id, ())),
            revoker=revoker,
            placements=tuple(p for p in facts.placements if p.version_id == kin.id),
        ),
    )


def _made_of(
    node: GraphNode, inputs: Mapping[VersionId, Inputs]
) -> Iterator[tuple[GraphNode | None, GraphEdge]]:
    """Give each edge of a version, with the other end when that is no version."""
    if node.facts is None:
        return
    kin, pair = node.facts.kin, node.facts.pair
    asked, on = kin.parent.asked, kin.parent.version_id
    if on is not None:
        kind = EdgeKind.PARENT
        yield None, GraphEdge(parent=on, child=kin.id, kind=kind, asked=asked, pair=pair)
    else:
        origin = GraphNode(id=f"origin:{kin.parent.identity}", kind=NodeKind.ORIGIN, label=asked)
        kind = EdgeKind.SUITE if asked.startswith(_SUITE) else EdgeKind.FILE
        yield origin, GraphEdge(parent=origin.id, child=kin.id, kind=kind, asked=asked)
    if kin.copied_from is not None:
        yield None, GraphEdge(parent=kin.copied_from, child=kin.id, kind=EdgeKind.COPIED_FROM)
    if kin.id in inputs:
        yield from _inputs_of(kin.id, inputs[kin.id])


def _inputs_of(version_id: VersionId, inputs: Inputs) -> Iterator[tuple[GraphNode, GraphEdge]]:
    for used in inputs.components:
        label = f"{used.name} {used.version}".strip()
        yield _input(version_id, NodeKind.COMPONENT, label, used.digest)
    for address, digest in sorted(inputs.indexes.items()):
        yield _input(version_id, NodeKind.INDEX, address, digest)
    yield _input(version_id, NodeKind.PLAN, f"plan {inputs.plan.short}", inputs.plan)
    for artifact in inputs.artifacts:
        node = GraphNode(
            id=f"artifact:{artifact.digest.hex}",
            kind=NodeKind.ARTIFACT,
            label=f"{artifact.format} {artifact.digest.short}",
            digest=artifact.digest,
        )
        yield node, GraphEdge(parent=version_id, child=node.id, kind=EdgeKind.ARTIFACT)


def _input(
    version_id: VersionId, kind: NodeKind, label: str, digest: Digest
) -> tuple[GraphNode, GraphEdge]:
    node = GraphNode(id=f"{kind}:{label}:{digest.hex}", kind=kind, label=label, digest=digest)
    return node, GraphEdge(parent=node.id, child=version_id, kind=EdgeKind(kind.value))
