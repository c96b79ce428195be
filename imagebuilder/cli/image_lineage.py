"""`imagebuilder image lineage`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import console, note, print_json, print_lines, printable, told_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text
    from rich.tree import Tree

    from imagebuilder.cli.lineage_tree import Branch
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.ancestry import GraphEdge, GraphNode, LineageGraph, Meaning

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_DEEP = 8
"""From so many generations on, what stands alone on the one above is drawn straight below it."""


_WHOLE = 1_000_000
"""No line is as wide: what Rich draws beside guides it would cut off at the width of a terminal."""


class LineageFormat(StrEnum):
    """How a lineage can be written."""

    TREE = "tree"
    JSON = "json"
    DOT = "dot"
    MERMAID = "mermaid"


def lineage(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: ReferenceArgument,
    *,
    up: Annotated[bool, typer.Option("--up", help="Only what it stands on.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what was built on it.")] = False,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth", metavar="N", min=1, help="So many generations.", show_default=False
        ),
    ] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Only what is in use and stale, and the way to it."),
    ] = False,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Also components, indexes, plans and artifacts.")
    ] = False,
    is_all: Annotated[
        bool, typer.Option("--all", help="Older versions too, each with a line of its own.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="At most so many; 0 is all.")
    ] = 1000,
    format_: Annotated[
        LineageFormat, typer.Option("--format", help="How to write it.")
    ] = LineageFormat.TREE,
    as_json: AsJson = False,
) -> None:
    """Draw what a version stands on and what was built on it, and how all of them stand."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.services.tracing import LineageAsked

        format_ = LineageFormat.JSON if as_json else format_
        asked = LineageAsked(
            up=up or not down,
            down=down or not up,
            depth=depth,
            limit=limit,
            stale_only=stale,
            is_all=is_all,
            with_inputs=inputs or format_ is LineageFormat.JSON,
        )
        found = Application().tracing.lineage(reference, asked)
        if format_ is LineageFormat.TREE:
            _print_trees(found, is_all=is_all, with_inputs=inputs)
        else:
            _print_graph(found, format_)
        if found.left_out:
            more = "more than " if found.is_more_left_out else ""
            note(f"and {more}{found.left_out:,} more; --limit 0 shows all")
        if stale and not any(each.is_stale for each in found.versions):
            older = "" if is_all else " and meant by a channel; --all looks at all versions"
            note(f"nothing here is stale{older}")


def _print_graph(graph: "LineageGraph", format_: LineageFormat) -> None:
    from imagebuilder.cli.lineage_drawing import dot_lines, mermaid_lines

    if format_ is LineageFormat.JSON:
        print_json(lineage_json(graph))
        return
    print_lines(*(dot_lines if format_ is LineageFormat.DOT else mermaid_lines)(graph))


def lineage_json(graph: "LineageGraph") -> "dict[str, Json]":
    """Give a lineage; edges run from what was there to what was made of it."""
    return {
        "focus": graph.focus,
        "nodes": [_node_json(node) for node in graph.nodes],
        "edges": [_edge_json(edge) for edge in graph.edges],
        "left_out": graph.left_out,
        "is_more_left_out": graph.is_more_left_out,
    }


def _node_json(node: "GraphNode") -> "dict[str, Json]":
    told: dict[str, Json] = {"id": node.id, "label": node.label, "kind": node.kind}
    if node.digest is not None:
        told["digest"] = str(node.digest)
    facts = node.facts
    if facts is None:
        return told
    revocation = facts.standing.revocation
    return {
        **told,
        "image": facts.kin.image,
        "version": str(facts.kin.version),
        "created_at": facts.kin.created_at.isoformat(),
        "distance": facts.kin.distance,
        "state": facts.standing.state,
        "inherited_from": facts.revoker or None,
        "revoked_at": None if revocation is None else revocation.in_force_at.isoformat(),
        "is_stale": facts.is_stale,
        "ancestry": facts.pair.status,
        "channels": list(facts.channels),
        "placements": [
            {"target": p.target, "id": p.external_id, "state": p.state} for p in facts.placements
        ],
    }


def _edge_json(edge: "GraphEdge") -> "dict[str, Json]":
    pair = edge.pair
    return {
        "parent": edge.parent,
        "child": edge.child,
        "kind": edge.kind,
        "asked": edge.asked or None,
        "ancestry": pair.status if pair else None,
        "now": _meaning_json(pair.now) if pair else None,
    }


def _meaning_json(meaning: "Meaning | None") -> "Json":
    return None if meaning is None else {"id": meaning.id, "reference": meaning.reference}


def _print_trees(graph: "LineageGraph", *, is_all: bool, with_inputs: bool) -> None:
    from imagebuilder.cli.lineage_tree import trees_of

    shown = console()
    if not shown.is_terminal:
        # In a pipe lines stay whole; on a terminal they are folded beside their guides.
        shown.width = _WHOLE
    for root in trees_of(graph, is_all=is_all, with_inputs=with_inputs):
        shown.print(_tree(root), soft_wrap=not shown.is_terminal)


def _tree(root: "Branch") -> "Tree":
    from rich.tree import Tree

    tree = Tree(_line(root))
    waiting: list[tuple[Sequence[Branch], Tree, int]] = [(root.branches, tree, 1)]
    while waiting:
        branches, on, depth = waiting.pop()
        for branch in branches:
            drawn, added = branch, on.add(_line(branch))
            while depth >= _DEEP and len(drawn.branches) == 1:
                drawn = drawn.branches[0]
                added = on.add(_line(drawn, before="↳ "))
            waiting.append((drawn.branches, added, depth + 1))
    return tree


def _line(branch: "Branch", before: str = "") -> "Text":
    from rich.text import Text

    text = Text(before + printable(branch.label), style="bold green" if branch.is_focus else "")
    if branch.remark:
        style = "yellow not bold" if branch.is_warning else "dim not bold"
        text.append(f" {printable(branch.remark)}", style=style)
    if branch.is_focus:
        text.append(" <--")
    for detail in branch.details:
        text.append(f"\n  · {printable(detail)}", style="dim not bold")
    return text
