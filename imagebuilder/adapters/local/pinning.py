"""Pinning: apt held to the versions of packages that a version was built with.

A preference below 1000 makes a version the one to install, but takes nothing back that is installed
in a newer one: an upgrade, which names its versions, comes after it and stays. What no archive has
any more comes from an archive of our own, made of the files that the cache kept. These were looked
for by the digest that a signed list once told, so the archive itself needs no signature.

Source: apt_preferences(5); apt.conf(5), which file overrides which; Debian's RepositoryFormat.
"""

from collections.abc import Mapping
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from shlex import quote
from shutil import copyfile

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.package import PackageKey
from imagebuilder.domain.rebuild import PinnedPackages
from imagebuilder.ports.process import Command, CommandRunner

INSIDE = "/run/imagebuilder-pins"
ARCHIVE_INSIDE = "/run/imagebuilder-archive"
_PRIORITY = 999
_ALL = "all"


class KeptPackages:
    """The packages in the cache of what archives answered."""

    def __init__(self, cache: Path) -> None:
        """Look below cache."""
        self._cache = cache

    def held(self, wanted: Mapping[PackageKey, Digest]) -> frozenset[PackageKey]:
        """Give those of which the file is here, whole."""
        return frozenset(key for key, digest in wanted.items() if self.file(digest) is not None)

    def file(self, digest: Digest) -> Path | None:
        """Give the file with a digest, None when there is none or it is damaged."""
        for path in self._files.get(digest.hex, ()):
            with path.open("rb") as opened:
                if file_digest(opened, "sha256").hexdigest() == digest.hex:
                    return path
        return None

    @cached_property
    def _files(self) -> Mapping[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self._cache.glob("*/*"):
            found.setdefault(path.name, []).append(path)
        return found


class Pins:
    """What holds apt to some versions; its files are made in a folder when they are asked for."""

    def __init__(self, commands: CommandRunner, pinned: PinnedPackages, cache: Path) -> None:
        """Take what no archive has from the cache."""
        self._commands = commands
        self._pinned = pinned
        self._kept = KeptPackages(cache)

    @property
    def has_archive(self) -> bool:
        """Whether there is an archive of our own."""
        return bool(self._pinned.kept)

    @property
    def preferences(self) -> str:
        """What apt is to prefer."""
        return "\n".join(
            f"Package: {name if architecture == _ALL else f'{name}:{architecture}'}\n"
            f"Pin: version {version}\nPin-Priority: {_PRIORITY}\n"
            for name, version, architecture in self._pinned.versions
        )

    def files(self, folder: Path) -> dict[str, Path]:
        """Make what apt in an image reads, and give it. Shape: path inside -> file."""
        (folder / "preferences").write_text(self.preferences)
        (folder / "apt.conf").write_text(f'Dir::Etc::Preferences "{INSIDE}/preferences";\n')
        return {f"{INSIDE}/{name}": folder / name for name in ("preferences", "apt.conf")}

    def archive(self, folder: Path, suite: str) -> None:
        """Make an archive in a folder of what no archive has any more, and call it a suite's."""
        stanzas = []
        for number, digest in enumerate(sorted(self._pinned.kept.values())):
            file = self._kept.file(digest)
            if file is None:
                raise FileNotFoundError(f"{digest} is no longer in the cache")
            target = folder / f"{number}.deb"
            copyfile(file, target)
            argv = ["dpkg-deb", "--field", str(target)]
            control = self._commands.check(Command(argv=argv)).stdout.decode()
            size = f"Size: {target.stat().st_size}\nSHA256: {digest.hex}\n"
            stanzas.append(f"{control.rstrip()}\nFilename: ./{target.name}\n{size}\n")
        packages = "".join(stanzas).encode()
        (folder / "Packages").write_bytes(packages)
        (folder / "Release").write_text(
            f"Suite: {suite}\nCodename: {suite}\n"
            f"SHA256:\n {sha256(packages).hexdigest()} {len(packages)} Packages\n"
        )
        folder.chmod(0o755)

    def bootstrap_options(self, folder: Path) -> list[str]:
        """Give what lets mmdebstrap hold to the versions as well, and leave no trace of it."""
        file = folder / "bootstrap-preferences"
        file.write_text(self.preferences)
        inside = '"$1"/etc/apt/preferences'
        return [
            f"--setup-hook=cp {quote(str(file))} {inside}",
            f"--customize-hook=rm {inside}",
        ]


def archive_line(place: str) -> str:
    """Give the line of sources.list for the archive of our own."""
    return f"deb [trusted=yes] copy:{place} ./"
