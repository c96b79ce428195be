"""`imagebuilder pipeline graph`: which pipelines start which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import (
    Json,
    console,
    note,
    print_json,
    print_lines,
    printable,
    told_errors,
)
from imagebuilder.domain.pipeline import Pipeline

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


_OURS = "image:"


class GraphFormat(StrEnum):
    """How a graph can be written."""

    TREE = "tree"
    DOT = "dot"
    MERMAID = "mermaid"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """That a pipeline is built on what another makes, or on what none makes.

    `maker` is a pipeline's name, or else what stands at the bottom, as recipes write it. What
    stands on no image of ours has nothing to follow.
    """

    maker: str
    child: str
    asked: str
    follows: bool

    @property
    def is_cut(self) -> bool:
        """Whether a new version of the image below starts nothing."""
        return not self.follows and self.asked.startswith(_OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineGraph:
    """Pipelines by name, what they stand on that none of them makes, and links from below."""

    pipelines: Sequence[Pipeline]
    grounds: Sequence[str]
    links: Sequence[Link] = field(default_factory=tuple)


def graph(
    *,
    format_: Annotated[
        GraphFormat, typer.Option("--format", help="How to write it.")
    ] = GraphFormat.TREE,
    as_json: AsJson = False,
) -> None:
    """Draw which pipelines are started by which: each is built on what one above it makes."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        found = graph_of([each.pipeline for each in Application().applying.list()])
        match GraphFormat.JSON if as_json else format_:
            case GraphFormat.TREE:
                _print_trees(found)
                if not found.pipelines:
                    note("There are no pipelines.")
            case GraphFormat.DOT:
                print_lines(*_dot_lines(found))
            case GraphFormat.MERMAID:
                print_lines(*_mermaid_lines(found))
            case GraphFormat.JSON:
                print_json(_graph_json(found))


def graph_of(pipelines: Sequence[Pipeline]) -> PipelineGraph:
    """Give how pipelines stand on each other."""
    from imagebuilder.domain.ancestry import movable

    makers: dict[str, list[str]] = {}
    for pipeline in pipelines:
        for product in pipeline.products:
            makers.setdefault(product.image, []).append(pipeline.name)
    links: list[Link] = []
    grounds: dict[str, None] = {}
    for child in pipelines:
        image = child.parent.removeprefix(_OURS).partition("@")[0]
        ours = makers.get(image, []) if child.parent.startswith(_OURS) else []
        follows = child.follows_parent and movable(child.parent) is not None
        if not ours:
            grounds[child.parent] = None
        links += [
            Link(maker=maker, child=child.name, asked=child.parent, follows=follows)
            for maker in ours or [child.parent]
        ]
    return PipelineGraph(pipelines=pipelines, grounds=list(grounds), links=links)


def _print_trees(found: PipelineGraph) -> None:
    from rich.tree import Tree

    shown = console()
    labels = {str(pipeline.name): _label(pipeline) for pipeline in found.pipelines}
    for ground in found.grounds:
        tree = Tree(printable(ground))
        waiting: list[tuple[Tree, str, frozenset[str]]] = [(tree, ground, frozenset())]
        while waiting:
            on, maker, above = waiting.pop(0)
            for link in (link for link in found.links if link.maker == maker):
                # A circle cannot be applied; should one be there, it ends where it closes.
                if link.child not in above:
                    added = on.add(_line(labels[link.child], link))
                    waiting.append((added, link.child, above | {link.child}))
        shown.print(tree, soft_wrap=not shown.is_terminal)


def _line(label: str, link: Link) -> str:
    told = [link.asked] if link.asked != link.maker else []
    told += ["not followed"] if link.is_cut else []
    return printable(f"{label}  ({', '.join(told)})" if told else label)


def _label(pipeline: Pipeline) -> str:
    products = pipeline.products
    more = f" and {len(products) - 1} more" if len(products) > 1 else ""
    return f"{pipeline.name}: {products[0].image}{more}"


def _names(found: PipelineGraph) -> dict[str, str]:
    """Give each node a name that neither language can take for a word of its own."""
    grounds = {ground: f"g{number}" for number, ground in enumerate(found.grounds)}
    return grounds | {each.name: f"p{number}" for number, each in enumerate(found.pipelines)}


def _dot_lines(found: PipelineGraph) -> Iterator[str]:
    from imagebuilder.cli.lineage_drawing import dot_text

    names = _names(found)
    yield "digraph pipelines {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="sans-serif"];'
    for ground in found.grounds:
        yield f'  {names[ground]} [label="{dot_text(ground)}", style=dashed];'
    for pipeline in found.pipelines:
        yield f'  {names[pipeline.name]} [label="{dot_text(_label(pipeline))}"];'
    for link in found.links:
        style = ", style=dashed" if link.is_cut else ""
        label = f'[label="{dot_text(link.asked)}"{style}]'
        yield f"  {names[link.maker]} -> {names[link.child]} {label};"
    yield "}"


def _mermaid_lines(found: PipelineGraph) -> Iterator[str]:
    from imagebuilder.cli.lineage_drawing import mermaid_text

    names = _names(found)
    yield "flowchart LR"
    for ground in found.grounds:
        yield f'  {names[ground]}(["{mermaid_text(ground)}"])'
    for pipeline in found.pipelines:
        yield f'  {names[pipeline.name]}["{mermaid_text(_label(pipeline))}"]'
    for link in found.links:
        arrow = "-.->" if link.is_cut else "-->"
        label = f'|"{mermaid_text(link.asked)}"|'
        yield f"  {names[link.maker]} {arrow}{label} {names[link.child]}"


def _graph_json(found: PipelineGraph) -> dict[str, Json]:
    nodes: list[Json] = [{"id": ground, "kind": "ground"} for ground in found.grounds]
    nodes += [
        {
            "id": pipeline.name,
            "kind": "pipeline",
            "images": [product.image for product in pipeline.products],
        }
        for pipeline in found.pipelines
    ]
    edges: list[Json] = [
        {
            "parent": link.maker,
            "child": link.child,
            "asked": link.asked,
            "is_followed": link.follows,
        }
        for link in found.links
    ]
    return {"nodes": nodes, "edges": edges}
