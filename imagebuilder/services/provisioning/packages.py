"""Packages: InstallPackages and UpdateOS, by whichever package manager the image has.

The script itself looks which one that is, so that no question goes before it.

Source: AWS Task Orchestrator and Executor, UpdateOS; its `security` and InstallPackages are ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote

from imagebuilder.domain.digest import Canonical, canonical_json
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import PlannedUpdate, update_document, update_text
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult, OnLine
from imagebuilder.services.provisioning import apt, dnf
from imagebuilder.services.provisioning.packages_wanted import (
    WantedPackages,
    wanted_packages,
    wanted_update,
)
from imagebuilder.services.provisioning.refusals import ActionRefusedError
from imagebuilder.services.provisioning.scripts import NOTHING_DONE, has_failed, joined

_MARK = re.compile(r"^@@ (.+)\n", re.MULTILINE)
_ASKING_SECONDS = 600.0
_SHORTEST_LIMIT_SECONDS = 0.1
_NEAR_COUNT = 3
_VERSIONS_SHOWN = 5


class InstallPackages:
    """Installs packages; what is missing is named, with what is like it."""

    def run(self, call: ActionCall) -> ActionResult:
        """Do it once and say how it went. Raises: ActionRefusedError."""
        wanted = wanted_packages(call.inputs)
        work = _Work(call)
        work.run(_install_text(wanted))
        if work.has_failed and not wanted.is_refreshed and _is_stale(work.said):
            work.say("trying again with newer lists of packages")
            wanted = replace(wanted, is_refreshed=True)
            work.run(_install_text(wanted))
        if work.has_failed:
            self._explain(work, wanted)
        return ActionResult(result=work.result)

    def _explain(self, work: "_Work", wanted: WantedPackages) -> None:
        missing = {*apt.missing_in(work.said), *dnf.missing_in(work.said, wanted)}
        if missing:
            names = sorted(missing)
            said = work.ask(_chosen(apt.near_text(names), dnf.near_text(names)))
            for name in names:
                work.complain(_missing_text(name, said))
        for name in apt.held_in(work.said):
            work.complain(
                f"{name} is marked hold in this image, so it stays as it is; "
                f"`apt-mark unhold {name}` in a step before lets it change."
            )


class UpdateOs:
    """Upgrades packages: exactly those that were planned, or all it finds to be due."""

    def run(self, call: ActionCall) -> ActionResult:
        """Do it once and say how it went. Raises: ActionRefusedError."""
        wanted_update(call.inputs)
        work = _Work(call)
        if call.upgrades is not None:
            # Who planned them looks for what came of them.
            if call.upgrades:
                work.run(_apply_text(call.upgrades))
            return _told(work, PlannedUpdate(upgrades=tuple(call.upgrades)))
        said = work.run(pending_upgrades_script(call.inputs).text)
        if work.has_failed:
            return ActionResult(result=work.result)
        planned = pending_of(said)
        if planned.upgrades:
            planned = self._apply(work, planned)
        for held in planned.held:
            work.say(str(held))
        work.say(f"UpdateOS: {update_text([planned])}")
        return _told(work, planned)

    def _apply(self, work: "_Work", planned: PlannedUpdate) -> PlannedUpdate:
        work.run(_apply_text(planned.upgrades))
        if work.has_failed:
            return planned
        applied = applied_of(work.ask(applied_script(planned.upgrades).text), planned.upgrades)
        for upgrade in applied.differing:
            work.complain(f"{upgrade.name} is not at {upgrade.new_version}, as was planned.")
        return replace(planned, upgrades=applied.upgrades)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of upgrades: with their CVEs, and those that are not at the planned version."""

    upgrades: tuple[Upgrade, ...]
    differing: tuple[Upgrade, ...] = ()


def pending_upgrades_script(inputs: Canonical) -> Script:
    """Give the script whose output `pending_of` reads: what UpdateOS would do."""
    try:
        wanted = wanted_update(inputs)
    except ActionRefusedError as refused:
        return Script(text=f"echo {quote(str(refused))} >&2\nexit 1\n")
    text = _chosen(apt.pending_text(wanted), dnf.pending_text(wanted))
    return Script(text=text, timeout_seconds=_ASKING_SECONDS)


def pending_of(output: str) -> PlannedUpdate:
    """Give what an UpdateOS step would do and what it would leave, from what its script said."""
    sections = _sections(output)
    return dnf.pending_of(sections) if "dnf" in sections else apt.pending_of(sections)


def applied_script(upgrades: Sequence[Upgrade]) -> Script:
    """Give the script whose output `applied_of` reads: what is installed, and which CVEs ended."""
    return Script(
        text=_chosen(apt.applied_text(upgrades), dnf.applied_text()),
        timeout_seconds=_ASKING_SECONDS,
    )


def applied_of(output: str, upgrades: Sequence[Upgrade]) -> Applied:
    """Give what came of upgrades, from what the script said after them."""
    sections = _sections(output)
    installed = set(sections.get("installed", "").splitlines())
    return Applied(
        upgrades=tuple(
            replace(u, cves=found) if (found := apt.cves_of(sections, u)) is not None else u
            for u in upgrades
        ),
        differing=tuple(
            u for u in upgrades if f"{u.name} {u.architecture} {u.new_version}" not in installed
        ),
    )


class _Work:
    """The scripts of one call, one after the other, within its time limit."""

    def __init__(self, call: ActionCall) -> None:
        self._call = call
        self._results: list[CommandResult] = []
        self._left = call.timeout_seconds

    @property
    def has_failed(self) -> bool:
        return any(has_failed(result) for result in self._results[-1:])

    @property
    def said(self) -> str:
        """All that the last script printed."""
        last = self._results[-1]
        return (last.stdout + last.stderr).decode(errors="replace")

    @property
    def result(self) -> CommandResult:
        return joined(self._results) if self._results else NOTHING_DONE

    def run(self, text: str) -> str:
        """Run a script whose end counts, and give what it printed."""
        result = self._run(text, self._call.on_line)
        self._results.append(result)
        return result.stdout.decode(errors="replace")

    def ask(self, text: str) -> str:
        """Run a script that only tells us something more, and give what it printed."""
        return self._run(text, None).stdout.decode(errors="replace")

    def say(self, text: str) -> None:
        if self._call.on_line is not None:
            self._call.on_line(text)

    def complain(self, text: str) -> None:
        """Let the work have failed, with this among its last words."""
        self.say(text)
        last = self._results[-1]
        status = last.exit_status or 1
        stderr = last.stderr + f"{text}\n".encode()
        self._results[-1] = replace(last, exit_status=status, stderr=stderr)

    def _run(self, text: str, on_line: OnLine | None) -> CommandResult:
        script = Script(text=text, timeout_seconds=self._left)
        result = self._call.machine.run(script, on_line)
        if self._left is not None:
            self._left = max(_SHORTEST_LIMIT_SECONDS, self._left - result.seconds)
        return result


def _told(work: _Work, update: PlannedUpdate) -> ActionResult:
    document = canonical_json(update_document(update)).decode()
    return ActionResult(result=work.result, outputs=({"updates": document},))


def _chosen(with_apt: str, with_dnf: str) -> str:
    """Give the script that does the one or the other; an apt without Debian's list is a guest."""
    return (
        "set -e\nif [ -s /var/lib/dpkg/status ] && command -v apt-get >/dev/null; then\n"
        f"{with_apt}elif command -v dnf >/dev/null || command -v yum >/dev/null; then\n"
        f"{with_dnf}else\n"
        "  echo 'This image has neither apt nor dnf.' >&2\n  exit 1\nfi\n"
    )


def _install_text(wanted: WantedPackages) -> str:
    return _chosen(apt.install_text(wanted), dnf.install_text(wanted))


def _apply_text(upgrades: Sequence[Upgrade]) -> str:
    return _chosen(apt.apply_text(upgrades), dnf.apply_text(upgrades))


def _is_stale(said: str) -> bool:
    return apt.is_stale(said) or dnf.is_stale(said)


def _sections(output: str) -> dict[str, str]:
    """Give the parts of an output by the names above them; what no name is above has none."""
    first, *rest = _MARK.split(f"{output}\n")
    return {"": first, **dict(zip(rest[::2], rest[1::2], strict=True))}


def _missing_text(name: str, said: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    sections: Mapping[str, str] = _sections(said)
    versions = list(dict.fromkeys(sections.get(f"versions {name}", "").split()))
    if versions:
        shown = ", ".join(versions[:_VERSIONS_SHOWN])
        return f"{name} is not there in that version; the package archives have {shown}."
    known = dict.fromkeys(sections.get(f"names {name}", "").split())
    near = get_close_matches(name, known, n=_NEAR_COUNT)
    meant = f"; like it: {', '.join(near)}" if near else ""
    return f"The package archives of this image have no {name}{meant}."
