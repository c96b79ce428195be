"""Changes: what people wrote otherwise since a version was built, as reasons to build again.

That something changed, the digest of the definition tells; here it is found out what.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagebuilder.domain.compliance import compliance_document
from imagebuilder.domain.image import DocumentText, ImageVersion, RecordedLayer
from imagebuilder.domain.kept import kept_list, kept_texts
from imagebuilder.domain.need import Move, Reason, changed_tests, component_reason, recipe_reason
from imagebuilder.domain.plan import LayerKind, Plan
from imagebuilder.domain.recipe import Recipe, Repository

_TEST_WORDS = 2
"""A test is recorded as its path and its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What people wrote, then and now; the recipe of then is None when it cannot be read now."""

    recipe: Recipe
    documents: tuple[DocumentText, ...]
    recipe_before: Recipe | None = None


def written_reasons(before: ImageVersion, plan: Plan, written: Written) -> tuple[Reason, ...]:
    """Give what differs in components, tests and the recipe; something does."""
    found = _Comparison(before, plan, written)
    moves, tests, recipe = found.components(), found.tests(), found.recipe()
    reasons = [component_reason(moves)] if moves else []
    reasons += [changed_tests(tests)] if tests else []
    reasons += [recipe_reason(recipe)] if recipe or not reasons else []
    return tuple(reasons)


class _Comparison:
    """A version held against what would be built now."""

    def __init__(self, before: ImageVersion, plan: Plan, written: Written) -> None:
        self._before = before
        self._plan = plan
        self._written = written
        self._then = {layer.name: layer for layer in self._recorded()}
        self._now = {layer.name: layer for layer in plan.layers if layer.component is not None}

    def components(self) -> list[Move]:
        """Give the components that changed; of one that made no layer only its text is known."""
        texts = {d.name: d.text for d in self._before.documents if d.kind == "component"}
        newer = {d.name: d.text for d in self._written.documents if d.kind == "component"}
        moves = []
        for name, layer in self._now.items():
            component, then = layer.component, self._then.get(name)
            if component is None:
                continue
            version = str(component.version)
            if then is None:
                if name in texts and texts[name] != newer.get(name):
                    moves.append(Move(name=name, now=version))
            elif (then.component_digest, then.component_version) != (component.digest, version):
                moves.append(Move(name=name, before=then.component_version, now=version))
        return moves

    def tests(self) -> list[str]:
        """Give the tests, and controls of one's own, that came, went or say something else."""
        then, now = dict(self._recorded_tests()), {t.path: str(t.digest) for t in self._plan.tests}
        then |= dict(self._recorded_controls())
        now |= {s.compliance.controls: str(s.controls) for s in self._plan.scans if s.controls}
        paths = sorted(then.keys() | now.keys())
        return [path for path in paths if then.get(path) != now.get(path)]

    def recipe(self) -> list[str]:
        """Give what in the recipe itself is another."""
        known = {d.name for d in self._before.documents if d.kind == "component"}
        found = [f"component {n} was added" for n in self._now if n not in {*self._then, *known}]
        found += [f"component {n} was taken out" for n in self._then if n not in self._now]
        found += [
            f"parameters of {name}"
            for name, layer in self._now.items()
            if name in self._then and dict(self._then[name].parameters) != dict(layer.parameters)
        ]
        common = [name for name in self._now if name in self._then]
        if common != [name for name in self._then if name in self._now]:
            found.append("the order of its components")
        if self._before.parent.asked != self._plan.parent.asked:
            found.append("parent")
        if list(kept_list(self._before.plan, "artifacts")) != list(self._plan.artifacts):
            found.append("artifacts")
        return [*found, *self._of_texts()]

    def _of_texts(self) -> Iterator[str]:
        then, now = self._written.recipe_before, self._written.recipe
        if then is None:
            return
        if then.disk != now.disk:
            yield "disk"
        if list(map(_said, then.repositories)) != list(map(_said, now.repositories)):
            yield "repositories"
        if list(map(compliance_document, then.compliance)) != list(
            map(compliance_document, now.compliance)
        ):
            yield "compliance"
        if [s.document() for s in then.sources] != [s.document() for s in now.sources]:
            yield "packer"

    def _recorded(self) -> Iterator[RecordedLayer]:
        """Give the layers of the version's own components."""
        own = [r for r in kept_list(self._before.plan, "layers") if isinstance(r, Mapping)]
        keys = {row.get("key") for row in own if row.get("kind") == LayerKind.COMPONENT}
        return (layer for layer in self._before.layers if str(layer.key) in keys)

    def _recorded_tests(self) -> Iterator[tuple[str, str]]:
        for row in kept_list(self._before.plan, "tests"):
            words = kept_texts(row) or ()
            if len(words) == _TEST_WORDS:
                yield words[0], words[1]

    def _recorded_controls(self) -> Iterator[tuple[str, str]]:
        for row in kept_list(self._before.plan, "compliance"):
            asked = row.get("asked") if isinstance(row, Mapping) else None
            folder = asked.get("controls") if isinstance(asked, Mapping) else None
            held = row.get("controls") if isinstance(row, Mapping) else None
            if isinstance(folder, str) and isinstance(held, str):
                yield folder, held


def _said(repository: Repository) -> tuple[str, tuple[str, ...], tuple[str, ...], bool]:
    """Give what a recipe says of an archive; where its keyring lies is known only here and now."""
    return (
        repository.url,
        repository.suites,
        repository.components,
        repository.keyring is not None,
    )
