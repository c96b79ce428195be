"""Values: what the references of a component stand for while it runs.

A reference whose form is known but that leads nowhere among the document's own values stays as it
is written, as AWSTOE leaves it; one that asks the image or an account and gets nothing is an error.

Source: AWS Task Orchestrator and Executor, "Use variables in component documents" and "Input and
output chaining".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.loops import Iteration
from imagebuilder.domain.references import (
    CURRENT_LOOP,
    ContextKey,
    ContextValue,
    EnvironmentValue,
    LoopPart,
    LoopValue,
    NamedValue,
    Reference,
    Side,
    StepValue,
    substitute,
    substitute_text,
)
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.values import OutsideValue, ValueNotFound, ValueSource
from imagebuilder.services.provisioning.outcomes import StepOutcome
from imagebuilder.services.provisioning.outside import (
    OutsideReference,
    OutsideValueChanged,
    identity,
    value_of,
    written,
)
from imagebuilder.services.provisioning.secrets import Secrets

_ASKING_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Where values come from that no document holds."""

    clock: Clock
    ids: IdSource
    source: ValueSource
    secrets: Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a reference stands: in which step, and in which turn of its loop."""

    phase: str
    step: str
    loop: str = ""
    iteration: Iteration | None = None


class Values:
    """The values of one component."""

    def __init__(
        self,
        component: Component,
        parameters: Mapping[str, str],
        origins: Origins,
        execution_id: str = "",
    ) -> None:
        """Fill references from parameters, then constants, then what steps gave."""
        self._named = {**component.constants, **parameters}
        self._origins = origins
        self._done: dict[tuple[str, str], StepOutcome] = {}
        self._execution_id = execution_id
        self._unique_id = ""
        self._asked: dict[OutsideReference, OutsideValue] = {}
        self._planned = component.outside

    @property
    def execution_id(self) -> str:
        """The name of this run of the component, as {{ context:executionId }} gives it."""
        if not self._execution_id:
            self._execution_id = self._origins.ids.new("execution")
        return self._execution_id

    def remember(self, phase: str, outcome: StepOutcome) -> None:
        """Let later steps refer to a step."""
        self._done[phase, outcome.name] = outcome

    def resolved(self, value: Canonical, place: Place, around: "Surroundings") -> Canonical:
        """Give a value with its references filled. Raises: ValueNotFound, and as ValueSource."""
        return substitute(value, lambda reference: self._text(reference, place, around))

    def resolved_text(self, text: str, place: Place, around: "Surroundings") -> str:
        """Give a text with its references filled. Raises: as `resolved`."""
        return substitute_text(text, lambda reference: self._text(reference, place, around))

    def _text(self, reference: Reference, place: Place, around: "Surroundings") -> str | None:
        match reference:
            case NamedValue(name=name):
                return self._named.get(name)
            case StepValue():
                done = self._done.get((reference.phase, reference.step))
                return None if done is None else _step_value(done, reference)
            case LoopValue():
                return _loop_value(reference, place)
            case EnvironmentValue(name=name):
                return around.variable(name)
            case ContextValue(key=key):
                return self._context(key, place, around)
            case _:
                return self._outside(reference)

    def _outside(self, reference: OutsideReference) -> str | None:
        """Give a value of the account, the same as before when it was asked for before.

        Raises: OutsideValueChanged: the layer is known by another.
        """
        if reference not in self._asked:
            found = value_of(reference, self._named, self._origins.source)
            if found is None:
                return None
            if found.is_secret:
                self._origins.secrets.add(found.text)
            name = written(reference)
            if self._planned.get(name, identity(found)) != identity(found):
                raise OutsideValueChanged(name)
            self._asked[reference] = found
        return self._asked[reference].text

    def _context(self, key: ContextKey, place: Place, around: "Surroundings") -> str:
        now = self._origins.clock.now
        answers: Mapping[ContextKey, Callable[[], str]] = {
            ContextKey.EXECUTION_ID: lambda: self.execution_id,
            ContextKey.ACCOUNT_ID: self._origins.source.account,
            ContextKey.REGION: self._origins.source.region,
            ContextKey.OS_PLATFORM: lambda: "linux",
            ContextKey.OS_NAME: lambda: around.release("NAME"),
            ContextKey.OS_VERSION: lambda: around.release("VERSION_ID"),
            ContextKey.DATE: lambda: f"{now():%Y-%m-%d}",
            ContextKey.DATE_TIME: lambda: f"{now():%Y-%m-%dT%H:%M:%SZ}",
            ContextKey.UUID: self._uuid,
            ContextKey.HOSTNAME: around.hostname,
            ContextKey.PHASE: lambda: place.phase,
            ContextKey.STEP: lambda: place.step,
        }
        return answers[key]()

    def _uuid(self) -> str:
        """Give the one unique id of this run of the component, in the form of a random UUID."""
        if not self._unique_id:
            seed = sha256(self._origins.ids.new("uuid").encode()).digest()[:16]
            self._unique_id = str(UUID(bytes=seed, version=4))
        return self._unique_id


@dataclass(slots=True)
class Surroundings:
    """What components ask of the machine they run on, each asked once."""

    machine: Machine
    _variables: dict[str, str] = field(default_factory=dict)
    _release: dict[str, str] = field(default_factory=dict)

    def variable(self, name: str) -> str:
        """Give a variable of the environment scripts have. Raises: ValueNotFound."""
        if not self._variables:
            said = self._said("env -0\n")
            pairs = (line.partition("=") for line in said.split("\0"))
            self._variables = {key: text for key, _, text in pairs}
        if name not in self._variables:
            raise ValueNotFound(f"env:{name}", "the environment of the image's scripts")
        return self._variables[name]

    def release(self, name: str) -> str:
        """Give what the image's os-release says, empty when it does not say it."""
        if not self._release:
            script = "[ ! -r /etc/os-release ] || . /etc/os-release\n"
            said = self._said(script + 'printf "%s\\0%s" "$NAME" "$VERSION_ID"\n')
            found, _, version = said.partition("\0")
            self._release = {"NAME": found, "VERSION_ID": version}
        return self._release[name]

    def hostname(self) -> str:
        """Give the machine's name."""
        return self._said("cat /proc/sys/kernel/hostname\n").strip()

    def _said(self, text: str) -> str:
        result = self.machine.run(Script(text=text, timeout_seconds=_ASKING_SECONDS))
        return result.stdout.decode(errors="replace")


def _loop_value(reference: LoopValue, place: Place) -> str | None:
    turn = place.iteration
    if turn is None or reference.loop not in {CURRENT_LOOP, place.loop}:
        return None
    return str(turn.index) if reference.part is LoopPart.INDEX else turn.value


def _step_value(done: StepOutcome, reference: StepValue) -> str | None:
    index = reference.index or 0
    if reference.side is Side.OUTPUTS:
        outputs = done.outputs
        return outputs[index].get(reference.key) if index < len(outputs) else None
    inputs = done.inputs
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        inputs = inputs[index] if index < len(inputs) else None
    value = inputs.get(reference.key) if isinstance(inputs, Mapping) else None
    return None if value is None else str(value)
