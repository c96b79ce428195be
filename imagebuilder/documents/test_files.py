"""Test files: what their markers ask for, read without running them.

A build takes minutes before its first test; a marker that means nothing is told before it begins.
What only a run can tell, such as a number that is worked out, is left to the run.
"""

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.problems import Problem
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.recipe import LONGEST_TEST_SECONDS, MOST_RETRIES, Firmware
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.spelling import did_you_mean

_PLAIN = ("offline", "booted", "machine")
_OURS = (*_PLAIN, "firmware", "retries", "timeout", "each", "control")
_OF_PYTEST = ("parametrize", "skip", "skipif", "xfail", "usefixtures", "filterwarnings")
_SETTINGS_FILE = "conftest.py"
_DECLARED = 2
"""A marker is declared as addinivalue_line("markers", "name: meaning")."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Fits = Callable[[float], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """A marker where it is used; `call` is None when it has no parentheses."""

    name: str
    node: ast.Attribute
    call: ast.Call | None
    function: _Function | None


class _Fault(Exception):
    """A marker is used wrongly: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def problems_of_tests(
    texts: Mapping[str, str], variables: Mapping[str, Canonical]
) -> tuple[Problem, ...]:
    """Give what is wrong with test files that run together. Shape: `texts` maps a path to a text.

    Markers that a conftest.py declares are known in all of them.
    """
    own = {
        name
        for path, text in texts.items()
        if path.endswith(_SETTINGS_FILE)
        for name in _declared(_parsed(text, path))
    }
    return tuple(
        problem for path, text in texts.items() for problem in _problems(path, text, own, variables)
    )


@lru_cache(maxsize=1024)
def _parsed(text: str, path: str) -> ast.Module | Problem:
    try:
        return ast.parse(text, path)
    except SyntaxError as fault:
        origin = Origin(document=path, line=fault.lineno or 1, column=fault.offset or 1)
        said = f"It is no Python: {fault.msg}."
    except (ValueError, RecursionError, MemoryError) as fault:
        origin, said = Origin(document=path, line=1, column=1), f"It is no Python: {fault}."
    return Problem(message=said, origin=origin, line=_line(text, origin.line))


def _problems(
    path: str, text: str, own: Collection[str], variables: Mapping[str, Canonical]
) -> Iterator[Problem]:
    parsed = _parsed(text, path)
    if isinstance(parsed, Problem):
        yield parsed
        return
    for mark in _marks(parsed):
        if mark.name in own or mark.name in _OF_PYTEST:
            continue
        try:
            _check(mark, own, variables)
        except _Fault as fault:
            line, column = mark.node.lineno, mark.node.col_offset + 1
            yield Problem(
                message=fault.message,
                origin=Origin(document=path, line=line, column=column),
                hint=fault.hint,
                line=_line(text, line),
            )


def _marks(module: ast.Module) -> Iterator[_Mark]:
    """Give every marker, wherever it is used, by place."""
    modules, marks = _names(module)
    calls: dict[ast.expr, ast.Call] = {}
    functions: dict[ast.expr, _Function] = {}
    found: list[ast.Attribute] = []
    for node in ast.walk(module):
        match node:
            case ast.Call(func=called):
                calls[called] = node
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions |= dict.fromkeys(node.decorator_list, node)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="mark")):
                found += [node] if name in modules else []
            case ast.Attribute(value=ast.Name(id=name)):
                found += [node] if name in marks else []
    for node in sorted(found, key=lambda each: (each.lineno, each.col_offset)):
        call = calls.get(node)
        yield _Mark(name=node.attr, node=node, call=call, function=functions.get(call or node))


def _names(module: ast.Module) -> tuple[set[str], set[str]]:
    """Give what pytest, and its marks, are called in a file."""
    modules: set[str] = set()
    marks: set[str] = set()
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                modules |= {n.asname or n.name for n in names if n.name == "pytest"}
            case ast.ImportFrom(module="pytest", names=names):
                marks |= {n.asname or n.name for n in names if n.name == "mark"}
    return modules, marks


def _declared(parsed: ast.Module | Problem) -> Iterator[str]:
    """Give the markers that a file makes known to pytest itself."""
    for node in ast.walk(parsed) if isinstance(parsed, ast.Module) else ():
        match node:
            case ast.Call(func=ast.Attribute(attr="addinivalue_line"), args=args):
                texts = [arg.value for arg in args if isinstance(arg, ast.Constant)]
                if len(texts) == _DECLARED and texts[0] == "markers":
                    yield str(texts[1]).partition(":")[0].partition("(")[0].strip()


def _check(mark: _Mark, own: Collection[str], variables: Mapping[str, Canonical]) -> None:
    match mark.name:
        case "offline" | "booted" | "machine":
            if mark.call is not None and (mark.call.args or mark.call.keywords):
                raise _Fault(f"The marker {mark.name} takes nothing.", f"Write {_form(mark)}.")
        case "firmware":
            _check_firmware(mark)
        case "retries":
            whole = range(MOST_RETRIES + 1)
            _check_number(mark, f"a whole number up to {MOST_RETRIES}", lambda n: n in whole)
        case "timeout":
            limit = LONGEST_TEST_SECONDS
            _check_number(mark, f"seconds, at most {limit}", lambda n: 0 < n <= limit)
        case "each":
            _check_each(mark, variables)
        case "control":
            _check_control(mark)
        case _:
            known = (*_OURS, *_OF_PYTEST, *own)
            hint = did_you_mean(mark.name, known)
            raise _Fault(
                f"There is no marker {quoted(mark.name)}.",
                hint or f"There are {', '.join(_OURS)}; declare others in {_SETTINGS_FILE}.",
            )


def _check_firmware(mark: _Mark) -> None:
    known = [firmware.value for firmware in Firmware]
    given = mark.call.args if mark.call else []
    words = [arg.value for arg in given if isinstance(arg, ast.Constant)]
    unknown = [word for word in words if word not in known]
    if not given or (mark.call and mark.call.keywords) or unknown:
        raise _Fault(
            f"The marker firmware takes one of {', '.join(known)}, or both.",
            f'Write {_form(mark)}("uefi").',
        )


def _check_number(mark: _Mark, what: str, is_fit: _Fits) -> None:
    given = mark.call.args if mark.call else []
    if len(given) == 1 and mark.call and not mark.call.keywords:
        try:
            number = ast.literal_eval(given[0])
        except (ValueError, TypeError, MemoryError, RecursionError):
            # It is worked out; the run refuses it if it does not fit.
            return
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if is_number and is_fit(number):
            return
    raise _Fault(f"The marker {mark.name} takes {what}.", f"Write {_form(mark)}(2).")


def _check_each(mark: _Mark, variables: Mapping[str, Canonical]) -> None:
    given = mark.call
    if given is None or given.args or not given.keywords:
        example = f'{_form(mark)}(port="ports")'
        raise _Fault("The marker each takes an argument and the variable it is of.", example)
    for keyword in given.keywords:
        if keyword.arg is None or not isinstance(keyword.value, ast.Constant):
            continue
        name = str(keyword.value.value)
        if mark.function is not None and keyword.arg not in _arguments(mark.function):
            message = f"{mark.function.name} has no argument {quoted(keyword.arg)}."
            raise _Fault(message, f"Give it one: def {mark.function.name}({keyword.arg}, ...).")
        if not isinstance(variables.get(name), list) or not variables[name]:
            known = [known for known, value in variables.items() if isinstance(value, list)]
            hint = did_you_mean(name, known)
            raise _Fault(
                f"The recipe has no list {quoted(name)} for these tests.",
                hint or f"Write in it: {{path: ..., variables: {{{name}: [...]}}}}.",
            )


def _check_control(mark: _Mark) -> None:
    """Refuse what the plugin refuses, where it stands in the file as it is."""
    args = mark.call.args if mark.call else []
    given = {k.arg: k.value for k in mark.call.keywords} if mark.call else {}
    known = [severity.value for severity in Severity if severity is not Severity.UNKNOWN]
    severity = given.get("severity")
    rule = args[0].value if args and isinstance(args[0], ast.Constant) else "A"
    is_one_word = isinstance(rule, str) and rule.split() == [rule]
    if len(args) != 1 or not is_one_word or given.keys() - {"severity", "title", None}:
        hint = f'Write {_form(mark)}("ACME-SSH-01", severity="high").'
        raise _Fault("The marker control takes the id of a control, which is one word.", hint)
    if isinstance(severity, ast.Constant) and severity.value not in ("", *known):
        raise _Fault(
            f"There is no severity {quoted(str(severity.value))}.",
            did_you_mean(str(severity.value), known) or f"There are {', '.join(known)}.",
        )


def _arguments(function: _Function) -> set[str]:
    given = function.args
    return {arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)}


def _form(mark: _Mark) -> str:
    return f"@{ast.unparse(mark.node)}"


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if 0 < number <= len(lines) else ""
