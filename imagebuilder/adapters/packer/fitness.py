"""What the Packer of this machine can do, by its version.

Source: Packer's changelog: 1.6 is the first whose JSON builders are those that we write for; since
1.10 no builder comes with it, each is a plugin to be installed.
"""

import re
from collections.abc import Sequence

from imagebuilder.adapters.packer.events import event_of
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live_builds import BuilderUnfit

Version = tuple[int, ...]

OLDEST: Version = (1, 6)
FIRST_WITHOUT_BUILDERS: Version = (1, 10)
_INSIDE = {"file", "null"}


def version_in(output: str) -> Version:
    """Give the version that Packer tells. Raises: BuilderUnfit: it is too old, or tells none."""
    events = (event_of(line) for line in output.splitlines())
    told = next((e.words[0] for e in events if e and e.kind == "version" and e.words), "")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)+.*", told) is None:
        raise BuilderUnfit(
            "packer", "It does not tell its version.", "Install Packer 1.6.6 or newer."
        )
    version = tuple(int(part) for part in re.findall(r"[0-9]+", told)[:3])
    if version < OLDEST:
        raise BuilderUnfit(
            "packer", f"It is version {told}.", "Install Packer 1.6.6 or newer: apt install packer."
        )
    return version


def plugin_of(source: PackerSource) -> str | None:
    """Give the plugin that brings a builder, None for those that are in Packer itself."""
    if source.type in _INSIDE:
        return None
    return "amazon" if source.type.startswith("amazon-") else source.type.partition("-")[0]


def check_plugins(sources: Sequence[PackerSource], installed: str) -> None:
    """Let sources pass whose plugins `packer plugins installed` lists. Raises: BuilderUnfit."""
    for source in sources:
        plugin = plugin_of(source)
        if plugin is not None and f"packer-plugin-{plugin}" not in installed:
            raise BuilderUnfit(
                "packer",
                f"Its plugin for {source.type} is not installed.",
                f"Install it with: packer plugins install github.com/hashicorp/{plugin}",
            )
