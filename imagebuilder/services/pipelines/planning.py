"""Planning: a recipe's path becomes ingredients, a plan, and a verdict whether to build."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.forecast import Forecast
from imagebuilder.domain.image import DocumentText, ImageVersion, VersionDraft
from imagebuilder.domain.matrix import variant_image
from imagebuilder.domain.need import Reason
from imagebuilder.domain.packer import SourceUnknown
from imagebuilder.domain.packs import pack_name
from imagebuilder.domain.plan import (
    Plan,
    PlannedParent,
    PlannedScan,
    planned_test,
)
from imagebuilder.domain.recipe import (
    Recipe,
    Repository,
    overridden,
    parent_text,
)
from imagebuilder.domain.resolution import Ingredients, resolve
from imagebuilder.domain.updates import recorded_upgrades
from imagebuilder.ports.archives import PackageArchives
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerStore, PackageSources
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.documents import DocumentSource
from imagebuilder.ports.inspection import SuiteEntry
from imagebuilder.ports.values import ValueSource
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.pipelines.forecasting import Forecasting
from imagebuilder.services.pipelines.parentage import (
    NotOfLayers,
    Parentage,
    ParentHasNoLayers,
    TakenParent,
    text_of,
)
from imagebuilder.services.pipelines.reasoning import Case, Evidence, Reasoning
from imagebuilder.services.pipelines.usability import Usability
from imagebuilder.services.provisioning.outside import with_outside

Components = Sequence[tuple[Component, Mapping[str, str]]]
"""Components in their order, each with all its parameters filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What a person, or a pipeline, asks for.

    A `variant` of a recipe is an image of its own: debian-web-VARIANT. `max_age_seconds` counts
    where the recipe allows its layers to be older, or of any age. `only` names the sources to build
    of a recipe that has several; none means all.
    Shape: `overrides` maps component.parameter to a value.
    """

    recipe_path: str
    variant: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    refresh: bool = False
    keep: bool = False
    until_artifact: bool = False
    max_age_seconds: int | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """All that is known before anything is built.

    `before` is the image's newest version; `archives` are what the build may fetch from;
    `forecast` is what apt would answer otherwise than for that version, None when nothing is known
    to be otherwise. Shape: `controls` maps a folder's name in the recipe to where it is.
    """

    recipe: Recipe
    ingredients: Ingredients
    plan: Plan
    archives: tuple[Repository, ...]
    before: ImageVersion | None
    documents: tuple[DocumentText, ...]
    tests: tuple[SuiteEntry, ...]
    controls: Mapping[str, PurePath] = field(default_factory=dict)
    keyrings: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    indexes: Mapping[str, Digest] = field(default_factory=dict)
    forecast: Forecast | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def reason(self) -> str:
        """All reasons in a line, empty when there is none."""
        return "; ".join(map(str, self.reasons))

    @property
    def is_unchanged(self) -> bool:
        """Whether the newest version already is what would be built."""
        return not self.reasons


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
    archives: PackageArchives
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
        self._sources = inventory.sources
        self._values = inventory.values
        self._clock = clock
        self._parentage = Parentage(
            inventory.documents, inventory.versions, inventory.sources, clock
        )
        self._forecasting = Forecasting(inventory.archives)
        evidence = Evidence(
            versions=inventory.versions,
            usability=inventory.usability,
            layers=inventory.layers,
            blobs=inventory.blobs,
        )
        self._reasoning = Reasoning(evidence, clock)

    def prepare(self, request: BuildRequest) -> Preparation:
        """Give everything decided that can be decided now.

        Raises: InvalidDocument: also of its tests, when there is something to build;
        ComponentNotFound; VersionNotFound: the parent image was never built; ParentUnusable;
        NewestRevoked: nothing changed since a version that is revoked; ParentHasNoLayers.
        """
        read = self._read(request)
        found = self._foundation(read.recipe, read.components, request.recipe_path)
        parent = found.ingredients.parent
        if parent.version_id and not parent.contents and not read.recipe.sources:
            raise ParentHasNoLayers(parent.asked)
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
            asked=parent_text(read.recipe.parent),
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

    def recorded(self, request: BuildRequest, version: ImageVersion) -> Preparation:
        """Give what documents say now of a version, on the parent and with the upgrades it has.

        As `pinned`, but all is known that it takes to make it again, from its archives as well.
        Raises: as `prepare` of documents; VersionNotFound: its parent image is not recorded;
        NotOfLayers.
        """
        read = self._read(request)
        if read.recipe.sources:
            raise NotOfLayers(read.recipe.name)
        taken = self._parentage.recorded(read.recipe, request.recipe_path, version)
        found = self._foundation(read.recipe, read.components, request.recipe_path, taken)
        prepared = self._prepared(request, read, found)
        ingredients = replace(prepared.ingredients, known_upgrades=recorded_upgrades(version.plan))
        return replace(prepared, ingredients=ingredients, plan=resolve(ingredients))

    def foundation(self, recipe: Recipe, components: Components, path: str) -> Foundation:
        """Give what a recipe at `path` is built from, with the upgrades of its newest version.

        The archives are asked nothing, so that what was built is found whatever they hold today.
        Raises: VersionNotFound: the parent image was never built; DocumentUnreadable; NotOfLayers.
        """
        if recipe.sources:
            raise NotOfLayers(recipe.name)
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
        parent = taken or self._parentage.taken(recipe, path)
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
        tests = tuple(
            SuiteEntry(
                path=self._documents.locate(test.path, request.recipe_path),
                pack=pack_name(test.path) or "",
                variables=test.variables,
                retries=test.retries,
                timeout_seconds=test.timeout_seconds,
            )
            for test in recipe.tests
        )
        planned = tuple(
            planned_test(test, self._documents.folder_digest(entry.path))
            for test, entry in zip(recipe.tests, tests, strict=True)
        )
        controls = {
            scan.controls: self._documents.locate(scan.controls, request.recipe_path)
            for scan in recipe.compliance
            if scan.controls
        }
        held = {name: self._documents.folder_digest(file) for name, file in controls.items()}
        scans = tuple(
            PlannedScan(compliance=scan, controls=held.get(scan.controls))
            for scan in recipe.compliance
        )
        ingredients = replace(found.ingredients, tests=planned, scans=scans)
        return Preparation(
            recipe=recipe,
            ingredients=ingredients,
            plan=resolve(ingredients),
            archives=found.archives,
            before=None,
            documents=read.documents,
            tests=tests,
            controls=controls,
            keyrings=found.keyrings,
            warnings=read.warnings,
        )

    def _read(self, request: BuildRequest) -> _Read:
        read = self._authoring.recipe(request.recipe_path)
        recipe = overridden(read.value, request.overrides)
        names = [source.name for source in recipe.sources]
        if not set(request.only) <= set(names):
            raise SourceUnknown(sorted(set(request.only) - set(names)), names)
        ages = (recipe.max_age_seconds, request.max_age_seconds)
        limit = min((age for age in ages if age is not None), default=None)
        image = variant_image(recipe.name, request.variant)
        recipe = replace(recipe, name=image, max_age_seconds=limit)
        shelf = self._authoring.components_for(recipe, request.recipe_path)
        texts = [_document("recipe", read.value.name, recipe.text)]
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
        reasons = self.reasons(prepared, request)
        if reasons:
            # What will be built is tested at its end, and would fail only then.
            self._authoring.refuse_unusable_tests(prepared.recipe, request.recipe_path)
        return replace(prepared, reasons=reasons)

    def _with_known_upgrades(self, prepared: Preparation, request: BuildRequest) -> Preparation:
        """Take the newest version's answers as long as they would be the same today.

        They are while the archives' signed indexes are; else what these list tells.
        """
        if prepared.plan.open_question is None:
            return prepared
        prepared = replace(prepared, indexes=self._sources.indexes(prepared.archives))
        # From scratch means asked anew: the layers below will not be those that were asked about.
        before = prepared.before
        if before is None or request.refresh:
            return prepared
        known = recorded_upgrades(before.plan)
        ingredients = replace(prepared.ingredients, known_upgrades=known)
        plan = resolve(ingredients)
        asked = [layer.question for layer in plan.layers if layer.question in known]
        if asked and dict(before.indexes) != dict(prepared.indexes):
            forecast = self._forecasting.forecast(before, filter(None, asked), prepared.archives)
            if not forecast.is_as_before:
                return replace(prepared, forecast=forecast)
        return replace(prepared, ingredients=ingredients, plan=plan)

    def reasons(self, prepared: Preparation, request: BuildRequest) -> tuple[Reason, ...]:
        """Say why the newest version is not what the plan would give; nothing when it is.

        Raises: NewestRevoked: it is, and it is revoked.
        """
        case = Case(
            plan=prepared.plan,
            before=prepared.before,
            recipe=prepared.recipe,
            documents=prepared.documents,
            forecast=prepared.forecast,
            is_from_scratch=request.refresh,
        )
        found = self._reasoning.reasons(case)
        if not found and prepared.before is not None and not request.until_artifact:
            self._usability.refuse_revoked(prepared.before)
        return found

    def _can_be_followed(self, version: ImageVersion) -> bool:
        return all(self._layers.has(layer.content) for layer in version.layers)


def _document(kind: str, name: str, text: str) -> DocumentText:
    return DocumentText(kind=kind, name=name, text=text, digest=Digest.of_bytes(text.encode()))
