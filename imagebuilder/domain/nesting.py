"""Nesting: components that run other components, and which ones those are.

What is known of it before anything runs belongs to a layer's key; how the inner component runs is
`services.provisioning`.

Source: AWS Task Orchestrator and Executor, ExecuteDocument: nested at most three deep; a document
that comes back to itself fails.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import Component, ComponentStep
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.loops import Iteration, LoopUnusable, values_of
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.references import (
    CURRENT_LOOP,
    Lookup,
    LoopPart,
    LoopValue,
    NamedValue,
    Reference,
    TemplateText,
    references_in_text,
    substitute,
    substitute_text,
)

NESTING_LIMIT = 3
"""So deep below the document at the top may others lie."""

_FILE = "file://"
_IN_ACCOUNT = ("s3://", "arn:")
_ELSEWHERE = {
    "s3://": "Fetch it with S3Download before, and name the absolute path it then has.",
    "arn:": "Keep the component beside your others, and name it as name@version.",
    "http://": "Fetch it with WebDownload before, and name the absolute path it then has.",
    "https://": "Fetch it with WebDownload before, and name the absolute path it then has.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentUse:
    """What one ExecuteDocument asks for. `phases` is empty for all of the document's own."""

    reference: str
    phases: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_in_image(self) -> bool:
        """Whether it names a file that is in the image only when the step runs."""
        return self.reference.startswith("/")

    @property
    def is_in_account(self) -> bool:
        """Whether it names what AWSTOE would fetch from an account, and nothing here does."""
        return self.reference.startswith(_IN_ACCOUNT)

    @property
    def is_known(self) -> bool:
        """Whether it can be found before anything runs."""
        return not self.is_in_image and not _is_open(self.reference)

    def require_here(self, origin: Origin | None = None) -> None:
        """Refuse what is read nowhere. Raises: DocumentRefused."""
        for beginning, hint in _ELSEWHERE.items():
            if self.reference.startswith(beginning):
                why = f"Documents at {beginning} are not read."
                raise DocumentRefused(self.reference, why, hint, origin=origin)

    def values_for(self, component: Component) -> dict[str, str]:
        """Give a component's parameters; what it does not know is left out, as AWSTOE does."""
        given = {p.name: p.default for p in component.parameters} | {
            p.name: self.parameters[p.name]
            for p in component.parameters
            if p.name in self.parameters
        }
        return {name: text for name, text in given.items() if text is not None}

    def phases_of(self, component: Component) -> tuple[str, ...]:
        """Give the phases to run, in the document's order whatever the order they were named in."""
        names = tuple(phase.name for phase in component.phases)
        return tuple(name for name in names if not self.phases or name in self.phases)


def document_use(inputs: Canonical) -> DocumentUse:
    """Give what inputs without references ask for. Raises: DocumentRefused: it is read nowhere."""
    use = _asked(inputs)
    use.require_here()
    return use


def _asked(inputs: Canonical) -> DocumentUse:
    given = inputs if isinstance(inputs, Mapping) else {}
    reference = str(given.get("document") or "").strip().removeprefix(_FILE)
    phases = str(given.get("phases") or "").split(",")
    return DocumentUse(
        reference=reference,
        phases=tuple(phase.strip() for phase in phases if phase.strip()),
        parameters={
            str(item.get("name")): str(item.get("value"))
            for item in _list(given.get("parameters"))
            if isinstance(item, Mapping)
        },
    )


def known_uses(
    component: Component, parameters: Mapping[str, str]
) -> Iterator[tuple[ComponentStep, DocumentUse]]:
    """Give the documents that a component is known to run before it runs, each with its step.

    One whose name depends on what steps do is not among them.
    Raises: DocumentRefused.
    """
    for step, use in asked_uses(component, parameters):
        use.require_here(step.origin)
        if use.is_known:
            yield step, use


def asked_uses(
    component: Component, parameters: Mapping[str, str]
) -> Iterator[tuple[ComponentStep, DocumentUse]]:
    """Give all that a component's steps ask for, also what is refused or known only later."""
    named = {**component.constants, **parameters}
    for step in (step for phase in component.phases for step in phase.steps):
        if step.action is ActionName.EXECUTE_DOCUMENT:
            for turn in _turns(step, named):
                yield step, _asked(substitute(step.inputs, _lookup(step, named, turn)))


def _turns(step: ComponentStep, named: Mapping[str, str]) -> Sequence[Iteration | None]:
    if step.loop is None:
        return (None,)
    try:
        return values_of(step.loop, lambda text: substitute_text(text, _lookup(step, named, None)))
    except LoopUnusable:
        return ()  # it will say so itself when it runs


def _lookup(step: ComponentStep, named: Mapping[str, str], turn: Iteration | None) -> Lookup:
    def found(reference: Reference) -> str | None:
        match reference:
            case NamedValue(name=name):
                return named.get(name)
            case LoopValue(loop=loop, part=part) if turn and step.loop:
                if loop not in {CURRENT_LOOP, step.loop.name}:
                    return None
                return str(turn.index) if part is LoopPart.INDEX else turn.value
            case _:
                return None

    return found


def _is_open(text: str) -> bool:
    """Whether something in a text is filled only when it runs."""
    return any(not isinstance(f.meaning, TemplateText) for f in references_in_text(text))


def _list(value: Canonical) -> Sequence[Canonical]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


class DocumentRefused(InvalidInput):
    """An ExecuteDocument step names a document that cannot be run."""

    code = "document-refused"

    def __init__(
        self, reference: str, reason: str, hint: str, *, origin: Origin | None = None
    ) -> None:
        """Name the document and say why."""
        super().__init__(
            f"Document {reference or '(none)'} cannot be run by another.",
            context=reason,
            hint=hint,
            origin=origin,
        )


class DocumentsCircular(InvalidInput):
    """Documents run each other without end, or too deep."""

    code = "documents-circular"

    def __init__(self, chain: Sequence[str], *, origin: Origin | None = None) -> None:
        """Show the way from the top to the one that may not run."""
        is_circle = chain[-1] in chain[:-1]
        super().__init__(
            f"Document {chain[-1]} {'runs itself again' if is_circle else 'lies too deep'}.",
            context=" -> ".join(chain),
            hint="Take one ExecuteDocument step out of the circle."
            if is_circle
            else f"At most {NESTING_LIMIT} documents may lie below the one at the top.",
            origin=origin,
        )


def require_room(chain: Sequence[str], *, origin: Origin | None = None) -> None:
    """Refuse the last of a chain of documents when it is in it twice or lies too deep.

    Shape: `chain` begins with the document at the top. Raises: DocumentsCircular.
    """
    if chain[-1] in chain[:-1] or len(chain) > NESTING_LIMIT + 1:
        raise DocumentsCircular(chain, origin=origin)
