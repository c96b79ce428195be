"""Planning: a recipe's path becomes ingredients, a plan, and a verdict whether to build."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import PurePath

from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.image import DocumentText, ImageVersion, VersionDraft
from imagebuilder.domain.plan import (
    Plan,
    PlannedParent,
    PlannedTest,
)
from imagebuilder.domain.recipe import (
    Recipe,
    Repository,
    overridden,
)
from imagebuilder.domain.resolution import Ingredients, resolve
from imagebuilder.domain.updates import recorded_upgrades
from imagebuilder.domain.versions import BuildVersion, RecipeVersion
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerDamaged, LayerMissing, LayerStore, PackageSources
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.documents import DocumentSource
from imagebuilder.ports.values import ValueSource
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.pipelines.parentage import (
    Parentage,
    TakenParent,
    asked_of,
    text_of,
)
from imagebuilder.services.pipelines.usability import Usability
from imagebuilder.services.provisioning.outside import with_outside

Components = Sequence[tuple[Component, Mapping[str, str]]]
"""Components in their order, each with all its parameters filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What a person asks for.

    Shape: `overrides` maps component.parameter to a value.
    """

    recipe_path: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    refresh: bool = False
    keep: bool = False
    until_artifact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """All that is known before anything is built.

    `before` is the image's newest version; `archives` are what the build may fetch from;
    `suite` is the Debian suite at the bottom, empty when it is not known.
    """

    recipe: Recipe
    ingredients: Ingredients
    plan: Plan
    archives: tuple[Repository, ...]
    before: ImageVersion | None
    documents: tuple[DocumentText, ...]
    tests: tuple[PurePath, ...]
    keyrings: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    indexes: Mapping[str, Digest] = field(default_factory=dict)
    reason: str = ""

    @property
    def is_unchanged(self) -> bool:
        """Whether the newest version already is what would be built."""
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What a recipe's layers are made of, and what a workshop may fetch from to make them."""

    ingredients: Ingredients
    archives: tuple[Repository, ...]
    keyrings: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    recipe: Recipe
    components: Components
    warnings: tuple[str, ...]
    documents: tuple[DocumentText, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that a recipe's names may stand for, and what was kept of earlier builds.

    `versions` opens the catalogue, which what stands on no image of ours does not need.
    """

    documents: DocumentSource
    versions: Callable[[], VersionStore]
    usability: Usability
    layers: LayerStore
    blobs: BlobStore
    sources: PackageSources
    values: ValueSource


class Planning:
    """Resolves names against documents, catalogue and archives."""

    def __init__(self, authoring: Authoring, inventory: Inventory, clock: Clock) -> None:
        """Ask what is in inventory, and clock for how old that is."""
        self._authoring = authoring
        self._documents = inventory.documents
        self._versions = inventory.versions
        self._usability = inventory.usability
        self._layers = inventory.layers
        self._blobs = inventory.blobs
        self._sources = inventory.sources
        self._values = inventory.values
        self._clock = clock
        self._parentage = Parentage(
            inventory.documents, inventory.versions, inventory.sources, clock
        )

    def prepare(self, request: BuildRequest) -> Preparation:
        """Give everything decided that can be decided now.

        Raises: InvalidDocument; ComponentNotFound; VersionNotFound: the parent image was never
        built; ParentUnusable; NewestRevoked: nothing changed since a version that is revoked.
        """
        read = self._read(request)
        found = self._foundation(read.recipe, read.components, request.recipe_path)
        parent = found.ingredients.parent
        self._usability.refuse_parent(read.recipe.name, parent.version_id)
        told = tuple(self._usability.told_of_parent(read.recipe.parent, parent))
        prepared = self._prepared(request, replace(read, warnings=(*read.warnings, *told)), found)
        before = self._versions().newest(read.recipe.name)
        follows = before.disk_digest if before and self._can_be_followed(before) else None
        prepared = replace(
            prepared,
            before=before,
            ingredients=replace(prepared.ingredients, follows=follows),
            plan=replace(prepared.plan, follows=follows),
        )
        return self._judged(prepared, request)

    def pinned(self, request: BuildRequest, built: VersionDraft) -> Preparation:
        """Give what documents say now of something that was built of them.

        Its parent and its upgrades are those that it was built with, whatever there is today:
        neither the archives nor the catalogue are asked. There is no reason, and no version before.
        Raises: as `prepare` of documents.
        """
        read = self._read(request)
        parent = PlannedParent(
            asked=asked_of(read.recipe.parent),
            identity=built.parent.identity,
            version_id=built.parent.version_id,
            suite=text_of(built.plan, "suite"),
        )
        taken = TakenParent(planned=parent, archives=())
        found = self._foundation(read.recipe, read.components, request.recipe_path, taken)
        prepared = self._prepared(request, read, found)
        known = recorded_upgrades(built.plan)
        ingredients = replace(prepared.ingredients, known_upgrades=known)
        return replace(prepared, ingredients=ingredients, plan=resolve(ingredients))

    def foundation(self, recipe: Recipe, components: Components, path: str) -> Foundation:
        """Give what a recipe at `path` is built from, with the upgrades of its newest version.

        The archives are asked nothing, so that what was built is found whatever they hold today.
        Raises: VersionNotFound: the parent image was never built; DocumentUnreadable.
        """
        found = self._foundation(recipe, components, path)
        if resolve(found.ingredients).open_question is None:
            return found
        before = self._versions().newest(recipe.name)
        known = recorded_upgrades(before.plan) if before else {}
        return replace(found, ingredients=replace(found.ingredients, known_upgrades=known))

    def _foundation(
        self, recipe: Recipe, components: Components, path: str, taken: TakenParent | None = None
    ) -> Foundation:
        recipe, keyrings = self._with_located_keyrings(recipe, path)
        parent = taken or self._parentage.taken(recipe.parent, path)
        return Foundation(
            ingredients=Ingredients(
                recipe=recipe,
                components=[
                    (with_outside(component, parameters, self._values), parameters)
                    for component, parameters in components
                ],
                parent=parent.planned,
                default_repositories=tuple(
                    replace(r, keyring=None, allows_expired=False) for r in parent.archives
                ),
                keyrings={name: Digest.of_bytes(content) for name, content in keyrings.items()},
            ),
            archives=(*parent.archives, *recipe.repositories),
            keyrings=keyrings,
        )

    def _prepared(self, request: BuildRequest, read: _Read, found: Foundation) -> Preparation:
        """Give all of it that is known without a look at what was built before."""
        recipe = found.ingredients.recipe
        tests = tuple(self._documents.locate(test, request.recipe_path) for test in recipe.tests)
        planned = tuple(
            PlannedTest(path=name, digest=self._documents.folder_digest(file))
            for name, file in zip(recipe.tests, tests, strict=True)
        )
        ingredients = replace(found.ingredients, tests=planned)
        return Preparation(
            recipe=recipe,
            ingredients=ingredients,
            plan=resolve(ingredients),
            archives=found.archives,
            before=None,
            documents=read.documents,
            tests=tests,
            keyrings=found.keyrings,
            warnings=read.warnings,
        )

    def _read(self, request: BuildRequest) -> _Read:
        read = self._authoring.recipe(request.recipe_path)
        recipe = overridden(read.value, request.overrides)
        shelf = self._authoring.components_for(recipe, request.recipe_path)
        texts = [_document("recipe", recipe.name, recipe.text)]
        used = [c for top, _ in shelf.components for c in (top, *top.all_documents)]
        texts += [_document("component", c.name, c.text) for c in used]
        warnings = tuple(str(problem) for problem in (*read.warnings, *shelf.warnings))
        return _Read(
            recipe=recipe,
            components=shelf.components,
            warnings=warnings,
            documents=tuple(dict.fromkeys(texts)),
        )

    def _with_located_keyrings(self, recipe: Recipe, path: str) -> tuple[Recipe, dict[str, bytes]]:
        """Give the recipe with absolute keyring paths, and what those files hold."""
        repositories = []
        keyrings = {}
        for repository in recipe.repositories:
            if repository.keyring is not None:
                file = self._documents.locate(repository.keyring, path)
                keyrings[str(file)] = self._documents.content(file)
                repository = replace(repository, keyring=str(file))  # noqa: PLW2901 - the same, located
            repositories.append(repository)
        return replace(recipe, repositories=tuple(repositories)), keyrings

    def _judged(self, prepared: Preparation, request: BuildRequest) -> Preparation:
        """Say why there is something to build, or nothing."""
        prepared = self._with_known_upgrades(prepared, request)
        return replace(prepared, reason=self.reason(prepared, request))

    def _with_known_upgrades(self, prepared: Preparation, request: BuildRequest) -> Preparation:
        """Take the newest version's answers while the archives' signed indexes are the same."""
        if prepared.plan.open_question is None:
            return prepared
        indexes = self._sources.indexes(prepared.archives)
        prepared = replace(prepared, indexes=indexes)
        # From scratch means asked anew: the layers below will not be those that were asked about.
        before = prepared.before
        if before is None or request.refresh or dict(before.indexes) != dict(indexes):
            return prepared
        known = recorded_upgrades(before.plan)
        ingredients = replace(prepared.ingredients, known_upgrades=known)
        return replace(prepared, ingredients=ingredients, plan=resolve(ingredients))

    def reason(self, prepared: Preparation, request: BuildRequest) -> str:
        """Say why the newest version is not what the plan would give; nothing when it is."""
        if prepared.before is None:
            return "it was never built"
        return next(self._reasons(prepared, prepared.before, request), "")

    def _reasons(
        self, prepared: Preparation, before: ImageVersion, request: BuildRequest
    ) -> Iterator[str]:
        plan = prepared.plan
        if request.refresh:
            yield "a build from scratch was asked for"
        if plan.open_question is not None:
            yield "the package archives changed since"
        if text_of(before.plan, "content") != str(plan.content_digest):
            yield _what_changed(before, plan)
        if not _is_asked_for(before.version, plan.recipe_version):
            yield "its recipe asks for another version"
        yield from filter(None, [self._usability.gone(before)])
        if any(not self._blobs.has(a.digest, a.size_bytes) for a in before.artifacts):
            yield "its files are not in the store any more"
        if not all(self._layers.has(layer.content) for layer in before.layers):
            yield "its layers are not in the store any more"
        if plan.max_age_seconds is not None:
            yield from self._too_old(before, plan, timedelta(seconds=plan.max_age_seconds))
        if not request.until_artifact:
            self._usability.refuse_revoked(before)

    def _too_old(self, before: ImageVersion, plan: Plan, limit: timedelta) -> Iterator[str]:
        """Say so when one of a version's own layers is older than its recipe allows."""
        own = [r.content for r in before.layers if r.content not in plan.parent.contents]
        try:
            made_at = [self._layers.get(content).created_at for content in own]
        except (LayerMissing, LayerDamaged) as lost:
            # A build makes it anew, and says so.
            yield lost.message
            return
        if min(made_at, default=self._clock.now()) < self._clock.now() - limit:
            yield "its layers are older than max_age allows"

    def _can_be_followed(self, version: ImageVersion) -> bool:
        return all(self._layers.has(layer.content) for layer in version.layers)


def _is_asked_for(version: BuildVersion, asked: RecipeVersion) -> bool:
    numbers = version.version
    is_in_line = (numbers.major, numbers.minor) == (asked.major, asked.minor)
    return is_in_line and asked.patch in (None, numbers.patch)


def _what_changed(before: ImageVersion, plan: Plan) -> str:
    if before.definition_digest != plan.definition:
        return "its recipe, a component or a test changed"
    recorded = before.plan.get("parent") if isinstance(before.plan, Mapping) else None
    if text_of(recorded, "identity") != plan.parent.identity:
        return "its parent changed"
    return "what it is built from changed"


def _document(kind: str, name: str, text: str) -> DocumentText:
    return DocumentText(kind=kind, name=name, text=text, digest=Digest.of_bytes(text.encode()))
