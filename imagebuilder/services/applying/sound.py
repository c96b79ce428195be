"""Pipelines whose recipe is at hand and takes what they set; else all that is wrong with them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.pipeline_document import (
    distribution_problem,
    recipe_problem,
    setting_problem,
)
from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.reader import Read, read_distribution, read_pipeline
from imagebuilder.domain.component import Component
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ImageName, is_name
from imagebuilder.domain.matrix import POOL_AXIS
from imagebuilder.domain.pipeline import Pipeline
from imagebuilder.domain.recipe import (
    CircularParents,
    ComponentUse,
    ImageParent,
    Recipe,
    RecipeAmbiguous,
    overridden,
    parent_text,
)
from imagebuilder.domain.spelling import did_you_mean
from imagebuilder.ports.documents import DocumentSource, DocumentUnreadable
from imagebuilder.services.authoring import Authoring

Used = Sequence[tuple[ComponentUse, Component]]
"""The components of a recipe in its order, each with how it is asked for."""


class PipelineReading:
    """Reads pipelines; what it read of recipes it remembers, so it is made anew for each look."""

    def __init__(self, authoring: Authoring, documents: DocumentSource) -> None:
        """Read documents, and their recipes with authoring."""
        self._authoring = authoring
        self._documents = documents
        self._recipes: dict[str, tuple[Recipe, Used]] = {}
        self._makers: dict[PurePath, Mapping[str, Sequence[str]]] = {}

    def sound(self, path: str) -> Read[Pipeline]:
        """Give the pipeline at a path, with what its recipe makes and is built on filled in.

        Raises: DocumentUnreadable; InvalidDocument: with all that is wrong in it, or in its recipe.
        """
        read = read_pipeline(self._documents.text(path), path)
        pipeline = read.value
        try:
            recipe_path = self._recipe_path(pipeline)
            recipe, used = self._recipe(recipe_path)
            self._refuse_circle(recipe, recipe_path)
            problems = list(_problems(pipeline, recipe, used))
            if not problems:
                self._refuse_build(pipeline, recipe, recipe_path)
        except InvalidDocument:
            raise
        except InvalidInput as error:
            said = " ".join(part for part in (error.message, error.context) if part)
            raise InvalidDocument([recipe_problem(pipeline, said, error.hint)]) from error
        if problems:
            raise InvalidDocument(problems)
        known = replace(
            pipeline,
            distributions=self._distributions(pipeline),
            path=str(self._documents.locate(PurePath(path).name, path)),
            recipe_path=recipe_path,
            image=recipe.name,
            parent=parent_text(recipe.parent),
        )
        return replace(read, value=known)

    def _recipe_path(self, pipeline: Pipeline) -> str:
        """Give where a recipe lies: at its path, or else by its name here or one folder above."""
        if not is_name(pipeline.recipe) or pipeline.recipe.endswith((".yaml", ".yml")):
            return str(self._documents.locate(pipeline.recipe, pipeline.path))
        here = self._documents.locate(PurePath(pipeline.path).name, pipeline.path).parent
        for folder in (here, here.parent):
            paths = self._makers_in(folder).get(pipeline.recipe, ())
            if len(paths) > 1:
                raise RecipeAmbiguous(pipeline.recipe, paths)
            if paths:
                return paths[0]
        near = did_you_mean(
            pipeline.recipe, [*self._makers_in(here), *self._makers_in(here.parent)]
        )
        message = f"There is no recipe {quoted(pipeline.recipe)} in {here} and {here.parent}."
        hint = near or "Write the path of its document, such as ./web.yaml."
        raise InvalidDocument([recipe_problem(pipeline, message, hint)])

    def _distributions(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Give where the distributions of a pipeline lie, which are sound. Raises: as `sound`."""
        paths = []
        for written in pipeline.distributions:
            try:
                path = str(self._documents.locate(written, pipeline.path))
                read_distribution(self._documents.text(path), path)
            except DocumentUnreadable as error:
                said = f"{error.message} {error.context}".strip()
                problem = distribution_problem(pipeline, said, error.hint)
                raise InvalidDocument([problem]) from error
            paths.append(path)
        return tuple(paths)

    def _makers_in(self, folder: PurePath) -> Mapping[str, Sequence[str]]:
        if folder not in self._makers:
            self._makers[folder] = self._authoring.recipes_beside(str(folder / "any.yaml"))
        return self._makers[folder]

    def _recipe(self, path: str) -> tuple[Recipe, Used]:
        if path not in self._recipes:
            recipe = self._authoring.recipe(path).value
            found = self._authoring.components_of(recipe, path)
            self._recipes[path] = recipe, [(use, read.value) for use, _, read in found]
        return self._recipes[path]

    def _refuse_circle(self, recipe: Recipe, path: str) -> None:
        """Do nothing when a recipe is not, over those of its parents, built on what it makes."""
        chain: list[ImageName] = []
        while recipe.name not in chain:
            chain.append(recipe.name)
            parent = recipe.parent
            if not isinstance(parent, ImageParent):
                return
            paths = self._makers_in(PurePath(path).parent).get(parent.name, ())
            # What no recipe here makes, or several, was built elsewhere, or the build will say so.
            if len(paths) != 1:
                return
            path = paths[0]
            recipe = self._authoring.recipe(path).value
        raise CircularParents([*chain[chain.index(recipe.name) :], recipe.name])

    def _refuse_build(self, pipeline: Pipeline, recipe: Recipe, path: str) -> None:
        """Read the components as a build of the first variant would."""
        first = pipeline.products[0]
        self._authoring.components_for(overridden(recipe, first.overrides), path)


def _problems(pipeline: Pipeline, recipe: Recipe, used: Used) -> Iterator[Problem]:
    """Give what the recipe does not take, and what nobody gives to it."""
    by_name = {str(use.name): component for use, component in used if use.name is not None}
    for setting in _settings(pipeline):
        yield from _setting_problems(pipeline, setting, by_name)
    for use, component in used:
        yield from _missing(pipeline, use, component)
    for product in replace(pipeline, image=recipe.name).products:
        if not is_name(product.image):
            message = f"The image {quoted(product.image)} cannot be called so."
            hint = "A name has 127 characters at most; use shorter values."
            yield recipe_problem(pipeline, message, hint)


def _settings(pipeline: Pipeline) -> Sequence[str]:
    matrix = pipeline.matrix
    rows = [matrix.axes, *matrix.include] if matrix else []
    settings = dict.fromkeys([*pipeline.parameters, *(key for row in rows for key in row)])
    return [setting for setting in settings if setting != POOL_AXIS]


def _setting_problems(
    pipeline: Pipeline, setting: str, components: Mapping[str, Component]
) -> Iterator[Problem]:
    name, _, parameter = setting.partition(".")
    if name not in components:
        known = f"It uses {', '.join(components)}." if components else "It uses none by name."
        message = f"The recipe uses no component {quoted(name)} by that name."
        yield setting_problem(pipeline, setting, message, did_you_mean(name, components) or known)
        return
    declared = [p.name for p in components[name].parameters]
    if parameter not in declared:
        known = f"It has {', '.join(declared)}." if declared else "It has none."
        message = f"Component {name} has no parameter {quoted(parameter)}."
        yield setting_problem(
            pipeline, setting, message, did_you_mean(parameter, declared) or known
        )


def _missing(pipeline: Pipeline, use: ComponentUse, component: Component) -> Iterator[Problem]:
    for parameter in component.parameters:
        setting = f"{use.name}.{parameter.name}"
        lacking = [p for p in pipeline.products if setting not in p.overrides]
        if parameter.default is None and parameter.name not in use.parameters and lacking:
            of = f" in variant {lacking[0].variant}" if lacking[0].variant else ""
            message = (
                f"Component {component.name} needs {quoted(parameter.name)}{of}: nobody gives it."
            )
            hint = f"Write {setting} under parameters, or give it in the recipe."
            yield recipe_problem(pipeline, message, hint)
