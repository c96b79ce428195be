"""A lineage as trees in which every version stands once, and hundreds of them can be read.

Versions of one image that stand on the same parent come newest first; of many, the older ones are
counted, unless they lead to what was asked about or to what a channel means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imagebuilder.domain.ancestry import (
    Ancestry,
    EdgeKind,
    GraphEdge,
    GraphNode,
    LineageGraph,
    VersionFacts,
)
from imagebuilder.domain.distribution import PlacementState
from imagebuilder.domain.standing import State

_SHOWN = 3
"""So many versions of one image are drawn on each parent, unless all are wanted."""

_DESCENT = (EdgeKind.PARENT, EdgeKind.COPIED_FROM, EdgeKind.SUITE, EdgeKind.FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A line of a tree, and what hangs on it. `remark` is what is said beside the label."""

    label: str
    remark: str = ""
    is_focus: bool = False
    is_warning: bool = False
    details: tuple[str, ...] = ()
    branches: tuple["Branch", ...] = ()


def trees_of(graph: LineageGraph, *, is_all: bool, with_inputs: bool) -> Sequence[Branch]:
    """Give the trees of a lineage, one for each thing that stands on nothing else in it."""
    growing = _Growing(graph, with_inputs=with_inputs)
    finished: dict[str, Branch] = {}
    # From the leaves to the roots, without recursion: a line may be long.
    for node in reversed(growing.order):
        finished[node] = growing.branch(node, finished, is_all=is_all)
    return [finished[root] for root in growing.roots]


class _Growing:
    def __init__(self, graph: LineageGraph, *, with_inputs: bool) -> None:
        self._graph = graph
        self._with_inputs = with_inputs
        self._nodes = {node.id: node for node in graph.nodes}
        # A copy hangs on what it was copied from; each node hangs on one thing only.
        self._stem: dict[str, GraphEdge] = {}
        self._beside: dict[str, list[GraphEdge]] = {}
        for edge in graph.edges:
            if edge.kind not in _DESCENT:
                for end in (edge.parent, edge.child):
                    self._beside.setdefault(end, []).append(edge)
            elif edge.kind is EdgeKind.COPIED_FROM or edge.child not in self._stem:
                self._stem[edge.child] = edge
        self._on: dict[str, list[str]] = {}
        for child, edge in self._stem.items():
            self._on.setdefault(edge.parent, []).append(child)
        drawn = {facts.kin.id for facts in graph.versions} | set(self._on)
        self.roots = [n.id for n in graph.nodes if n.id in drawn and n.id not in self._stem]
        self.order = list(self._walk(self.roots))
        self._kept = self._way_to({graph.focus, *_current(graph)})

    def branch(self, node_id: str, finished: Mapping[str, Branch], *, is_all: bool) -> Branch:
        """Give a node as a branch; those on it are finished."""
        node = self._nodes[node_id]
        shown: list[Branch] = []
        for of_one_image in self._by_image(self._on.get(node_id, ())):
            few = of_one_image if is_all else self._few(of_one_image)
            shown += (finished[each] for each in few)
            hidden = [each for each in of_one_image if each not in few]
            if hidden:
                shown.append(self._counted(hidden))
        return Branch(
            label=node.label,
            remark=_remark(node, self._stem.get(node_id), self._nodes),
            is_focus=node_id == self._graph.focus,
            is_warning=node.facts is not None and _is_warning(node.facts),
            details=tuple(self._details(node_id)) if self._with_inputs else (),
            branches=tuple(shown),
        )

    def _by_image(self, children: Sequence[str]) -> Iterator[list[str]]:
        """Give children by image, the newest first."""
        facts = [(self._nodes[child].facts, child) for child in children]
        versions = [(each.kin, child) for each, child in facts if each is not None]
        for image in sorted({kin.image for kin, _ in versions}):
            own = [(kin.created_at, kin.version, c) for kin, c in versions if kin.image == image]
            yield [child for _, _, child in sorted(own, reverse=True)]

    def _few(self, newest_first: Sequence[str]) -> Sequence[str]:
        few = [
            child
            for place, child in enumerate(newest_first)
            if place < _SHOWN or child in self._kept
        ]
        # To hide one line behind another tells less in the same room.
        return newest_first if len(newest_first) - len(few) == 1 else few

    def _counted(self, hidden: Sequence[str]) -> Branch:
        above = sum(1 for _ in self._walk(hidden)) - len(hidden)
        more = f", and {above:,} built on them" if above else ""
        return Branch(label=f"… {len(hidden):,} older versions{more}")

    def _details(self, node_id: str) -> Iterator[str]:
        for edge in self._beside.get(node_id, ()):
            other = self._nodes[edge.parent if edge.child == node_id else edge.child]
            label = other.label.removeprefix(f"{edge.kind} ")
            is_told = other.digest is None or other.digest.short in label
            digest = "" if is_told or other.digest is None else f" {other.digest.short}"
            yield f"{edge.kind} {label}{digest}"

    def _walk(self, starts: Sequence[str]) -> Iterator[str]:
        waiting = list(starts)
        while waiting:
            node = waiting.pop()
            yield node
            waiting += self._on.get(node, ())

    def _way_to(self, wanted: set[str]) -> frozenset[str]:
        kept: set[str] = set()
        for each in wanted:
            node = each
            while node not in kept:
                kept.add(node)
                if node not in self._stem:
                    break
                node = self._stem[node].parent
        return frozenset(kept)


def _current(graph: LineageGraph) -> Iterator[str]:
    return (facts.kin.id for facts in graph.versions if facts.is_current)


def _is_warning(facts: VersionFacts) -> bool:
    return facts.is_stale or facts.standing.state is not State.ACTIVE


def _remark(node: GraphNode, stem: GraphEdge | None, nodes: Mapping[str, GraphNode]) -> str:
    """Say how a version stands, what means it, and what was asked for where that tells more."""
    facts = node.facts
    if facts is None:
        return ""
    pair = facts.pair
    said = [f"[{', '.join(facts.channels)}]"] if facts.channels else []
    if facts.standing.state is not State.ACTIVE:
        said.append(facts.state_text)
    if pair.status is Ancestry.OUT_OF_DATE:
        now = pair.now.reference if pair.now else "no version"
        said.append(f"out of date: {pair.told} is {now} now")
    elif facts.is_stale:
        said.append("stale")
    there = sum(placement.state is PlacementState.PLACED for placement in facts.placements)
    if there:
        said.append(f"at {there} {'target' if there == 1 else 'targets'}")
    if stem is not None and stem.kind is EdgeKind.COPIED_FROM:
        said.append("(a copy)")
    elif stem is not None and pair.status is not Ancestry.OUT_OF_DATE:
        parent = nodes[stem.parent].label
        if stem.asked.removeprefix("image:") != parent:
            said.append(f"(asked for {pair.told})")
    return " ".join(said)
