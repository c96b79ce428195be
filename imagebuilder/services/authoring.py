"""Authoring: documents are read, and the components a recipe names are found.

What the names of parents mean is asked elsewhere; here only recipes that could make them are found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING

from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.reader import (
    Heading,
    Read,
    component_heading,
    read_component,
    read_recipe,
    read_retention,
    recipe_name,
)
from imagebuilder.documents.recipe_document import component_use, parameter_problem
from imagebuilder.documents.test_files import problems_of_tests
from imagebuilder.domain.component import (
    Component,
    ComponentAmbiguous,
    ComponentNotFound,
    ComponentStep,
    ParameterMissing,
    ParameterUnknown,
)
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.nesting import (
    DocumentRefused,
    DocumentUse,
    asked_uses,
    known_uses,
    require_room,
)
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.packs import PACK_PREFIX, Pack, pack_name
from imagebuilder.domain.recipe import ComponentUse, Recipe, RecipeAmbiguous
from imagebuilder.domain.spelling import nearest
from imagebuilder.ports.documents import DocumentSource, DocumentUnreadable

if TYPE_CHECKING:
    from imagebuilder.domain.retention import RetentionRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedComponent:
    """A component that a recipe uses. Shape: `parameters` holds all that have a value."""

    use: ComponentUse
    component: Component
    path: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentShelf:
    """The components of a recipe, in its order, and what is worth a warning in their documents."""

    items: tuple[ShelvedComponent, ...]
    warnings: tuple[Problem, ...] = ()

    @property
    def components(self) -> tuple[tuple[Component, Mapping[str, str]], ...]:
        """Each component with all its parameters filled, as resolution takes them."""
        return tuple((item.component, item.parameters) for item in self.items)


# The same text at the same path always says the same: who looks at many recipes reads each once.
_read_recipe = lru_cache(maxsize=4096)(read_recipe)
_read_component = lru_cache(maxsize=1024)(read_component)
_heading = lru_cache(maxsize=1024)(component_heading)


@dataclass(frozen=True, slots=True)
class _Glimpse:
    path: str
    text: str
    heading: Heading


class Authoring:
    """Reads documents and finds the components and recipes that they name."""

    def __init__(self, source: DocumentSource) -> None:
        """Read from source."""
        self._source = source

    def recipe(self, path: str) -> Read[Recipe]:
        """Give the recipe at a path. Raises: DocumentUnreadable; InvalidDocument."""
        return _read_recipe(self._source.text(path), path)

    def component(self, path: str) -> Read[Component]:
        """Give the component at a path, and what it ships.

        Raises: DocumentUnreadable; InvalidDocument: also when a file it ships is not there.
        """
        return self._with_files(_read_component(self._source.text(path), path), path)

    def retention(self, path: str) -> "Read[RetentionRule]":
        """Give the retention rule at a path. Raises: DocumentUnreadable; InvalidDocument."""
        return read_retention(self._source.text(path), path)

    def components_for(self, recipe: Recipe, beside: str) -> ComponentShelf:
        """Give the components of a recipe at `beside`; only the documents it needs are read.

        Raises: ComponentNotFound; ComponentAmbiguous; DocumentUnreadable; InvalidDocument: a needed
        component is faulty, or the recipe gives parameters that do not fit (all at once);
        ComponentNotForLinux.
        """
        found = self.components_of(recipe, beside)
        problems = [p for use, _, read in found for p in _parameter_faults(recipe, use, read.value)]
        if problems:
            raise InvalidDocument(problems)
        for _, _, read in found:
            read.value.require_linux()
        return ComponentShelf(
            items=tuple(self._shelved(use, path, read.value) for use, path, read in found),
            warnings=tuple(dict.fromkeys(w for _, _, read in found for w in read.warnings)),
        )

    def components_of(
        self, recipe: Recipe, beside: str
    ) -> Sequence[tuple[ComponentUse, str, Read[Component]]]:
        """Give the components of a recipe with their paths, whatever parameters it gives them.

        Raises: ComponentNotFound; ComponentAmbiguous; DocumentUnreadable; InvalidDocument.
        """
        glimpses: list[_Glimpse] | None = None
        found: list[tuple[ComponentUse, str, Read[Component]]] = []
        for use in recipe.components:
            if use.path is not None:
                path = str(self._source.locate(use.path, beside))
                found.append((use, path, self.component(path)))
                continue
            if glimpses is None:
                glimpses = list(self._glimpses(beside))
            chosen = _chosen(use, glimpses)
            read = self._with_files(_read_component(chosen.text, chosen.path), chosen.path)
            found.append((use, chosen.path, read))
        return found

    def used_paths(self, path: str) -> Sequence[PurePath]:
        """Give the files and folders that a build of the recipe at a path reads.

        Of a component in a folder of its own that is the folder. Raises: as `components_of`.
        """
        recipe = self.recipe(path).value
        used = [PurePath(path)]
        used += [
            self._source.locate(test.path, path)
            for test in recipe.tests
            # What belongs to this program changes with it only.
            if pack_name(test.path) is None
        ]
        own = [scan.controls for scan in recipe.compliance if scan.controls]
        used += [self._source.locate(controls, path) for controls in own]
        for _, found, read in self.components_of(recipe, path):
            file = PurePath(found)
            if file.stem == "component":
                used.append(file.parent)
                continue
            used += [file, *(file.parent / shipped for shipped in read.value.files)]
        return used

    def pack_text(self, pack: Pack) -> str:
        """Give the text of a pack's file. Raises: DocumentUnreadable."""
        (file,) = self._source.python_files(self._source.locate(f"{PACK_PREFIX}{pack}", ""))
        return self._source.text(file)

    def refuse_unusable_tests(self, recipe: Recipe, path: str) -> None:
        """Do nothing when test files and own controls can be read and their markers mean something.

        Raises: DocumentUnreadable; InvalidDocument: with all that is wrong in any of them.
        """
        problems: list[Problem] = []
        asked: list[tuple[str, Mapping[str, Canonical]]] = [
            (test.path, test.variables) for test in recipe.tests
        ]
        asked += [(scan.controls, {}) for scan in recipe.compliance if scan.controls]
        for named, variables in asked:
            files = self._source.python_files(self._source.locate(named, path))
            texts = {file: self._source.text(file) for file in files}
            problems += problems_of_tests(texts, variables)
        if problems:
            raise InvalidDocument(problems)

    def with_documents(
        self, component: Component, path: str, parameters: Mapping[str, str]
    ) -> Component:
        """Give a component with the documents that its steps are known to run, and those of them.

        Raises: DocumentRefused; DocumentsCircular; DocumentUnreadable; InvalidDocument;
        ComponentNotFound; ComponentAmbiguous.
        """
        return self._nested(component, parameters, [self._top(path)])

    def document_faults(self, component: Component, path: str) -> Iterator[InvalidInput]:
        """Give why documents that a component runs, or these run, cannot be had.

        Parameters have their defaults; what only a run can tell is no fault, nor is what lies in
        an account: other runners of the same document can fetch it.
        """
        return self._faults(component, _defaults(component), [self._top(path)])

    def find_recipe(self, image: ImageName, beside: str) -> str | None:
        """Give the path of the recipe beside another that makes an image, None when there is none.

        Raises: RecipeAmbiguous: several make it; DocumentUnreadable.
        """
        paths = self.recipes_beside(beside).get(image, ())
        if len(paths) > 1:
            raise RecipeAmbiguous(image, paths)
        return paths[0] if paths else None

    def recipes_beside(self, beside: str) -> Mapping[str, Sequence[str]]:
        """Give the recipes in the folder of a document. Shape: image -> paths that make it.

        Raises: DocumentUnreadable.
        """
        found: dict[str, list[str]] = {}
        for path in self._source.recipe_paths(beside):
            name = recipe_name(self._source.text(path))
            if name is not None:
                found.setdefault(name, []).append(path)
        return found

    def _with_files(self, read: Read[Component], path: str) -> Read[Component]:
        """Give a component with the digests of the files that its steps ship.

        Raises: InvalidDocument: some are not there, or not beside the component.
        """
        component = read.value
        problems: list[Problem] = []
        files = dict(self._shipped(component, path, problems))
        if problems:
            raise InvalidDocument(problems)
        return replace(read, value=replace(component, files=files)) if files else read

    def _shipped(
        self, component: Component, path: str, problems: list[Problem]
    ) -> Iterator[tuple[str, Digest]]:
        """Give what each step ships; what cannot be used becomes a problem."""
        for step in chain.from_iterable(phase.steps for phase in component.phases):
            for shipped in step.ships:
                try:
                    yield shipped, self._source.shipped_digest(shipped, path)
                except DocumentUnreadable as fault:
                    problems.append(
                        Problem(
                            message=f"Step {step.name} ships {shipped}, which cannot be used.",
                            origin=step.origin or Origin(document=path),
                            hint=fault.context,
                        )
                    )

    def _shelved(self, use: ComponentUse, path: str, component: Component) -> ShelvedComponent:
        parameters = {**_defaults(component), **use.parameters}
        return ShelvedComponent(
            use=use,
            component=self.with_documents(component, path, parameters),
            path=path,
            parameters=parameters,
        )

    def _nested(
        self, component: Component, parameters: Mapping[str, str], chain: Sequence[str]
    ) -> Component:
        documents: dict[str, Component] = {}
        for step, use in known_uses(component, parameters):
            path, inner = self._inner(step, use, chain)
            inner = self._nested(inner, use.values_for(inner), [*chain, path])
            before = documents.get(use.reference, inner).documents
            documents[use.reference] = replace(inner, documents={**before, **inner.documents})
        return replace(component, documents=documents) if documents else component

    def _faults(
        self, component: Component, parameters: Mapping[str, str], chain: Sequence[str]
    ) -> Iterator[InvalidInput]:
        for step, use in asked_uses(component, parameters):
            if use.is_in_account or not use.is_known:
                continue
            try:
                use.require_here(step.origin)
                path, inner = self._inner(step, use, chain)
            except InvalidInput as fault:
                yield fault
            else:
                yield from self._faults(inner, use.values_for(inner), [*chain, path])

    def _inner(
        self, step: ComponentStep, use: DocumentUse, chain: Sequence[str]
    ) -> tuple[str, Component]:
        """Give the document that a step runs, and its path; each error says which step it was."""
        try:
            path = self._document_path(use.reference, chain[-1], step.origin)
            require_room([*chain, path], origin=step.origin)
            return path, self.component(path).value
        except DocumentUnreadable as fault:
            # The source of documents knows paths only, not who names them.
            fault.origin = step.origin
            raise

    def _top(self, path: str) -> str:
        return str(self._source.locate(PurePath(path).name, path))

    def _document_path(self, reference: str, beside: str, origin: Origin | None) -> str:
        """Give the path of a document that is named by a path or by a component's name."""
        use = component_use(reference, origin)
        if use is None:
            hint = "Write a path beside the component, one in the image, or name@version."
            why = "It is neither a path nor a name."
            raise DocumentRefused(reference, why, hint, origin=origin)
        if use.path is None:
            return _chosen(use, list(self._glimpses(beside))).path
        # This also refuses what lies elsewhere, or is a link that leads there.
        self._source.shipped_digest(use.path, beside)
        return str(self._source.locate(use.path, beside))

    def _glimpses(self, beside: str) -> Iterator[_Glimpse]:
        for path in self._source.component_paths(beside):
            text = self._source.text(path)
            yield _Glimpse(path, text, _heading(text, path))


def with_defaults(component: Component, given: Mapping[str, str]) -> dict[str, str]:
    """Give a value for each parameter: what was given, or else its default.

    Raises: ParameterUnknown; ParameterMissing.
    """
    declared = {parameter.name: parameter for parameter in component.parameters}
    for name in given:
        if name not in declared:
            raise ParameterUnknown(component, name, near=nearest(name, declared))
    missing = [p for p in declared.values() if p.default is None and p.name not in given]
    if missing:
        raise ParameterMissing(component, missing)
    return {**_defaults(component), **given}


def _chosen(use: ComponentUse, glimpses: Sequence[_Glimpse]) -> _Glimpse:
    """Give the newest document that a use asks for by name."""
    asked = f"{use.name}@{use.wildcard}" if use.wildcard.fixed else str(use.name)
    named = [glimpse for glimpse in glimpses if glimpse.heading.name == use.name]
    if not named:
        names = sorted({g.heading.name for g in glimpses if g.heading.name})
        near = nearest(str(use.name), names)
        raise ComponentNotFound(asked, near=near, known=names, origin=use.origin)
    versions = {g.heading.version for g in named if g.heading.version is not None}
    newest = use.wildcard.newest(versions)
    unclear = [glimpse for glimpse in named if glimpse.heading.version is None]
    if newest is None and unclear:
        # It will not pass reading, and its own problems say more than that it was not found.
        return unclear[0]
    if newest is None:
        raise ComponentNotFound(asked, versions=sorted(versions), origin=use.origin)
    chosen = [glimpse for glimpse in named if glimpse.heading.version == newest]
    if len(chosen) > 1:
        paths = [glimpse.path for glimpse in chosen]
        component = f"{use.name} {newest}"
        raise ComponentAmbiguous(component, paths, origin=use.origin)
    return chosen[0]


def _parameter_faults(recipe: Recipe, use: ComponentUse, component: Component) -> Iterator[Problem]:
    declared = {parameter.name: parameter for parameter in component.parameters}
    for name in use.parameters:
        if name not in declared:
            free = sorted(declared.keys() - use.parameters.keys())
            near = nearest(name, free)
            known = f"It has {', '.join(declared)}." if declared else "It has none."
            yield parameter_problem(
                recipe,
                use,
                name,
                f"Component {component.name} has no parameter '{name}'.",
                f"Did you mean {near}?" if near else known,
            )
    for parameter in component.parameters:
        if parameter.default is None and parameter.name not in use.parameters:
            about = f": {parameter.description}" if parameter.description else ""
            yield parameter_problem(
                recipe,
                use,
                None,
                f"Component {component.name} needs the parameter '{parameter.name}'{about}.",
                f"Give it under parameters, or give it a default in {component.name}.",
            )


def _defaults(component: Component) -> dict[str, str]:
    return {p.name: p.default for p in component.parameters if p.default is not None}
