"""Component: a reusable, parameterised piece of build work.

The document is AWSTOE's, schemaVersion 1.0; what it means when it runs is `services.provisioning`.

Source: AWS Task Orchestrator and Executor, component documents, schema version 1.0.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from itertools import chain
from typing import cast

from imagebuilder.domain.actions import ActionName as ActionName  # noqa: PLC0414 - one noun
from imagebuilder.domain.conditions import Guard
from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ComponentName
from imagebuilder.domain.loops import Loop
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.versions import Version

SIZE_LIMIT_BYTES = 64 * 1024
"""EC2 Image Builder refuses larger documents; we warn, so that a document stays portable."""

_NAMES_SHOWN = 12
_PATH_INPUTS = ("path", "source", "destination", "target")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\|%[A-Za-z]|\$env:", re.IGNORECASE)


class PhaseName(StrEnum):
    """When a step runs: into the layer, against the layer, or in the booted image.

    A document may have phases of other names too; they run only when they are asked for by name.
    """

    BUILD = "build"
    VALIDATE = "validate"
    TEST = "test"


class OnFailure(StrEnum):
    """What a failed step means for the steps after it and for the document."""

    ABORT = "Abort"
    CONTINUE = "Continue"
    IGNORE = "Ignore"


class Network(StrEnum):
    """What a component may reach while it runs."""

    NONE = "none"
    PACKAGES = "packages"
    FULL = "full"


class ValueType(StrEnum):
    """What a parameter is said to hold; all values are kept and filled in as text."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING_LIST = "stringList"


class Platform(StrEnum):
    """The system a component says it is for."""

    LINUX = "linux"
    WINDOWS = "windows"
    MACOS = "macos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value the recipe may give; required when it has no default."""

    name: str
    type: ValueType = ValueType.STRING
    default: str | None = None
    description: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentStep:
    """One action of a phase; references in `inputs` are still unresolved.

    Shape: `inputs` is a mapping, or a sequence of mappings for file actions, as the document has
    it.
    Invariant: `timeout_seconds` is positive, or None for no limit; `max_attempts` is at least 1.
    """

    name: str
    action: ActionName
    inputs: Canonical = None
    timeout_seconds: int | None = 7200
    on_failure: OnFailure = OnFailure.ABORT
    max_attempts: int = 1
    guard: Guard | None = None
    loop: Loop | None = None
    hides_output: bool = False
    origin: Origin | None = None

    @property
    def ships(self) -> tuple[str, ...]:
        """The files and folders beside the document that it needs.

        A playbook needs the folder it lies in: its roles and templates are found from there.
        """
        given = self.inputs if isinstance(self.inputs, Mapping) else {}
        match self.action:
            case ActionName.COPY_TREE:
                return tuple(str(item["source"]) for item in _mappings(self.inputs))
            case ActionName.RUN_TESTINFRA:
                return _texts(given.get("paths"))
            case ActionName.RUN_ANSIBLE:
                playbooks, roles = _texts(given.get("playbook")), _texts(given.get("role"))
                folders = (playbook.rpartition("/")[0] or "." for playbook in playbooks)
                return (*roles, *playbooks, *folders)
            case _:
                return ()

    @property
    def needs_windows(self) -> bool:
        """Whether its action, or a path it names, is one that only Windows has."""
        return self.action.is_windows_only or any(
            isinstance(path, str) and _WINDOWS_PATH.match(path)
            for item in _mappings(self.inputs)
            for path in map(item.get, _PATH_INPUTS)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Named steps in their order. Invariant: step names are unique within it."""

    name: str
    steps: tuple[ComponentStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component document, read and found sound.

    Shape: `files` maps what its steps ship, as they name it, to what was found there; `documents`
    maps the documents its steps run, as they name them, to what those are; `outside` maps a
    reference to an account's value, as it is written, to what tells that value from others.
    Invariant: phase names are unique; parameter and constant names are unique across both.
    """

    name: ComponentName
    version: Version
    phases: tuple[Phase, ...]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)
    network: Network = Network.PACKAGES
    files: Mapping[str, Digest] = field(default_factory=dict)
    documents: Mapping[str, "Component"] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)
    platform: Platform = Platform.LINUX
    supported_os_versions: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    origin: Origin | None = None

    def steps(self, phase: str) -> tuple[ComponentStep, ...]:
        """Give the steps of a phase; none when the document has no such phase."""
        return tuple(step for p in self.phases if p.name == phase for step in p.steps)

    @property
    def all_documents(self) -> tuple["Component", ...]:
        """The documents it is known to run, and those that they run."""
        inner = self.documents.values()
        return (*inner, *(below for each in inner for below in each.all_documents))

    @property
    def layer_digest(self) -> Digest:
        """The identity of what ends up in the layer, or decides whether there is one.

        Prose and the test phase are left out: to change them rebuilds nothing.
        """
        return self._digest(PhaseName.BUILD, PhaseName.VALIDATE)

    @property
    def digest(self) -> Digest:
        """The identity of all that the component does."""
        others = (phase.name for phase in self.phases)
        return self._digest(*dict.fromkeys((*PhaseName, *others)))

    @property
    def windows_steps(self) -> tuple[tuple[str, ComponentStep], ...]:
        """The steps that cannot run here, each with its phase; conditions are not looked at."""
        return tuple((p.name, step) for p in self.phases for step in p.steps if step.needs_windows)

    def require_linux(self) -> None:
        """Refuse what would reach a step here that cannot run here.

        A step behind a condition may be skipped, so it is refused only when it is reached.
        Raises: ComponentNotForLinux.
        """
        unguarded = [each for each in self.windows_steps if each[1].guard is None]
        if unguarded or self.platform is not Platform.LINUX:
            raise ComponentNotForLinux(self, unguarded)

    @property
    def updates_packages(self) -> bool:
        """Whether the build phase upgrades packages, so that its layer depends on the day."""
        nested = (phase.steps for each in self.all_documents for phase in each.phases)
        steps = chain(self.steps(PhaseName.BUILD), *nested)
        return any(step.action is ActionName.UPDATE_OS for step in steps)

    @property
    def only_updates_packages(self) -> bool:
        """Whether upgrading is all that its build phase does."""
        return all(s.action is ActionName.UPDATE_OS for s in self.steps(PhaseName.BUILD))

    def _digest(self, *phases: str) -> Digest:
        shipped = {path for phase in phases for step in self.steps(phase) for path in step.ships}
        return digest_of(
            {
                # A document that others run is run by them in all its phases, unless they say so.
                "documents": {name: str(each.digest) for name, each in self.documents.items()},
                "outside": dict(self.outside),
                "files": {path: str(self.files[path]) for path in shipped & self.files.keys()},
                "name": self.name,
                "network": self.network,
                "parameters": [[p.name, p.default] for p in self.parameters],
                "constants": dict(self.constants),
                "phases": [
                    [phase, list(map(canonical_step, self.steps(phase)))] for phase in phases
                ],
            }
        )


def _mappings(inputs: Canonical) -> Sequence[Mapping[str, Canonical]]:
    items = inputs if isinstance(inputs, list | tuple) else [inputs]
    return [item for item in items if isinstance(item, Mapping)]


def _texts(value: Canonical) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(text for text in values if isinstance(text, str))


def canonical_step(step: ComponentStep) -> Canonical:
    """Give what of a step decides over the image; that its output is hidden does not."""
    canonical: list[Canonical] = [
        step.name,
        step.action,
        step.inputs,
        step.timeout_seconds,
        step.on_failure,
        step.max_attempts,
    ]
    if step.guard is not None or step.loop is not None:
        canonical += [_canonical_parts(step.guard), _canonical_parts(step.loop)]
    return canonical


def _canonical_parts(value: object) -> Canonical:
    """Give a guard or loop as its kind and its fields, each in the same way."""
    if is_dataclass(value):
        parts = [_canonical_parts(getattr(value, part.name)) for part in fields(value)]
        return [type(value).__name__, *parts]
    if isinstance(value, tuple):
        return [_canonical_parts(part) for part in value]
    return cast("Canonical", value)


class ComponentNotFound(InvalidInput):
    """A recipe names a component, or a version of one, that is not there."""

    code = "component-not-found"

    def __init__(
        self,
        asked: str,
        *,
        versions: Sequence[Version] = (),
        known: Sequence[str] = (),
        near: str | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Say which versions there are, or which names, and which may have been meant."""
        if versions:
            there = ", ".join(str(version) for version in sorted(versions))
            context = f"There {'is' if len(versions) == 1 else 'are'} {there}."
            hint = "Ask for a version that is there, or add the one you need."
        else:
            shown = ", ".join(known[:_NAMES_SHOWN])
            context = f"Components there are: {shown}." if known else "There are no components."
            hint = f"Did you mean {near}?" if near else "Check the name, or add the component."
        super().__init__(
            f"There is no component {asked}.", context=context, hint=hint, origin=origin
        )


class ComponentAmbiguous(InvalidInput):
    """Two documents are the same version of the same component."""

    code = "component-ambiguous"

    def __init__(self, component: str, paths: Sequence[str], *, origin: Origin | None) -> None:
        """Name the component and both documents."""
        super().__init__(
            f"{len(paths)} documents are component {component}.",
            context=", ".join(paths),
            hint="Give one of them another version or name, or name one by its path.",
            origin=origin,
        )


class ParameterUnknown(InvalidInput):
    """A value was given for a parameter that a component does not have."""

    code = "parameter-unknown"

    def __init__(self, component: Component, name: str, *, near: str | None) -> None:
        """Name it, and what may have been meant or else all there are."""
        there = ", ".join(parameter.name for parameter in component.parameters)
        super().__init__(
            f"Component {component.name} has no parameter {name!r}.",
            context=f"It has {there}." if there else "It has none.",
            hint=f"Did you mean {near}?" if near else "See them with: imagebuilder component show",
        )


class ParameterMissing(InvalidInput):
    """A component needs values that nobody gave."""

    code = "parameter-missing"

    def __init__(self, component: Component, missing: Sequence[Parameter]) -> None:
        """Name each with what its document says of it."""
        names = [parameter.name for parameter in missing]
        described = (f"{p.name}: {p.description}" for p in missing if p.description)
        super().__init__(
            f"Component {component.name} needs {', '.join(names)}.",
            context="\n".join(described),
            hint=f"Give it with: --set {names[0]}=VALUE",
        )


class ComponentNotForLinux(InvalidInput):
    """A component would run what only another system has."""

    code = "component-not-for-linux"

    def __init__(self, component: Component, steps: Sequence[tuple[str, ComponentStep]]) -> None:
        """Name the first step that cannot run and count all."""
        phase, step = steps[0] if steps else ("", None)
        what = f"Step {step.name} ({step.action}) in phase {phase} of component" if step else None
        super().__init__(
            f"{what or 'Component'} {component.name} cannot run on Linux.",
            context=f"{len(steps)} of its steps need Windows."
            if steps
            else f"It says that its platform is {component.platform}.",
            hint="Leave it out of the recipe. A step that should run on Windows only may ask for it"
            " with `if`: osPlatform of the context.",
            origin=step.origin if step else component.origin,
        )
