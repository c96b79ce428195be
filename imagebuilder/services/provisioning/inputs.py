"""Inputs: what the inputs of a step say, read with their defaults.

Documents are checked before they run, but a reference may have brought in anything since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.digest import Canonical
from imagebuilder.services.provisioning.refusals import ActionRefusedError

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Item:
    """One mapping of inputs."""

    given: Mapping[str, Canonical] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Give a text that has to be there. Raises: ActionRefusedError."""
        text = self.optional(name)
        if not text:
            raise ActionRefusedError(f"The input {name} is empty.")
        return text

    def optional(self, name: str) -> str | None:
        """Give a text, or None. Raises: ActionRefusedError: no program could be told it."""
        value = self.given.get(name)
        if value is None:
            return None
        text = str(value)
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ActionRefusedError(f"The input {name} holds a character that is none.")
        return text

    def flag(self, name: str, *, default: bool) -> bool:
        """Give a yes or no, also one that was written as text. Raises: ActionRefusedError."""
        value = self.given.get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        flag = _FLAGS.get(str(value).strip().lower())
        if flag is None:
            raise ActionRefusedError(f"The input {name} is {value}, not true or false.")
        return flag

    def texts(self, name: str) -> list[str]:
        """Give a list of texts; a single one is a list of itself. Raises: ActionRefusedError."""
        value = self.given.get(name)
        many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return [text for each in many if (text := Item({name: each}).optional(name)) is not None]

    def path(self, name: str) -> str:
        """Give a path that no program takes for an option. Raises: ActionRefusedError."""
        written = self.text(name)
        return written if written.startswith("/") else f"./{written}"


def items(inputs: Canonical) -> list[Item]:
    """Give the mappings of a list in their order; a single mapping is a list of itself."""
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        return [Item(each) for each in inputs if isinstance(each, Mapping)]
    return [Item(inputs)] if isinstance(inputs, Mapping) else []
