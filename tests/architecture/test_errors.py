"""Errors: unique codes, whole sentences, and a place in the reference."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

from imagebuilder.domain.errors import ImageBuilderError
from tests.architecture.error_table import EXIT_STATUS, PAGE, leaves, page
from tests.architecture.house import PACKAGE, named, python_files, tree

WRITE_ANEW = "write it anew with: .venv/bin/python -m tests.architecture.error_table"


def test_error_codes_are_unique_and_kebab_case() -> None:
    codes = [error.code for error in (*leaves(), *EXIT_STATUS)]

    assert [code for code, count in Counter(codes).items() if count > 1] == []
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", code)] == []


def test_every_error_has_a_code_of_its_own() -> None:
    assert [e.__name__ for e in leaves() if "code" not in vars(e)] == []


def test_every_error_is_of_one_family() -> None:
    families = tuple(EXIT_STATUS)

    assert [e.__name__ for e in leaves() if sum(issubclass(e, f) for f in families) != 1] == []


def test_the_error_reference_is_that_of_the_classes() -> None:
    assert PAGE.exists(), WRITE_ANEW
    assert PAGE.read_text() == page(), WRITE_ANEW


def _messages() -> Iterator[tuple[str, ast.expr]]:
    """Give what every error class passes up as its message."""
    names = {error.__name__ for error in leaves()}
    for file in python_files(PACKAGE):
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.ClassDef) and node.name in names:
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
                        yield f"{named(file)}:{node.name}", _literal(call.args[0], node)


def _literal(message: ast.expr, where: ast.ClassDef) -> ast.expr:
    """Give what a name was last set to in its class; anything else as it is."""
    values = [
        node.value
        for node in ast.walk(where)
        if isinstance(node, ast.Assign)
        and ast.dump(node.targets[0]) == ast.dump(_as_target(message))
    ]
    return values[-1] if values else message


def _as_target(message: ast.expr) -> ast.expr:
    return ast.Name(message.id, ast.Store()) if isinstance(message, ast.Name) else message


def _ends(message: ast.expr) -> Iterator[str]:
    """Give every text a message may end with, as far as it is written down."""
    match message:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[*_, last]):
            yield from _ends(last)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _ends(body)
            yield from _ends(orelse)
        case ast.FormattedValue(value=value):
            yield from _ends(value)
        case ast.BinOp(right=right):
            yield from _ends(right)
        case _:
            yield f"({ast.unparse(message)}: not a text)"


def test_every_message_ends_with_a_period() -> None:
    messages = list(_messages())

    assert len(messages) >= len(leaves()) // 2
    assert [
        f"{where}: {end}"
        for where, text in messages
        for end in _ends(text)
        if not end.endswith(".")
    ] == []


def test_no_error_is_caught_and_dropped_by_a_bare_except() -> None:
    bare = [
        f"{named(file)}:{node.lineno}"
        for file in python_files(PACKAGE)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]

    assert bare == []


def test_the_root_of_all_errors_is_never_raised_itself() -> None:
    families = {family.__name__ for family in EXIT_STATUS} | {ImageBuilderError.__name__}
    raised = [
        f"{named(file)}:{node.lineno}"
        for file in python_files(PACKAGE)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func).rpartition(".")[2] in families
    ]

    assert raised == []
