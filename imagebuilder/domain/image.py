"""Image and image version: the immutable record of one kept build."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.bill import UNKNOWN_RELEASE, RecordedBill
from imagebuilder.domain.control import Assessment
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.evidence import TestReport
from imagebuilder.domain.ids import ChannelName, ImageName, RunId, VersionId, is_channel_name
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.spelling import nearest
from imagebuilder.domain.versions import BuildVersion, RecipeVersion, Wildcard

IMPORTED = "imported"
"""The layer of an image that others made, and where its plan says where that came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedLayer:
    """A layer as a version remembers it: enough to find it again and to say what it was."""

    name: str
    key: Digest
    content: Digest
    size_bytes: int
    component_version: str = ""
    component_digest: Digest | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentEdge:
    """What a version was built on.

    `asked` is what the recipe said (debian:bookworm, image:debian-base@1.x). `version_id` is set
    when the parent is a version of our own catalogue, else `identity` says what was taken: the
    suite, or the digest of the file.
    """

    asked: str
    identity: str
    version_id: VersionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentText:
    """A document as it stood when the version was built."""

    kind: str
    name: str
    text: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVersion:
    """The record of one kept build.

    `copied_from` is the version of another image whose bits it took over, under a name of its own.
    `bill` is None where no bill was made; `assessments` are what scans said.
    Invariant: never changed after it was recorded; all its tests passed, if it has any.
    Shape: `layers` lowest first, those of the parent image included; `indexes` maps each package
    index that was used (its address without credentials) to the digest it had.
    """

    id: VersionId
    image: ImageName
    version: BuildVersion
    run_id: RunId
    created_at: datetime
    plan_digest: Digest
    definition_digest: Digest
    plan: Canonical
    parent: ParentEdge
    disk_digest: Digest
    artifacts: tuple[Artifact, ...]
    layers: tuple[RecordedLayer, ...]
    packages: tuple[InstalledPackage, ...]
    reports: tuple[TestReport, ...]
    documents: tuple[DocumentText, ...]
    indexes: Mapping[str, Digest] = field(default_factory=dict)
    copied_from: VersionId | None = None
    bill: RecordedBill | None = None
    assessments: tuple[Assessment, ...] = ()

    @property
    def reference(self) -> str:
        """How people name it: debian-web@1.2.0/3."""
        return f"{self.image}@{self.version}"

    @property
    def is_imported(self) -> bool:
        """Whether others made it, so that nothing is known of how."""
        return isinstance(self.plan, Mapping) and IMPORTED in self.plan


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDraft:
    """A build that passed: all of an image version but its name and moment, to be recorded."""

    image: ImageName
    asked: RecipeVersion
    run_id: RunId
    plan_digest: Digest
    definition_digest: Digest
    plan: Canonical
    parent: ParentEdge
    disk_digest: Digest
    artifacts: tuple[Artifact, ...]
    layers: tuple[RecordedLayer, ...]
    packages: tuple[InstalledPackage, ...]
    reports: tuple[TestReport, ...]
    documents: tuple[DocumentText, ...]
    indexes: Mapping[str, Digest] = field(default_factory=dict)
    copied_from: VersionId | None = None
    bill: RecordedBill | None = None
    assessments: tuple[Assessment, ...] = ()

    def recorded(
        self, *, version_id: VersionId, version: BuildVersion, created_at: datetime
    ) -> ImageVersion:
        """Give the record of this build under its name."""
        return ImageVersion(
            id=version_id,
            image=self.image,
            version=version,
            run_id=self.run_id,
            created_at=created_at,
            plan_digest=self.plan_digest,
            definition_digest=self.definition_digest,
            plan=self.plan,
            parent=self.parent,
            disk_digest=self.disk_digest,
            artifacts=self.artifacts,
            layers=self.layers,
            packages=tuple(sorted(set(self.packages))),
            reports=self.reports,
            documents=self.documents,
            indexes=self.indexes,
            copied_from=self.copied_from,
            bill=self.bill,
            assessments=self.assessments,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSummary:
    """What a list shows of a version."""

    id: VersionId
    image: ImageName
    version: BuildVersion
    created_at: datetime
    parent_asked: str
    package_count: int
    size_bytes: int
    release: str = UNKNOWN_RELEASE

    @property
    def reference(self) -> str:
        """How people name it: debian-web@1.2.0/3."""
        return f"{self.image}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBuild:
    """The highest build of a line, and what it was built from."""

    version: BuildVersion
    definition_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """How people ask for a version: a name, with @1.2.3/4, @1.2.3, @1.x or @stable, or an id."""

    name: str
    asked: str = ""

    @property
    def build(self) -> BuildVersion | None:
        """The exact build, when one is named."""
        return BuildVersion.parse(self.asked) if "/" in self.asked else None

    @property
    def channel(self) -> ChannelName | None:
        """The channel that is asked by, when one is named."""
        return ChannelName(self.asked) if is_channel_name(self.asked) else None

    @property
    def wildcard(self) -> Wildcard:
        """The versions that may be meant, when no exact build and no channel is named."""
        return Wildcard.parse(self.asked) if self.asked else Wildcard(())

    def __str__(self) -> str:
        """Read as it was typed."""
        return f"{self.name}@{self.asked}" if self.asked else self.name


class ReferenceMalformed(InvalidInput):
    """A reference that can mean nothing."""

    code = "reference-malformed"

    def __init__(self, text: str, reason: str) -> None:
        """Quote it and show the forms there are."""
        super().__init__(
            f"{text!r} is not a reference to an image version.",
            context=reason,
            hint="Write debian-web, debian-web@1.x, debian-web@1.2.3/4 or debian-web@stable.",
        )


class VersionNotFound(WrongState):
    """No recorded version matches a reference."""

    code = "version-not-found"

    def __init__(self, asked: str, existing: tuple[str, ...], *, near: str | None = None) -> None:
        """Say what is there instead, and which image may be meant."""
        question = f"Did you mean {near}? " if near else ""
        super().__init__(
            f"No image version matches {asked}.",
            context=f"There are {', '.join(existing[:8])}." if existing else "There are none yet.",
            hint=f"{question}{_where_to_look(asked)}",
        )

    @classmethod
    def of_image(cls, name: str, names: Sequence[ImageName]) -> Self:
        """Give the error that an image has no version, where these images have some."""
        return cls(name, tuple(names), near=nearest(name, names))


def _where_to_look(asked: str) -> str:
    if asked.startswith("run-"):
        return f"A run is no version; see what it recorded with: imagebuilder run show {asked}"
    return "List them with: imagebuilder image list"


class ReferenceAmbiguous(WrongState):
    """Several versions have ids that start as the reference does."""

    code = "reference-ambiguous"

    def __init__(self, asked: str, matching: tuple[str, ...]) -> None:
        """Name the first of them; how many there are is not counted."""
        super().__init__(
            f"Several image versions have ids that start with {asked}.",
            context=f"Among them {', '.join(matching[:5])}.",
            hint="Give more of the id, or the name and the version.",
        )


def parse_reference(text: str) -> Reference:
    """Give the reference that text writes.

    Raises: ReferenceMalformed: what follows the @ is no version, wildcard, build or channel.
    """
    name, _, asked = text.partition("@")
    reference = Reference(name=name, asked=asked)
    try:
        if reference.build is None and reference.channel is None:
            _ = reference.wildcard
    except ValueError as reason:
        raise ReferenceMalformed(text, str(reason)) from reason
    if not name or text.endswith("@"):
        raise ReferenceMalformed(text, "The name or the version is missing.")
    return reference
