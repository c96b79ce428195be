"""Files of packs: what they say of themselves, read without running them."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_STAGES = ("offline", "booted", "machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackTest:
    """A test of a pack, the stages that it runs in, and what it finds true."""

    name: str
    stages: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackText:
    """What a pack's file says: what holds where it passes, more of it, and its tests."""

    says: str
    more: str
    tests: tuple[PackTest, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """All stages in which it has tests, in their order."""
        return tuple(stage for stage in _STAGES if any(stage in t.stages for t in self.tests))


def pack_text(text: str) -> PackText:
    """Give what the text of a pack's file says."""
    module = ast.parse(text)
    of_all = tuple(_marks(list(_marks_of_all(module))))
    says, _, more = (ast.get_docstring(module) or "").partition("\n\n")
    tests = tuple(
        PackTest(
            name=node.name,
            stages=tuple(_marks(node.decorator_list)) or of_all or _STAGES[:1],
            says=(ast.get_docstring(node) or "").partition("\n")[0],
        )
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )
    return PackText(says=" ".join(says.split()), more=more, tests=tests)


def _marks_of_all(module: ast.Module) -> Iterator[ast.expr]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            yield node.value


def _marks(values: Sequence[ast.expr]) -> Iterator[str]:
    """Give the stages that are named in what marks tests, in their order."""
    found = {
        node.attr
        for value in values
        for node in ast.walk(value)
        if isinstance(node, ast.Attribute) and node.attr in _STAGES
    }
    return (stage for stage in _STAGES if stage in found)
