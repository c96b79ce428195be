"""Admitting: calls from outside start pipelines, if they are signed, of now, and new."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.hook import (
    HookCall,
    HookForged,
    HookMisdated,
    HookReplayed,
    HooksClosed,
    HookWish,
    wish_of,
)
from imagebuilder.domain.ids import is_name
from imagebuilder.domain.run import Run
from imagebuilder.domain.signature import VALID_SECONDS, is_body_signed, is_signed, signed_at
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.hooks import HookCalls
from imagebuilder.ports.transactions import Transactions

_REMEMBERED_FOR = timedelta(days=366)
_OF_EACH = "{pipeline}"
_PING = "ping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatehouse:
    """Who knows keys and calls, and what starts a pipeline.

    `key` is the reference to what calls are signed with; `{pipeline}` in it is the name of the
    pipeline that is called, so that each may have a key of its own. `secret_of` gives what a
    reference names, or raises InvalidInput.
    """

    key: str
    secret_of: Callable[[str], bytes]
    start: Callable[[str, HookWish], Sequence[Run]]
    calls: HookCalls
    transactions: Transactions
    clock: Clock


class Admitting:
    """Lets calls in. Durable: a call is taken together with the runs it makes, or neither is."""

    def __init__(self, gatehouse: Gatehouse) -> None:
        """Judge with what is in the gatehouse."""
        self._house = gatehouse

    def admit(self, call: HookCall) -> Sequence[Run]:
        """Give the runs that a call makes; none when it only asks whether somebody is here.

        Who cannot sign is told nothing, not even whether there is such a pipeline.
        Raises: HooksClosed; HookForged; HookMisdated; HookReplayed; HookMalformed; what starting
        a pipeline raises.
        """
        signature = self._checked(call)
        wish = wish_of(call.body)
        if call.body_signature and call.event == _PING:
            return ()
        now = self._house.clock.now()
        with self._house.transactions.together():
            self._house.calls.forget(now - _REMEMBERED_FOR)
            if not self._house.calls.take(Digest.of_bytes(signature.encode()), now):
                raise HookReplayed
            return self._house.start(call.pipeline, wish)

    def _checked(self, call: HookCall) -> str:
        """Give the signature that a call is known by."""
        if not self._house.key:
            raise HooksClosed("No key is set that calls could be signed with.")
        if not call.signature and not call.body_signature:
            raise HookForged("It has no signature.")
        secret = self._secret(call.pipeline)
        if not call.signature:
            if not is_body_signed(call.body_signature, secret, call.body):
                raise HookForged("Its signature is not that of this body.")
            return call.body_signature
        at_seconds = signed_at(call.signature)
        if at_seconds is None or not is_signed(call.signature, secret, call.body):
            raise HookForged("Its signature is not that of this body.")
        age_seconds = int(self._house.clock.now().timestamp()) - at_seconds
        if abs(age_seconds) > VALID_SECONDS:
            raise HookMisdated(age_seconds)
        return call.signature

    def _secret(self, pipeline: str) -> bytes:
        is_of_each = _OF_EACH in self._house.key
        if is_of_each and not is_name(pipeline):
            raise HookForged("Its signature is not that of this body.")
        try:
            return self._house.secret_of(self._house.key.replace(_OF_EACH, pipeline))
        except InvalidInput as error:
            if is_of_each:
                raise HookForged("Its signature is not that of this body.") from error
            raise HooksClosed(f"{error.message} {error.context}") from error
