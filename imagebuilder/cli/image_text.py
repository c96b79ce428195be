"""Versions and lineages as people read them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagebuilder.cli.image_shape import counted_outcomes
from imagebuilder.cli.output import console, moment_text, print_lines, print_table, printable
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.lineage import Lineage
from imagebuilder.domain.units import duration_text, size_text
from imagebuilder.domain.updates import recorded_updates, update_text

if TYPE_CHECKING:
    from rich.text import Text


def print_version(version: ImageVersion, parent_reference: str | None) -> None:
    """Show a version: what it is, then its artifacts, layers and tests."""
    parent = version.parent.asked
    facts = (
        ("version", version.reference),
        ("id", version.id),
        ("created", moment_text(version.created_at)),
        ("run", version.run_id),
        ("parent", f"{parent}, which was {parent_reference}" if parent_reference else parent),
        ("packages", str(len(version.packages))),
        ("UpdateOS", update_text([recorded_updates(version.plan)])),
        ("plan", str(version.plan_digest)),
    )
    print_lines(*(f"{name:10}{value}" for name, value in facts), "")
    print_table(
        ("ARTIFACT", "SIZE", "DISK", "DIGEST"),
        [
            (a.format, size_text(a.size_bytes), size_text(a.virtual_size_bytes), str(a.digest))
            for a in version.artifacts
        ],
    )
    print_lines("")
    print_table(
        ("LAYER", "VERSION", "SIZE", "CONTENT"),
        [
            (x.name, x.component_version or "-", size_text(x.size_bytes), x.content.short)
            for x in version.layers
        ],
    )
    if version.reports:
        print_lines("")
        print_table(("TESTS", "RESULT", "TOOK"), list(_test_rows(version)))


def _test_rows(version: ImageVersion) -> Iterator[tuple[str, str, str]]:
    for report in version.reports:
        counts = counted_outcomes(report)
        result = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        yield report.stage, result or "none", duration_text(report.seconds)


def print_lineage(lineage: Lineage) -> None:
    """Draw what a version stands on above it, and what was built on it below it."""
    from rich.tree import Tree  # noqa: PLC0415 - start-up

    labels = {node.id: node.label for node in lineage.nodes}
    asked = {edge.child: edge.asked for edge in lineage.edges}
    roots = [node.id for node in lineage.nodes if not lineage.parents(node.id)]
    shown = console()
    for root in roots:
        tree = Tree(_node_text(labels[root], "", is_focus=root == lineage.focus))
        waiting: list[tuple[str, Tree]] = [(root, tree)]
        while waiting:
            node, branch = waiting.pop()
            for child in lineage.children(node):
                is_focus = child == lineage.focus
                # What was asked for is worth saying where it is not what was found.
                said = "" if asked[child] == labels[node] else asked[child]
                label = _node_text(labels[child], said, is_focus=is_focus)
                waiting.append((child, branch.add(label)))
        shown.print(tree)


def _node_text(label: str, asked: str, *, is_focus: bool) -> "Text":
    from rich.text import Text  # noqa: PLC0415 - start-up

    text = Text(printable(label), style="bold green" if is_focus else "")
    if is_focus:
        text.append(" <--")
    if asked:
        text.append(f"  (asked for {printable(asked)})", style="dim not bold")
    return text
