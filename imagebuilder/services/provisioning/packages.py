"""Packages: what InstallPackages and UpdateOS come to as shell text for the image.

Source: AWS Task Orchestrator and Executor, UpdateOS. InstallPackages is ours.
"""

import re
from collections.abc import Iterable, Sequence
from shlex import quote

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.package import Upgrade
from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.scripts import mapping_of, texts_of

_APT = "apt-get -y -q -o Dpkg::Use-Pty=0 -o APT::Get::Assume-Yes=true"
_NEEDS_LISTS = (
    "if [ -z \"$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit)\" ]; then\n"
    "  apt-get -q update\nfi\n"
)
_CONFIGURATION = "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
_UPGRADE_LINE = re.compile(
    r"^Inst (?P<name>\S+) (?:\[(?P<old>[^\]]+)\] )?"
    r"\((?P<new>\S+) .*?\[(?P<architecture>[^\]]+)\]\)",
    re.MULTILINE,
)


def installing(call: ActionCall) -> Sequence[Script]:
    """Give the script of InstallPackages."""
    given = mapping_of(call.inputs)
    recommends = "" if given.get("recommends") is True else "--no-install-recommends "
    packages = _quoted(texts_of(given, "packages"))
    install = f"{_APT} {_CONFIGURATION} install {recommends}-- {packages}"
    return [Script(text=f"set -e\n{_NEEDS_LISTS}exec {install}\n")]


def updating(call: ActionCall) -> Sequence[Script]:
    """Give the script of UpdateOS: exactly the upgrades that were planned; none without any."""
    return [_upgrade(call.upgrades)] if call.upgrades else []


def pending_upgrades_script(inputs: Canonical) -> Script:
    """Give the script whose output `parse_upgrades` reads: what UpdateOS would do."""
    given = mapping_of(inputs)
    include, exclude = texts_of(given, "include"), texts_of(given, "exclude")
    lines = ["set -e", "apt-get -q update >&2"]
    if exclude:
        lines.append("held=$(apt-mark showhold)")
        lines.append(f"apt-mark hold -- {_quoted(exclude)} >&2")
    what = f"install --only-upgrade -- {_quoted(include)}" if include else "dist-upgrade"
    lines.append(f"apt-get -s -q {what}")
    if exclude:
        # The next UpdateOS step has its own say about these.
        lines.append(f"apt-mark unhold -- {_quoted(exclude)} >&2")
        lines.append('if [ -n "$held" ]; then apt-mark hold -- $held >&2; fi')
    return Script(text="\n".join(lines) + "\n", timeout_seconds=600)


def parse_upgrades(output: str) -> tuple[Upgrade, ...]:
    """Give what apt said it would install, sorted; a new package has an empty old version."""
    return tuple(
        sorted(
            Upgrade(
                name=found["name"].partition(":")[0],
                architecture=found["architecture"],
                old_version=found["old"] or "",
                new_version=found["new"],
            )
            for found in _UPGRADE_LINE.finditer(output)
        )
    )


def _upgrade(upgrades: Sequence[Upgrade]) -> Script:
    """Apply exactly these; apt is told not to take what is named for wanted by hand."""
    wanted = _quoted(f"{_apt_name(u)}={u.new_version}" for u in upgrades)
    new = _quoted(_apt_name(u) for u in upgrades if not u.old_version)
    return Script(
        text=f"set -e\n{_NEEDS_LISTS}automatic=$(apt-mark showauto)\n"
        f"{_APT} {_CONFIGURATION} --no-install-recommends install -- {wanted}\n"
        f"set -- $automatic {new}\n"
        'if [ $# -gt 0 ]; then apt-mark auto -- "$@" >/dev/null; fi\n'
    )


def _apt_name(upgrade: Upgrade) -> str:
    """Name a package as apt takes it, which knows no architecture `all`."""
    is_for_all = upgrade.architecture == "all"
    return upgrade.name if is_for_all else f"{upgrade.name}:{upgrade.architecture}"


def _quoted(words: Iterable[str]) -> str:
    return " ".join(quote(word) for word in words)
