"""Actions: what each action module of a component comes to as shell text for the image.

Everything is done by programs of the image inside its own confinement, so that no path of a
document and no link in the image can reach further.

Source: AWS Task Orchestrator and Executor, action modules. InstallPackages is ours.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote

from imagebuilder.domain.component import ActionName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.package import Upgrade
from imagebuilder.ports.machine import Script

_APT = "apt-get -y -q -o Dpkg::Use-Pty=0 -o APT::Get::Assume-Yes=true"
_NEEDS_LISTS = (
    "if [ -z \"$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit)\" ]; then\n"
    "  apt-get -q update\nfi\n"
)
_CONFIGURATION = "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
_REFUSE_EXISTING = (
    'if [ -e "$path" ] || [ -L "$path" ]; then echo "$path is there already" >&2; exit 1; fi'
)
_MAKE_PARENT = 'case "$path" in */*) mkdir -p -- "${path%/*}/";; esac'
_UPGRADE_LINE = re.compile(
    r"^Inst (?P<name>\S+) (?:\[(?P<old>[^\]]+)\] )?"
    r"\((?P<new>\S+) .*?\[(?P<architecture>[^\]]+)\]\)",
    re.MULTILINE,
)


def scripts_for(
    action: ActionName, inputs: Canonical, upgrades: Sequence[Upgrade] | None
) -> list[Script]:
    """Give the scripts of a step, in order; none when there is nothing to do.

    `inputs` have no references left; `upgrades` are what an UpdateOS step is to apply exactly.
    """
    match action:
        case ActionName.EXECUTE_BASH:
            commands = _texts(_mapping(inputs), "commands")
            return [Script(text="\n".join(commands) + "\n", interpreter="/bin/bash")]
        case ActionName.CREATE_FILE:
            return [_create_file(item) for item in _items(inputs)]
        case ActionName.CREATE_FOLDER:
            return [_create_folder(item) for item in _items(inputs)]
        case ActionName.INSTALL_PACKAGES:
            return [_install(_mapping(inputs))]
        case ActionName.UPDATE_OS:
            return [_upgrade(upgrades)] if upgrades else []
        case ActionName.REBOOT:
            # Every script starts in a fresh process space: there is nothing left to restart.
            return []
        case _:
            raise ValueError(f"documents do not let {action} through yet")


def pending_upgrades_script(inputs: Canonical) -> Script:
    """Give the script whose output `parse_upgrades` reads: what UpdateOS would do."""
    given = _mapping(inputs)
    include, exclude = _texts(given, "include"), _texts(given, "exclude")
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


def _install(given: Mapping[str, Canonical]) -> Script:
    recommends = "" if given.get("recommends") is True else "--no-install-recommends "
    packages = _quoted(_texts(given, "packages"))
    install = f"{_APT} {_CONFIGURATION} install {recommends}-- {packages}"
    return Script(text=f"set -e\n{_NEEDS_LISTS}exec {install}\n")


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


def _create_file(item: Mapping[str, Canonical]) -> Script:
    path = quote(str(item["path"]))
    lines = ["set -e", f"path={path}"]
    if item.get("overwrite") is False:
        lines.append(_REFUSE_EXISTING)
    lines += [_MAKE_PARENT, 'cat > "$path"', *_attributes(item)]
    content = item.get("content")
    return Script(
        text="\n".join(lines) + "\n", stdin=str("" if content is None else content).encode()
    )


def _create_folder(item: Mapping[str, Canonical]) -> Script:
    lines = ["set -e", f"path={quote(str(item['path']))}"]
    if item.get("overwrite") is False:
        lines.append(_REFUSE_EXISTING)
    lines += ['mkdir -p -- "$path"', *_attributes(item)]
    return Script(text="\n".join(lines) + "\n")


def _attributes(item: Mapping[str, Canonical]) -> list[str]:
    lines = []
    owner, group = item.get("owner"), item.get("group")
    if owner is not None or group is not None:
        wanted = f"{'' if owner is None else owner}{'' if group is None else f':{group}'}"
        lines.append(f'chown -- {quote(wanted)} "$path"')
    permissions = item.get("permissions")
    if permissions is not None:
        lines.append(f'chmod -- {quote(_octal(permissions))} "$path"')
    return lines


def _octal(permissions: Canonical) -> str:
    """Give the mode as chmod takes it; people write 755 as a number and mean its digits."""
    return str(permissions)


def _quoted(words: Iterable[str]) -> str:
    return " ".join(quote(word) for word in words)


def _mapping(value: Canonical) -> Mapping[str, Canonical]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Canonical) -> list[Mapping[str, Canonical]]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [item for item in value if isinstance(item, Mapping)]
    return [value] if isinstance(value, Mapping) else []


def _texts(given: Mapping[str, Canonical], name: str) -> list[str]:
    value = given.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(text) for text in value]
    return [] if value is None else [str(value)]
