from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.lineage import LineageEdge, LineageNode, lineage_of, origin_of


def _nodes(names: str) -> list[LineageNode]:
    return [LineageNode(id=name, label=name.upper(), kind="version") for name in names]


def _edges(*pairs: str) -> list[LineageEdge]:
    """Give edges. Shape: parent and child as the two letters of a pair."""
    return [LineageEdge(parent=pair[0], child=pair[1], asked="x") for pair in pairs]


_graphs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12).map(
    lambda pairs: _edges(*("abcdefg"[low] + "abcdefg"[high] for low, high in pairs if low < high))
)


def _is_reached(edges: list[LineageEdge], start: str, end: str) -> bool:
    return start == end or any(
        _is_reached(edges, edge.child, end) for edge in edges if edge.parent == start
    )


@given(_graphs, st.sampled_from("abcdefg"))
def test_lineage_when_of_a_node_then_has_what_reaches_it_and_what_it_reaches(
    edges: list[LineageEdge], focus: str
) -> None:
    lineage = lineage_of(VersionId(focus), _nodes("abcdefg"), edges)

    assert {node.id for node in lineage.nodes} == {
        name
        for name in "abcdefg"
        if _is_reached(edges, name, focus) or _is_reached(edges, focus, name)
    }


@given(_graphs, st.sampled_from("abcdefg"), st.sets(st.sampled_from("abcdefg")))
def test_lineage_when_nodes_are_unknown_then_every_edge_still_has_both_ends(
    edges: list[LineageEdge], focus: str, known: set[str]
) -> None:
    lineage = lineage_of(VersionId(focus), _nodes("".join(known)), edges)

    ids = {node.id for node in lineage.nodes}
    assert all({edge.parent, edge.child} <= ids for edge in lineage.edges)


def test_lineage_when_siblings_and_cousins_exist_then_leaves_them_out() -> None:
    edges = _edges("ab", "ac", "bd", "ce")

    lineage = lineage_of(VersionId("b"), _nodes("abcde"), edges)

    assert [node.id for node in lineage.nodes] == ["a", "b", "d"]
    assert lineage.edges == tuple(_edges("ab", "bd"))


def test_lineage_when_asked_for_neighbours_then_gives_them() -> None:
    lineage = lineage_of(VersionId("a"), _nodes("abc"), _edges("ab", "ac"))

    assert lineage.children("a") == ("b", "c")
    assert lineage.parents("c") == ("a",)
    assert lineage.parents("a") == ()


def test_lineage_when_edges_run_in_a_circle_then_comes_to_an_end() -> None:
    lineage = lineage_of(VersionId("a"), _nodes("ab"), _edges("ab", "ba"))

    assert {node.id for node in lineage.nodes} == {"a", "b"}


def test_origin_when_asked_for_in_two_ways_then_is_one_node() -> None:
    some = origin_of("sha256:1", asked="rootfs:a.tar")
    other = origin_of("sha256:1", asked="rootfs:./a.tar")

    assert some.id == other.id
    assert (some.kind, some.label) == ("origin", "rootfs:a.tar")
