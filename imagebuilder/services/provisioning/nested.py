"""NestedDocuments: what ExecuteDocument does, a component run by another on the same machine.

A document beside the component, or one of our components by name, was read when the build was
planned, and is in the layer's key; one that is named by an absolute path is read from the image.

Source: AWS Task Orchestrator and Executor, ExecuteDocument.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Protocol

from imagebuilder.documents.reader import read_component
from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.nesting import DocumentRefused, DocumentUse, document_use, require_room
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.process import CommandResult
from imagebuilder.services.provisioning.stepping import Stepping

_IN_IMAGE = "image:"
_LIMIT_SECONDS = 120.0
_LARGEST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a document that another ran came to its end."""

    execution_id: str
    status: str
    failure: str
    executed: int
    failed: int
    ignored: int
    seconds: float
    record: Canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """A document to run inside another. Shape: `chain` leads from the top to it."""

    component: Component
    use: DocumentUse
    chain: tuple[str, ...]
    call: ActionCall


class RunsDocuments(Protocol):
    """Runs a component for another."""

    def __call__(self, nested: Nested) -> Ending:
        """Run its phases and give how it ended; a failed step is no error here."""
        ...


class NestedDocuments:
    """Finds a document and has it run."""

    def __init__(self, within: Component, chain: Sequence[str], runs: RunsDocuments) -> None:
        """Be within a component, at the end of a chain that begins at the top."""
        self._within = within
        self._chain = tuple(chain)
        self._runs = runs

    def run(self, call: ActionCall) -> ActionResult:
        """Run it once and say how it went. Raises: MachineLost, or what else its steps raise."""
        try:
            use = document_use(call.inputs)
            path, component = self._document(use, call.machine)
            chain = (*self._chain, path)
            require_room(chain)
            component.require_linux()
            _require_values(component, use)
        except InvalidInput as fault:
            said = f"{fault.message}\n{fault.context}".strip()
            return ActionResult(result=_result(call, said, 0.0))
        ending = self._runs(Nested(component=component, use=use, chain=chain, call=call))
        return ActionResult(
            result=_result(call, ending.failure, ending.seconds),
            outputs=(_outputs(ending),),
            detail=ending.record,
        )

    def _document(self, use: DocumentUse, machine: Machine) -> tuple[str, Component]:
        """Give a document and the path it is known by."""
        planned = self._within.documents.get(use.reference)
        if planned is not None:
            return planned.origin.document if planned.origin else use.reference, planned
        path = use.reference
        here = self._chain[-1]
        if not use.is_in_image and here.startswith(_IN_IMAGE):
            path = posixpath.join(posixpath.dirname(here.removeprefix(_IN_IMAGE)), path)
        if not path.startswith("/"):
            raise DocumentRefused(
                use.reference,
                "It was not known when the build was planned, and it is no path in the image.",
                "Name it with parameters and constants only, or by an absolute path in the image.",
            )
        path = posixpath.normpath(path)
        # What is read from the image is told apart from a file of this machine by its name.
        return _IN_IMAGE + path, read_component(_text(path, machine), _IN_IMAGE + path).value


def planned_documents(
    within: Component, stepping: Stepping
) -> Iterator[tuple[DocumentUse, Component]]:
    """Give the documents that a step would run now and that were known when it was planned."""
    for iteration in stepping.iterations() if stepping.is_due() else ():
        use = document_use(stepping.turn_inputs(iteration))
        planned = within.documents.get(use.reference)
        if planned is not None:
            yield use, planned


def _text(path: str, machine: Machine) -> str:
    """Give a document that lies in the image. Raises: DocumentRefused."""
    script = f"[ -f {quote(path)} ] && head -c {_LARGEST_BYTES + 1} < {quote(path)}\n"
    result = machine.run(Script(text=script, timeout_seconds=_LIMIT_SECONDS))
    if result.exit_status != 0 or len(result.stdout) > _LARGEST_BYTES:
        is_there = result.exit_status == 0
        why = "It is too large." if is_there else "There is no such file in the image."
        raise DocumentRefused(path, why, "Put it there in a step before.")
    return result.stdout.decode(errors="replace")


def _require_values(component: Component, use: DocumentUse) -> None:
    given = use.values_for(component)
    missing = [p.name for p in component.parameters if p.name not in given]
    if missing:
        raise DocumentRefused(
            use.reference,
            f"It needs {', '.join(missing)}.",
            "Give them under parameters, as a list of name and value.",
        )


def _outputs(ending: Ending) -> Mapping[str, str]:
    return {
        "executedStepCount": str(ending.executed),
        "executionId": ending.execution_id,
        "failedStepCount": str(ending.failed),
        "failureMessage": ending.failure,
        "ignoredFailedStepCount": str(ending.ignored),
        "logUrl": "",
        "status": ending.status,
    }


def _result(call: ActionCall, failure: str, seconds: float) -> CommandResult:
    if failure and call.on_line is not None:
        call.on_line(failure)
    return CommandResult(
        argv=(call.action,),
        exit_status=1 if failure else 0,
        stdout=b"",
        stderr=failure.encode(),
        seconds=seconds,
    )
