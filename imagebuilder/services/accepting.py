"""Accepting: findings are accepted for a while, by somebody else than who owns them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry, is_named
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.run import ApproverUnknown
from imagebuilder.domain.waiver import (
    DEFAULT_MAX_DAYS,
    Accepted,
    Justification,
    Waiver,
    WaiverOver,
    WaiverQuery,
    WaiverState,
    checked_waiver,
    is_advisory_name,
)
from imagebuilder.formats.openvex import (
    VexStatement,
    VexStatus,
    image_of,
    package_of,
    read_openvex,
    statements_of_waiver,
)
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.documents import DocumentSource
from imagebuilder.ports.transactions import Transactions
from imagebuilder.ports.waivers import WaiverStore
from imagebuilder.services.gating import Gating

_TOLD = 120
"""So many letters of a name that others wrote are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverDesk:
    """Where waivers are kept, for how long they may last, and who knows what is found."""

    waivers: WaiverStore
    gating: Gating
    audit: AuditLog
    transactions: Transactions
    clock: Clock
    ids: IdSource
    documents: DocumentSource
    max_days: int = DEFAULT_MAX_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverWish:
    """A waiver as it is wanted; without an approver, who asks for it approves it."""

    accepted: Accepted
    image: str
    reason: str
    ticket: str
    owner: str
    expires_at: datetime
    versions: str = ""
    approver: str = ""
    justification: Justification | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A waiver that was given.

    `covered` are the findings, by id, that it accepts in the versions in use: of an advisory, or a
    control's number, they may be several. Invariant: it is sorted.
    """

    waiver: Waiver
    covered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was taken over from a document of others; `left` says why the rest was not."""

    wishes: tuple[WaiverWish, ...]
    left: tuple[str, ...]


def wishes_of(statements: Sequence[VexStatement], common: WaiverWish) -> Taken:
    """Give the waivers that others' statements come to; what they do not say is as in `common`.

    Only what does no harm is accepted: of a single vulnerability, in Debian packages, or in all of
    the image where nothing narrower is named. A package in `common` is the only one that is taken.
    """
    wishes, left = [], []
    for statement in statements:
        why = _why_left(statement, common.image)
        if why:
            left.append(f"{statement.vulnerability[:_TOLD]} {why}")
            continue
        only = common.accepted.within
        packages = statement.packages or (only,)
        left += [
            f"{statement.vulnerability} is of {p[:_TOLD]}" for p in packages if only not in ("", p)
        ]
        wishes += [_wish(statement, p, common) for p in packages if only in ("", p)]
    return Taken(wishes=tuple(wishes), left=tuple(left))


def _why_left(statement: VexStatement, image: str) -> str:
    """Say why nothing of a statement is taken, empty when something is."""
    if statement.status is not VexStatus.NOT_AFFECTED:
        return f"is {statement.status}"
    if not is_advisory_name(statement.vulnerability):
        return "is no CVE or advisory"
    foreign = [
        *(part for part in statement.subcomponents if not package_of(part)),
        *(thing for thing in statement.products if not _is_whole(thing, image)),
    ]
    # What is said of a library of Python's, taken for the image, would be said of all that it has.
    if foreign and not statement.packages:
        return f"is of {foreign[0][:_TOLD]}, which is no Debian package"
    return ""


def _is_whole(product: str, image: str) -> bool:
    """Whether a product can be the image itself: what is no package URL tells nothing else."""
    return not product.casefold().startswith("pkg:") or fnmatchcase(image_of(product), image)


def _wish(statement: VexStatement, package: str, common: WaiverWish) -> WaiverWish:
    justification = statement.justification
    said = statement.impact or (justification or "").replace("_", " ") or common.reason
    return replace(
        common,
        # Built as what it is: by its name alone it could be taken for a test.
        accepted=Accepted(
            kind=FindingKind.VULNERABILITY, id=statement.vulnerability, within=package
        ),
        reason=_credited(said, statement.author),
        justification=justification,
    )


def _credited(reason: str, author: str) -> str:
    """Give a reason with whose word it is, so that who reads the waiver knows."""
    credit = f"(said by {author})"
    return f"{reason} {credit}" if reason and author and credit not in reason else reason


class Accepting:
    """Keeps waivers. Durable: each is kept with its audit entry, or neither is."""

    def __init__(self, desk: WaiverDesk, actor: str) -> None:
        """Keep them in the name of `actor`."""
        self._desk = desk
        self._actor = actor

    def add(self, wishes: Sequence[WaiverWish], *, is_rehearsal: bool = False) -> Sequence[Given]:
        """Accept findings: all that are wished for, or none if one may not be.

        Raises: WaiverTooWide; WaiverIncomplete; WaiverSelfApproved; WaiverExpired; WaiverTooLong;
        ApproverUnknown.
        """
        now = self._desk.clock.now()
        waivers = [self._waiver(wish, now) for wish in wishes]
        given = self._given(waivers)
        if not is_rehearsal:
            with self._desk.transactions.together():
                for waiver in waivers:
                    self._desk.waivers.add(waiver)
                    act = Act(actor=self._actor, at=now, why=waiver.reason)
                    self._tell(AuditAction.WAIVER_ADDED, act, waiver, None, waiver.told())
        return given

    def revoke(self, waiver_id: str, *, why: str = "", is_rehearsal: bool = False) -> Waiver:
        """Let a waiver count no longer, and give it as it is then.

        Raises: WaiverNotFound; WaiverAmbiguous; WaiverOver: it does not count any more.
        """
        with self._desk.transactions.together():
            now = self._desk.clock.now()
            waiver = self._desk.waivers.find(waiver_id)
            if waiver.state(now) is not WaiverState.ACTIVE:
                raise WaiverOver(waiver, now)
            act = Act(actor=self._actor, at=now, why=why)
            if is_rehearsal:
                return waiver
            if not self._desk.waivers.revoke(waiver.id, act):
                raise WaiverOver(self._desk.waivers.find(waiver.id), now)
            after: Canonical = {"state": WaiverState.REVOKED.value}
            before: Canonical = {"state": WaiverState.ACTIVE.value}
            self._tell(AuditAction.WAIVER_REVOKED, act, waiver, before, after)
            return self._desk.waivers.find(waiver.id)

    def show(self, waiver_id: str) -> Waiver:
        """Give a waiver. Raises: WaiverNotFound; WaiverAmbiguous."""
        return self._desk.waivers.find(waiver_id)

    def list(self, query: WaiverQuery) -> Sequence[Waiver]:
        """Give the waivers that are asked for, those first that expire first."""
        now = self._desk.clock.now()
        found = self._desk.waivers.all(ImageName(query.image) if query.image else None)
        return [each for each in found if _is_asked_for(each, query, now)]

    def read(self, path: str, common: WaiverWish) -> Taken:
        """Give the waivers that an OpenVEX document comes to.

        Raises: DocumentUnreadable; VexMalformed.
        """
        return wishes_of(read_openvex(self._desk.documents.text(path)), common)

    def statements(self, query: WaiverQuery) -> Sequence[VexStatement]:
        """Give what the waivers of vulnerabilities that are asked for say, for others to read."""
        return [
            statement
            for each in self.list(query)
            if each.accepted.kind is FindingKind.VULNERABILITY
            for statement in statements_of_waiver(each, self._desk.gating.covered(each))
        ]

    def now(self) -> datetime:
        """Give the moment that states are told for."""
        return self._desk.clock.now()

    def _given(self, waivers: Sequence[Waiver]) -> Sequence[Given]:
        # All of a document are for the same versions, which are looked at once.
        found = {
            (each.image, each.versions): self._desk.gating.found_where(each)
            for each in {(w.image, w.versions): w for w in waivers}.values()
        }
        return [
            Given(
                waiver=each,
                covered=tuple(
                    sorted(
                        {
                            finding.id
                            for finding in found[each.image, each.versions]
                            if each.accepted.covers(finding)
                        }
                    )
                ),
            )
            for each in waivers
        ]

    def _waiver(self, wish: WaiverWish, now: datetime) -> Waiver:
        approver = wish.approver.strip() or self._actor
        if not is_named(approver):
            raise ApproverUnknown(f"the waiver of {wish.accepted}", approver)
        waiver = Waiver(
            id=self._desk.ids.new("waiver"),
            accepted=wish.accepted,
            image=wish.image,
            versions=wish.versions,
            reason=wish.reason.strip(),
            ticket=wish.ticket.strip(),
            owner=wish.owner.strip(),
            approver=approver,
            created_at=now,
            expires_at=wish.expires_at,
            justification=wish.justification,
        )
        return checked_waiver(waiver, max_days=self._desk.max_days)

    def _tell(
        self, action: AuditAction, act: Act, waiver: Waiver, before: Canonical, after: Canonical
    ) -> None:
        entry = AuditEntry(act=act, action=action, subject=waiver.id, before=before, after=after)
        self._desk.audit.add(entry)


def _is_asked_for(waiver: Waiver, query: WaiverQuery, now: datetime) -> bool:
    is_named_so = query.finding in ("", waiver.accepted.id)
    ends_by_then = query.expires_by is None or waiver.expires_at <= query.expires_by
    return is_named_so and ends_by_then and query.state in (None, waiver.state(now))
