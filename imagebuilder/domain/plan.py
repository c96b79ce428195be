"""Plan: a recipe fully resolved; everything decided, nothing done.

Layer keys are the digest of all that goes into a layer before it is built. What no key can hold,
the package index of the day, is recorded with the version instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from imagebuilder.domain.compliance import Compliance, compliance_document
from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.domain.recipe import (
    ArtifactFormat,
    DiskSpec,
    RecipeTest,
    Repository,
    RootfsParent,
    SuiteParent,
)
from imagebuilder.domain.updates import PlannedUpdate
from imagebuilder.domain.versions import RecipeVersion

BUILDER_MODE = "root-overlay-2"
"""How layers are stored (as root, overlayfs) and the revision of the rules that make them."""

DEFAULT_SOURCE_DATE_EPOCH = 1767225600
"""2026-01-01: later file times are set to it, so that the same input gives the same bytes."""

INITRAMFS_LAYER = "initramfs"
FINISH_LAYER = "finish"
"""These two every image has for itself, at its top: no child is built on them."""


class LayerKind(StrEnum):
    """What makes a planned layer."""

    PARENT = "parent"
    COMPONENT = "component"
    FINISH = "finish"


Upgrades = Mapping[str, PlannedUpdate]
"""What a component's UpdateOS steps are to do exactly. Shape: step name -> what that one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLayer:
    """A layer to find or to make.

    `key` is None while it depends on upgrades that are not known yet; `question` then names what
    must be asked. `is_empty` when there is nothing to upgrade: no layer is made.
    """

    kind: LayerKind
    name: str
    key: Digest | None
    component: Component | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    question: Digest | None = None
    upgrades: Upgrades | None = None
    is_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedParent:
    """What a recipe's parent turned out to be.

    `identity` goes into the first layer key. `source` is what to bootstrap or unpack, None when the
    parent is a version of our own, whose `contents` (its layers, lowest first) are reused as they
    are. `suite` is the Debian suite at the bottom, empty when it is not known.
    """

    asked: str
    identity: str
    source: SuiteParent | RootfsParent | None = None
    version_id: VersionId | None = None
    contents: tuple[Digest, ...] = ()
    suite: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTest:
    """A file or folder of tests, and the digest of what it held and how it runs."""

    path: str
    digest: Digest


def planned_test(test: RecipeTest, held: Digest) -> PlannedTest:
    """Give the plan's word for tests whose files have a digest."""
    how: list[Canonical] = [dict(test.variables), test.retries, test.timeout_seconds]
    is_plain = how == [{}, 0, None]
    digest = held if is_plain else digest_of([str(held), *how])
    return PlannedTest(path=test.path, digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedScan:
    """A scan, and what its controls held when they are the recipe's own."""

    compliance: Compliance
    controls: Digest | None = None

    def document(self) -> Canonical:
        """Give it as it is recorded."""
        own = None if self.controls is None else str(self.controls)
        return {"asked": compliance_document(self.compliance), "controls": own}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A recipe fully resolved.

    `definition` is the identity of what people wrote (recipe, components, tests, scans); `follows`
    is the disk whose layout the new one keeps, the one input that does not change what the image
    holds. With `sources` Packer builds it: `layers` are then the steps done on its machines, whose
    keys name no layer that is kept.
    """

    image: ImageName
    recipe_version: RecipeVersion
    definition: Digest
    parent: PlannedParent
    layers: tuple[PlannedLayer, ...]
    artifacts: tuple[ArtifactFormat, ...]
    disk: DiskSpec
    repositories: tuple[Repository, ...]
    tests: tuple[PlannedTest, ...]
    source_date_epoch: int
    scans: tuple[PlannedScan, ...] = ()
    sources: tuple[PackerSource, ...] = ()
    max_age_seconds: int | None = None
    follows: Digest | None = None

    @property
    def open_question(self) -> PlannedLayer | None:
        """The first layer whose upgrades must be asked for, or None when all keys are known."""
        return next((layer for layer in self.layers if layer.question and layer.key is None), None)

    @property
    def content_digest(self) -> Digest:
        """The identity of what the image will hold and how it will be tested.

        Two plans that share it need only one build.
        """
        return digest_of(self._content())

    @property
    def digest(self) -> Digest:
        """The identity of the plan, the layout it follows included."""
        return digest_of(self.document())

    def document(self) -> Canonical:
        """Give the plan as it is recorded."""
        return {
            "content": str(self.content_digest),
            "follows": str(self.follows) if self.follows else None,
            **self._content(),
        }

    def _content(self) -> dict[str, Canonical]:
        more: dict[str, Canonical] = {}
        if self.scans:
            # The plans of what asks for no scan are as they were before there were any.
            more["compliance"] = [scan.document() for scan in self.scans]
        if self.sources:
            more["packer"] = [source.document() for source in self.sources]
        return {
            "image": self.image,
            "definition": str(self.definition),
            "mode": BUILDER_MODE,
            "parent": {"asked": self.parent.asked, "identity": self.parent.identity},
            "suite": self.parent.suite,
            "layers": [
                {
                    "name": layer.name,
                    "kind": layer.kind,
                    "key": str(layer.key) if layer.key else None,
                    "parameters": dict(layer.parameters),
                }
                for layer in self.layers
                if not layer.is_empty
            ],
            "artifacts": list(self.artifacts),
            "tests": [[test.path, str(test.digest)] for test in self.tests],
            **more,
            "source_date_epoch": self.source_date_epoch,
        }
