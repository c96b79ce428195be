"""What commands that stay have in common: the pools they work for, and how to let them go."""

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from imagebuilder.domain.errors import InvalidInput

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.services.pipelines.serving import ServeOrder

_POOL = re.compile(r"([a-z0-9][a-z0-9._-]{0,62})(?:=([1-9][0-9]?))?")
_ADDRESS = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_HIGHEST_PORT = 65535
_POOL_HELP = "Do the work of this pool, of so many runs at once; may be given several times."

Pools = Annotated[list[str] | None, typer.Option("--pool", metavar="NAME[=SLOTS]", help=_POOL_HELP)]
Drain = Annotated[
    int,
    typer.Option(
        min=0, metavar="SECONDS", help="How long a stage under way may go on once told to leave."
    ),
]


class Leavable(Protocol):
    """What can be told to leave."""

    def leave(self) -> None:
        """Begin nothing new, and end when what is under way is done; asked again, end at once."""
        ...


class PoolMalformed(InvalidInput):
    """A --pool that names no pool."""

    code = "pool-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"--pool {text!r} names no pool.",
            context="A pool is named by lower-case letters, digits, dots and dashes.",
            hint="Write --pool build.amd64, or --pool build.amd64=2 for two runs at once.",
        )


def stay(application: "Application", order: "ServeOrder") -> None:
    """Do what is ordered until told to leave. Raises: as `Serving.serve`; LeaseLost."""
    application.write_logs()
    application.watch(order.watched)
    with _told_to_leave(application.presence), _door(application, order.listen):
        application.serving(order).serve(order.duty)
    application.presence.require_not_lost()


@contextmanager
def _door(application: "Application", address: str | None) -> Iterator[None]:
    """Take hooks and give metrics at an address, if there is one.

    Raises: AddressMalformed; DoorBlocked.
    """
    if address is None:
        yield
        return
    from imagebuilder.api.app import door_of  # noqa: PLC0415 - few processes have a door
    from imagebuilder.api.server import open_door  # noqa: PLC0415 - the same

    matched = _ADDRESS.fullmatch(address)
    if matched is None or int(matched[2]) > _HIGHEST_PORT:
        raise AddressMalformed(address)
    host, port = matched[1].strip("[]"), int(matched[2])
    with open_door(door_of(application), host, port):
        yield


class AddressMalformed(InvalidInput):
    """A --listen that is no address."""

    code = "address-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"--listen {text!r} is no address to listen on.",
            hint="Write 127.0.0.1:8374, or [::1]:8374.",
        )


@contextmanager
def _told_to_leave(presence: "Leavable") -> Iterator[None]:
    """Leave on the first signal, when what is under way is done; at once on the second."""
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: presence.leave()) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def pools_of(written: Sequence[str]) -> dict[str, int]:
    """Give how many runs of each pool are to be at work at once. Raises: PoolMalformed."""
    pools = {}
    for text in written:
        matched = _POOL.fullmatch(text)
        if matched is None:
            raise PoolMalformed(text)
        pools[matched[1]] = int(matched[2] or 1)
    return pools
