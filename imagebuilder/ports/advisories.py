"""AdvisoryLibrary: what was imported of advisories, to be asked and to be replaced.

Every adapter must keep: an import appears whole or not at all, and what is read while another one
appears is all of the same; nothing is fetched from anywhere.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Protocol, TypeAlias

from imagebuilder.domain.advisory import Advisory, AdvisoryState, CveNotes
from imagebuilder.domain.errors import InvalidInput, Unavailable, WrongState

OnCount: TypeAlias = Callable[[str, int], None]
"""Is told of what a file gave, again and again: its name, and how many statements so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOfCve:
    """All that is said of one CVE; empty when nobody speaks of it."""

    advisories: tuple[Advisory, ...] = ()
    notes: CveNotes | None = None

    def __bool__(self) -> bool:
        """Whether anything is said of it."""
        return bool(self.advisories) or self.notes is not None


class AdvisoryLibrary(Protocol):
    """Keeps advisories."""

    def state(self) -> AdvisoryState | None:
        """Give what was imported, None before anything was. Raises: AdvisoriesDamaged."""
        ...

    def said_of(self, release: str, packages: Collection[str]) -> Mapping[str, Sequence[Advisory]]:
        """Give what is said of source packages in a release; of one nobody speaks of, nothing.

        Raises: AdvisoriesDamaged.
        """
        ...

    def notes(self, cves: Collection[str]) -> Mapping[str, CveNotes]:
        """Give what is known of CVEs wherever they are. Raises: AdvisoriesDamaged."""
        ...

    def of_cve(self, cve: str) -> SaidOfCve:
        """Give all that is said of a CVE, by package and release. Raises: AdvisoriesDamaged."""
        ...

    def update(
        self, files: Sequence[PurePath], at: datetime, on_count: OnCount, *, keeps_others: bool
    ) -> AdvisoryState:
        """Import files, and folders of them, in place of what their feeds said before.

        What other feeds said stays if `keeps_others`. Durable: it survives a crash once this
        returned, and before that all is as it was.

        Raises: AdvisoryFileUnreadable; AdvisoryFileMalformed; AdvisoriesEmpty; AdvisoryUpdateRuns;
        AdvisoriesNotKept.
        """
        ...


class AdvisoriesMissing(WrongState):
    """Something needs advisories before any were imported."""

    code = "advisories-missing"

    def __init__(self) -> None:
        """Say how to get some."""
        super().__init__(
            "No advisories were imported yet.",
            context="Nothing is fetched from the network here: they come from files that you "
            "mirror, such as https://security-tracker.debian.org/tracker/data/json.",
            hint="Import them with: imagebuilder advisory update --from FILE_OR_DIR",
        )


class AdvisoriesDamaged(WrongState):
    """What was imported cannot be read any more."""

    code = "advisories-damaged"

    def __init__(self, path: PurePath, reason: str) -> None:
        """Name the file and what is wrong with it."""
        super().__init__(
            f"The imported advisories in {path} cannot be read.",
            context=reason,
            hint="Import all of them again: imagebuilder advisory update --fresh --from DIR",
        )


class AdvisoryFileUnreadable(InvalidInput):
    """What advisories are to be imported from is not there, or no file of ours to read."""

    code = "advisory-file-unreadable"

    def __init__(self, path: object, reason: str) -> None:
        """Name it and say why."""
        super().__init__(
            f"Advisories cannot be imported from {path}.",
            context=reason,
            hint="Mirror the data to a file first, and name the file or its folder.",
        )


class AdvisoryFileMalformed(InvalidInput):
    """A file is not what its beginning promises."""

    code = "advisory-file-malformed"

    def __init__(self, path: object, where: str, reason: str) -> None:
        """Name the file, the place in it and what is wrong there."""
        super().__init__(
            f"{path} is malformed: {where}.",
            context=f"{reason} Nothing was imported; what was there before counts.",
            hint="Mirror the file again, and compare its checksum if its publisher has one.",
        )


class AdvisoriesEmpty(InvalidInput):
    """Nothing that could be used stands in what was named."""

    code = "advisories-empty"

    def __init__(self, named: Sequence[object], reason: str) -> None:
        """Name it, and say what was left out and why."""
        super().__init__(
            f"There are no advisories of use in {', '.join(map(str, named))}.",
            context=reason,
            hint="Give the Debian security tracker's JSON, OSV dumps of Debian or Ubuntu, CISA's "
            "KEV JSON, or an EPSS CSV.",
        )


class AdvisoryUpdateRuns(WrongState):
    """Somebody else imports advisories right now."""

    code = "advisory-update-runs"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "Another advisory update runs right now.",
            hint="Wait for its end, and try again.",
        )


class AdvisoriesNotKept(Unavailable):
    """The place where advisories are kept does not take them."""

    code = "advisories-not-kept"

    def __init__(self, path: PurePath, reason: str) -> None:
        """Name the place and what the system said."""
        super().__init__(
            f"Advisories cannot be kept in {path}.",
            context=reason,
            hint="Check its free space and its permissions.",
        )
