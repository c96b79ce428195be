"""The hook: in the middle of a build Packer waits in a shell while we work on its machine.

It leaves how to log in, in a folder that is only ours, and goes on when a verdict lies there. So
our own process does the work, with all that it knows, and no key stands in any argv.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from imagebuilder.ports.live import Login
from imagebuilder.ports.live_builds import LiveBuildFailed, LiveMachine

_WORDS = 4
_PLAIN = re.compile(r"[\w.:][\w.:%@+\\-]*")
"""A user and an address that SSH does not take for one of its options."""


def hook_lines(folder: Path, pid: int) -> Sequence[str]:
    """Give the shell text of the hook, for a folder that has one for each source.

    It gives up when process pid, which should work on the machine, is no more.
    """
    # What a recipe says stands in these words: it cannot know how they end.
    end = f"END_{token_hex(16)}"
    return [
        "umask 077",
        f"here={shlex.quote(str(folder))}/$PACKER_BUILD_NAME",
        # Packer keeps this text in a file that its owner alone may read.
        *(f"cat > \"$here/key\" <<'{end}'", "{{build `SSHPrivateKey`}}", end),
        f"cat > \"$here/said.new\" <<'{end}'",
        *("{{build `Host`}}", "{{build `Port`}}", "{{build `User`}}", "{{build `ID`}}"),
        end,
        'mv "$here/said.new" "$here/said"',
        f'while [ ! -e "$here/verdict" ]; do kill -0 {pid}; sleep 0.1; done',
        'exit "$(cat "$here/verdict")"',
    ]


@dataclass(frozen=True, slots=True)
class Hooks:
    """The folder in which machines wait.

    Shape: `keys` maps a source to the file of the key that it was told to log in with.
    """

    folder: Path
    keys: Mapping[str, Path]

    def prepare(self, sources: Sequence[str]) -> None:
        """Make a folder for each source."""
        for name in sources:
            (self.folder / name).mkdir(parents=True, mode=0o700)

    def waiting(self) -> LiveMachine | None:
        """Give a machine that nobody worked on yet; None when none waits.

        Raises: LiveBuildFailed: nobody can log in to it with a key.
        """
        for said in sorted(self.folder.glob("*/said")):
            if not (said.parent / "verdict").exists():
                return _machine(said, self.keys.get(said.parent.name))
        return None

    def decide(self, source: str, *, is_good: bool) -> None:
        """Let a source go on, or end badly."""
        verdict = self.folder / source / "verdict"
        new = verdict.with_suffix(".new")
        new.write_text("0" if is_good else "1")
        new.rename(verdict)


def _machine(said: Path, key: Path | None) -> LiveMachine:
    source, words, left = said.parent.name, said.read_text().splitlines(), said.parent / "key"
    # Not every builder tells the key that it was given, and none has one for a password.
    if key is None and "PRIVATE KEY" in left.read_text():
        key = left
    if len(words) != _WORDS or not words[1].isdigit() or key is None:
        reason = "components and tests need a machine that takes an SSH key"
        raise LiveBuildFailed(source, reason)
    address, port, user, known_as = words
    if _PLAIN.fullmatch(address) is None or _PLAIN.fullmatch(user) is None:
        raise LiveBuildFailed(source, f"nobody logs in as {user!r} at {address!r}")
    return LiveMachine(
        source=source,
        login=Login(
            address=address,
            port=int(port),
            user=user,
            key=key,
            known_hosts=said.parent / "known_hosts",
            # It was made a minute ago: nobody could know its key before.
            accepts_new=True,
        ),
        # So says a builder that does not tell.
        id="" if known_as.startswith("ERR_") else known_as,
    )
