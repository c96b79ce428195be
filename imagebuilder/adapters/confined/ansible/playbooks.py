"""RunAnsible: a playbook or role shipped with a component, run on the machine of the step."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TypeAlias

from imagebuilder.adapters.confined.ansible.events import PlaybookLog
from imagebuilder.adapters.confined.confinement import (
    NOBODY,
    ConfinementLimits,
    Walls,
    confined,
    is_root,
)
from imagebuilder.adapters.confined.relay import FarEnds, Relay, RelayLimits
from imagebuilder.adapters.confined.staging import copy_foreign, make_readable, stage_ourselves
from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.process import Command, CommandResult, CommandRunner, OnLine

_OURS_INSIDE = "/relay"
_FILES_INSIDE = "/component"
_LEAST_PYTHON = (3, 8)

# The folder is new, so that who else works with Ansible on a machine is not disturbed. Python has
# to have what Ansible's modules import; Debian's python3-minimal has not.
_PREPARE = """
set -e
folder=$(mktemp -d /tmp/.ansible-XXXXXXXX)
chmod 0755 "$folder"
mkdir -m 0700 "$folder/own"
mkdir -m 1777 "$folder/shared"
echo "folder $folder"
for python in /usr/bin/python3 /usr/local/bin/python3 /usr/libexec/platform-python; do
  [ -x "$python" ] || continue
  echo "found $python"
  "$python" -c 'import sys, json, shutil, zipfile, tempfile, locale
sys.exit(sys.version_info < (LEAST))' 2>/dev/null || continue
  echo "python $python"
  break
done
for path in /root/.ansible /root/.ansible_async; do
  [ ! -e "$path" ] || echo "had $path"
done
""".replace("LEAST", ", ".join(map(str, _LEAST_PYTHON)))
_CLEAN = """
[ -z "$FOLDER" ] || rm -rf -- "$FOLDER"
for path in /root/.ansible /root/.ansible_async; do
  case " $HAD " in *" $path "*) ;; *) rm -rf -- "$path" ;; esac
done
"""

Folders: TypeAlias = Callable[[str], AbstractContextManager[Path]]
"""Gives a new folder, named with a prefix, that is gone when the context ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookLimits:
    """What a playbook may use of the building machine, and how much it may say."""

    confinement: ConfinementLimits = field(default_factory=ConfinementLimits)
    relay: RelayLimits = field(
        default_factory=lambda: RelayLimits(
            message_bytes=16 * 1024 * 1024, commands=1_000_000, command_seconds=None
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What a step asks for. `playbook` or `role` is a path beside the component."""

    playbook: str
    role: str
    variables: Mapping[str, Canonical]
    tags: tuple[str, ...]
    checks_idempotence: bool

    @classmethod
    def of(cls, inputs: Canonical) -> "_Order":
        given = inputs if isinstance(inputs, Mapping) else {}
        variables, tags = given.get("variables"), given.get("tags")
        return cls(
            playbook=str(given.get("playbook") or ""),
            role=str(given.get("role") or ""),
            variables=variables if isinstance(variables, Mapping) else {},
            tags=tuple(map(str, tags)) if isinstance(tags, list | tuple) else (),
            checks_idempotence=given.get("checkIdempotence") is True,
        )

    @property
    def shipped(self) -> PurePath:
        """What goes into the confinement: the role, or the folder that the playbook lies in."""
        return PurePath(self.role) if self.role else PurePath(self.playbook).parent

    def document(self, place: "_Place") -> bytes:
        """Give it as the driver takes it."""
        return json.dumps(
            {
                "playbook": self.playbook and f"{_FILES_INSIDE}/{self.playbook}",
                "role": self.role and f"{_FILES_INSIDE}/{self.role}",
                "variables": dict(self.variables),
                "tags": list(self.tags),
                "runs": 2 if self.checks_idempotence else 1,
                "python": place.python,
                "remote_folder": f"{place.folder}/own",
                "shared_folder": f"{place.folder}/shared",
            }
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where Ansible works on a machine: its Python, empty with the reason in `lacks`, and a folder.

    `had` are the places of Ansible that were there before.
    """

    folder: str
    python: str
    lacks: str
    had: tuple[str, ...]

    @classmethod
    def of(cls, looked: CommandResult) -> "_Place":
        said: dict[str, list[str]] = {}
        for line in looked.stdout.decode(errors="replace").splitlines():
            name, _, value = line.partition(" ")
            said.setdefault(name, []).append(value)
        folder, python = said.get("folder", [""])[0], said.get("python", [""])[0]
        if not folder:
            lacks = f"No folder for Ansible could be made below /tmp.\n{looked.last_lines}"
        else:
            lacks = "" if python else _no_python(said.get("found", [""])[0])
        return cls(folder=folder, python=python, lacks=lacks, had=tuple(said.get("had", [])))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounded:
    """A machine whose commands end with the step's time, and leave no compiled Python behind."""

    machine: Machine
    clock: Clock
    deadline: float | None

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        environment = {**script.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        left = None if self.deadline is None else max(1.0, self.deadline - self.clock.monotonic())
        return self.machine.run(
            replace(script, timeout_seconds=left, environment=environment), on_line
        )

    def restart(self, delay_seconds: float = 0.0) -> None:
        self.machine.restart(delay_seconds)


class RunAnsible:
    """Runs ansible-playbook in bubblewrap as nobody; only its tasks' commands reach the machine."""

    def __init__(
        self,
        runner: CommandRunner,
        folders: Folders,
        clock: Clock,
        limits: PlaybookLimits | None = None,
    ) -> None:
        """Keep short-lived copies of playbooks in what folders gives."""
        self._runner = runner
        self._folders = folders
        self._clock = clock
        self._limits = limits or PlaybookLimits()

    def run(self, call: ActionCall) -> ActionResult:
        """Run the playbook, twice when asked to, and say what its tasks did.

        Raises: MachineLost, or what else the machine itself came to.
        """
        started = self._clock.monotonic()
        deadline = None if call.timeout_seconds is None else started + call.timeout_seconds
        machine = _Bounded(machine=call.machine, clock=self._clock, deadline=deadline)
        order = _Order.of(call.inputs)
        with _visited(machine) as place:
            if place.lacks:
                return ActionResult(result=_failed(place.lacks, self._clock.monotonic() - started))
            with self._staged(call.folder, order) as staging:
                if staging is None:
                    reason = f"{order.shipped} is not beside the component."
                    return ActionResult(result=_failed(reason, 0.0))
                return self._ran(staging, order.document(place), machine, call)

    def _ran(self, staging: Path, order: bytes, machine: Machine, call: ActionCall) -> ActionResult:
        log = PlaybookLog(call.on_line)
        owner = NOBODY if is_root() else None
        with Relay(machine, log.add, self._limits.relay, owner) as relay:
            ends = relay.far_ends
            ending = self._runner.run(
                Command(
                    argv=self._argv(staging, ends),
                    stdin=order,
                    timeout_seconds=call.timeout_seconds,
                    keep_open=(ends.channel, ends.reports),
                )
            )
        if relay.lost is not None:
            raise relay.lost
        return ActionResult(result=_judged(log, ending, relay.complaint), outputs=(log.outputs(),))

    def _argv(self, staging: Path, ends: FarEnds) -> list[str]:
        walls = Walls(
            folders={_OURS_INSIDE: staging / "ours", _FILES_INSIDE: staging / "files"},
            workplace=_FILES_INSIDE,
            environment={"PYTHONPATH": _OURS_INSIDE},
            limits=self._limits.confinement,
        )
        driver = [
            str(walls.interpreter.program),
            "-m",
            f"{__package__}.driver",
            str(ends.channel),
            str(ends.reports),
        ]
        return confined(driver, walls, is_root=is_root())

    @contextmanager
    def _staged(self, folder: PurePath | None, order: _Order) -> Iterator[Path | None]:
        """Give a readable copy of what the step ships, and of what is ours; None without it."""
        with self._folders("ansible-") as staging:
            stage_ourselves(staging / "ours")
            (staging / "files").mkdir()
            target = staging / "files" / order.shipped
            try:
                source = _inside(folder, order.shipped)
                target.parent.mkdir(parents=True, exist_ok=True)
                if target == staging / "files":
                    target.rmdir()
                copy_foreign(source, target)
            except (OSError, shutil.Error):
                yield None
                return
            make_readable(staging)
            yield staging


@contextmanager
def _visited(machine: Machine) -> Iterator[_Place]:
    """Give where Ansible can work on a machine, and leave it afterwards as if it had not."""
    place = _Place.of(machine.run(Script(text=_PREPARE)))
    try:
        yield place
    finally:
        traces = {"FOLDER": place.folder, "HAD": " ".join(place.had)}
        machine.run(Script(text=_CLEAN, environment=traces))


def _inside(folder: PurePath | None, path: PurePath) -> Path:
    """Give a path below a folder, through no link that leaves it. Raises: OSError."""
    if folder is None:
        raise FileNotFoundError(2, "There are no files beside this component", str(path))
    found = (Path(folder) / path).resolve(strict=True)
    if not found.is_relative_to(Path(folder).resolve()):
        raise PermissionError(1, "It leads out of the component's folder", str(path))
    return found


def _no_python(found: str) -> str:
    if not found:
        return (
            "There is no Python in the image, and Ansible works by it.\n"
            "Install the package python3 in a step before this one."
        )
    return (
        f"{found} in the image is too old or lacks parts of its library, and Ansible works by it.\n"
        "Install the package python3 in a step before this one; python3-minimal is not enough."
    )


def _judged(log: PlaybookLog, ending: CommandResult, complaint: str) -> CommandResult:
    """Give the result of a run: ansible-playbook's, unless it was cut short or changed too much."""
    status, reason = ending.exit_status, ""
    if ending.has_timed_out:
        reason = "The playbook took longer than allowed and was ended."
    elif complaint:
        status, reason = 1, f"The playbook was cut off: {complaint}."
    elif log.status is None:
        status, reason = (
            status or 1,
            f"ansible-playbook did not come to its end.\n{ending.last_lines}",
        )
    elif log.status:
        status, reason = log.status, log.failure
    elif again := log.not_idempotent():
        status, reason = 1, again
    return replace(
        ending,
        argv=("ansible-playbook",),
        exit_status=status,
        stdout=log.output.encode(),
        stderr=reason.encode(),
    )


def _failed(reason: str, seconds: float) -> CommandResult:
    return CommandResult(
        argv=("ansible-playbook",),
        exit_status=1,
        stdout=b"",
        stderr=reason.encode(),
        seconds=seconds,
    )
