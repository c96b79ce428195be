"""Comparison: what differs between two versions.

What their records do not hold, files and what led to them, is added by whoever can look it up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.evidence import TestReport, TestResult
from imagebuilder.domain.file_changes import ChangeKind, FileDiff, change_kind
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import DocumentText, ImageVersion, ParentEdge, RecordedLayer
from imagebuilder.domain.package import PackageChange, PackageMove, package_changes
from imagebuilder.domain.security_updates import SecurityUpdate

ThingT = TypeVar("ThingT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[ThingT]):
    """A thing that is not the same in both versions. Invariant: old and new are not both None."""

    name: str
    old: ThingT | None
    new: ThingT | None

    @property
    def kind(self) -> ChangeKind:
        """What happened to it."""
        return change_kind(self.old, self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDiff:
    """What differs between two versions; every list is empty where they agree.

    `components` changed in version, document or parameters; `layers` hold other files, whether or
    not their component changed. Shape: in the order of the new version, what was removed at the
    end; packages by name. A name that occurs again carries its count (nginx, nginx #2); a test is
    named by its stage and its name. `files` is None when a manifest is gone: `without_files` names
    the versions whose files nobody can tell any more. `references` are how people name the parents.
    """

    old: ImageVersion
    new: ImageVersion
    parent: Change[ParentEdge] | None
    documents: tuple[Change[DocumentText], ...]
    components: tuple[Change[RecordedLayer], ...]
    layers: tuple[Change[RecordedLayer], ...]
    packages: tuple[PackageChange, ...]
    indexes: tuple[Change[Digest], ...]
    tests: tuple[Change[TestResult], ...]
    artifacts: tuple[Change[Artifact], ...]
    security: tuple[SecurityUpdate, ...] = ()
    files: FileDiff | None = None
    without_files: tuple[str, ...] = ()
    references: Mapping[VersionId, str] = field(default_factory=dict)

    def parent_text(self, edge: ParentEdge, other: ParentEdge | None) -> str:
        """Say what of a parent differs from another: what was asked for, else what that was."""
        if other is None or edge.asked != other.asked:
            return edge.asked
        if edge.version_id is None:
            return edge.identity
        return self.references.get(edge.version_id, edge.version_id)

    @property
    def is_backwards(self) -> bool:
        """Whether the one called old was recorded after the one called new."""
        return self.old.created_at > self.new.created_at

    @property
    def is_across_images(self) -> bool:
        """Whether they are versions of different images."""
        return self.old.image != self.new.image

    def moved(self, move: PackageMove) -> tuple[PackageChange, ...]:
        """Give the packages to which that happened, by name."""
        return tuple(change for change in self.packages if change.move is move)

    @property
    def is_empty(self) -> bool:
        """Whether the versions hold the same, made from the same."""
        made_from = self.parent or self.documents or self.components or self.indexes
        return not (made_from or self.layers or self.packages or self.tests or self.artifacts)


def compared(old: ImageVersion, new: ImageVersion) -> VersionDiff:
    """Give what differs from old to new."""
    is_same_parent = old.parent == new.parent
    return VersionDiff(
        old=old,
        new=new,
        parent=None if is_same_parent else Change(name="parent", old=old.parent, new=new.parent),
        documents=_changes(_documents(old), _documents(new)),
        components=_component_changes(old, new),
        layers=tuple(
            change
            for change in _changes(_layers(old.layers), _layers(new.layers))
            if _content(change.old) != _content(change.new)
        ),
        packages=package_changes(old.packages, new.packages),
        indexes=_changes(old.indexes, new.indexes),
        tests=tuple(
            change
            for change in _changes(_tests(old.reports), _tests(new.reports))
            if change.old is None or change.new is None or change.old.outcome != change.new.outcome
        ),
        artifacts=_changes(_artifacts(old), _artifacts(new)),
    )


def _changes(old: Mapping[str, ThingT], new: Mapping[str, ThingT]) -> tuple[Change[ThingT], ...]:
    names = [*new, *(name for name in old if name not in new)]
    return tuple(
        Change(name=name, old=old.get(name), new=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    )


def _component_changes(old: ImageVersion, new: ImageVersion) -> tuple[Change[RecordedLayer], ...]:
    before, after = _components(old), _components(new)
    return tuple(
        Change(name=change.name, old=before.get(change.name), new=after.get(change.name))
        for change in _changes(
            {name: _recipe_part(layer) for name, layer in before.items()},
            {name: _recipe_part(layer) for name, layer in after.items()},
        )
    )


def _components(version: ImageVersion) -> dict[str, RecordedLayer]:
    return _layers(layer for layer in version.layers if layer.component_digest is not None)


def _recipe_part(layer: RecordedLayer) -> tuple[str, Digest | None, dict[str, str]]:
    return layer.component_version, layer.component_digest, dict(layer.parameters)


def _layers(layers: Iterable[RecordedLayer]) -> dict[str, RecordedLayer]:
    return _named((layer.name, layer) for layer in layers)


def _content(layer: RecordedLayer | None) -> Digest | None:
    return None if layer is None else layer.content


def _documents(version: ImageVersion) -> dict[str, DocumentText]:
    return _named((f"{document.kind} {document.name}", document) for document in version.documents)


def _tests(reports: Iterable[TestReport]) -> dict[str, TestResult]:
    return _named((f"{r.stage} {test.name}", test) for r in reports for test in r.results)


def _artifacts(version: ImageVersion) -> dict[str, Artifact]:
    return _named((artifact.format.value, artifact) for artifact in version.artifacts)


def _named(things: Iterable[tuple[str, ThingT]]) -> dict[str, ThingT]:
    """Give things by their names, those that share one told apart by a count."""
    found: dict[str, ThingT] = {}
    counts: dict[str, int] = {}
    for name, thing in things:
        counts[name] = counts.get(name, 0) + 1
        found[name if counts[name] == 1 else f"{name} #{counts[name]}"] = thing
    return found


class NoVersionBefore(WrongState):
    """A version was to be compared with the one before it, and is the first of its image."""

    code = "no-version-before"

    def __init__(self, reference: str) -> None:
        """Name it."""
        super().__init__(
            f"{reference} is the first version of its image that was recorded.",
            context="It has nothing before it to be compared with.",
            hint="Name two versions, the older one first.",
        )


class SameVersionTwice(InvalidInput):
    """A version was to be compared with itself."""

    code = "same-version-twice"

    def __init__(self, reference: str) -> None:
        """Name it."""
        super().__init__(
            f"Both references mean {reference}.",
            context="A version does not differ from itself.",
            hint=f"Name it once to compare it with the one before it: image diff {reference}",
        )
