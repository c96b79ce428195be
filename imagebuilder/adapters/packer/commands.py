"""Packer's commands, put together by packer-py and started by nobody but us."""

from collections.abc import Sequence
from typing import TypeAlias

from packerpy import PackerExecutable

Option: TypeAlias = str | bool | Sequence[str] | None

_MANY_TIMES = {"var_file"}
"""Options that are given once for each value; of the others the values are parted by commas."""


class PackerCommands(PackerExecutable):
    """What packer-py would run, as argument lists: its own way waits without end and hears nothing.

    Its `build`, `validate`, `inspect` and `version` give the list.
    """

    def __init__(self, program: str) -> None:
        """Name the program; where it is, is found out when it is run."""
        super().__init__(executable_path=program)  # type: ignore[no-untyped-call] # as in pyproject

    def execute_cmd(
        self, packer_cmd: str, template: str | None = None, **options: Option
    ) -> list[str]:
        """Give the argument list. An option without a value is left out; no list is lost."""
        argv: list[str] = [str(self.configuration[self.PATH]), packer_cmd, "-machine-readable"]
        for name, value in options.items():
            for each in _values(name, value):
                argv += self._explode_args(**{name: each})
        return [*argv, template] if template else argv


def _values(name: str, value: Option) -> list[str | bool]:
    """Give an option's values as packer-py can write them."""
    if not value:
        return []
    if isinstance(value, str | bool):
        return [value]
    texts = list(value)
    if name in _MANY_TIMES:
        return [*texts]
    return [",".join(texts)] if texts else []
