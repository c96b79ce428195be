"""Action: what an action module of a component does, once, on a machine.

Conditions, loops, attempts and what a failure means are the runner's; an action does its work once
and says how it went. Every implementation must keep: no path of a document and no link in the image
reaches outside the image; the time limit ends all it started; nothing it says holds a secret that
it was not itself told by the document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.component import ActionName, Network
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.package import Upgrade
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import CommandResult, OnLine


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCall:
    """One attempt at a step. `inputs` have no references left.

    `folder` is where the component's own files lie, None when it has none; `upgrades` are what an
    UpdateOS step is to apply exactly, None when that is for it to find out; `network` is what the
    component says it reaches.
    Units: `timeout_seconds` is for all of it; None is no limit.
    """

    action: ActionName
    phase: str
    step: str = ""
    inputs: Canonical
    machine: Machine
    timeout_seconds: float | None
    on_line: OnLine | None = None
    folder: PurePath | None = None
    upgrades: Sequence[Upgrade] | None = None
    network: Network = Network.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """How it went, and what later steps may refer to.

    `detail` is what a log of all details has to say of it beside that.
    Shape: `outputs` has one mapping for each item of the inputs when they are a list, else one.
    """

    result: CommandResult
    outputs: Sequence[Mapping[str, str]] = field(default_factory=lambda: ({},))
    detail: Canonical = None


class Action(Protocol):
    """Does the work of one action module."""

    def run(self, call: ActionCall) -> ActionResult:
        """Do it once and say how it went; a failure of the work is an exit status, not an error.

        Raises: MachineLost: the machine itself went away.
        """
        ...
