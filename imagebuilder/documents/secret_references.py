"""Where secrets lie: a document names the place; one that holds the secret itself is refused."""

import re
from collections.abc import Iterable
from dataclasses import replace

from imagebuilder.documents.nodes import Node, ScalarNode
from imagebuilder.documents.problems import Problem
from imagebuilder.documents.reading import OpenDocument

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00-\x1f]+")


def conceal_secrets(reading: OpenDocument, secrets: Iterable[Node]) -> None:
    """See that no problem repeats a secret that was written in clear, and refuse it."""
    for node in filter(_is_clear, secrets):

        def concealed(problem: Problem, node: Node = node) -> Problem | None:
            if problem.origin == node.origin:
                return None
            if problem.origin.line != node.origin.line:
                return problem
            return replace(problem, line=_masked(problem.line, node))

        reading.problems.rewrite(concealed)
        line = _masked(reading.source.line(node.origin.line), node)
        said = Problem(
            message="A secret may not be written into a document.",
            origin=node.origin,
            hint="Write where it lies, env:NAME or file:/PATH, and use this one no longer.",
            line=line,
        )
        reading.problems.add(said)


def _is_clear(secret: Node) -> bool:
    is_reference = isinstance(secret, ScalarNode) and _REFERENCE.fullmatch(secret.text)
    return not is_reference and secret.plain() is not None


def _masked(line: str, node: Node) -> str:
    """Give a line without a value that begins in it; from there on without all that may be it."""
    start = node.origin.column - 1
    if not isinstance(node, ScalarNode):
        return line[:start]
    end = min(len(line), start + node.end - node.start)
    return f"{line[:start]}{'*' * (end - start)}{line[end:]}"
