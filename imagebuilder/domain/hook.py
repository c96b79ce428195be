"""Hook: a call from outside that wants a pipeline to run, and why it may not."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.errors import InvalidInput, Refused, Unavailable, WrongState
from imagebuilder.domain.signature import VALID_SECONDS

LARGEST_BODY_BYTES = 1 << 20
_LONGEST_REASON = 500
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[^\x00-\x1f]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """A call as it came. `signature` is ours, `body_signature` that of GitHub; empty is none."""

    pipeline: str
    body: bytes
    signature: str = ""
    body_signature: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookWish:
    """What a call asks for; without variants, all of the pipeline's.

    Shape: `parameters` maps component.parameter to a value.
    """

    reason: str = ""
    variants: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


def wish_of(body: bytes) -> HookWish:
    """Give what a body asks for; keys that are not ours are left alone. Raises: HookMalformed."""
    if not body.strip():
        return HookWish()
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HookMalformed("It is no JSON document.") from error
    if not isinstance(said, Mapping):
        raise HookMalformed("It is no JSON object.")
    return HookWish(
        reason=_reason(said),
        variants=_variants(said.get("variants", [])),
        parameters=_parameters(said.get("parameters", {})),
    )


def _reason(said: Mapping[str, object]) -> str:
    given = said.get("reason", "")
    if not isinstance(given, str):
        raise HookMalformed("reason is no text.")
    repository = said.get("repository")
    if not given and isinstance(repository, Mapping) and isinstance(said.get("ref"), str):
        given = f"a push to {said['ref']} of {repository.get('full_name', 'a repository')}"
    return " ".join(given.split())[:_LONGEST_REASON]


def _variants(given: object) -> tuple[str, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise HookMalformed("variants is no list of names.")
    if not all(isinstance(name, str) for name in given):
        raise HookMalformed("variants is no list of names.")
    return tuple(given)


def _parameters(given: object) -> Mapping[str, str]:
    if not isinstance(given, Mapping):
        raise HookMalformed("parameters is no object.")
    return {_named(name): _valued(name, value) for name, value in given.items()}


def _named(name: str) -> str:
    if _PARAMETER.fullmatch(name) is None:
        raise HookMalformed(f"{name[:80]!r} is no component.parameter.")
    return name


def _valued(name: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            raise HookMalformed(f"The value of {name} is no text, number, true or false.")


class HookMalformed(InvalidInput):
    """The body of a hook's call is not what it must be."""

    code = "hook-malformed"

    def __init__(self, reason: str) -> None:
        """Say what is wrong, and show the form."""
        super().__init__(
            "The body of the call is not what a hook takes.",
            context=reason,
            hint='Send nothing, or JSON such as {"reason": "...", "parameters": {"web.port": 80}}.',
        )


class HookForged(Refused):
    """A hook's call is not signed by who may call."""

    code = "hook-forged"

    def __init__(self, reason: str) -> None:
        """Say what is missing, but not what would have been right."""
        super().__init__(
            "The call is not signed by a key that is known here.",
            context=reason,
            hint="Sign the body as docs/operating.md says, by the key that hook_key names.",
        )


class HookMisdated(Refused):
    """A hook's call was signed too long ago, or is of the future."""

    code = "hook-misdated"

    def __init__(self, seconds: int) -> None:
        """Say by how much."""
        when = f"{seconds} s ago" if seconds >= 0 else f"{-seconds} s from now"
        super().__init__(
            f"The call was signed {when}, and only {VALID_SECONDS} s are allowed.",
            context="Either it is an old one that comes again, or a clock is wrong.",
            hint="Set the clocks of both machines, and sign the call when it is made.",
        )


class HookReplayed(WrongState):
    """A hook's call was taken before."""

    code = "hook-replayed"

    def __init__(self) -> None:
        """Say that nothing more happens."""
        super().__init__(
            "This very call was taken before.",
            context="Calls with the same moment and body are the same call.",
            hint="Nothing is to be done; to start another run, sign a new call.",
        )


class HooksClosed(Unavailable):
    """No hook can be called here."""

    code = "hooks-closed"

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(
            "Hooks cannot be called here.",
            context=reason,
            hint="Set hook_key to a reference, such as file:/etc/imagebuilder/hook.key.",
        )
