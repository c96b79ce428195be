"""A package archive that is signed with a key of the test's own, served on loopback."""

import gzip
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.mirrors import Answer, Mirror, mirror
from tests.package_archives import Deb, made


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that lives as long as its context."""

    home: Path

    @property
    def public(self) -> bytes:
        """What an archive's users trust."""
        return self._gpg("--export")

    @property
    def armored(self) -> bytes:
        """The same as text."""
        return self._gpg("--armor", "--export")

    def clear_signed(self, text: str) -> bytes:
        """Give a text with its signature around it."""
        return self._gpg("--clearsign", "--output", "-", text=text)

    def _gpg(self, *arguments: str, text: str = "") -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--no-tty", *arguments]
        done = subprocess.run(argv, input=text.encode(), check=True, capture_output=True)
        return done.stdout


@contextmanager
def signing_key() -> Iterator[SigningKey]:
    """Give a new key; the agent that keeps it ends with the context."""
    # A socket's path is short, and that of a test's folder is not.
    with tempfile.TemporaryDirectory(prefix="key-", dir="/tmp") as name:
        home = Path(name)
        key = SigningKey(home)
        try:
            key._gpg(
                *("--pinentry-mode", "loopback", "--passphrase", ""),
                *("--quick-generate-key", "Archive <archive@example.org>", "ed25519", "sign"),
            )
            yield key
        finally:
            argv = ["gpgconf", "--homedir", name, "--kill", "gpg-agent"]
            subprocess.run(argv, check=False, capture_output=True)


@dataclass(slots=True)
class SignedArchive:
    """One suite of an archive, and what it answers to requests.

    Shape: `packages` maps a name to its version, for amd64; `for_all` those that a list of their
    own has; `held` maps a package that can be had, too, to its paragraph in the list.
    """

    key: SigningKey
    served: Mirror
    suite: str = "bookworm"
    label: str = "Debian"
    packages: dict[str, str] = field(default_factory=dict)
    for_all: dict[str, str] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    published: int = 0

    @property
    def url(self) -> str:
        """Its address; all its suites share it."""
        return f"{self.served.url}/debian"

    @property
    def in_release(self) -> str:
        """The path of its signed index."""
        return f"/debian/dists/{self.suite}/InRelease"

    @property
    def list_path(self) -> str:
        """The path of its list of packages."""
        return f"/debian/dists/{self.suite}/main/binary-amd64/Packages.gz"

    def hold(self, deb: Deb, folder: Path) -> None:
        """Make a package in a folder and serve it, in the place of any other version of it."""
        path = f"pool/{self.suite}/{deb.name}_{deb.version}_{deb.architecture}.deb"
        file, self.held[deb.name] = made(deb, folder, path)
        self.served.answers[f"/debian/{path}"] = Answer(file.read_bytes())

    def publish(self) -> None:
        """Sign what it holds now; each time gives another index."""
        self.published += 1
        listed = self._list("amd64", self.packages, "".join(self.held.values()))
        listed += self._list("all", self.for_all) if self.for_all else ""
        fields = {
            "Origin": "Debian",
            "Label": self.label,
            "Suite": self.suite,
            "Codename": self.suite,
            "Date": f"Thu, 01 Jan 2026 00:00:{self.published:02d} UTC",
            "No-Support-for-Architecture-all": "Packages",
            "Components": "main",
        } | self.head
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        signed = self.key.clear_signed(f"{text}SHA256:\n{listed}")
        self.served.answers[self.in_release] = Answer(signed)

    def _list(self, architecture: str, packages: dict[str, str], more: str = "") -> str:
        """Serve a list and give its line in the index."""
        stanzas = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n\n"
            for name, version in sorted(packages.items())
        )
        plain = ("".join(stanzas) + more).encode()
        path = f"main/binary-{architecture}/Packages"
        files = {f"{path}.gz": gzip.compress(plain, mtime=0)}
        if more:
            # A list that apt itself is to read: it looks for the plain one, whichever it takes.
            files[path] = plain
        for name, content in files.items():
            self.served.answers[f"/debian/dists/{self.suite}/{name}"] = Answer(content)
        lines = (f" {sha256(c).hexdigest()} {len(c)} {name}\n" for name, c in files.items())
        return "".join(lines)


@contextmanager
def signed_archive(key: SigningKey, **packages: str) -> Iterator[SignedArchive]:
    """Give a suite that runs; _ in a name stands for -."""
    with mirror() as served:
        archive = SignedArchive(key, served)
        archive.packages = {name.replace("_", "-"): v for name, v in packages.items()}
        archive.publish()
        yield archive
