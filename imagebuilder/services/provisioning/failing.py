"""Failing: what a person is told of a step that failed, so that it can be mended and run again."""

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Canonical, canonical_json
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.units import size_text
from imagebuilder.services.provisioning.outcomes import StepOutcome
from imagebuilder.services.provisioning.scripts import mapping_of, texts_of

_SHOWN_LINES = 20
_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What a failed component was run with. `on` is empty when it is not known by a name."""

    parameters: Mapping[str, str]
    on: str = ""

    def command(self, component: Component, phase: str) -> str:
        """Give the command that runs just this component, up to the phase that failed."""
        path = component.origin.document if component.origin else str(component.name)
        phases = [p.name for p in component.phases]
        until = phases[: phases.index(phase) + 1] if phase in phases else [phase]
        words = ["imagebuilder", "component", "test", path]
        words += ["--on", self.on or "RECIPE", "--phases", ",".join(until)]
        for name, value in self.parameters.items():
            words += ["--set", f"{name}={value}"]
        return " ".join(map(quote, words))


class ComponentFailed(StepFailed):
    """A step of a component failed, and its document says that this counts."""

    code = "component-failed"

    def __init__(
        self,
        component: Component,
        phase: str,
        outcome: StepOutcome,
        *,
        command: Canonical = None,
        rerun: str = "",
    ) -> None:
        """Say which step of which phase failed, how, with which last words, and what to do.

        `command` is what the step came to, `rerun` the command that runs the component alone; no
        secret stands in either.
        """
        step, result = outcome.step, outcome.last.result
        document = component.origin.document if component.origin else ""
        parts = [
            f"Document: {document}" if document else "",
            _quoted_command(command),
            result.last_lines,
            f"({size_text(result.dropped_bytes)} of its output were dropped.)"
            if result.dropped_bytes
            else "",
            "(Its output is hidden, as disableLogging says.)" if step.hides_output else "",
        ]
        again = f"\nRun just this component with: {rerun}" if rerun else ""
        super().__init__(
            f"Step {step.name} ({step.action}) in phase {phase} of component {component.name} "
            f"{outcome.failure}.",
            context="\n".join(part for part in parts if part),
            hint="Correct the step and build again: the layers before it are kept. "
            f"With --keep the root stays for a look inside.{again}",
            origin=step.origin,
        )
        self.rerun = rerun
        self.outcome = outcome
        self.result = result


def _quoted_command(inputs: Canonical) -> str:
    """Give what a step came to, indented, the end cut off when it is long."""
    commands = texts_of(mapping_of(inputs), "commands")
    if commands:
        text = "\n".join(commands)
    elif inputs:
        text = canonical_json(inputs).decode(errors="replace")
    else:
        return ""
    lines = text[:_SHOWN_CHARACTERS].splitlines()
    shown = lines[:_SHOWN_LINES]
    if len(text) > _SHOWN_CHARACTERS or len(lines) > _SHOWN_LINES:
        shown.append("...")
    return "\n".join(["Command:", *(f"  {line}" for line in shown)])
