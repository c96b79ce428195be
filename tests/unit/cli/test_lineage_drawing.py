"""Lineages in DOT and Mermaid: whatever things are called, the languages take them."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.cli.lineage_drawing import dot_lines, mermaid_lines
from imagebuilder.domain.ancestry import (
    Ancestry,
    EdgeKind,
    GraphEdge,
    GraphNode,
    LineageGraph,
    NodeKind,
    Pair,
    VersionFacts,
)
from imagebuilder.domain.ids import ChannelName, VersionId
from imagebuilder.domain.standing import Standing
from tests.build import SOME_DAY, a_digest, a_kin

_STRING = r'"(?:[^"\\]|\\.)*"'
_DOT = re.compile(
    rf"  (?:rankdir=LR;|node \[[a-z]+=[a-z]+, fontname={_STRING}\];"
    rf"|n\d+ \[label={_STRING}(?:, (?:penwidth=3|style=dashed))?\];"
    rf"|n\d+ -> n\d+(?: \[label={_STRING}\])?;)"
)
"""A statement of those that are written. Source: Graphviz, The DOT Language."""
_MERMAID = re.compile(
    r'  (?:n\d+\["[^"]*"\]|n\d+ -->(?:\|"[^"|]*"\|)? n\d+|style n\d+ stroke-width:3px)'
)


def a_graph(labels: Sequence[str], asked: str = "image:base@1.x") -> LineageGraph:
    kin = a_kin("web@1.0.0/1")
    pair = Pair(status=Ancestry.OUT_OF_DATE, asked=asked)
    facts = VersionFacts(
        kin=kin,
        standing=Standing(version_id=kin.id, at=SOME_DAY),
        pair=pair,
        is_stale=True,
        channels=(ChannelName("stable"),),
    )
    focus = GraphNode(id=kin.id, kind=NodeKind.VERSION, label=kin.reference, facts=facts)
    others = [
        GraphNode(id=label, kind=NodeKind.COMPONENT, label=label, digest=a_digest(label))
        for label in dict.fromkeys(labels)
        if label != kin.id
    ]
    edges = [
        GraphEdge(parent=o.id, child=kin.id, kind=EdgeKind.PARENT, asked=asked, pair=pair)
        for o in others
    ]
    return LineageGraph(focus=VersionId(kin.id), nodes=(focus, *others), edges=tuple(edges))


def test_dot_then_has_reference_state_and_channels_in_a_node() -> None:
    lines = list(dot_lines(a_graph(["nginx 1.0"])))

    assert r'  n0 [label="web@1.0.0/1\nactive, stale\nstable", penwidth=3];' in lines
    assert '  n1 -> n0 [label="@1.x (out-of-date)"];' in lines


def test_mermaid_then_has_reference_state_and_channels_in_a_node() -> None:
    lines = list(mermaid_lines(a_graph(["nginx 1.0"])))

    assert '  n0["web@1.0.0/1<br/>active, stale<br/>stable"]' in lines
    assert '  n1 -->|"@1.x (out-of-date)"| n0' in lines


@pytest.mark.parametrize(
    "name", ['a "quoted" \\ name', "line\nend", "end;", "a|b", "#quot;", "<b>"]
)
def test_names_when_they_hold_signs_of_the_language_then_are_escaped(name: str) -> None:
    _is_valid(a_graph([name], asked=f"image:{name}"))


@given(st.lists(st.text(), max_size=5), st.text())
def test_names_whatever_they_hold_then_the_languages_take_them(
    labels: list[str], asked: str
) -> None:
    _is_valid(a_graph(labels, asked))


def _is_valid(graph: LineageGraph) -> None:
    head, *statements, tail = list(dot_lines(graph))
    assert (head, tail) == ("digraph lineage {", "}")
    assert [line for line in statements if _DOT.fullmatch(line) is None] == []
    head, *statements = list(mermaid_lines(graph))
    assert head == "flowchart LR"
    assert [line for line in statements if _MERMAID.fullmatch(line) is None] == []
    assert len(statements) == len(graph.nodes) + len(graph.edges) + 1
