"""Visiting: a component's phases run on a machine that is not ours, and stays as they leave it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from imagebuilder.ports.clock import Clock
from imagebuilder.ports.live import SSH_PORT, LiveMachines, Login
from imagebuilder.ports.progress import Progress
from imagebuilder.services.authoring import Authoring, with_defaults
from imagebuilder.services.pipelines.rehearsal import (
    USUAL_PHASES,
    Rehearsal,
    Trial,
    command_text,
    ordered_phases,
)
from imagebuilder.services.provisioning.components import ComponentRunner, Means


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRequest:
    """What to run and where."""

    path: str
    login: Login
    phases: Sequence[str] = USUAL_PHASES
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """How a person asks for the same again."""
        login = self.login
        words = ["imagebuilder", "component", "run", self.path]
        words += ["--host", f"{login.user}@{login.address}"]
        words += [] if login.port == SSH_PORT else ["--port", str(login.port)]
        words += [] if login.key is None else ["--key", str(login.key)]
        words += [] if login.known_hosts is None else ["--known-hosts", str(login.known_hosts)]
        words += ["--accept-new"] if login.accepts_new else []
        return command_text(words, self.phases, self.parameters)


class Visiting:
    """Runs components on machines that run already."""

    def __init__(
        self, authoring: Authoring, live: LiveMachines, means: Means, clock: Clock
    ) -> None:
        """Read with authoring; reach machines by live; run components with means."""
        self._authoring = authoring
        self._live = live
        self._means = means
        self._clock = clock

    def run(self, request: VisitRequest, progress: Progress) -> Trial:
        """Run a component's phases; a failure of a step is in what is given back.

        Raises: InvalidDocument; ComponentNotForLinux; PhaseUnknown; ParameterUnknown;
        ParameterMissing; HostUnreachable; LoginRefused.
        """
        read = self._authoring.component(request.path)
        read.value.require_linux()
        phases = ordered_phases(read.value, request.phases)
        parameters = with_defaults(read.value, request.parameters)
        component = self._authoring.with_documents(read.value, request.path, parameters)
        rehearsal = Rehearsal(read.value, progress, self._clock)
        with ExitStack() as held:
            with rehearsal.step(f"log in to {request.login}"):
                machine = held.enter_context(self._live.connected(request.login))
            runner = ComponentRunner(
                component=component,
                parameters=parameters,
                machine=machine,
                means=self._means,
                on=str(request.login),
                on_line=rehearsal.line,
                on_detail=rehearsal.detailed,
                watcher=rehearsal,
            )
            with rehearsal.caught(request.command):
                for phase in phases:
                    runner.run(phase)
        warnings = tuple(str(problem) for problem in read.warnings)
        return replace(rehearsal.trial(str(request.login)), warnings=warnings)
