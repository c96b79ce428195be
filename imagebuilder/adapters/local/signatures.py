"""Signatures of package archives, checked by gpgv as apt has it checked.

Source: apt-secure(8); GnuPG's doc/DETAILS, the status lines; RFC 9580, 6.2, the ASCII armor.
"""

import tempfile
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagebuilder.ports.building import SignatureRefused
from imagebuilder.ports.process import Command, CommandRunner

_STATUS = "[GNUPG:] "
_BAD = ("BADSIG", "REVKEYSIG", "EXPSIG", "EXPKEYSIG", "ERRSIG")
_FATAL = ("BADSIG", "REVKEYSIG")
_LARGEST_BYTES = 32 * 2**20
_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"


class TrustedKeys:
    """The keys that an archive's index may be signed with."""

    def __init__(self, commands: CommandRunner, etc_apt: Path, debian: Path) -> None:
        """Trust Debian's own keyring and those of this machine's apt, as its builds do."""
        self._commands = commands
        self._etc_apt = etc_apt
        self._debian = debian

    def keys(self, keyring: str | None) -> bytes:
        """Give the keys: of the keyring that a recipe names, else those of the machine."""
        files = [Path(keyring)] if keyring else list(self._of_machine())
        return b"".join(_binary(file.read_bytes()) for file in files)

    def _of_machine(self) -> Iterator[Path]:
        places = [self._debian, self._etc_apt / "trusted.gpg"]
        places += sorted((self._etc_apt / "trusted.gpg.d").glob("*.gpg"))
        places += sorted((self._etc_apt / "trusted.gpg.d").glob("*.asc"))
        return (place for place in places if place.is_file())

    def signed(self, content: bytes, keys: bytes, address: str) -> str:
        """Give the text that a signed index holds. Raises: SignatureRefused."""
        with tempfile.TemporaryDirectory(prefix="imagebuilder-keys-") as name:
            folder = Path(name)
            (folder / "keys.gpg").write_bytes(keys)
            (folder / "signed").write_bytes(content)
            argv = ["gpgv", "--homedir", name, "--keyring", str(folder / "keys.gpg")]
            argv += ["--status-fd", "2", "--output", str(folder / "text"), str(folder / "signed")]
            result = self._commands.run(Command(argv=argv, timeout_seconds=60))
            said = result.stderr.decode(errors="replace").splitlines()
            _refuse(said, address)
            return (folder / "text").read_text(errors="replace")


def _refuse(said: Sequence[str], address: str) -> None:
    """Let pass what one key at least has signed, and none says was altered. As apt does."""
    words = [line.removeprefix(_STATUS).split() for line in said if line.startswith(_STATUS)]
    kinds = {word[0] for word in words if word}
    if {"GOODSIG", "VALIDSIG"} <= kinds and not kinds.intersection(_FATAL):
        return
    bad = sorted({" ".join(w[:2]) for w in words if w and w[0] in (*_BAD, "NO_PUBKEY")})
    told = [line for line in said if not line.startswith(_STATUS)]
    raise SignatureRefused(address, "; ".join(bad) or "\n".join(told[-4:]) or "It is not signed.")


def _binary(content: bytes) -> bytes:
    """Give keys as gpgv takes them: without their armor, if they have one."""
    if not content.lstrip().startswith(_BEGIN.encode()):
        return content
    found = b""
    for block in content.decode("ascii", errors="replace").split(_BEGIN)[1:]:
        body = block.partition(_END)[0].replace("\r\n", "\n").partition("\n\n")[2]
        # The line that begins with an equals sign is a checksum.
        found += b64decode("".join(x for x in body.splitlines() if not x.startswith("=")))
    return found
