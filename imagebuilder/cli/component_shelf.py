"""Components as `list` and `show` print them."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imagebuilder.cli.output import Json, note, print_json, print_lines, print_table
from imagebuilder.services.browsing import needs_of

if TYPE_CHECKING:
    from imagebuilder.domain.component import Component, ComponentStep
    from imagebuilder.services.browsing import ListedComponent, Needs, ShownComponent

_HEADINGS = ("NAME", "VERSION", "NEEDS", "TAGS", "DESCRIPTION")


def print_list(components: "Sequence[ListedComponent]", *, as_json: bool) -> None:
    """Print components, and on stderr the faults of those that cannot be used."""
    if as_json:
        print_json([_listed_json(listed) for listed in components])
        return
    print_table(_HEADINGS, [_row(listed) for listed in components])
    for listed in components:
        for problem in listed.problems[:1]:
            more = len(listed.problems) - 1
            note(f"faulty: {problem}" + (f"\n  and {more} more" if more else ""))


def print_component(shown: "ShownComponent", *, as_json: bool) -> None:
    """Print all that is known of a component."""
    if as_json:
        print_json(_shown_json(shown))
        return
    print_lines(*_text(shown))
    for warning in shown.warnings:
        note(f"warning: {warning}")


def _row(listed: "ListedComponent") -> tuple[str, ...]:
    component = listed.component
    if component is None:
        return (listed.name, "", "", "", f"faulty: {_path(listed.path)}")
    return (
        component.name,
        str(component.version),
        ", ".join(needs_of(component).words),
        _tags(component),
        component.description,
    )


def _text(shown: "ShownComponent") -> Iterator[str]:
    component = shown.component
    yield f"{component.name} {component.version}"
    if component.description:
        yield f"  {' '.join(component.description.split())}"
    yield f"file      {_path(shown.path)}"
    yield f"needs     {', '.join(shown.needs.words)}"
    yield f"platform  {', '.join([component.platform, *component.supported_os_versions])}"
    if component.tags:
        yield f"tags      {_tags(component)}"
    yield from _parameter_lines(component)
    if component.constants:
        yield ""
        yield "constants"
        yield from (f"  {name} = {value}" for name, value in component.constants.items())
    for phase in component.phases:
        yield ""
        yield phase.name
        yield from (f"  {step.name} ({step.action}){_notes(step)}" for step in phase.steps)
    ships = _ships(component)
    if ships:
        yield ""
        yield "ships"
        yield from (f"  {path}" for path in ships)
    yield ""
    yield "used by"
    yield from (f"  {_path(path)}" for path in shown.recipes)
    if not shown.recipes:
        yield "  no recipe beside it"


def _parameter_lines(component: "Component") -> Iterator[str]:
    if component.parameters:
        yield ""
        yield "parameters"
    for parameter in component.parameters:
        default = "required" if parameter.default is None else f"default {parameter.default!r}"
        about = f": {parameter.description}" if parameter.description else ""
        yield f"  {parameter.name} ({parameter.type}, {default}){about}"


def _notes(step: "ComponentStep") -> str:
    said = [] if step.guard is None else ["if"]
    said += [] if step.loop is None else ["loop"]
    said += [] if step.max_attempts == 1 else [f"{step.max_attempts} attempts"]
    said += [] if step.on_failure == "Abort" else [f"on failure {step.on_failure}"]
    return f"  [{', '.join(said)}]" if said else ""


def _ships(component: "Component") -> list[str]:
    steps = (step for phase in component.phases for step in phase.steps)
    return sorted({path for step in steps for path in step.ships})


def _tags(component: "Component") -> str:
    return ", ".join(f"{name}={value}" for name, value in component.tags.items())


def _path(path: str) -> str:
    """Write a path as seen from here when it lies below."""
    near = os.path.relpath(path)
    return path if near.startswith("..") else near


def _needs_json(needs: "Needs") -> Json:
    return {
        "root": True,
        "network": needs.network,
        "secrets": needs.secrets,
        "windows": needs.windows,
    }


def _listed_json(listed: "ListedComponent") -> Json:
    component = listed.component
    return {
        "name": listed.name,
        "version": str(component.version) if component else None,
        "description": component.description if component else None,
        "tags": dict(component.tags) if component else {},
        "needs": _needs_json(needs_of(component)) if component else None,
        "file": listed.path,
        "is_sound": component is not None,
    }


def _shown_json(shown: "ShownComponent") -> Json:
    component = shown.component
    return {
        "name": component.name,
        "version": str(component.version),
        "description": component.description,
        "file": shown.path,
        "tags": dict(component.tags),
        "platform": component.platform,
        "supported_os_versions": list(component.supported_os_versions),
        "needs": _needs_json(shown.needs),
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "is_required": parameter.default is None,
                "default": parameter.default,
                "description": parameter.description,
            }
            for parameter in component.parameters
        ],
        "constants": dict(component.constants),
        "phases": [
            {
                "name": phase.name,
                "steps": [
                    {
                        "name": step.name,
                        "action": step.action,
                        "has_condition": step.guard is not None,
                        "has_loop": step.loop is not None,
                        "on_failure": step.on_failure,
                        "max_attempts": step.max_attempts,
                        "timeout_seconds": step.timeout_seconds,
                    }
                    for step in phase.steps
                ],
            }
            for phase in component.phases
        ],
        "ships": _ships(component),
        "recipes": list(shown.recipes),
    }
