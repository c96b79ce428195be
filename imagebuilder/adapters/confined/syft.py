"""SyftReader: what is installed besides packages, told by a syft that sees the image alone.

Source: Syft JSON, schema 16: artifacts, and the relation ownership-by-file-overlap.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from imagebuilder.adapters.confined.confinement import (
    ConfinementLimits,
    Walls,
    confined,
    is_root,
)
from imagebuilder.domain.bill import Software
from imagebuilder.domain.units import GIB, MIB, size_text
from imagebuilder.ports.inspection import SoftwareUnread
from imagebuilder.ports.process import Command, CommandRunner

_IMAGE, _PROGRAM = "/image", "/program/syft"
_TIMEOUT_SECONDS = 300.0
_LARGEST_ANSWER_BYTES = 128 * MIB
_LONGEST_TEXT = 1000
_KNOWN_ANYWAY = frozenset({"deb", "linux-kernel", "linux-kernel-module"})
"""What our own reader tells, and what came with it."""
_OWNED = "ownership-by-file-overlap"
_LIMITS = ConfinementLimits(
    # Go reserves far more of it than it uses; GOMEMLIMIT is what it may use.
    address_space_bytes=16 * GIB
)


class SyftReader:
    """Asks a syft that the operator installed."""

    def __init__(self, runner: CommandRunner, program: Path) -> None:
        """Run the program at a path."""
        self._runner = runner
        self._program = program

    def read(self, root: PurePath) -> tuple[Software, ...]:
        """Give what it finds, without what belongs to a package of dpkg's.

        Raises: SoftwareUnread.
        """
        result = self._runner.run(
            Command(
                argv=confined(
                    [_PROGRAM, "scan", f"dir:{_IMAGE}", "--base-path", _IMAGE, "-q", "-o", "json"],
                    _walls(self._program.resolve(), Path(root)),
                    is_root=is_root(),
                ),
                timeout_seconds=_TIMEOUT_SECONDS,
                output_limit_bytes=_LARGEST_ANSWER_BYTES,
                is_isolated=True,
            )
        )
        if result.has_timed_out:
            raise SoftwareUnread("syft", f"it took more than {_TIMEOUT_SECONDS:.0f} s", "")
        if result.exit_status != 0:
            reason = f"it ended with {result.exit_status}"
            raise SoftwareUnread("syft", reason, result.last_lines)
        if result.dropped_bytes:
            limit = size_text(_LARGEST_ANSWER_BYTES)
            raise SoftwareUnread("syft", f"its answer is larger than {limit}", "")
        try:
            return tuple(sorted(set(_software(json.loads(result.stdout)))))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = "its answer is not what is known of Syft JSON"
            raise SoftwareUnread("syft", reason, repr(error)) from error


def _walls(program: Path, root: Path) -> Walls:
    return Walls(
        folders={_PROGRAM: program, _IMAGE: root},
        workplace="/tmp",  # noqa: S108 - inside
        environment={
            "SYFT_CHECK_FOR_APP_UPDATE": "false",
            "SYFT_FILE_METADATA_SELECTION": "none",
            "GOMEMLIMIT": "1GiB",
        },
        reads_all=True,
        limits=_LIMITS,
    )


def _software(answer: Mapping[str, Any]) -> Iterator[Software]:
    artifacts = answer["artifacts"]
    by_dpkg = {each["id"] for each in artifacts if each["type"] == "deb"}
    owned = {
        relation["child"]
        for relation in answer["artifactRelationships"]
        if relation["type"] == _OWNED and relation["parent"] in by_dpkg
    }
    for each in artifacts:
        url = _text(each.get("purl"))
        if each["type"] in _KNOWN_ANYWAY or each["id"] in owned or not url.startswith("pkg:"):
            continue
        path = each["locations"][0]["path"] if each["locations"] else ""
        yield Software(
            name=_text(each["name"]), version=_text(each["version"]), url=url, path=_text(path)
        )


def _text(value: object) -> str:
    """Give what an image says of itself as a text that is no longer than any sensible one."""
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""
