"""What stands twice says the same: fakes and ports, commands and their page."""

import importlib
import inspect
import typing
from types import ModuleType

import pytest
import typer

from tests.architecture.house import PACKAGE, ROOT

FAKES = sorted(f.stem for f in (ROOT / "tests/fakes").glob("*.py") if f.stem != "__init__")


def _classes(module: ModuleType) -> list[type]:
    return [
        c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__
    ]


def _protocols(module: ModuleType) -> list[type]:
    return [c for c in _classes(module) if getattr(c, "_is_protocol", False)]


def _face(role: type) -> dict[str, list[str] | None]:
    """Give the public members of a class: a method's parameters, None for the rest."""
    members = {name: getattr(role, name) for name in dir(role) if not name.startswith("_")}
    return {
        name: list(inspect.signature(member).parameters) if inspect.isfunction(member) else None
        for name, member in members.items()
    }


def _mirrors(fake: type, port: type) -> bool:
    ours, theirs = _face(fake), _face(port)
    attributes = set(typing.get_type_hints(fake)) | set(ours)
    return all(
        name in attributes and (parameters is None or ours.get(name) == parameters)
        for name, parameters in theirs.items()
    )


@pytest.mark.parametrize("name", FAKES)
def test_each_role_of_a_port_has_a_fake_with_the_same_face(name: str) -> None:
    port = importlib.import_module(f"imagebuilder.ports.{name}")
    fakes = _classes(importlib.import_module(f"tests.fakes.{name}"))

    roles = _protocols(port)
    assert roles
    assert [r.__name__ for r in roles if not any(_mirrors(fake, r) for fake in fakes)] == []


def _commands(app: typer.Typer) -> list[str]:
    """Give every command as it is typed, without the program's name."""
    own = [
        str(command.name or getattr(command.callback, "__name__", "").replace("_", "-"))
        for command in app.registered_commands
        if not command.hidden
    ]
    below = [
        f"{group.name} {name}".strip()
        for group in app.registered_groups
        if group.typer_instance is not None and not group.hidden
        for name in _commands(group.typer_instance)
    ]
    return own + below


def test_every_command_stands_in_its_page() -> None:
    main = PACKAGE / "cli/main.py"
    page = ROOT / "docs/cli.md"
    assert main.exists() == page.exists(), "cli/main.py and docs/cli.md must come together"

    if main.exists():
        app = importlib.import_module("imagebuilder.cli.main").command_line()
        commands = _commands(app)
        assert commands
        text = page.read_text()
        assert [c for c in commands if f"imagebuilder {c}" not in text] == []
