"""dnf: what it is told to do in an image, as shell text, and what its answers mean.

It is dnf 4, which is also what yum is on systems since RHEL 8. What it will do is read from the
table it shows before it asks; which upgrades are for security, from the advisories of the archives.

Source: dnf command reference; conf(5) of dnf.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from shlex import quote

from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import HeldPackage, HoldReason, PlannedUpdate, UpdateScope
from imagebuilder.services.provisioning.packages_wanted import WantedPackages

_DNF = "dnf=$(command -v dnf || command -v yum)\nexport LC_ALL=C.UTF-8\n"
_RULE = re.compile(r"=+")
_HEADING = re.compile(r"(?P<what>\S.*):")
_COLUMNS = 6
"""Of a row: name, architecture, version, archive, size and its unit."""
_DOING = ("Upgrading", "Installing", "Downgrading", "Reinstalling")
_SKIPPING = "Skipping"
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,7}")
_NEED = re.compile(r" +- (?P<need>.+)")
_NO_MATCH = re.compile(r"No match for argument: (?P<asked>\S+)")
_STALE = re.compile(r"Cannot download|Status code: 404|No more mirrors to try")


def install_text(wanted: WantedPackages) -> str:
    """Give the script that installs packages; pins are refused, as dnf has none."""
    if wanted.pins:
        said = "pins are for apt; with dnf, name the version instead: name=version"
        return f"echo {quote(said)} >&2\nexit 2\n"
    names = _quoted(
        f"{package.name}-{package.version}" if package.version else package.name
        for package in wanted.packages
    )
    options = f"--setopt=install_weak_deps={wanted.recommends}"
    if wanted.is_refreshed:
        options += " --refresh"
    return f'{_DNF}"$dnf" -y {options} install -- {names}\n'


def pending_text(wanted: UpdateScope) -> str:
    """Give the script that says what an update would do; the image stays as it is."""
    options = ["--assumeno", "--setopt=best=False", "--setopt=install_weak_deps=False"]
    options += ["--security"] if wanted.is_security_only else []
    options += [quote(f"--exclude={pattern}") for pattern in wanted.exclude]
    query = "repoquery --upgrades --disableexcludes=all --qf '%{name} %{arch} %{evr}\\n'"
    lines = [
        f'{_DNF}"$dnf" -q makecache --refresh >&2',
        "echo '@@ dnf'",
        f"echo '@@ security'\necho {'only' if wanted.is_security_only else ''}",
        f"echo '@@ included'\nprintf '%s\\n' {_quoted(wanted.include)}",
        f"echo '@@ excluded'\nprintf '%s\\n' {_quoted(wanted.exclude)}",
        "echo '@@ installed'\nrpm -qa --qf '%{NAME} %{ARCH} %{EVR}\\n'",
        f"echo '@@ available'\n\"$dnf\" -q {query}",
        "echo '@@ advisories'\n\"$dnf\" -q updateinfo list --updates",
        "echo '@@ cves'\n\"$dnf\" -q updateinfo list --updates --with-cve",
        "echo '@@ plan'",
        # It ends with 1 both when it was told not to go on and when it cannot.
        f'said=$("$dnf" {" ".join(options)} upgrade -- {_quoted(wanted.include)} 2>&1) ||',
        "case $said in",
        '  *"Operation aborted"*) ;;\n  *) echo "$said" >&2; exit 1 ;;\nesac',
        "printf '%s\\n' \"$said\"",
    ]
    return "\n".join(lines) + "\n"


def pending_of(sections: Mapping[str, str]) -> PlannedUpdate:
    """Give what the script of `pending_text` said, its parts by their names."""
    plan = sections.get("plan", "")
    installed = {(n, a): v for n, a, v in _triples(sections.get("installed", ""))}
    security = {name for name, _, line in _advised(sections, "advisories") if "/Sec." in line}
    upgrades = tuple(
        sorted(
            Upgrade(
                name=name,
                architecture=architecture,
                # What may be installed more than once, such as a kernel, is never replaced.
                old_version=""
                if doing == "Installing"
                else installed.get((name, architecture), ""),
                new_version=version,
                origin=archive,
                is_security=name in security,
                cves=_cves(sections, name, architecture),
            )
            for doing, name, architecture, version, archive in _rows(plan)
            if doing.startswith(_DOING)
        )
    )
    taken = {(u.name, u.architecture) for u in upgrades}
    held = tuple(
        sorted(
            _held(sections, name, installed[name, architecture], available)
            for name, architecture, available in _triples(sections.get("available", ""))
            if (name, architecture) in installed
            and (name, architecture) not in taken
            and _is_asked_for(sections, name, security)
        )
    )
    return PlannedUpdate(upgrades=upgrades, held=held)


def _is_asked_for(sections: Mapping[str, str], name: str, security: set[str]) -> bool:
    included = sections.get("included", "").split()
    if included and not _is_like(name, included):
        return False
    return name in security or not sections.get("security", "").strip()


def _held(sections: Mapping[str, str], name: str, version: str, available: str) -> HeldPackage:
    plan = sections.get("plan", "")
    reason, detail = HoldReason.MARKED, "excluded or locked by dnf's own settings"
    if _is_like(name, sections.get("excluded", "").split()):
        reason, detail = HoldReason.EXCLUDED, ""
    elif any(n == name for doing, n, *_ in _rows(plan) if doing.startswith(_SKIPPING)):
        needs = (_NEED.fullmatch(line) for line in plan.splitlines())
        reason = HoldReason.KEPT
        detail = "; ".join(m["need"] for m in needs if m and name in m["need"])
    return HeldPackage(
        name=name, version=version, available=available, reason=reason, detail=detail
    )


def _rows(table: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Give the rows of dnf's table, each with what is done to it.

    A row that is too wide goes on in the next line, so the words are counted, not the lines.
    """
    doing, words = "", list[str]()
    rules = 0
    for line in table.splitlines():
        heading = _HEADING.fullmatch(line)
        if _RULE.fullmatch(line):
            rules += 1
        elif line.startswith("Transaction Summary"):
            return
        elif heading is not None:
            doing, words = heading["what"], []
        elif doing and rules > 1 and line.strip() and not line.lstrip().startswith("replacing "):
            words += line.split()
            while len(words) >= _COLUMNS:
                name, architecture, version, archive = words[:4]
                yield doing, name, architecture, version, archive
                words = words[_COLUMNS:]


def _triples(text: str) -> Iterator[tuple[str, str, str]]:
    """Give name, architecture and version; an epoch of 0 is as good as none."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:  # noqa: PLR2004 - as it was asked to print them
            yield words[0], words[1], words[2].removeprefix("0:")


def _advised(sections: Mapping[str, str], part: str) -> Iterator[tuple[str, str, str]]:
    """Give name, architecture and the line of each package that an advisory names."""
    for line in sections.get(part, "").splitlines():
        whole, _, architecture = line.rpartition(" ")[2].rpartition(".")
        name = whole.rsplit("-", 2)[0]
        if name:
            yield name, architecture, line


def _cves(sections: Mapping[str, str], name: str, architecture: str) -> tuple[str, ...]:
    found = {
        cve
        for advised, on, line in _advised(sections, "cves")
        if (advised, on) == (name, architecture)
        for cve in _CVE.findall(line)
    }
    return tuple(sorted(found))


def apply_text(upgrades: Sequence[Upgrade]) -> str:
    """Give the script that applies exactly these; what they need comes with them."""
    wanted = _quoted(
        f"{u.name}-{u.new_version}.{u.architecture}" for u in upgrades if u.old_version
    )
    new = _quoted(
        f"{u.name}-{u.new_version}.{u.architecture}" for u in upgrades if not u.old_version
    )
    lines = [f"{_DNF}options='-y --setopt=install_weak_deps=False'"]
    if wanted:
        lines.append(f'"$dnf" $options upgrade -- {wanted}')
    if new:
        # What came as a need of the others is there by now, and keeps its mark.
        lines += [
            f"for name in {new}; do",
            '  rpm -q -- "$name" >/dev/null || "$dnf" $options install -- "$name"\ndone',
        ]
    return "\n".join(lines) + "\n"


def applied_text() -> str:
    """Give the script that says what is installed."""
    return "echo '@@ installed'\nrpm -qa --qf '%{NAME} %{ARCH} %{EVR}\\n'\n"


def near_text(words: Sequence[str]) -> str:
    """Give the script that lists the names that start as one does, and its versions."""
    lines = [_DNF]
    for word in words:
        start = quote(f"{word[:1]}*")
        lines += [
            f"echo {quote(f'@@ names {word}')}\n\"$dnf\" -q repoquery --qf '%{{name}}\\n' {start}",
            f"echo {quote(f'@@ versions {word}')}",
            f"\"$dnf\" -q repoquery --showduplicates --qf '%{{evr}}\\n' -- {quote(word)}",
        ]
    return "\n".join(lines) + "\n"


def missing_in(output: str, wanted: WantedPackages) -> tuple[str, ...]:
    """Give the packages that dnf says it does not have, or not in that version."""
    asked = {f"{p.name}-{p.version}" if p.version else p.name: p.name for p in wanted.packages}
    found = (m["asked"] for m in _NO_MATCH.finditer(output))
    return tuple(dict.fromkeys(asked.get(word, word) for word in found))


def is_stale(output: str) -> bool:
    """Whether newer lists of packages may be all that is needed."""
    return bool(_NO_MATCH.search(output) or _STALE.search(output))


def _is_like(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _quoted(words: Iterable[str]) -> str:
    return " ".join(quote(word) for word in words)
