"""What goes wrong on purpose: faults meet calls in the order they were added."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from tests.aws_double.refusals import Refusal

ANY = "*"
_LONGEST_HELD_SECONDS = 60


class ConnectionCut(Exception):
    """The connection ends without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which calls a fault is for; what is not named is any."""

    operation: str = ANY
    service: str = ANY
    region: str = ANY
    account: str = ANY

    def meets(self, other: "Target") -> bool:
        """Tell whether a call is among them."""
        return all(
            wanted in {ANY, got}
            for wanted, got in (
                (self.operation, other.operation),
                (self.service, other.service),
                (self.region, other.region),
                (self.account, other.account),
            )
        )


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to some of the calls: percent of them by chance, at most times of them."""

    kind: Literal[
        "throttle", "server-error", "cut", "cut-after", "delay", "refuse", "expired", "hold",
        "hold-after",
    ]  # fmt: skip
    target: Target
    percent: float = 100
    times: int | None = None
    seconds: float = 0
    refusal: Refusal | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    met: int = 0
    is_reached: threading.Event = field(default_factory=threading.Event)
    is_released: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """Let a call wait until it is released; who asked may be ended meanwhile.

        Raises:
            ConnectionCut: it never was
        """
        self.is_reached.set()
        if not self.is_released.wait(_LONGEST_HELD_SECONDS):
            raise ConnectionCut


class Faults:
    """The faults of a double; all can be set while it is at work."""

    def __init__(self) -> None:
        """Nothing goes wrong."""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.hidden_snapshot_calls = 0
        """So many calls to the EBS direct service do not find a snapshot that was just started."""
        self.hidden_image_calls = 0
        """So many times is an image not found that was just registered."""
        self.has_empty_pages = False
        """Whether listings of blocks begin with a page that is empty and has a next one."""

    def clear(self) -> None:
        """Let nothing go wrong from now on."""
        for fault in self._faults:
            fault.is_released.set()
        self._faults.clear()
        self.hidden_snapshot_calls = self.hidden_image_calls = 0
        self.has_empty_pages = False

    def add(self, fault: Fault) -> Fault:
        """Let something go wrong."""
        self._faults.append(fault)
        return fault

    def throttle(self, operation: str = ANY, *, percent: float = 10, seed: int = 7) -> Fault:
        """Throttle some of the calls, the same ones with the same seed if they come in order."""
        target, chance = Target(operation=operation), random.Random(seed)
        return self.add(Fault(kind="throttle", target=target, percent=percent, chance=chance))

    def server_errors(self, operation: str = ANY, *, percent: float = 10, seed: int = 7) -> Fault:
        """Answer some of the calls with an error of the service's own."""
        target, chance = Target(operation=operation), random.Random(seed)
        return self.add(Fault(kind="server-error", target=target, percent=percent, chance=chance))

    def cut(self, operation: str = ANY, *, percent: float = 100, times: int | None = None) -> Fault:
        """Cut the connection before anything is done."""
        target = Target(operation=operation)
        return self.add(Fault(kind="cut", target=target, percent=percent, times=times))

    def cut_after(self, operation: str, *, times: int = 1) -> Fault:
        """Do the work, and cut the connection instead of saying so."""
        return self.add(Fault(kind="cut-after", target=Target(operation=operation), times=times))

    def hold(self, operation: str, *, is_done: bool = False) -> Fault:
        """Let the next call wait for `release`, before or after its work: a moment to kill in."""
        kind: Literal["hold", "hold-after"] = "hold-after" if is_done else "hold"
        return self.add(Fault(kind=kind, target=Target(operation=operation), times=1))

    def release(self, fault: Fault) -> None:
        """Let go what is held, and hold nothing more."""
        fault.is_released.set()
        self.remove(fault)

    def delay(self, seconds: float, operation: str = ANY) -> Fault:
        """Let each call take longer."""
        return self.add(Fault(kind="delay", target=Target(operation=operation), seconds=seconds))

    def region_down(self, region: str) -> Fault:
        """Let nobody reach a region until `remove`."""
        return self.add(Fault(kind="cut", target=Target(region=region)))

    def expire_credentials(self, *, account: str = ANY, times: int | None = None) -> Fault:
        """Say that credentials have expired, though they have not."""
        return self.add(Fault(kind="expired", target=Target(account=account), times=times))

    def refuse(self, operation: str, refusal: Refusal, *, times: int = 1, **more: str) -> Fault:
        """Refuse the next calls with an error of your own."""
        target = Target(operation=operation, **more)
        return self.add(Fault(kind="refuse", target=target, times=times, refusal=refusal))

    def remove(self, fault: Fault) -> None:
        """Let that go well again."""
        self._faults.remove(fault)

    def meeting(self, target: Target) -> list[Fault]:
        """Give what happens to this call; counts it."""
        if not self._faults:
            return []
        with self._lock:
            met = [
                fault for fault in self._faults if fault.target.meets(target) and _strikes(fault)
            ]
            for fault in met:
                fault.met += 1
        return met


def _strikes(fault: Fault) -> bool:
    if fault.times is not None and fault.met >= fault.times:
        return False
    return fault.percent >= 100 or fault.chance.uniform(0, 100) < fault.percent


def suffer(faults: list[Fault], service: str) -> None:
    """Let happen what happens before any work.

    Raises:
        ConnectionCut: nothing will be answered
        Refusal: the answer
    """
    for fault in faults:
        match fault.kind:
            case "delay":
                time.sleep(fault.seconds)
            case "cut":
                raise ConnectionCut
            case "hold":
                fault.hold()
            case "throttle":
                raise throttled(service)
            case "server-error":
                raise Refusal("InternalError", "An internal error has occurred", status=500)
            case "refuse" if fault.refusal is not None:
                raise fault.refusal
            case _:
                continue


def throttled(service: str) -> Refusal:
    """Give what a service says when it is asked too much."""
    if service == "ec2":
        return Refusal("RequestLimitExceeded", "Request limit exceeded.", status=503)
    if service == "ebs":
        said = "The number of API requests has exceeded the maximum allowed."
        return Refusal("RequestThrottledException", said, reason="ACCOUNT_THROTTLED")
    if service == "s3":
        return Refusal("SlowDown", "Please reduce your request rate.", status=503)
    code = "Throttling" if service in {"sts", "autoscaling", "iam"} else "ThrottlingException"
    return Refusal(code, "Rate exceeded", status=400)
