"""PackerBuilder: Packer is started, watched, worked beside, and ended so that it can clean up.

Packer prints into a file of its own: a pipe would break when we are killed, and it would die of
that in the middle of putting things away.
"""

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from imagebuilder.adapters.packer.commands import PackerCommands
from imagebuilder.adapters.packer.events import TELLING, Event, event_of, told
from imagebuilder.adapters.packer.fitness import (
    FIRST_WITHOUT_BUILDERS,
    Version,
    check_plugins,
    version_in,
)
from imagebuilder.adapters.packer.folder import BuildFolder, Tail, secrets_of
from imagebuilder.adapters.packer.hook import Hooks, hook_lines
from imagebuilder.adapters.packer.manifest import MANIFEST, Listed, listed_in
from imagebuilder.adapters.packer.outcome import Ending, outcome_of
from imagebuilder.adapters.packer.template import Composition, LocalHardware, key_files, template_of
from imagebuilder.adapters.packer.traces import Traces
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.packer import SourceUnknown
from imagebuilder.domain.units import MIB, size_text
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.live_builds import (
    LiveBuildFailed,
    LiveBuildTimedOut,
    LiveOrder,
    LiveOutcome,
    SourcePlaces,
    SourceRefused,
    Work,
)
from imagebuilder.ports.process import Command, CommandRunner, OnLine, RunningProcess

GRACE_SECONDS = 20 * 60.0
"""How long Packer may put away what it started: to end a large instance takes long."""
_TEMPORARY = re.compile(r"packer_[0-9a-f-]{36}")
"""What Packer calls the groups and keys that it makes for a build, which it gives no label."""
_LOOK_SECONDS = 0.1
_PROBE_SECONDS = 120.0
_SHOWN_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PackerMeans:
    """What builds are done with.

    `folders` gives working folders by what they are for, and `sockets` those whose path is short
    enough for a socket; `hardware` gives what a machine on this machine gets for an order, whose
    key goes into a folder.
    """

    commands: CommandRunner
    clock: Clock
    folders: Callable[[str], AbstractContextManager[Path]]
    sockets: Callable[[str], AbstractContextManager[Path]]
    secret_of: Callable[[str], bytes]
    hardware: Callable[[LiveOrder, Path], LocalHardware]
    traces: Traces
    places: SourcePlaces
    environment: Mapping[str, str] = field(default_factory=dict)
    program: str = "packer"
    grace_seconds: float = GRACE_SECONDS
    # What a machine says while it is shut down is printed too, and it may say anything.
    largest_log_bytes: int = 256 * MIB


class PackerBuilder:
    """Makes images of machines that Packer starts."""

    def __init__(self, means: PackerMeans) -> None:
        """Build with means."""
        self._with = means
        self._commands = PackerCommands(means.program)

    @contextmanager
    def built(self, order: LiveOrder, work: Work, on_line: OnLine) -> Iterator[LiveOutcome]:
        """Start a machine for each source, let it be worked on, and give what was made.

        Raises: SourceUnknown; SourceRefused; LiveBuildFailed; LiveBuildTimedOut; BuilderUnfit;
        ProgramMissing; and what work raised, once Packer has put all away.
        """
        traces = self._with.traces
        with self._prepared(order) as build, traces.kept(order, on_line) as trace:
            ending = self._ended(build, work, _noting(on_line, trace.note))
            outcome = outcome_of(build.names, ending)
            for product in outcome.products:
                for place in product.places:
                    trace.made(product.source, place)
            yield self._placed(order, outcome)

    def looked_at(self, order: LiveOrder, work: Work, on_line: OnLine) -> None:
        """Start a machine for each source, let it be looked at and put it away; nothing is made.

        Raises: as `built`; LiveBuildFailed: a machine did not come up.
        """
        traces = self._with.traces
        with self._prepared(order) as build, traces.kept(order, on_line) as trace:
            # Packer has no word for that: it is told that the work failed, and puts all away.
            looked = replace(build, is_kept=False)
            ending = self._ended(looked, work, _noting(on_line, trace.note))
            if ending.told.made:
                raise LiveBuildFailed(ending.told.made[0].build, "something was made of a look")

    @contextmanager
    def _prepared(self, order: LiveOrder) -> Iterator["_Build"]:
        """Give an order as Packer takes it, in folders that are gone afterwards."""
        names = _wanted(order)
        secrets = secrets_of(order, self._with.secret_of)
        with self._with.folders("packer-") as path, self._with.sockets("p-") as sockets:
            folder = BuildFolder(path, sockets, secrets)
            composition = Composition(
                order=order,
                hook=hook_lines(folder.hooks, os.getpid()),
                hardware=self._with.hardware(order, path),
                variables={(each.source, each.path): each.variable for each in secrets},
            )
            template = template_of(composition)
            build = _Build(
                order=order,
                names=names,
                folder=folder,
                template=folder.write("template.json", template),
                variables=folder.write_secrets(),
                hooks=Hooks(folder.hooks, key_files(template)),
            )
            self._check(build)
            yield build

    def _placed(self, order: LiveOrder, outcome: LiveOutcome) -> LiveOutcome:
        """Give an outcome whose places were seen. Raises: PlaceNotFound; PlacesUnavailable."""
        sources = {source.name: source for source in order.sources}
        target_of = self._with.places.target_of
        products = tuple(
            replace(
                product,
                places=tuple(
                    replace(place, target=target_of(sources[product.source], place))
                    for place in product.places
                ),
            )
            for product in outcome.products
        )
        return replace(outcome, products=products)

    @cached_property
    def version(self) -> Version:
        """The version of the program. Raises: ProgramMissing; BuilderUnfit."""
        return version_in(self._asked(self._commands.version()))

    def _check(self, build: "_Build") -> None:
        """Let a build pass that Packer will do as it was meant.

        Raises: ProgramMissing; BuilderUnfit; SourceRefused.
        """
        if self.version >= FIRST_WITHOUT_BUILDERS:
            plugins = [self._with.program, "plugins", "installed"]
            check_plugins(build.order.sources, self._asked(plugins))
        options = {"var_file": build.variables}
        argv = self._commands.validate(build.template, only=build.only, **options)
        self._asked(argv, build)
        inspected = self._asked(self._commands.inspect(build.template, **options), build)
        events = filter(None, map(event_of, inspected.splitlines()))
        there = {event.words[0] for event in events if event.kind == "template-builder"}
        # Packer is content with a name that it does not know, and makes nothing.
        if not set(build.names) <= there:
            raise SourceUnknown(sorted(set(build.names) - there), sorted(there))

    def _asked(self, argv: Sequence[str], build: "_Build | None" = None) -> str:
        """Give what Packer answers. Raises: ProgramMissing; SourceRefused: it refuses."""
        own = {**self._with.environment, "CHECKPOINT_DISABLE": "1"}
        environment = own if build is None else self._environment(build)
        command = Command(argv=argv, environment=environment, timeout_seconds=_PROBE_SECONDS)
        result = self._with.commands.run(command)
        output = result.stdout.decode(errors="replace")
        if result.exit_status != 0:
            events = filter(None, map(event_of, output.splitlines()))
            said = "\n".join(event.said for event in events if event.said)
            shown = said or result.last_lines
            raise SourceRefused("packer", build.folder.masked(shown) if build else shown)
        return output

    def _environment(self, build: "_Build") -> Mapping[str, str]:
        trace = self._with.traces.path_of(build.order.run_id)
        return build.folder.environment(self._with.environment, trace)

    def _ended(self, build: "_Build", work: Work, on_line: OnLine) -> Ending:
        """Stay until Packer has ended, working on its machines, and give how that was.

        Raises: LiveBuildTimedOut; LiveBuildFailed; what work raises.
        """
        argv = self._commands.build(
            build.template,
            only=build.only,
            var_file=build.variables,
            on_error="cleanup",
            # The one runner of components works on one machine at a time.
            parallel_builds="1",
        )
        command = Command(
            argv=argv,
            environment=self._environment(build),
            folder=str(build.folder.path),
            log_file=build.folder.log,
            timeout_seconds=None,
            grace_seconds=self._with.grace_seconds,
        )
        build.hooks.prepare(build.names)
        watch = _Watch(build, work, on_line, self._with.largest_log_bytes)
        with self._with.commands.start(command) as process:
            self._watched(process, watch)
            exit_status = process.poll()
        watch.read(is_last=True)
        if exit_status is None or exit_status < 0:
            # It had no time to put away what it started.
            raise LiveBuildFailed(build.names[0], "packer was killed")
        said = told(watch.events)
        masked = {source: build.folder.masked(why) for source, why in said.errors.items()}
        if not build.is_kept:
            watch.require_looks(masked)
        if watch.failures and not said.made:
            raise next(iter(watch.failures.values()))
        # Packer knows of our work only that it failed.
        ours = {source: failure.message for source, failure in watch.failures.items()}
        return Ending(
            exit_status=exit_status,
            told=replace(said, errors={**masked, **ours}),
            listed=_listed(build),
            folder=build.folder.path,
            last_lines="\n".join(watch.said),
        )

    def _watched(self, process: RunningProcess, watch: "_Watch") -> None:
        pause = threading.Event()
        limit = watch.build.order.timeout_seconds
        until = self._with.clock.monotonic() + limit
        while process.poll() is None:
            watch.read()
            watch.work_on_waiting()
            if self._with.clock.monotonic() > until:
                # Leaving the process by an error asks it to end, and waits until it has cleaned up.
                raise LiveBuildTimedOut(", ".join(watch.build.names), limit)
            pause.wait(_LOOK_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """An order that is being done."""

    order: LiveOrder
    names: tuple[str, ...]
    folder: BuildFolder
    template: str
    variables: str
    hooks: Hooks
    is_kept: bool = True

    @property
    def only(self) -> tuple[str, ...]:
        """The sources to name to Packer: none when all are meant."""
        return self.names if self.order.only else ()


class _Watch:
    """What was seen of a build so far."""

    def __init__(self, build: _Build, work: Work, on_line: OnLine, largest_bytes: int) -> None:
        self.build = build
        self._largest_bytes = largest_bytes
        self.events: list[Event] = []
        self.said: deque[str] = deque(maxlen=_SHOWN_LINES)
        self.failures: dict[str, ImageBuilderError] = {}
        self._worked_on: set[str] = set()
        self._work = work
        self._on_line = on_line
        self._hooks = build.hooks
        self._tail = Tail(build.folder.log)

    def read(self, *, is_last: bool = False) -> None:
        """Tell the lines that came since. Raises: LiveBuildFailed: there are too many."""
        for event in self._tail.events(is_last=is_last):
            if event.kind in TELLING:
                self.events.append(event)
            for line in self.build.folder.masked(event.said).splitlines():
                if line.strip():
                    self.said.append(line)
                    self._on_line(line)
        if self._tail.read_bytes > self._largest_bytes:
            reason = f"packer printed more than {size_text(self._largest_bytes)}"
            raise LiveBuildFailed(self.build.names[0], reason, "\n".join(self.said))

    def work_on_waiting(self) -> None:
        """Work on a machine that waits; a failure ends its build, once Packer has put it away."""
        try:
            machine = self._hooks.waiting()
        except LiveBuildFailed as failure:
            self.failures[failure.source] = failure
            self._hooks.decide(failure.source, is_good=False)
            return
        if machine is None:
            return
        try:
            self._work(machine)
        except ImageBuilderError as failure:
            self.failures[machine.source] = failure
            self._hooks.decide(machine.source, is_good=False)
        else:
            self._worked_on.add(machine.source)
            self._hooks.decide(machine.source, is_good=self.build.is_kept)

    def require_looks(self, errors: Mapping[str, str]) -> None:
        """Let pass that all machines came up and were looked at. Raises: LiveBuildFailed."""
        for name in self.build.names:
            if name not in self._worked_on and name not in self.failures:
                reason = errors.get(name, "no machine of it came up").strip().rstrip(".")
                raise LiveBuildFailed(name, reason, "\n".join(self.said))


def _noting(on_line: OnLine, note: Callable[[str], None]) -> OnLine:
    """Pass lines on, and note the names in them that nothing else would tell of."""
    noted: set[str] = set()

    def passed(line: str) -> None:
        for name in _TEMPORARY.findall(line):
            if name not in noted:
                noted.add(name)
                note(name)
        on_line(line)

    return passed


def _wanted(order: LiveOrder) -> tuple[str, ...]:
    """Give the names of the sources to build, in their order. Raises: SourceUnknown."""
    names = tuple(source.name for source in order.sources)
    unknown = set(order.only) - set(names)
    if unknown:
        raise SourceUnknown(tuple(unknown), names)
    return tuple(name for name in names if not order.only or name in order.only)


def _listed(build: _Build) -> Mapping[str, Listed]:
    try:
        return listed_in(build.folder.path / MANIFEST)
    except ValueError as error:
        raise LiveBuildFailed(build.names[0], f"its manifest cannot be read: {error}") from error
