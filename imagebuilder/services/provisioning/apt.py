"""apt: what it is told to do in an image, as shell text, and what its answers mean.

Source: apt-get(8), apt_preferences(5), deb-changelog(5). An upgrade is a security upgrade when an
archive that holds it is labelled Debian-Security or its suite is called something-security.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from shlex import quote

from imagebuilder.domain.offers import SECURITY_FIRST
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import HeldPackage, HoldReason, PlannedUpdate, UpdateScope
from imagebuilder.services.provisioning.packages_wanted import (
    Pin,
    WantedPackage,
    WantedPackages,
)

_NEEDS_LISTS = (
    "if [ -z \"$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit)\" ]; then\n"
    "  apt-get -q update\nfi\n"
)
_APT = (
    "apt-get -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300"
    " -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
)
_ENVIRONMENT = "export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 NEEDRESTART_SUSPEND=1\n"
_SECURITY = r"(/[^ ,/]*-security|Debian-Security:)"
_UPGRADE_LINE = re.compile(
    r"^Inst (?P<name>\S+) (?:\[(?P<old>[^\]]+)\] )?"
    r"\((?P<new>\S+) (?P<origin>.*?) ?\[(?P<architecture>[^\]]+)\]\)",
    re.MULTILINE,
)
_KEPT_LINE = re.compile(r" +(?P<name>\S+) \((?P<old>\S+) => (?P<new>\S+)\)")
_UNMET_LINE = re.compile(r" (?P<name>\S+) : (?P<needs>.+)")
_REASONS_LIMIT = 20
_CHANGELOG_LIMIT_BYTES = 2_000_000

_HOLD = r"""hold() {
  [ -n "$1" ] || return 0
  printf '%s\n' "$1" > "$work/names"
  awk 'NR == FNR { held[$1] = 1; next }
    /^Package: / { is_held = $2 in held }
    is_held && /^Status: / { $2 = "hold" }
    { print }' "$work/names" "$work/status" > "$work/next"
  mv "$work/next" "$work/status"
}
installed() {
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' -- "$@" 2>/dev/null |
    sed -n 's/^installed //p'
}
"""
"""Marks packages as held in a copy of dpkg's list, so that the image keeps its own marks even when
this is ended half-way."""

_LEFT_OUT = """printf '%s\\n' "$marked" "$excluded" | grep -qxF --"""
_CVES = r"""cves() {
  for log in "/usr/share/doc/$1/changelog.Debian.gz" "/usr/share/doc/$1/changelog.gz"; do
    [ -f "$log" ] || continue
    echo "read $1 $2"
    zcat -- "$log" 2>/dev/null | head -c LIMIT |
      grep -aoE '^[a-z0-9][a-z0-9+.-]* \([^() ]+\)|CVE-[0-9]{4}-[0-9]{4,7}' |
      while read -r word version; do
        case $word in
          CVE-*) echo "$word $1 $2" ;;
          *)
            version=${version#(}
            if dpkg --compare-versions "${version%)}" le "$3"; then break; fi ;;
        esac
      done
    return 0
  done
}
""".replace("LIMIT", str(_CHANGELOG_LIMIT_BYTES))


def install_text(wanted: WantedPackages) -> str:
    """Give the script that installs packages; the lists are fetched when there are none."""
    names = _quoted(_asked(package) for package in wanted.packages)
    options = "" if wanted.recommends else "--no-install-recommends "
    if wanted.pins or any(package.version for package in wanted.packages):
        # Who names a version wants it also where a newer one is installed.
        options += "--allow-downgrades "
    lists = "apt-get -q update\n" if wanted.is_refreshed else _NEEDS_LISTS
    return f"{_ENVIRONMENT}{_pins_text(wanted.pins)}{lists}{_APT} install {options}-- {names}\n"


def pin_path(pin: Pin) -> str:
    """Give where in the image the preferences of a pin stand: one file for each package."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", pin.package)
    if plain != pin.package:
        plain = f"{plain}-{sha256(pin.package.encode()).hexdigest()[:8]}"
    return f"/etc/apt/preferences.d/imagebuilder-{plain}.pref"


def pin_text(pin: Pin) -> str:
    """Give the preferences of a pin."""
    what = f"version {pin.version}" if pin.version else f"release {pin.release}"
    return f"Package: {pin.package}\nPin: {what}\nPin-Priority: {pin.priority}\n"


def pending_text(wanted: UpdateScope) -> str:
    """Give the script that says what an update would do; the image stays as it is."""
    lines = [
        f"{_ENVIRONMENT}work=$(mktemp -d)\ntrap 'rm -rf \"$work\"' EXIT",
        "apt-get -q update >&2",
        'cp /var/lib/dpkg/status "$work/status"',
        f"{_HOLD}set --",
    ]
    if wanted.is_security_only:
        lines += [
            f'printf %s {quote(SECURITY_FIRST)} > "$work/preferences"',
            '[ ! -f /etc/apt/preferences ] || cat /etc/apt/preferences >> "$work/preferences"',
            'set -- -o Dir::Etc::Preferences="$work/preferences"',
        ]
    lines += [
        'ask() { apt-get -s -q -y -V -o Dir::State::status="$work/status" "$@"; }',
        "marked=$(apt-mark showhold | cut -d : -f 1)\nexcluded=",
        "echo '@@ marked'\necho \"$marked\"",
        "echo '@@ excluded'",
    ]
    if wanted.exclude:
        lines.append(
            f'excluded=$(installed {_quoted(wanted.exclude)})\necho "$excluded"\nhold "$excluded"'
        )
    lines.append(
        'all() { ask "$@" dist-upgrade > "$work/all" || { cat "$work/all" >&2; return 1; }; }\n'
        'all "$@"'
    )
    if wanted.is_security_only:
        # A pin of the image's own can prefer another archive for a package.
        lines.append(
            f"for _ in 1 2 3; do\n  other=$(grep '^Inst [^ ]* \\[' \"$work/all\""
            f" | grep -vE {quote(_SECURITY)} | cut -d ' ' -f 2 | cut -d : -f 1)\n"
            '  [ -n "$other" ] || break\n  hold "$other"\n  all "$@"\ndone'
        )
    lines.append("echo '@@ all'\ncat \"$work/all\"")
    if wanted.include:
        lines += _included(wanted.include)
    lines.append(
        "awk '/^[^ ]/ { is_kept = /kept back:$/ } is_kept && /^ / { print $1 }' \"$work/all\" |"
        f" head -n {_REASONS_LIMIT} |\nwhile read -r name; do\n"
        f'  if {_LEFT_OUT} "${{name%:*}}"; then continue; fi\n'
        '  echo "@@ why $name"\n  ask "$@" install -- "$name" < /dev/null 2>/dev/null || true\ndone'
    )
    return "\n".join(lines) + "\n"


def _included(patterns: Sequence[str]) -> list[str]:
    """Give the lines that ask for some packages only; one that is not installed is said so."""
    return [
        "echo '@@ included'\nincluded=",
        f"for pattern in {_quoted(patterns)}; do",
        '  found=$(installed "$pattern")',
        '  if [ -z "$found" ]; then echo "$pattern is not installed" >&2; fi',
        '  included="$included $found"\ndone',
        "echo \"$included\" | tr ' ' '\\n'",
        "marked=$(apt-mark showhold | cut -d : -f 1)\nwanted=",
        "for name in $included; do",
        '  if ! printf \'%s\\n\' "$marked" "${excluded-}" | grep -qxF -- "$name"; then',
        '    wanted="$wanted $name"\n  fi\ndone',
        "echo '@@ plan'",
        'if [ -n "$wanted" ]; then ask "$@" install --only-upgrade -- $wanted; fi',
    ]


def pending_of(sections: Mapping[str, str]) -> PlannedUpdate:
    """Give what the script of `pending_text` said, its parts by their names."""
    everything = sections.get("all", sections.get("", ""))
    included = sections.get("included")
    held = tuple(
        sorted(
            _held(sections, found, phased=is_phased)
            for is_phased, found in _kept_lines(everything)
            if included is None or _plain(found["name"]) in included.split()
        )
    )
    return PlannedUpdate(
        upgrades=parse_upgrades(sections.get("plan", everything)),
        held=held,
    )


def parse_upgrades(output: str) -> tuple[Upgrade, ...]:
    """Give what apt said it would install, sorted; a new package has an empty old version."""
    return tuple(
        sorted(
            Upgrade(
                name=_plain(found["name"]),
                architecture=found["architecture"],
                old_version=found["old"] or "",
                new_version=found["new"],
                origin=found["origin"],
                is_security=re.search(_SECURITY, f"/{found['origin']}") is not None,
            )
            for found in _UPGRADE_LINE.finditer(output)
        )
    )


def _kept_lines(output: str) -> Iterable[tuple[bool, re.Match[str]]]:
    """Give the packages that stay, and whether it is because their turn has not come yet."""
    heading = ""
    for line in output.splitlines():
        found = _KEPT_LINE.fullmatch(line)
        if found is None:
            heading = line
        elif "kept back" in heading or "phasing" in heading:
            yield "phasing" in heading, found


def _held(sections: Mapping[str, str], found: re.Match[str], *, phased: bool) -> HeldPackage:
    name = _plain(found["name"])
    reason, detail = HoldReason.KEPT, ""
    if name in sections.get("excluded", "").split():
        reason = HoldReason.EXCLUDED
    elif name in sections.get("marked", "").split():
        reason = HoldReason.MARKED
    elif phased:
        reason = HoldReason.PHASED
    else:
        detail = _unmet(sections.get(f"why {found['name']}", ""))
    return HeldPackage(
        name=name, version=found["old"], available=found["new"], reason=reason, detail=detail
    )


def _unmet(output: str) -> str:
    """Give the needs that cannot be met, as apt explains them."""
    lines = (_UNMET_LINE.fullmatch(line) for line in output.splitlines())
    return "; ".join(f"{found['name']}: {found['needs'].strip()}" for found in lines if found)


def apply_text(upgrades: Sequence[Upgrade]) -> str:
    """Give the script that applies exactly these; none of them counts as wanted by hand."""
    wanted = _quoted(f"{_apt_name(u)}={u.new_version}" for u in upgrades)
    new = _quoted(_apt_name(u) for u in upgrades if not u.old_version)
    return (
        f"{_ENVIRONMENT}{_NEEDS_LISTS}automatic=$(apt-mark showauto)\n"
        # A pin of the image's own can ask for an older version: then that is what was planned.
        f"{_APT} --no-install-recommends --allow-downgrades install -- {wanted}\n"
        f"set -- $automatic {new}\n"
        'if [ $# -gt 0 ]; then apt-mark auto -- "$@" >/dev/null; fi\n'
    )


def applied_text(upgrades: Sequence[Upgrade]) -> str:
    """Give the script that says what is installed, and the CVEs that changelogs name.

    Of a changelog only the entries above the old version count, at most the first two million
    bytes are read.
    """
    asked = [
        f"cves {quote(u.name)} {quote(u.architecture)} {quote(u.old_version)}\n"
        for u in upgrades
        if u.old_version
    ]
    return (
        "echo '@@ installed'\n"
        "dpkg-query -W -f '${Package} ${Architecture} ${Version}\\n'\n"
        f"echo '@@ cves'\n{_CVES}{''.join(asked)}"
    )


def cves_of(sections: Mapping[str, str], upgrade: Upgrade) -> tuple[str, ...] | None:
    """Give the CVEs that a changelog says an upgrade ends; None when none could be read."""
    whose = f"{upgrade.name} {upgrade.architecture}"
    lines = sections.get("cves", "").splitlines()
    if f"read {whose}" not in lines:
        return None
    found = {cve for cve, _, name in (line.partition(" ") for line in lines) if name == whose}
    return tuple(sorted(found - {"read"}))


def near_text(words: Sequence[str]) -> str:
    """Give the script that lists the names that start as one does, and its versions."""
    lines = []
    for word in words:
        lines.append(f"echo {quote(f'@@ names {word}')}\napt-cache pkgnames -- {quote(word[:1])}")
        lines.append(
            f"echo {quote(f'@@ versions {word}')}\n"
            f"apt-cache madison -- {quote(word)} 2>/dev/null | cut -d '|' -f 2"
        )
    return "\n".join(lines) + "\n"


_MISSING = re.compile(
    r"Unable to locate package (?P<a>\S+)|Package '(?P<b>[^']+)' has no installation candidate"
    r"|Version '[^']+' for '(?P<c>[^']+)' was not found"
)
_STALE = re.compile(r"Failed to fetch|Unable to fetch|404 +Not Found")
_HELD = re.compile(r"held packages will be changed:\n((?: +.+\n)+)")


def missing_in(output: str) -> tuple[str, ...]:
    """Give the packages that apt says it does not have, or not in that version."""
    found = (next(filter(None, m.groups())) for m in _MISSING.finditer(output))
    return tuple(dict.fromkeys(name.partition(":")[0] for name in found))


def is_stale(output: str) -> bool:
    """Whether newer lists of packages may be all that is needed."""
    return bool(_MISSING.search(output) or _STALE.search(output))


def held_in(output: str) -> tuple[str, ...]:
    """Give the packages that are marked hold and would have to change."""
    found = _HELD.search(output)
    return tuple(found[1].split()) if found and "Held packages were changed" in output else ()


def _pins_text(pins: Sequence[Pin]) -> str:
    lines = [f"printf %s {quote(pin_text(pin))} > {quote(pin_path(pin))}\n" for pin in pins]
    return "mkdir -p /etc/apt/preferences.d\n" + "".join(lines) if lines else ""


def _asked(package: WantedPackage) -> str:
    return f"{package.name}={package.version}" if package.version else package.name


def _apt_name(upgrade: Upgrade) -> str:
    """Name a package as apt takes it, which knows no architecture `all`."""
    is_for_all = upgrade.architecture == "all"
    return upgrade.name if is_for_all else f"{upgrade.name}:{upgrade.architecture}"


def _plain(name: str) -> str:
    return name.partition(":")[0]


def _quoted(words: Iterable[str]) -> str:
    return " ".join(quote(word) for word in words)
