"""Lineages as graph languages write them: DOT and Mermaid.

Source: Graphviz, The DOT Language: quoted ids; Mermaid: flowchart syntax, entity codes.
"""

from collections.abc import Iterator

from imagebuilder.cli.output import printable
from imagebuilder.domain.ancestry import EdgeKind, GraphEdge, GraphNode, LineageGraph


def dot_lines(graph: LineageGraph) -> Iterator[str]:
    """Write a graph for Graphviz."""
    yield "digraph lineage {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="sans-serif"];'
    names = _names(graph)
    for node in graph.nodes:
        label = "\\n".join(dot_text(line) for line in _label(node))
        yield f'  {names[node.id]} [label="{label}"{_dot_style(node, graph)}];'
    for edge in graph.edges:
        label = f' [label="{dot_text(_edge_label(edge))}"]' if _edge_label(edge) else ""
        yield f"  {names[edge.parent]} -> {names[edge.child]}{label};"
    yield "}"


def mermaid_lines(graph: LineageGraph) -> Iterator[str]:
    """Write a graph for Mermaid, as Markdown pages show it."""
    yield "flowchart LR"
    names = _names(graph)
    for node in graph.nodes:
        label = "<br/>".join(mermaid_text(line) for line in _label(node))
        yield f'  {names[node.id]}["{label}"]'
    for edge in graph.edges:
        label = f'|"{mermaid_text(_edge_label(edge))}"|' if _edge_label(edge) else ""
        yield f"  {names[edge.parent]} -->{label} {names[edge.child]}"
    yield f"  style {names[graph.focus]} stroke-width:3px"


def _names(graph: LineageGraph) -> dict[str, str]:
    """Give each node a name that neither language can take for a word of its own."""
    return {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}


def _label(node: GraphNode) -> list[str]:
    facts = node.facts
    if facts is None:
        is_told = node.digest is None or node.digest.short in node.label
        return [node.label] if is_told or node.digest is None else [node.label, node.digest.short]
    state = f"{facts.state_text}, stale" if facts.is_stale else facts.state_text
    channels = [", ".join(facts.channels)] if facts.channels else []
    return [node.label, state, *channels]


def _edge_label(edge: GraphEdge) -> str:
    match edge.kind:
        case EdgeKind.PARENT:
            told = edge.pair.told if edge.pair else edge.asked
            return f"{told} ({edge.pair.status})" if edge.pair else told
        case EdgeKind.COPIED_FROM:
            return "copied"
        case _:
            return ""


def _dot_style(node: GraphNode, graph: LineageGraph) -> str:
    if node.id == graph.focus:
        return ", penwidth=3"
    return "" if node.facts is not None else ", style=dashed"


def dot_text(text: str) -> str:
    """Write text as it may stand between the quotes of DOT."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def mermaid_text(text: str) -> str:
    """Write text with everything that Mermaid could read as its own replaced by its number."""
    return "".join(
        c if c.isalnum() or c in " .,:/@-_()=" else f"#{ord(c)};" for c in printable(text)
    )
