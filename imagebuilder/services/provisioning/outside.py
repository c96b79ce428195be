"""Outside: the values of an account that a component's layer depends on, asked when it is planned.

Of a value only what tells it from another goes into the key: the digest of what anybody may read,
and the version of a secret. A name that is only known when a step runs is in no key, nor is what
differs each time (date, time, uuid, executionId): a layer keeps what these were when it was made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from imagebuilder.domain.component import Component, PhaseName, canonical_step
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.nesting import known_uses
from imagebuilder.domain.references import (
    MetadataValue,
    NamedValue,
    StoredIndirectly,
    StoredValue,
    references_in,
)
from imagebuilder.ports.values import OutsideValue, ValueSource

OutsideReference: TypeAlias = StoredValue | StoredIndirectly | MetadataValue

_SIGN = "aws:"


class OutsideValueChanged(Unavailable):
    """A value is not the one that the build was planned with."""

    code = "outside-value-changed"

    def __init__(self, reference: str) -> None:
        """Name the reference."""
        super().__init__(
            f"{{{{ {reference} }}}} was changed while the image was built.",
            context="A layer that is known by the value of before must not hold the new one.",
            hint="Build again.",
        )


def with_outside(
    component: Component, parameters: Mapping[str, str], source: ValueSource
) -> Component:
    """Give a component with what tells the account's values it asks for from others.

    Raises: ValueNotFound; ValuesRefused; ValuesUnavailable; DocumentRefused.
    """
    documents = dict(component.documents)
    for _, use in known_uses(component, parameters) if documents else ():
        inner = documents.get(use.reference)
        if inner is not None:
            asked = with_outside(inner, use.values_for(inner), source)
            documents[use.reference] = replace(asked, outside={**inner.outside, **asked.outside})
    outside = {
        written(reference): identity(value)
        for reference in _references(component)
        if (value := value_of(reference, {**component.constants, **parameters}, source))
    }
    if not outside and not documents:
        return component
    return replace(component, documents=documents, outside=outside)


def value_of(
    reference: OutsideReference, named: Mapping[str, str], source: ValueSource
) -> OutsideValue | None:
    """Give an account's value, None when its name stands for nothing. Raises: as ValueSource."""
    match reference:
        case StoredValue(path=path):
            return source.parameter(path)
        case MetadataValue(path=path):
            return source.metadata(path)
        case StoredIndirectly(name=NamedValue(name=name)):
            inner = named.get(name)
        case StoredIndirectly(name=StoredValue(path=path)):
            inner = source.parameter(path).text
    return None if inner is None else source.parameter(inner)


def written(reference: OutsideReference) -> str:
    """Give a reference as documents write it."""
    match reference:
        case StoredValue(path=path):
            return f"aws:ssm:{path}"
        case MetadataValue(path=path):
            return f"aws:imds:{path}"
        case StoredIndirectly(name=inner):
            named = inner.name if isinstance(inner, NamedValue) else written(inner)
            return f"aws:ssm:resolve({named})"


def identity(value: OutsideValue) -> str:
    """Give what tells a value from others, and nothing of it when it is a secret."""
    if value.is_secret:
        return f"version {value.version}"
    return str(Digest.of_bytes(value.text.encode(errors="surrogatepass")))


def _references(component: Component) -> Iterator[OutsideReference]:
    """Give what is asked for by what makes a layer; the test phase makes none."""
    if component.text and _SIGN not in component.text:
        return
    for phase in (PhaseName.BUILD, PhaseName.VALIDATE):
        for step in component.steps(phase):
            for found in references_in(canonical_step(step)):
                if isinstance(found.meaning, StoredValue | StoredIndirectly | MetadataValue):
                    yield found.meaning
