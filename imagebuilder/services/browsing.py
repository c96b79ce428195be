"""Browsing: which components there are, what each needs, and which recipes use it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.reader import component_heading, read_component, read_recipe
from imagebuilder.domain.component import (
    Component,
    ComponentAmbiguous,
    ComponentNotFound,
    Network,
    Platform,
)
from imagebuilder.domain.recipe import ComponentUse
from imagebuilder.domain.references import StoredIndirectly, StoredValue, references_in_text
from imagebuilder.domain.spelling import nearest
from imagebuilder.domain.versions import Version
from imagebuilder.ports.documents import DocumentSource, DocumentUnreadable

_RECIPES_FOLDER = "recipes"
_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a component needs of who runs it. Everything it does, it does as root of the image.

    `secrets` when it asks the store of an account for values, which may be secret there.
    """

    network: Network
    secrets: bool
    windows: bool

    @property
    def words(self) -> tuple[str, ...]:
        """Each need in a word or two."""
        return (
            "root",
            *([] if self.network is Network.NONE else [f"network {self.network}"]),
            *(["secrets"] if self.secrets else []),
            *(["Windows"] if self.windows else []),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedComponent:
    """A component document. `component` is None when it has faults; `problems` are those then."""

    path: str
    name: str
    component: Component | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownComponent:
    """A component with what is not in its document: what it needs, and the recipes that use it."""

    path: str
    component: Component
    needs: Needs
    recipes: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()


def needs_of(component: Component) -> Needs:
    """Give what a component needs."""
    stored = StoredValue | StoredIndirectly
    return Needs(
        network=component.network,
        secrets=any(isinstance(r.meaning, stored) for r in references_in_text(component.text)),
        windows=component.platform is Platform.WINDOWS or bool(component.windows_steps),
    )


class Browsing:
    """Looks at the components that a recipe in a folder could name."""

    def __init__(self, source: DocumentSource) -> None:
        """Read from source."""
        self._source = source

    def list(self, beside: str, search: str = "") -> tuple[ListedComponent, ...]:
        """Give the components that a recipe at `beside` may name, by name and version.

        `search` is looked for in names, descriptions and tags, whatever the case.
        """
        found = [self._listed(path) for path in self._source.component_paths(beside)]
        matching = [listed for listed in found if _matches(listed, search.casefold())]
        return tuple(sorted(matching, key=_place))

    def names(self, beside: str) -> tuple[str, ...]:
        """Give the names of those components, each once; their documents are not read in full."""
        return tuple(sorted({name for _, name, _ in self._headings(beside)}))

    def show(self, asked: str, beside: str) -> ShownComponent:
        """Give the component of a name (the newest), name@version or path.

        Raises: ComponentNotFound; ComponentAmbiguous; DocumentUnreadable; InvalidDocument.
        """
        is_path = "/" in asked or asked.endswith(_ENDINGS)
        path = asked if is_path else self._path_of(asked, beside)
        read = read_component(self._source.text(path), path)
        return ShownComponent(
            path=path,
            component=read.value,
            needs=needs_of(read.value),
            recipes=tuple(self._recipes(read.value, path, beside)),
            warnings=read.warnings,
        )

    def _listed(self, path: str) -> ListedComponent:
        text = ""
        try:
            text = self._source.text(path)
            component = read_component(text, path).value
        except InvalidDocument as faulty:
            name = component_heading(text, path).name
            return ListedComponent(path=path, name=name, component=None, problems=faulty.problems)
        return ListedComponent(path=path, name=component.name, component=component)

    def _headings(self, beside: str) -> Iterator[tuple[str, str, Version | None]]:
        for path in self._source.component_paths(beside):
            heading = component_heading(self._source.text(path), path)
            yield path, heading.name, heading.version

    def _path_of(self, asked: str, beside: str) -> str:
        name, _, version = asked.partition("@")
        known = list(self._headings(beside))
        named = [(path, v) for path, found, v in known if found == name]
        if not named:
            names = sorted({found for _, found, _ in known})
            raise ComponentNotFound(asked, near=nearest(name, names), known=names)
        wanted = [each for each in named if not version or str(each[1]) == version]
        versions = [v for _, v in named if v is not None]
        if not wanted:
            raise ComponentNotFound(asked, versions=versions)
        newest = max((v for _, v in wanted if v is not None), default=None)
        chosen = [path for path, v in wanted if v == newest]
        if len(chosen) > 1:
            raise ComponentAmbiguous(f"{name} {newest}", chosen, origin=None)
        return chosen[0]

    def _recipes(self, component: Component, path: str, beside: str) -> Iterator[str]:
        """Give the recipes in this folder, and in a folder of recipes beside or above."""
        file = self._source.locate(path, beside)
        folders = [PurePath(beside).parent, *(above / _RECIPES_FOLDER for above in file.parents)]
        listed = (r for folder in folders for r in self._source.recipe_paths(str(folder / "any")))
        for recipe_path in dict.fromkeys(listed):
            uses = self._uses(recipe_path)
            if any(self._is_of(use, recipe_path, component, file) for use in uses):
                yield recipe_path

    def _uses(self, recipe_path: str) -> Sequence[ComponentUse]:
        try:
            return read_recipe(self._source.text(recipe_path), recipe_path).value.components
        except (InvalidDocument, DocumentUnreadable):
            # Another kind of document, or a recipe whose faults its own check tells.
            return ()

    def _is_of(
        self, use: ComponentUse, recipe_path: str, component: Component, file: PurePath
    ) -> bool:
        if use.path is None:
            fits = use.wildcard.newest({component.version}) is not None
            return use.name == component.name and fits
        try:
            return self._source.locate(use.path, recipe_path) == file
        except DocumentUnreadable:
            return False


def _matches(listed: ListedComponent, search: str) -> bool:
    found = listed.component
    texts = [listed.name]
    if found is not None:
        texts += [found.description, *found.tags, *found.tags.values()]
    return any(search in text.casefold() for text in texts)


def _place(listed: ListedComponent) -> tuple[str, Version, str]:
    version = listed.component.version if listed.component else Version.parse("0.0.0")
    return listed.name, version, listed.path
