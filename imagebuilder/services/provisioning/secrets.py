"""Secrets: the values that nobody may read in what we write, and the masking of texts.

A secret of several lines is printed a line at a time, so each of its lines is hidden for itself.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.process import CommandResult, OnLine

MASK = "****"

_SHORTEST_LINE = 4
"""A shorter line of a longer secret, such as a lone brace, says nothing of it."""
_LONGEST_WHOLE_LINE = 8192
"""A line of at least this length may be one piece of a longer one, so a secret may be cut by it."""


class Secrets:
    """The secrets that were given out so far, in this process; they are only ever added."""

    def __init__(self) -> None:
        """Know none."""
        self._texts: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._longest = 0

    def add(self, secret: str) -> None:
        """Hide a value from now on."""
        whole = secret.strip()
        lines = [line.strip() for line in whole.splitlines()]
        texts = {whole, *(line for line in lines if len(line) >= _SHORTEST_LINE)} - {""}
        if texts <= self._texts:
            return
        self._texts |= texts
        # The longest first: a secret may begin with another.
        by_length = sorted(self._texts, key=lambda text: (-len(text), text))
        self._longest = len(by_length[0])
        self._pattern = re.compile("|".join(map(re.escape, by_length)))

    def masked(self, text: str) -> str:
        """Give a text with every secret in it replaced."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def masked_value(self, value: Canonical) -> Canonical:
        """Give a value with every secret in its texts and keys replaced."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, Mapping):
            return {self.masked(key): self.masked_value(part) for key, part in value.items()}
        if isinstance(value, int | float | None):
            return value
        return [self.masked_value(part) for part in value]

    def masked_result(self, result: CommandResult) -> CommandResult:
        """Give a result in whose output every secret is replaced."""
        if self._pattern is None:
            return result
        return replace(
            result,
            argv=tuple(map(self.masked, result.argv)),
            stdout=self.masked(result.stdout.decode(errors="replace")).encode(),
            stderr=self.masked(result.stderr.decode(errors="replace")).encode(),
        )

    @property
    def overlap(self) -> int:
        """How many characters of a text's end may be the beginning of a secret."""
        return max(0, self._longest - 1)


class MaskedLines:
    """Passes lines on without secrets, also without one that two pieces of a line share.

    Invariant: holds no more than what a secret could begin with.
    """

    def __init__(self, secrets: Secrets, tell: OnLine) -> None:
        """Tell lines to tell."""
        self._secrets = secrets
        self._tell = tell
        self._held = ""

    def __call__(self, line: str) -> None:
        """Take in a line and tell what is sure of it."""
        text = self._secrets.masked(self._held + line)
        self._held = ""
        overlap = self._secrets.overlap
        if len(line) >= _LONGEST_WHOLE_LINE and overlap:
            text, self._held = text[:-overlap], text[-overlap:]
        self._tell(text)

    def end(self) -> None:
        """Tell what was held back."""
        if self._held:
            held, self._held = self._held, ""
            self._tell(held)
