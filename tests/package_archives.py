"""Package archives of a test's own, and a machine whose apt knows only these.

The machine is this one with other lists: its real apt and dpkg read and write folders of the test.
"""

import gzip
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import Command, CommandResult, OnLine
from tests.workshops import RUNNER

_FOLDERS = {
    "dpkg": "/var/lib/dpkg",
    "apt": "/var/lib/apt",
    "etc": "/etc/apt",
    "cache": "/var/cache/apt",
    "log": "/var/log",
    "doc": "/usr/share/doc",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """A package to make: empty but for its changelog."""

    name: str
    version: str
    depends: str = ""
    changelog: str = ""
    architecture: str = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class AptMachine:
    """This machine over empty lists of packages."""

    folder: Path

    def __post_init__(self) -> None:
        """Begin with one package and no archive."""
        for name in ("dpkg/info", "dpkg/updates", "apt/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True)
        for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "log", "doc"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "dpkg/status").write_text(
            "Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
            "Maintainer: A <a@example.org>\nDescription: made for a test\n\n"
        )
        (self.folder / "dpkg/available").touch()

    def archive(self, label: str, suite: str, *debs: Deb) -> None:
        """Add an archive of packages, whose lists the next update reads."""
        place = self._place(label, suite)
        paragraphs = (made(deb, place, f"./{_file_name(deb)}")[1] for deb in debs)
        self._write(place, label, suite, "".join(paragraphs))

    def list_only(self, label: str, suite: str, *debs: Deb, more: str = "") -> None:
        """Add an archive whose packages can be asked for but not had; `more` are fields of it."""
        stanzas = (
            f"{_control(deb)}Filename: ./{deb.name}\nSize: 1\nSHA256: {'0' * 64}\n\n"
            for deb in debs
        )
        self._write(self._place(label, suite), label, suite, "".join(stanzas), more)

    def install_only_listed(self, *debs: Deb, marked: Collection[str] = ()) -> None:
        """Let dpkg believe that these are installed, and some of them marked hold."""
        with (self.folder / "dpkg/status").open("a") as status:
            for deb in debs:
                want = "hold" if deb.name in marked else "install"
                status.write(f"{_control(deb)}Status: {want} ok installed\n\n")

    def _place(self, label: str, suite: str) -> Path:
        place = self.folder / "archives" / suite / label.replace(" ", "-")
        place.mkdir(parents=True)
        return place

    def _write(self, place: Path, label: str, suite: str, packages: str, more: str = "") -> None:
        (place / "Packages").write_text(packages)
        (place / "Release").write_text(
            f"Origin: Example\nLabel: {label}\nSuite: {suite}\nCodename: {suite}\nVersion: 12\n"
            f"Date: Thu, 01 Jan 2026 00:00:00 UTC\n{more}"
            f"SHA256:\n {sha256(packages.encode()).hexdigest()} {len(packages)} Packages\n"
        )
        with (self.folder / "etc/sources.list").open("a") as sources:
            sources.write(f"deb [trusted=yes] file://{place} ./\n")

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        """Run a script and give its result, whatever the exit status."""
        argv = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        argv += ["--tmpfs", "/run", "--tmpfs", "/tmp"]
        argv += ["--ro-bind", str(self.folder), str(self.folder)]
        for name, path in _FOLDERS.items():
            argv += ["--bind", str(self.folder / name), path]
        argv += ["--unshare-net", "--unshare-pid", "--die-with-parent", "--new-session", "--"]
        command = Command(
            argv=[*argv, script.interpreter, "-c", script.text],
            timeout_seconds=script.timeout_seconds,
            environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
        )
        return RUNNER.run(command, on_line)

    def restart(self, delay_seconds: float = 0.0) -> None:
        """Have nothing to restart."""

    def does(self, text: str) -> str:
        """Give what a script printed, which has to go well."""
        result = self.run(Script(text=f"set -e\n{text}\n"))
        assert result.exit_status == 0, result.last_lines
        return result.stdout.decode()

    def installed(self) -> dict[str, str]:
        """Give the version of each package that is installed."""
        listed = self.does("dpkg-query -W -f '${Package} ${Version}\\n'").splitlines()
        return {name: version for name, _, version in (line.partition(" ") for line in listed)}


def _control(deb: Deb) -> str:
    control = (
        f"Package: {deb.name}\nVersion: {deb.version}\nArchitecture: {deb.architecture}\n"
        "Maintainer: A <a@example.org>\nDescription: made for a test\n"
    )
    return control + (f"Depends: {deb.depends}\n" if deb.depends else "")


def _file_name(deb: Deb) -> str:
    return f"{deb.name}_{deb.version.replace(':', '%3a')}_{deb.architecture}.deb"


def made(deb: Deb, place: Path, listed_as: str) -> tuple[Path, str]:
    """Make a package in a folder, and give it and its paragraph in an archive's list."""
    root = place / "root"
    (root / "DEBIAN").mkdir(parents=True)
    control = _control(deb)
    (root / "DEBIAN/control").write_text(control)
    document = root / "usr/share/doc" / deb.name
    document.mkdir(parents=True)
    if deb.changelog:
        (document / "changelog.Debian.gz").write_bytes(gzip.compress(deb.changelog.encode()))
    path = place / _file_name(deb)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, path],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(root)
    content = path.read_bytes()
    digest = sha256(content).hexdigest()
    return path, f"{control}Filename: {listed_as}\nSize: {len(content)}\nSHA256: {digest}\n\n"
