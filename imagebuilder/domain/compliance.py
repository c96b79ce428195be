"""Compliance: which benchmark's profile an image is to be scanned for, as its recipe says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.severity import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """One scan that a recipe asks for.

    `profile` is one of content that was added, or the name of a folder of controls of one's own,
    which then lies at `controls` beside the recipe. `content` names the pack; empty means the one
    that tells of the image's release. `unselect` are rules that are not our policy, and `variables`
    values for the content's own; what is accepted for a while is a waiver's. `is_booted` looks at
    the image while it runs in a container. `fail_on` ends the build when it finds something that
    bad.
    """

    profile: str
    content: str = ""
    controls: str = ""
    unselect: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    is_booted: bool = False
    fail_on: Severity | None = None
    origin: Origin | None = None


def compliance_document(compliance: Compliance) -> Canonical:
    """Give the one plain value of what is asked for, without where it was written."""
    return {
        "profile": compliance.profile,
        "content": compliance.content,
        "controls": compliance.controls,
        "unselect": sorted(compliance.unselect),
        "variables": dict(compliance.variables),
        "is_booted": compliance.is_booted,
        "fail_on": None if compliance.fail_on is None else compliance.fail_on.value,
    }
