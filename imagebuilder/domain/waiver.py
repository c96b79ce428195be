"""Waiver: somebody's word that one finding is accepted, for a while and for some images.

It never changes a finding: whether it counts is computed for a moment, when a gate asks, so that
one that ran out stops the next promotion though nothing was scanned again.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.finding import Finding, FindingKind
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.versions import BuildVersion, Wildcard

DEFAULT_MAX_DAYS = 90
ENDS_SOON = timedelta(days=7)
"""Who relies on a waiver is told when it ends within that."""
_LONGEST = {"finding": 512, "reason": 4096, "ticket": 256, "owner": 128, "approver": 128}
_IMAGE_PATTERN = r"[a-z0-9._*?-]{1,127}"
_ADVISORY_PATTERN = r"[A-Z][A-Z0-9]{1,15}-[A-Za-z0-9:-]*[0-9][A-Za-z0-9:-]*"
_WHOLE_PATTERN = r"xccdf_.+_(benchmark|profile|group|value|testresult)_.+"
_RULE_PREFIX = r"^xccdf_.+_rule_"


class WaiverState(StrEnum):
    """Whether a waiver counts."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Justification(StrEnum):
    """Why a vulnerability cannot be exploited where it is. Source: OpenVEX 0.2.0."""

    COMPONENT_NOT_PRESENT = "component_not_present"
    CODE_NOT_PRESENT = "vulnerable_code_not_present"
    CODE_NOT_REACHED = "vulnerable_code_not_in_execute_path"
    CODE_NOT_CONTROLLED = "vulnerable_code_cannot_be_controlled_by_adversary"
    MITIGATED = "inline_mitigations_already_exist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The one finding that a waiver accepts.

    `id` is one of its names: a CVE or an advisory, a rule or the number of a control, a test.
    `within` is its source package, its benchmark (never empty) or its stage; empty for any.
    """

    kind: FindingKind
    id: str
    within: str = ""

    def __str__(self) -> str:
        """Read as people say it."""
        joint = "in" if self.kind is FindingKind.VULNERABILITY else "of"
        return f"{self.id} {joint} {self.within}" if self.within else self.id

    def covers(self, finding: Finding) -> bool:
        """Whether it is that finding. A benchmark is the same in all its versions unless named."""
        if finding.kind is not self.kind or not self._is_within(finding.scope):
            return False
        names = (finding.id, *finding.aliases)
        return self.id in names or (
            self.kind is FindingKind.CONTROL and _bare(self.id) in map(_bare, names)
        )

    def _is_within(self, scope: str) -> bool:
        if not self.within or scope == self.within:
            return True
        return self.kind is FindingKind.CONTROL and scope.partition("@")[0] == self.within


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A finding that is accepted, for which images and versions, why, by whom and until when.

    `image` is a name, or a pattern with * and ?; `versions` such as 1.x, 1.2.3 or 1.2.3/4, empty
    for all. `owner` sees to what it is about, `approver` accepted it. With a `justification` it
    says more: that the vulnerability does no harm there. Invariant: owner and approver are two;
    it expires after it was created; once revoked it stays so.
    """

    id: str
    accepted: Accepted
    image: str
    versions: str
    reason: str
    ticket: str
    owner: str
    approver: str
    created_at: datetime
    expires_at: datetime
    justification: Justification | None = None
    revoked: Act | None = None

    def state(self, at: datetime) -> WaiverState:
        """Whether it counts at a moment: up to that at which it expires, and not beyond."""
        if self.revoked is not None and self.revoked.at <= at:
            return WaiverState.REVOKED
        return WaiverState.EXPIRED if self.expires_at <= at else WaiverState.ACTIVE

    def is_in_force(self, at: datetime) -> bool:
        """Whether it was given by a moment, and counts then."""
        return self.created_at <= at and self.state(at) is WaiverState.ACTIVE

    def covers(self, finding: Finding, image: ImageName, version: BuildVersion) -> bool:
        """Whether it accepts a finding of a version, as long as it is in force."""
        return self.is_for(image, version) and self.accepted.covers(finding)

    def is_for(self, image: ImageName, version: BuildVersion) -> bool:
        """Whether it speaks of a version of an image."""
        return self.is_of(image) and _is_version(self.versions, version)

    def is_of(self, image: ImageName) -> bool:
        """Whether it speaks of some version of an image."""
        return fnmatchcase(image, self.image)

    @property
    def where(self) -> str:
        """For what it holds, as people say it: debian-web, debian-web@1.x."""
        return f"{self.image}@{self.versions}" if self.versions else self.image

    def told(self) -> Canonical:
        """Give what the audit keeps of it."""
        return {
            "finding": self.accepted.id,
            "kind": self.accepted.kind.value,
            "within": self.accepted.within,
            "image": self.image,
            "versions": self.versions,
            "reason": self.reason,
            "ticket": self.ticket,
            "owner": self.owner,
            "approver": self.approver,
            "expires_at": self.expires_at.isoformat(),
            "justification": self.justification,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverQuery:
    """Which waivers are asked for; what is empty asks for all. `expires_by` bounds their end."""

    image: str = ""
    finding: str = ""
    state: WaiverState | None = None
    expires_by: datetime | None = None


def is_advisory_name(text: str) -> bool:
    """Whether a text is named as CVEs and advisories are."""
    return re.fullmatch(_ADVISORY_PATTERN, text) is not None


def kind_of(finding: str, *, benchmark: str = "", stage: str = "", package: str = "") -> Accepted:
    """Give what is accepted, by how it is named and within what.

    Raises: WaiverTooWide: it is no single finding; WaiverUnclear: it could be of several kinds.
    """
    _refuse_wide(finding, benchmark)
    within = {
        FindingKind.CONTROL: benchmark,
        FindingKind.TEST: stage,
        FindingKind.VULNERABILITY: package,
    }
    named = [kind for kind, text in within.items() if text]
    if len(named) > 1:
        raise WaiverUnclear(finding, f"It cannot be a {named[0]} and a {named[1]} at once.")
    if named:
        return Accepted(kind=named[0], id=finding, within=within[named[0]])
    if is_advisory_name(finding):
        return Accepted(kind=FindingKind.VULNERABILITY, id=finding)
    if "::" in finding:
        return Accepted(kind=FindingKind.TEST, id=finding)
    raise WaiverUnclear(finding, "It is no CVE or advisory, and no benchmark or stage is named.")


def checked_waiver(waiver: Waiver, *, max_days: int = DEFAULT_MAX_DAYS) -> Waiver:
    """Let a waiver pass that may be given.

    Raises: WaiverTooWide; WaiverIncomplete; WaiverSelfApproved; WaiverExpired; WaiverTooLong.
    """
    _refuse_wide(waiver.accepted.id, waiver.accepted.within)
    if waiver.accepted.kind is FindingKind.CONTROL and not waiver.accepted.within:
        raise WaiverTooWide(waiver.accepted.id, "It names no benchmark, so it is of all of them.")
    _refuse_wide_scope(waiver)
    _refuse_incomplete(waiver)
    if waiver.justification and waiver.accepted.kind is not FindingKind.VULNERABILITY:
        raise WaiverIncomplete(waiver, "Only a vulnerability can have a justification of OpenVEX.")
    if waiver.owner.strip().casefold() == waiver.approver.strip().casefold():
        raise WaiverSelfApproved(waiver)
    if waiver.expires_at <= waiver.created_at:
        raise WaiverExpired(waiver.expires_at, waiver.created_at)
    if waiver.expires_at > waiver.created_at + timedelta(days=max_days):
        raise WaiverTooLong(waiver.expires_at, waiver.created_at, max_days)
    return waiver


def _refuse_wide(finding: str, within: str) -> None:
    if not finding.strip():
        raise WaiverTooWide(finding, "It names no finding.")
    for text in (finding, within):
        if any(letter in text for letter in "*?"):
            raise WaiverTooWide(finding, "It accepts one finding: there are no patterns of them.")
    if within and finding.casefold() == within.casefold():
        raise WaiverTooWide(finding, "It would accept all that its benchmark or package has.")
    if re.fullmatch(_WHOLE_PATTERN, finding, re.IGNORECASE):
        raise WaiverTooWide(finding, "It would accept every rule in it.")


def _refuse_wide_scope(waiver: Waiver) -> None:
    if not waiver.image.strip("*?"):
        raise WaiverTooWide(waiver.accepted.id, "It would hold for every image there is.")
    if re.fullmatch(_IMAGE_PATTERN, waiver.image) is None:
        raise WaiverIncomplete(
            waiver, f"{waiver.image[:80]!r} names no image, and no pattern of them."
        )
    if waiver.versions:
        try:
            _is_version(waiver.versions, BuildVersion.parse("0.0.0/1"))
        except ValueError as error:
            raise WaiverIncomplete(waiver, f"{error}.") from error


def _refuse_incomplete(waiver: Waiver) -> None:
    texts = {
        "finding": waiver.accepted.id,
        "reason": waiver.reason,
        "ticket": waiver.ticket,
        "owner": waiver.owner,
        "approver": waiver.approver,
    }
    for what, text in texts.items():
        if not text.strip():
            raise WaiverIncomplete(waiver, f"Its {what} is missing.")
        if len(text) > _LONGEST[what]:
            raise WaiverIncomplete(waiver, f"Its {what} has more than {_LONGEST[what]} characters.")
        if not all(letter.isprintable() or letter in "\n\t" for letter in text):
            raise WaiverIncomplete(waiver, f"Its {what} holds control characters.")


def _is_version(asked: str, version: BuildVersion) -> bool:
    """Whether a version is asked for. Raises: ValueError: what is asked is none."""
    if "/" in asked:
        return BuildVersion.parse(asked) == version
    return not asked or Wildcard.parse(asked).matches(version.version)


def _bare(rule: str) -> str:
    """Give the name of a rule without what its content puts before it."""
    return re.sub(_RULE_PREFIX, "", rule)


class WaiverTooWide(InvalidInput):
    """A waiver would accept more than one finding."""

    code = "waiver-too-wide"

    def __init__(self, finding: str, reason: str) -> None:
        """Say why."""
        super().__init__(
            f"A waiver of {finding[:80]!r} would accept too much.",
            context=reason,
            hint="Waive each finding by its CVE, its rule or its test, for images that you name: "
            "imagebuilder waiver add CVE-2026-1234 --image web; imagebuilder waiver add RULE "
            "--benchmark NAME --image 'web-*'",
        )


class WaiverUnclear(InvalidInput):
    """It cannot be told what kind of finding is to be waived."""

    code = "waiver-unclear"

    def __init__(self, finding: str, reason: str) -> None:
        """Say what to add."""
        super().__init__(
            f"It is not clear what kind of finding {finding[:80]!r} is.",
            context=reason,
            hint="Name what it is of: --package for a vulnerability, --benchmark for a rule or a "
            "control, --stage for a test.",
        )


class WaiverIncomplete(InvalidInput):
    """Something that a waiver must say is not there, or cannot be kept."""

    code = "waiver-incomplete"

    def __init__(self, waiver: Waiver, reason: str) -> None:
        """Name what it accepts, of which a document may have many, and say what is missing."""
        super().__init__(
            f"The waiver of {str(waiver.accepted)[: _LONGEST['finding']]!r} does not say all that "
            "it must.",
            context=reason,
            hint="Give --image, --reason, --ticket, --owner, --approver and --expires, in plain "
            "text; --versions such as 1.x, 1.2.3 or 1.2.3/4.",
        )


class WaiverSelfApproved(InvalidInput):
    """Who owns a risk is to accept it."""

    code = "waiver-self-approved"

    def __init__(self, waiver: Waiver) -> None:
        """Name who it is."""
        super().__init__(
            f"{waiver.owner} owns the waiver of {waiver.accepted} and cannot approve it.",
            context="Two people stand behind a waiver: one sees to the matter, one accepts it.",
            hint="Let somebody else approve it: --approver NAME, or run this as them.",
        )


class WaiverExpired(InvalidInput):
    """A waiver is to end before it begins."""

    code = "waiver-expired"

    def __init__(self, expires_at: datetime, now: datetime) -> None:
        """Name both moments."""
        super().__init__(
            f"A waiver cannot expire at {moment_text(expires_at)}, which is past.",
            context=f"It is {moment_text(now)} now.",
            hint="Give a moment to come, such as --expires 30d.",
        )


class WaiverTooLong(InvalidInput):
    """A waiver is to last longer than is allowed here."""

    code = "waiver-too-long"

    def __init__(self, expires_at: datetime, now: datetime, max_days: int) -> None:
        """Say how long it may last."""
        days = (expires_at - now).total_seconds() / 86400
        super().__init__(
            f"A waiver until {moment_text(expires_at)} would last {days:.0f} days.",
            context=f"Waivers last at most {max_days} days here (waiver_max_days).",
            hint=f"Give --expires {max_days}d or less, and renew it when it has run out.",
        )


class WaiverNotFound(WrongState):
    """There is no waiver of that id."""

    code = "waiver-not-found"

    def __init__(self, asked: str) -> None:
        """Say where to look."""
        super().__init__(
            f"There is no waiver {asked[:80]}.",
            hint="List them with: imagebuilder waiver list --all",
        )


class WaiverAmbiguous(WrongState):
    """Several waivers have ids that start as was asked."""

    code = "waiver-ambiguous"

    def __init__(self, asked: str, matching: tuple[str, ...]) -> None:
        """Name the first of them."""
        super().__init__(
            f"Several waivers have ids that start with {asked}.",
            context=f"Among them {', '.join(matching[:5])}.",
            hint="Give more of the id.",
        )


class WaiverOver(WrongState):
    """A waiver that is to be revoked does not count any more."""

    code = "waiver-over"

    def __init__(self, waiver: Waiver, at: datetime) -> None:
        """Say since when, and by whom."""
        since = f"It expired at {moment_text(waiver.expires_at)}."
        if waiver.revoked is not None and waiver.revoked.at <= at:
            since = f"{waiver.revoked.actor} revoked it at {moment_text(waiver.revoked.at)}."
        super().__init__(
            f"Waiver {waiver.id} is {waiver.state(at)} already.",
            context=since,
            hint=f"See it with: imagebuilder waiver show {waiver.id}",
        )


def moment_text(at: datetime) -> str:
    """Write a moment for people."""
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
