"""Retention: which versions are kept, and what happens to the others, a step at a time.

Here is decided; that it comes true, and that nothing which is in use goes, is seen to elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.units import span_text
from imagebuilder.domain.versions import BuildVersion

_DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which versions a rule speaks of: those of images that a pattern matches, with all labels."""

    images: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)

    def names(self, image: str) -> bool:
        """Whether an image is one of those."""
        return any(fnmatchcase(image, pattern) for pattern in self.images)

    def holds(self, subject: "Subject") -> bool:
        """Whether a version is one of those."""
        return self.names(subject.image) and _has_all(subject.labels, self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What keeps a version. One reason is enough; None and an empty mapping keep nothing.

    `last` counts the versions of an image that are selected and can be used, the last recorded
    first, whatever version of the recipe they are builds of.
    """

    last: int = 0
    younger_than_seconds: int | None = None
    on_channel: bool = True
    with_children: bool = True
    placed: bool = True
    launched_within_seconds: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What happens to what is not kept; None stops there.

    Units: seconds since the step before, the first since the version was recorded.
    """

    deprecate_after: int | None = None
    disable_after: int | None = None
    delete_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """A retention document; `text` is the document itself."""

    name: str
    select: Selection
    keep: Keeping = field(default_factory=Keeping)
    then: Steps = field(default_factory=Steps)
    path: str = ""
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A recorded version that is not deleted, and what uses it at a moment.

    `number` counts recordings; `since_at` is when its lifecycle last changed. `channels` mean it
    now, `latest` among them; `children` are the versions that are not deleted and were built on it
    or copied from it, as people name them.
    """

    id: VersionId
    number: int
    image: ImageName
    version: BuildVersion
    created_at: datetime
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    since_at: datetime | None = None
    is_revoked: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[ChannelName, ...] = ()
    children: tuple[str, ...] = ()
    placements: tuple[Placement, ...] = ()

    @property
    def reference(self) -> str:
        """How people name it: debian-web@1.2.0/3."""
        return f"{self.image}@{self.version}"

    @property
    def takes_a_slot(self) -> bool:
        """Whether it counts as one of an image's last versions: what nobody may use does not."""
        return not self.is_revoked and self.lifecycle in (Lifecycle.ACTIVE, Lifecycle.DEPRECATED)

    @property
    def uses(self) -> tuple[str, ...]:
        """What uses it, in words; whatever a rule says, it is never deleted meanwhile.

        Where a distribution put it, it is withdrawn from when it goes; what we were only told of
        nobody here can take away.
        """
        told = (p for p in self._standing if p.distribution_id is None)
        return (*self.on_channels, *self.has_children, *map(_placed_text, told))

    @property
    def on_channels(self) -> tuple[str, ...]:
        """The channels it is on, in words."""
        return tuple(f"on channel {channel}" for channel in self.channels)

    @property
    def has_children(self) -> tuple[str, ...]:
        """Its children, in words: the first of them and how many more."""
        if not self.children:
            return ()
        more = len(self.children) - 1
        return (f"{self.children[0]}{f' and {more} more' if more else ''} came from it",)

    @property
    def at_targets(self) -> tuple[str, ...]:
        """The places it was put to and not withdrawn from, in words."""
        return tuple(map(_placed_text, self._standing))

    @property
    def _standing(self) -> tuple[Placement, ...]:
        return tuple(p for p in self.placements if p.withdrawn is None)


def _placed_text(placement: Placement) -> str:
    return f"placed at {placement.target} as {placement.external_id}"


class Verdict(StrEnum):
    """What is to be done with a version now."""

    KEEP = "keep"
    WAIT = "wait"
    DEPRECATE = "deprecate"
    DISABLE = "disable"
    DELETE = "delete"


STEPS: Mapping[Verdict, tuple[Lifecycle, Lifecycle]] = {
    Verdict.DEPRECATE: (Lifecycle.ACTIVE, Lifecycle.DEPRECATED),
    Verdict.DISABLE: (Lifecycle.DEPRECATED, Lifecycle.DISABLED),
    Verdict.DELETE: (Lifecycle.DISABLED, Lifecycle.DELETED),
}
"""The steps there are. Shape: verdict -> lifecycle before, lifecycle after.

Source: EC2 Image Builder, lifecycle management: one action for each resource and run.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done with a version, and why.

    `rules` are the documents that say so. Of what waits, `next_step` is done from `due_at` on.
    """

    id: VersionId
    reference: str
    image: ImageName
    created_at: datetime
    lifecycle: Lifecycle
    verdict: Verdict
    reasons: tuple[str, ...]
    rules: tuple[str, ...]
    next_step: Verdict | None = None
    due_at: datetime | None = None


def decide(
    subjects: Iterable[Subject], rules: Sequence[RetentionRule], at: datetime
) -> tuple[Decision, ...]:
    """Give one decision for each version that a rule selects, children before their parents.

    Of several rules the one that keeps most wins. No step is skipped, and each version makes one.
    """
    newest_first = sorted(subjects, key=lambda subject: -subject.number)
    judged: dict[VersionId, list[Decision]] = {}
    for rule in rules:
        places = _places(rule, newest_first)
        for subject in newest_first:
            if subject.id in places:
                said = _said(rule, subject, places[subject.id], at)
                judged.setdefault(subject.id, []).append(said)
    return tuple(_most_keeping(judged[s.id]) for s in newest_first if s.id in judged)


def _places(rule: RetentionRule, newest_first: Iterable[Subject]) -> Mapping[VersionId, int]:
    """Give where each selected version stands among its image's last; 0 when it takes no slot."""
    counts: dict[ImageName, int] = {}
    places: dict[VersionId, int] = {}
    for subject in newest_first:
        if not rule.select.holds(subject):
            continue
        places[subject.id] = 0
        if subject.takes_a_slot:
            counts[subject.image] = places[subject.id] = counts.get(subject.image, 0) + 1
    return places


def _said(rule: RetentionRule, subject: Subject, place: int, at: datetime) -> Decision:
    """Give what one rule alone says of a version."""
    kept = (*_kept_by_count(rule.keep, place, at, subject), *_kept_by_use(rule.keep, subject, at))
    if kept:
        return _decision(rule, subject, Verdict.KEEP, kept)
    step, wait = _next_step(rule.then, subject.lifecycle)
    if step is None or wait is None:
        return _decision(rule, subject, Verdict.KEEP, ("the rule goes no further",))
    if step is not Verdict.DEPRECATE and subject.uses:
        return _decision(rule, subject, Verdict.KEEP, subject.uses)
    due_at = (subject.since_at or subject.created_at) + timedelta(seconds=wait)
    if due_at <= at:
        return _decision(rule, subject, step, ("nothing keeps it",))
    waits = _decision(rule, subject, Verdict.WAIT, (f"{step} from {due_at:%Y-%m-%d %H:%MZ} on",))
    return replace(waits, next_step=step, due_at=due_at)


def _kept_by_count(keep: Keeping, place: int, at: datetime, subject: Subject) -> Iterator[str]:
    if 0 < place <= keep.last:
        yield f"number {place} of the last {keep.last}"
    limit = keep.younger_than_seconds
    if limit is not None and subject.created_at > at - timedelta(seconds=limit):
        yield f"younger than {span_text(limit)}"


def _kept_by_use(keep: Keeping, subject: Subject, at: datetime) -> Iterator[str]:
    if keep.on_channel:
        yield from subject.on_channels
    if keep.with_children:
        yield from subject.has_children
    if keep.placed:
        yield from subject.at_targets
    limit = keep.launched_within_seconds
    if limit is not None:
        since = at - timedelta(seconds=limit)
        launched = [p.launched_at for p in subject.placements if p.launched_at is not None]
        if any(moment > since for moment in launched):
            yield f"launched {max(launched):%Y-%m-%d}"
    if keep.labels and _has_all(subject.labels, keep.labels):
        yield "labelled " + ", ".join(f"{k}={v}" for k, v in sorted(keep.labels.items()))


def _next_step(then: Steps, lifecycle: Lifecycle) -> tuple[Verdict | None, int | None]:
    """Give the step that comes after a lifecycle, and how long it waits for; None: never."""
    match lifecycle:
        case Lifecycle.ACTIVE:
            return Verdict.DEPRECATE, then.deprecate_after
        case Lifecycle.DEPRECATED:
            return Verdict.DISABLE, then.disable_after
        case Lifecycle.DISABLED:
            return Verdict.DELETE, then.delete_after
        case Lifecycle.DELETED:
            return None, None


def _decision(
    rule: RetentionRule, subject: Subject, verdict: Verdict, reasons: tuple[str, ...]
) -> Decision:
    return Decision(
        id=subject.id,
        reference=subject.reference,
        image=subject.image,
        created_at=subject.created_at,
        lifecycle=subject.lifecycle,
        verdict=verdict,
        reasons=reasons,
        rules=(rule.name,),
    )


def _most_keeping(said: Sequence[Decision]) -> Decision:
    """Give what several rules together come to, with all the reasons of those that say the same."""
    verdict = min((each.verdict for each in said), key=list(Verdict).index)
    same = [each for each in said if each.verdict is verdict]
    last = max(same, key=lambda each: each.due_at or each.created_at)
    if verdict is Verdict.WAIT:
        same = [each for each in same if each.due_at == last.due_at]
    return replace(
        last,
        reasons=tuple(dict.fromkeys(reason for each in same for reason in each.reasons)),
        rules=tuple(dict.fromkeys(rule for each in same for rule in each.rules)),
    )


def _has_all(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())
