"""What the YAML parser says of malformed text, in words of our own and with what to do about it."""

import yaml

from imagebuilder.documents.problems import Problem
from imagebuilder.documents.source import SourceText
from imagebuilder.domain.origin import Origin

_IN_CONTEXT = {
    "did not find expected ',' or ']'": ("This list is not closed with ].", "["),
    "did not find expected ',' or '}'": ("This mapping is not closed with }.", "{"),
    "found unexpected end of stream": ("This quoted text is not closed.", ""),
}
"""What the parser sees at the end is shown where it began: there it is repaired."""

_IN_PLACE = {
    "mapping values are not allowed in this context": (
        "A key with a colon cannot stand here.",
        "Check the indentation, or quote the text when the colon belongs to it.",
    ),
    "did not find expected key": (
        "This line does not fit into the mapping around it.",
        "Check the indentation, and that quoted text ends where it should.",
    ),
    "did not find expected '-' indicator": (
        "This line does not fit into the list around it.",
        "Check the indentation, or begin it with a dash.",
    ),
    "could not find expected ':'": (
        "A key without a colon.",
        "Write a colon and a space after it.",
    ),
    "found unknown escape character": (
        "This escape is not known between double quotes.",
        "Double the backslash, or use single quotes.",
    ),
    "found undefined tag handle": ("Tags are not allowed here.", "Quote text that begins with !."),
    "did not find expected <document start>": (
        "Text stands behind the document's end.",
        "Remove it, or the line ... before it.",
    ),
}


def syntax_problem(source: SourceText, error: yaml.YAMLError) -> Problem:
    """Give what is wrong, at the place where a person would repair it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return source.problem(f"This is not YAML: {error}.", Origin(document=source.document))
    said = error.problem or "it cannot be read"
    origin = _origin(source, error.problem_mark)
    if said in _IN_CONTEXT and error.context_mark is not None:
        message, opening = _IN_CONTEXT[said]
        begun = _origin(source, error.context_mark)
        hint = (
            f"Close it, or quote text that begins with {opening}."
            if opening
            else "Add the closing quote."
        )
        if origin.line != begun.line:
            hint = f"It was noticed in line {origin.line}. {hint}"
        return source.problem(message, begun, hint)
    if "cannot start any token" in said:
        return _bad_start(source, origin)
    if said in _IN_PLACE:
        message, hint = _IN_PLACE[said]
        return source.problem(message, origin, hint)
    where = f" {error.context}" if error.context else ""
    return source.problem(f"This is not YAML:{where}, {said}.".replace(":,", ":"), origin)


def _bad_start(source: SourceText, origin: Origin) -> Problem:
    character = source.line(origin.line)[origin.column - 1 : origin.column]
    if character == "\t":
        return source.problem("A tab cannot indent a line.", origin, "Use spaces.")
    return source.problem(
        f"Text cannot begin with {character} here.", origin, "Put it between quotes."
    )


def _origin(source: SourceText, mark: yaml.Mark) -> Origin:
    return Origin(document=source.document, line=mark.line + 1, column=mark.column + 1)
