"""What a recipe says of compliance: nodes to the scans that it asks for."""

import re
from collections.abc import Iterator
from pathlib import PurePath

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.reading import (
    OpenDocument,
    mapping_at,
    scalar_at,
    text_at,
    texts_at,
)
from imagebuilder.domain.compliance import Compliance
from imagebuilder.domain.severity import Severity

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")
_OF_CONTENT = ("content", "variables", "booted")


def check_compliance(reading: OpenDocument, root: MappingNode) -> None:
    """Report what the schema cannot say."""
    seen: set[str] = set()
    for scan in _scans(root):
        name = _profile(scan)
        controls = text_at(scan, "controls")
        is_told = "profile" in scan.entries or ("controls" in scan.entries and controls is None)
        if not is_told and not _NAME.fullmatch(name):
            message = "It is not said what is scanned for."
            hint = "Write profile: NAME, and controls: FOLDER if the controls are your own."
            reading.fault(message, scan.origin, hint)
        if name and name in seen:
            message = f"The image is scanned for {quoted(name)} twice."
            reading.fault(message, scan.origin, "Scan for each profile once.")
        seen.add(name)
        if controls is not None:
            _check_own(reading, scan)


def compliance_of(root: MappingNode) -> tuple[Compliance, ...]:
    """Give the scans of a document in which nothing is wrong."""
    return tuple(map(_compliance, _scans(root)))


def _scans(root: MappingNode) -> Iterator[MappingNode]:
    value = root.get("compliance")
    items: tuple[Node, ...] = value.items if isinstance(value, ListNode) else ()
    if isinstance(value, MappingNode):
        items = (value,)
    return (item for item in items if isinstance(item, MappingNode))


def _profile(scan: MappingNode) -> str:
    """Give the profile's name: of controls of one's own, that of their folder."""
    profile, controls = text_at(scan, "profile"), text_at(scan, "controls")
    if profile is not None:
        return profile.text
    return "" if controls is None else PurePath(controls.text).name


def _check_own(reading: OpenDocument, scan: MappingNode) -> None:
    for key in _OF_CONTENT:
        if key in scan.entries:
            message = f"The key {quoted(key)} does not go with controls of your own."
            hint = "It is for profiles of content that was added."
            reading.fault(message, scan.entries[key].key.origin, hint)


def _compliance(scan: MappingNode) -> Compliance:
    content, controls = text_at(scan, "content"), text_at(scan, "controls")
    variables, fail_on = mapping_at(scan, "variables"), text_at(scan, "fail_on")
    booted = scalar_at(scan, "booted")
    return Compliance(
        profile=_profile(scan),
        content=content.text if content else "",
        controls=controls.text if controls else "",
        unselect=texts_at(scan, "unselect"),
        variables={
            name: entry.value.text
            for name, entry in (variables.entries if variables else {}).items()
            if isinstance(entry.value, ScalarNode)
        },
        is_booted=booted is not None and booted.value is True,
        fail_on=Severity(fail_on.text) if fail_on else None,
        origin=scan.origin,
    )
