"""AptSources: which package archives builds use, and what their signed indexes are now."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from imagebuilder.adapters.local.fetching import ArchiveFetcher
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.recipe import Repository, Suite
from imagebuilder.ports.process import Command, CommandRunner

_TARGET_FORMAT = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
_FALSE = frozenset(("0", "no", "false", "without", "off", "disable"))
"""Source: apt.conf(5), the values of a boolean that mean no."""
_POCKETS = {
    Suite.BOOKWORM: ("", "-updates", "-security"),
    Suite.TRIXIE: ("", "-updates", "-security"),
    Suite.SID: ("",),
}
"""Source: Debian's archive layout: unstable has no updates and no security pocket."""


class NoMirror(InvalidInput):
    """Nothing says where packages come from."""

    code = "no-mirror"

    def __init__(self, suite: Suite) -> None:
        """Name the suite that was looked for."""
        super().__init__(
            f"No package archive is known for {suite}.",
            context="This machine's own apt has no Debian archive to take it from.",
            hint="Set parent.mirror in the recipe, or IMAGEBUILDER_MIRROR.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """The archives that settings name; None leaves it to the machine's apt."""

    main: str | None = None
    security: str | None = None


class AptSources:
    """Asks settings first, then this machine's apt."""

    def __init__(
        self,
        commands: CommandRunner,
        mirrors: Mirrors,
        etc_apt: Path,
        cache: Path,
        fetcher: ArchiveFetcher,
    ) -> None:
        """Remember in cache what apt said of the sources in etc_apt, until they change."""
        self._commands = commands
        self._fetcher = fetcher
        self._mirrors = mirrors
        self._etc_apt = etc_apt
        self._cache = cache

    def repositories(self, suite: Suite) -> tuple[Repository, ...]:
        """Give a suite's archives, by settings or else as this machine's own apt has them.

        Raises: NoMirror: neither knows any.
        """
        known = _Known(main=self._mirrors.main, security=self._mirrors.security)
        if known.main is None:
            known = self._from_apt()
        if known.main is None:
            raise NoMirror(suite)
        pockets = [suite + pocket for pocket in _POCKETS[suite] if pocket != "-security"]
        found = [Repository(url=known.main, suites=tuple(pockets))]
        if known.security is not None and "-security" in _POCKETS[suite]:
            found.append(Repository(url=known.security, suites=(f"{suite}-security",)))
        return tuple(replace(r, allows_expired=known.allows_expired) for r in found)

    def indexes(self, repositories: Sequence[Repository]) -> Mapping[str, Digest]:
        """Ask each archive for the digest of its signed index now.

        Raises: MirrorUnreachable: one of them does not answer.
        """
        addresses = [
            f"{repository.url.rstrip('/')}/dists/{suite}/InRelease"
            for repository in repositories
            for suite in repository.suites
        ]
        return {a: file.digest for a, file in self._fetcher.indexes(addresses).items()}

    def _from_apt(self) -> "_Known":
        """Give what this machine's apt knows; to ask it takes half a second."""
        version = self._sources_version()
        try:
            kept = json.loads(self._cache.read_text())
            if kept.pop("version") == version:
                return _Known(**kept)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            pass  # nothing kept, or not by us: ask again
        known = self._ask_apt()
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        self._cache.write_text(json.dumps({"version": version, **asdict(known)}))
        return known

    def _sources_version(self) -> str:
        files = [self._etc_apt / "sources.list", *(self._etc_apt / "sources.list.d").glob("*")]
        files += [self._etc_apt / "apt.conf", *(self._etc_apt / "apt.conf.d").glob("*")]
        digest = hashlib.sha256()
        for file in sorted(files):
            if file.is_file():
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def _ask_apt(self) -> "_Known":
        argv = ["apt-get", "indextargets", "--format", _TARGET_FORMAT, "Created-By: Packages"]
        listed = self._commands.check(Command(argv=argv)).stdout.decode().splitlines()
        targets = [line.split(" ") for line in listed]
        # Passwords that stand in the machine's own sources go into no record and no image.
        targets = [[*t[:2], without_credentials(" ".join(t[2:]))] for t in targets]
        codenames = {str(suite) for suite in Suite}
        main = next((t[2] for t in targets if t[0] in codenames and t[1] == "main"), None)
        security = next((t[2] for t in targets if t[0].endswith("-security")), None)
        asked = ["apt-config", "dump", "--format", "%v", "Acquire::Check-Valid-Until"]
        answer = self._commands.check(Command(argv=asked)).stdout.decode().strip()
        is_lax = answer.lower() in _FALSE
        return _Known(main=main, security=security, allows_expired=is_lax)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The machine's archives, and whether its apt takes their indexes after their time."""

    main: str | None
    security: str | None
    allows_expired: bool = False


def address_of(url: str) -> tuple[str, int]:
    """Give the host and port of an archive's address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def without_credentials(url: str) -> str:
    """Give an address that may be written down."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def one_line(repository: Repository, keyring: str | None = None) -> list[str]:
    """Write an archive as apt's one-line style, a line a suite."""
    key = keyring or repository.keyring
    wanted = [f"signed-by={key}"] if key else []
    wanted += ["check-valid-until=no"] if repository.allows_expired else []
    options = f" [{' '.join(wanted)}]" if wanted else ""
    address, parts = without_credentials(repository.url), " ".join(repository.components)
    return [f"deb{options} {address} {suite} {parts}" for suite in repository.suites]


def sources_list(archives: Sequence[Repository], keyrings: str) -> tuple[str, dict[str, Path]]:
    """Give a sources.list for inside an image, and the keyring files to put there.

    Shape: path inside -> path on this machine.
    """
    files: dict[str, Path] = {}
    lines: list[str] = []
    for number, archive in enumerate(archives):
        inside = None
        if archive.keyring is not None:
            inside = f"{keyrings}/{number}.gpg"
            files[inside] = Path(archive.keyring)
        lines += one_line(archive, inside)
    return "".join(f"{line}\n" for line in lines), files
