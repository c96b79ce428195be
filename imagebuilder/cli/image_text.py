"""Versions, lineages and differences as people read them."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from imagebuilder.cli.image_shape import counted_outcomes, total_bytes
from imagebuilder.cli.output import console, moment_text, print_lines, print_table, printable
from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.comparison import Change, ChangeKind, VersionDiff
from imagebuilder.domain.evidence import TestResult
from imagebuilder.domain.image import DocumentText, ImageVersion, RecordedLayer
from imagebuilder.domain.lineage import Lineage
from imagebuilder.domain.package import PackageChange
from imagebuilder.domain.units import duration_text, size_text
from imagebuilder.domain.updates import recorded_updates, update_text

if TYPE_CHECKING:
    from rich.text import Text

ThingT = TypeVar("ThingT")

_SIGNS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.CHANGED: "~"}


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


def print_diff(diff: VersionDiff) -> None:
    """Show what differs; what is the same is not mentioned."""
    print_lines(f"{diff.old.reference} -> {diff.new.reference}")
    if diff.is_empty:
        print_lines("nothing differs")
        return
    if diff.parent and diff.parent.old and diff.parent.new:
        old, new = diff.parent.old, diff.parent.new
        is_asked = old.asked != new.asked
        print_lines(
            "",
            "parent",
            f"  ~ {old.asked if is_asked else old.version_id or old.identity}"
            f" -> {new.asked if is_asked else new.version_id or new.identity}",
        )
    _print_changes("components", diff.components, _component_text)
    _print_documents(diff.documents)
    _print_changes("layers", diff.layers, lambda layer: size_text(layer.size_bytes))
    _print_packages(diff.packages)
    _print_changes("package indexes", diff.indexes, lambda digest: digest.short)
    _print_changes("tests", diff.tests, _outcome_text)
    _print_changes("artifacts", diff.artifacts, _artifact_text)
    print_lines(
        "", f"all layers: {size_text(total_bytes(diff.old))} -> {size_text(total_bytes(diff.new))}"
    )


def _print_changes(
    heading: str, changes: Sequence[Change[ThingT]], text: Callable[[ThingT], str]
) -> None:
    if not changes:
        return
    print_lines("", heading)
    for change in changes:
        sides = [text(side) for side in (change.old, change.new) if side is not None]
        print_lines(f"  {_SIGNS[change.kind]} {change.name}  {' -> '.join(sides)}".rstrip())


def _component_text(layer: RecordedLayer) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in layer.parameters.items())
    return f"{layer.component_version}{f' ({parameters})' if parameters else ''}"


def _print_documents(changes: Sequence[Change[DocumentText]]) -> None:
    if not changes:
        return
    from difflib import unified_diff  # noqa: PLC0415 - start-up

    print_lines("", "documents")
    for change in changes:
        print_lines(f"  {_SIGNS[change.kind]} {change.name}")
        if change.old is None or change.new is None:
            continue
        old, new = change.old.text.splitlines(), change.new.text.splitlines()
        lines = unified_diff(old, new, n=1, lineterm="")
        print_lines(*(f"      {line}" for line in list(lines)[2:]))


def _print_packages(changes: Sequence[PackageChange]) -> None:
    if not changes:
        return
    print_lines("", "packages")
    for change in changes:
        name = f"{change.name}:{change.architecture}"
        match change.old_version, change.new_version:
            case None, new:
                print_lines(f"  + {name}  {new}")
            case old, None:
                print_lines(f"  - {name}  {old}")
            case old, new:
                print_lines(f"  ~ {name}  {old} -> {new}")


def _outcome_text(result: TestResult) -> str:
    return result.outcome.value


def _artifact_text(artifact: Artifact) -> str:
    return f"{size_text(artifact.size_bytes)} ({artifact.digest.short})"
