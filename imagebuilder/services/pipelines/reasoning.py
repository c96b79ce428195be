"""Reasoning: why an image's newest version is not what would be built now."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from imagebuilder.documents.problems import InvalidDocument
from imagebuilder.documents.reader import read_recipe
from imagebuilder.domain.changes import Written, written_reasons
from imagebuilder.domain.forecast import Forecast
from imagebuilder.domain.image import DocumentText, ImageVersion
from imagebuilder.domain.kept import kept_list, kept_part, kept_texts
from imagebuilder.domain.need import (
    Reason,
    ReasonKind,
    parent_reason,
    recipe_reason,
    shortened,
    update_reasons,
)
from imagebuilder.domain.plan import BUILDER_MODE, Plan
from imagebuilder.domain.recipe import Recipe
from imagebuilder.domain.versions import BuildVersion, RecipeVersion
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerDamaged, LayerMissing, LayerStore
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.services.pipelines.parentage import text_of
from imagebuilder.services.pipelines.usability import Usability


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What would be built, to be held against the newest version.

    `forecast` is what UpdateOS would answer otherwise than for that, None when nobody looked.
    """

    plan: Plan
    before: ImageVersion | None
    recipe: Recipe
    documents: tuple[DocumentText, ...]
    forecast: Forecast | None = None
    is_from_scratch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where it is looked up what is still there. `versions` opens the catalogue when needed."""

    versions: Callable[[], VersionStore]
    usability: Usability
    layers: LayerStore
    blobs: BlobStore


class Reasoning:
    """Finds reasons to build."""

    def __init__(self, evidence: Evidence, clock: Clock) -> None:
        """Look for what is needed in evidence, and at clock for how old that is."""
        self._with = evidence
        self._clock = clock

    def reasons(self, case: Case) -> tuple[Reason, ...]:
        """Give all reasons; none when the newest version already is what would be built."""
        if case.before is None:
            return (Reason(kind=ReasonKind.NEVER_BUILT, text="it was never built"),)
        found = list(self._of_inputs(case, case.before))
        if not found and case.forecast is None:
            found += _of_the_rest(case, case.before)
        found += self._of_what_is_left(case.plan, case.before)
        return tuple(found)

    def _of_inputs(self, case: Case, before: ImageVersion) -> Iterator[Reason]:
        plan = case.plan
        if case.is_from_scratch:
            text = "a build from scratch was asked for"
            yield Reason(kind=ReasonKind.ASKED_FOR, text=text)
        if text_of(kept_part(before.plan, "parent"), "identity") != plan.parent.identity:
            yield self._parent_changed(before, plan)
        if before.definition_digest != plan.definition:
            yield from written_reasons(before, plan, _written(case, before))
        if not _is_asked_for(before.version, plan.recipe_version):
            yield recipe_reason([f"it asks for version {plan.recipe_version}"])
        if text_of(before.plan, "mode") != BUILDER_MODE:
            text = "the rules that layers are made by changed"
            yield Reason(kind=ReasonKind.RULES_CHANGED, text=text)
        if case.forecast is not None:
            yield from update_reasons(case.forecast.upgrades)
            if case.forecast.unclear:
                text = f"the package archives changed: {shortened(case.forecast.unclear)}"
                yield Reason(kind=ReasonKind.ARCHIVES_CHANGED, text=text)

    def _of_what_is_left(self, plan: Plan, before: ImageVersion) -> Iterator[Reason]:
        """Say so when something of a version is gone, or was taken back."""
        gone = self._with.usability.gone(before)
        if gone:
            yield Reason(kind=ReasonKind.WITHDRAWN, text=gone)
        failed = kept_texts(kept_list(before.plan, "missing_sources"))
        if failed:
            text = f"nothing was made of source {', '.join(failed)}"
            yield Reason(kind=ReasonKind.FILES_MISSING, text=text)
        if any(not self._with.blobs.has(a.digest, a.size_bytes) for a in before.artifacts):
            text = "its files are not in the store any more"
            yield Reason(kind=ReasonKind.FILES_MISSING, text=text)
        if not all(self._with.layers.has(layer.content) for layer in before.layers):
            text = "its layers are not in the store any more"
            yield Reason(kind=ReasonKind.FILES_MISSING, text=text)
        elif plan.max_age_seconds is not None:
            yield from self._too_old(before, plan, timedelta(seconds=plan.max_age_seconds))

    def _too_old(self, before: ImageVersion, plan: Plan, limit: timedelta) -> Iterator[Reason]:
        """Say so when one of a version's own layers is older than its recipe allows."""
        own = [r.content for r in before.layers if r.content not in plan.parent.contents]
        try:
            made_at = [self._with.layers.get(content).created_at for content in own]
        except (LayerMissing, LayerDamaged) as lost:
            # A build makes it anew, and says so.
            yield Reason(kind=ReasonKind.FILES_MISSING, text=lost.message)
            return
        if not before.layers:
            # It was built whole, by Packer.
            made_at = [before.created_at]
        now = self._clock.now()
        if min(made_at, default=now) < now - limit:
            text = "its layers are older than max_age allows"
            yield Reason(kind=ReasonKind.MAX_AGE, text=text)

    def _parent_changed(self, before: ImageVersion, plan: Plan) -> Reason:
        """Say which version of ours the parent was and is, where both are."""
        ids = [i for i in (before.parent.version_id, plan.parent.version_id) if i is not None]
        names = self._with.versions().references(ids) if ids else {}
        was, is_now = before.parent.version_id, plan.parent.version_id
        return parent_reason(
            plan.parent.asked,
            before.parent.asked if was is None else names.get(was, ""),
            plan.parent.asked if is_now is None else names.get(is_now, ""),
        )


def _of_the_rest(case: Case, before: ImageVersion) -> Iterator[Reason]:
    """Say so when the plan is another although nothing that people know of changed."""
    if case.plan.open_question is not None:
        text = "what to upgrade was never asked"
        yield Reason(kind=ReasonKind.ARCHIVES_CHANGED, text=text)
    elif text_of(before.plan, "content") != str(case.plan.content_digest):
        yield Reason(kind=ReasonKind.RULES_CHANGED, text="what it is built from changed")


def _written(case: Case, before: ImageVersion) -> Written:
    text = next((d.text for d in before.documents if d.kind == "recipe"), "")
    try:
        then = read_recipe(text, case.recipe.path).value
    except InvalidDocument:
        # An earlier imagebuilder took it; what can be told without it is told.
        then = None
    return Written(recipe=case.recipe, documents=case.documents, recipe_before=then)


def _is_asked_for(version: BuildVersion, asked: RecipeVersion) -> bool:
    numbers = version.version
    is_in_line = (numbers.major, numbers.minor) == (asked.major, asked.minor)
    return is_in_line and asked.patch in (None, numbers.patch)
