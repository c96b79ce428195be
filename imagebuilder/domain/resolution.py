"""Resolution: recipe, components and parent become a plan, by a pure function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.plan import (
    BUILDER_MODE,
    DEFAULT_SOURCE_DATE_EPOCH,
    FINISH_LAYER,
    LayerKind,
    Plan,
    PlannedLayer,
    PlannedParent,
    PlannedScan,
    PlannedTest,
    Upgrades,
)
from imagebuilder.domain.recipe import Recipe, Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """All that a recipe's names stand for today.

    Shape: `components` are in the recipe's order, each with all its parameters filled;
    `keyrings` maps the path of a keyring to what it holds; `known_upgrades` maps a question
    (`PlannedLayer.question`) to its answer.
    """

    recipe: Recipe
    components: Sequence[tuple[Component, Mapping[str, str]]]
    parent: PlannedParent
    tests: tuple[PlannedTest, ...] = ()
    scans: tuple[PlannedScan, ...] = ()
    default_repositories: tuple[Repository, ...] = ()
    source_date_epoch: int = DEFAULT_SOURCE_DATE_EPOCH
    known_upgrades: Mapping[Digest, Upgrades] = field(default_factory=dict)
    keyrings: Mapping[str, Digest] = field(default_factory=dict)
    follows: Digest | None = None


def resolve(given: Ingredients) -> Plan:
    """Give the plan. Its later keys stay open as long as an upgrade question is unanswered."""
    recipe = given.recipe
    repositories = recipe.repositories or given.default_repositories
    return Plan(
        image=recipe.name,
        recipe_version=recipe.version,
        definition=_definition(given),
        parent=given.parent,
        layers=_live_steps(given) if recipe.sources else _layers(given, repositories),
        artifacts=recipe.artifacts,
        disk=recipe.disk,
        repositories=repositories,
        tests=given.tests,
        scans=given.scans,
        sources=recipe.sources,
        source_date_epoch=given.source_date_epoch,
        max_age_seconds=recipe.max_age_seconds,
        follows=given.follows,
    )


def _layers(given: Ingredients, repositories: tuple[Repository, ...]) -> tuple[PlannedLayer, ...]:
    key: Digest | None = digest_of(_parent_inputs(given))
    layers = []
    if given.parent.source is not None:
        layers.append(PlannedLayer(kind=LayerKind.PARENT, name=given.parent.asked, key=key))
    for component, parameters in given.components:
        layer = _component_layer(key, component, parameters, given.known_upgrades)
        layers.append(layer)
        key = layer.key
    layers.append(
        PlannedLayer(
            kind=LayerKind.FINISH,
            name=FINISH_LAYER,
            key=key and _finish_key(key, given, repositories),
        )
    )
    return tuple(layers)


def _live_steps(given: Ingredients) -> tuple[PlannedLayer, ...]:
    """Give what is done on machines that Packer starts; nothing of it is asked about beforehand."""
    key = digest_of([*_parent_inputs(given), [s.document() for s in given.recipe.sources]])
    steps = []
    for component, parameters in given.components:
        key = digest_of(["live", str(key), str(component.layer_digest), dict(parameters)])
        steps.append(
            PlannedLayer(
                kind=LayerKind.COMPONENT,
                name=component.name,
                key=key,
                component=component,
                parameters=parameters,
            )
        )
    return tuple(steps)


def _parent_inputs(given: Ingredients) -> list[Canonical]:
    """Give what all layers depend on: whatever a recipe's own archives offer may get into each."""
    inputs: list[Canonical] = [
        "parent",
        BUILDER_MODE,
        given.parent.identity,
        given.source_date_epoch,
    ]
    own = given.recipe.repositories
    if own:
        # Not their keyrings: what is offered is the same when a key is another.
        inputs.append([[r.url, list(r.suites), list(r.components)] for r in own])
    return inputs


def _component_layer(
    below: Digest | None,
    component: Component,
    parameters: Mapping[str, str],
    known: Mapping[Digest, Upgrades],
) -> PlannedLayer:
    key: Digest | None = None
    question: Digest | None = None
    upgrades: Upgrades | None = None
    is_empty = False
    if below is not None:
        asked: Canonical = [
            "component",
            BUILDER_MODE,
            str(below),
            str(component.layer_digest),
            dict(parameters),
        ]
        key = digest_of(asked)
        if component.updates_packages:
            question, key = key, None
            upgrades = known.get(question)
            if upgrades is not None:
                changes = any(update.upgrades for update in upgrades.values())
                is_empty = component.only_updates_packages and not changes
                key = below if is_empty else digest_of([asked, _canonical_upgrades(upgrades)])
    return PlannedLayer(
        kind=LayerKind.COMPONENT,
        name=component.name,
        key=key,
        component=component,
        parameters=parameters,
        question=question,
        upgrades=upgrades,
        is_empty=is_empty,
    )


def _canonical_upgrades(upgrades: Upgrades) -> Canonical:
    return {
        step: [_canonical_upgrade(u) for u in update.upgrades] for step, update in upgrades.items()
    }


def _canonical_upgrade(upgrade: Upgrade) -> Canonical:
    return [upgrade.name, upgrade.architecture, upgrade.old_version, upgrade.new_version]


def _finish_key(below: Digest, given: Ingredients, repositories: tuple[Repository, ...]) -> Digest:
    return digest_of(
        [
            "finish",
            BUILDER_MODE,
            str(below),
            given.recipe.name,
            list(given.recipe.disk.firmware),
            _canonical_repositories(repositories, given.keyrings),
        ]
    )


def _definition(given: Ingredients) -> Digest:
    recipe = given.recipe
    more: dict[str, Canonical] = {}
    if given.scans:
        # What asks for no scan has the definition that it had before there were any.
        more["compliance"] = [scan.document() for scan in given.scans]
    if recipe.sources:
        more["packer"] = [source.document() for source in recipe.sources]
    return digest_of(
        {
            **more,
            "image": recipe.name,
            "parent": given.parent.asked,
            "components": [
                [component.name, str(component.version), str(component.digest), dict(parameters)]
                for component, parameters in given.components
            ],
            "tests": [[test.path, str(test.digest)] for test in given.tests],
            "artifacts": list(recipe.artifacts),
            "disk": [recipe.disk.size_bytes, list(recipe.disk.firmware)],
            "repositories": _canonical_repositories(recipe.repositories, given.keyrings),
        }
    )


def _canonical_repositories(
    repositories: tuple[Repository, ...], keyrings: Mapping[str, Digest]
) -> Canonical:
    return [
        [r.url, list(r.suites), list(r.components), str(keyrings[r.keyring]) if r.keyring else None]
        for r in repositories
    ]
