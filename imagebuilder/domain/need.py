"""Need: whether an image has to be built again, and the reasons why.

What changed is found out elsewhere; here it becomes words, and the words a verdict. A decision is
kept for every slot of a pipeline, so it reads back from what was kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.kept import kept_mapping, kept_rows, kept_text
from imagebuilder.domain.package import Upgrade

_NAMES_SHOWN = 5


class ReasonKind(StrEnum):
    """What sort of thing speaks for a build; overlap and trouble are why nobody could look."""

    ASKED_FOR = "asked-for"
    ALWAYS = "always"
    NEVER_BUILT = "never-built"
    PARENT_CHANGED = "parent-changed"
    RECIPE_CHANGED = "recipe-changed"
    COMPONENT_CHANGED = "component-changed"
    TESTS_CHANGED = "tests-changed"
    RULES_CHANGED = "rules-changed"
    SECURITY_UPDATES = "security-updates"
    OS_UPDATES = "os-updates"
    ARCHIVES_CHANGED = "archives-changed"
    MAX_AGE = "max-age"
    FILES_MISSING = "files-missing"
    WITHDRAWN = "withdrawn"
    OVERLAP = "overlap"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A thing that is another now: a package, a component, a parent.

    Shape: `before` is empty when it is new, `now` when it is gone or not known yet.
    """

    name: str
    before: str = ""
    now: str = ""

    def __str__(self) -> str:
        """Read as a reason shows it."""
        if self.before and self.now:
            return f"{self.name} {self.before} to {self.now}"
        return f"{self.name} {self.now or self.before}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Something that speaks for a build; `moves` are all the things that `text` speaks of."""

    kind: ReasonKind
    text: str
    moves: tuple[Move, ...] = ()

    def __str__(self) -> str:
        """Read as people are told."""
        return self.text


class Verdict(StrEnum):
    """What becomes of a run that is due."""

    BUILD = "build"
    SKIP = "skip"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether to build, and why.

    `version` names the image's newest version, empty when there is none. `passed_over` is what
    changed too but did not count. Invariant: there is a reason exactly when the verdict is build.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    version: str = ""
    passed_over: tuple[Reason, ...] = ()

    @property
    def text(self) -> str:
        """All of it in a line: the reasons, or what is still right."""
        if self.reasons:
            return "; ".join(map(str, self.reasons))
        beside = "; ".join(map(str, self.passed_over))
        if not self.version:
            return beside
        unchanged = f"nothing changed since {self.version}"
        return f"{unchanged} that counts: {beside}" if beside else unchanged

    def document(self) -> Canonical:
        """Give the decision as it is kept."""
        return {
            "verdict": self.verdict,
            "version": self.version,
            "reasons": list(map(_reason_document, self.reasons)),
            "passed_over": list(map(_reason_document, self.passed_over)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is to count: everything, or of the updates only those that are for security.

    `is_asked_for` when somebody wants the build whatever changed, `is_always` when the pipeline
    builds whenever it is due.
    """

    is_asked_for: bool = False
    is_always: bool = False
    is_security_only: bool = False


def decide(found: Iterable[Reason], terms: Terms, version: str = "") -> Decision:
    """Give the verdict on what was found to have changed since the newest version."""
    reasons: list[Reason] = []
    passed_over: list[Reason] = []
    if terms.is_asked_for:
        reasons.append(Reason(kind=ReasonKind.ASKED_FOR, text="a build was asked for"))
    if terms.is_always:
        text = "the pipeline builds whenever it is due"
        reasons.append(Reason(kind=ReasonKind.ALWAYS, text=text))
    for reason in found:
        is_counted = not terms.is_security_only or reason.kind is not ReasonKind.OS_UPDATES
        (reasons if is_counted else passed_over).append(reason)
    return Decision(
        verdict=Verdict.BUILD if reasons else Verdict.SKIP,
        reasons=tuple(reasons),
        version=version,
        passed_over=tuple(passed_over),
    )


def overlap_decision(other: str) -> Decision:
    """Give the decision that a run gives way to another; what changed was not looked at."""
    return Decision(
        verdict=Verdict.SKIP, passed_over=(Reason(kind=ReasonKind.OVERLAP, text=other),)
    )


def undecided(trouble: str) -> Decision:
    """Give that nobody could tell whether to build, and what was in the way."""
    return Decision(
        verdict=Verdict.UNDECIDED, passed_over=(Reason(kind=ReasonKind.TROUBLE, text=trouble),)
    )


def decision_of(document: Canonical) -> Decision:
    """Give the decision that was kept as that. Raises: ValueError: it is no such document."""
    kept = kept_mapping(document)
    return Decision(
        verdict=Verdict(kept_text(kept, "verdict")),
        version=kept_text(kept, "version"),
        reasons=tuple(map(_reason_of, kept_rows(kept, "reasons"))),
        passed_over=tuple(map(_reason_of, kept_rows(kept, "passed_over"))),
    )


def parent_reason(asked: str, before: str, now: str) -> Reason:
    """Say that what a parent is asked by means another version; empty where no one knows which."""
    move = Move(name=asked, before=before, now=now)
    text = f"its parent {asked} changed"
    if before and now and before != now:
        text = f"its parent {asked} was {before} and is {now}"
    return Reason(kind=ReasonKind.PARENT_CHANGED, text=text, moves=(move,))


def component_reason(moves: Sequence[Move]) -> Reason:
    """Say which components changed; one may keep its version and do another work."""
    told = [
        str(move) if move.before != move.now else f"{move.name} {move.now} does not do the same"
        for move in moves
    ]
    noun = "component" if len(moves) == 1 else f"{len(moves)} components"
    return Reason(
        kind=ReasonKind.COMPONENT_CHANGED,
        text=f"{noun} changed: {shortened(told)}",
        moves=tuple(moves),
    )


def recipe_reason(what: Sequence[str]) -> Reason:
    """Say what in a recipe changed."""
    moves = tuple(Move(name=each) for each in what)
    text = f"its recipe changed: {shortened(what)}" if what else "its recipe changed"
    return Reason(kind=ReasonKind.RECIPE_CHANGED, text=text, moves=moves)


def changed_tests(paths: Sequence[str]) -> Reason:
    """Say which tests changed."""
    return Reason(
        kind=ReasonKind.TESTS_CHANGED,
        text=f"its tests changed: {shortened(paths)}",
        moves=tuple(Move(name=path) for path in paths),
    )


def update_reasons(upgrades: Iterable[Upgrade]) -> tuple[Reason, ...]:
    """Give the updates that a build would take up as reasons, those for security first."""
    listed = sorted(upgrades)
    kinds = {
        ReasonKind.SECURITY_UPDATES: ([u for u in listed if u.is_security], "security update"),
        ReasonKind.OS_UPDATES: ([u for u in listed if not u.is_security], "update"),
    }
    reasons = []
    for kind, (those, noun) in kinds.items():
        if those:
            moves = [Move(name=u.name, before=u.old_version, now=u.new_version) for u in those]
            count = f"{len(those)} {noun}{'' if len(those) == 1 else 's'}"
            text = f"{count}: {shortened([str(move) for move in moves])}"
            reasons.append(Reason(kind=kind, text=text, moves=tuple(moves)))
    return tuple(reasons)


def shortened(words: Sequence[str]) -> str:
    """Give a list as a sentence has it; of a long one the beginning, and how many more."""
    shown = ", ".join(words[:_NAMES_SHOWN])
    more = len(words) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _reason_document(reason: Reason) -> Canonical:
    moves = [{"name": m.name, "before": m.before, "now": m.now} for m in reason.moves]
    return {"kind": reason.kind, "text": reason.text, "moves": moves}


def _reason_of(row: Mapping[str, Canonical]) -> Reason:
    return Reason(
        kind=ReasonKind(kept_text(row, "kind")),
        text=kept_text(row, "text"),
        moves=tuple(
            Move(name=kept_text(m, "name"), before=kept_text(m, "before"), now=kept_text(m, "now"))
            for m in kept_rows(row, "moves")
        ),
    )
