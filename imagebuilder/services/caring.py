"""Caring: the catalogue as a whole is backed up, put back, moved and looked over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import parse_qs, urlsplit

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.errors import ImageBuilderError, InvalidInput, WrongState
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerStore
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.catalogue_care import (
    BackupState,
    CatalogueCare,
    CatalogueFault,
    CatalogueNotEmpty,
    CatalogueState,
    OnRows,
    StoredThing,
)
from imagebuilder.ports.clock import Clock

_REBUILD = "Build its recipe again: what is missing is made anew."


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What the catalogue speaks of, and who works with it: `running` gives the ids of runs."""

    versions: VersionStore
    blobs: BlobStore
    layers: Callable[[], LayerStore]
    running: Callable[[], Sequence[str]]


class Caring:
    """Looks after the catalogue."""

    def __init__(
        self,
        care: CatalogueCare,
        belongings: Belongings,
        clock: Clock,
        *,
        actor: str,
        kept_aside: PurePath,
    ) -> None:
        """Look after what `care` reaches; what a restore replaces is first kept in kept_aside."""
        self._care = care
        self._its = belongings
        self._clock = clock
        self._actor = actor
        self._kept_aside = kept_aside

    def state(self) -> CatalogueState:
        """Give how the catalogue is."""
        return self._care.state()

    def back_up(self, path: PurePath, on_rows: OnRows, *, replaces: bool) -> BackupState:
        """Write a backup, of one state though others write meanwhile.

        Raises: BackupThere; BackupUnwritable.
        """
        return self._care.back_up(path, self._clock.now(), on_rows, replaces=replaces)

    def inspect(self, path: PurePath) -> BackupState:
        """Read all of a backup. Raises: BackupUnreadable; BackupTooNew."""
        return self._care.inspect(path)

    def restore(
        self, path: PurePath, on_rows: OnRows, *, replaces: bool
    ) -> tuple[BackupState, BackupState | None]:
        """Put a backup in place; give what it held, and what was kept aside of what was there.

        Raises: BackupUnreadable; BackupTooNew; CatalogueNotEmpty; CatalogueInUse.
        """
        backup = self._care.inspect(path)
        there = self._care.state()
        is_empty = not any(there.rows.values())
        if not is_empty and not replaces:
            hint = "Add --force: what is there is first kept aside, as a backup."
            raise CatalogueNotEmpty(there.where, there.rows, hint)
        self._refuse_when_in_use()
        aside = None if is_empty else self._keep_aside(on_rows)
        after = {"backup": str(path), "digest": str(backup.digest)}
        entry = self._entry(AuditAction.CATALOGUE_RESTORED, there.where, str(path), after)
        self._care.restore(path, entry, on_rows)
        return backup, aside

    def copy_to(self, url: str, on_rows: OnRows) -> CatalogueState:
        """Write all of it to an empty catalogue elsewhere.

        Raises: PasswordInArguments; CatalogueNotEmpty; CatalogueInUse.
        """
        if _has_password(url):
            raise PasswordInArguments
        self._refuse_when_in_use()
        here = self._care.state().where
        entry = self._entry(AuditAction.CATALOGUE_COPIED, here, "", {"from": here})
        return self._care.copy_to(url, entry, on_rows)

    def faults(self, on_rows: OnRows, *, is_deep: bool) -> Iterator[CatalogueFault]:
        """Read everything and give what is wrong.

        The files that versions speak of are to be there; they are read too when it `is_deep`.
        """
        is_readable = True
        for fault in self._care.faults(on_rows):
            is_readable = False
            yield fault
        if is_readable:
            yield from self._missing_blobs(on_rows, is_deep=is_deep)
            yield from self._missing_layers(on_rows, is_deep=is_deep)

    def _missing_blobs(self, on_rows: OnRows, *, is_deep: bool) -> Iterator[CatalogueFault]:
        seen = set()
        for thing in self._care.stored_things():
            on_rows("stored files", 1)
            if thing.digest in seen:
                continue
            seen.add(thing.digest)
            what = self._damage_of(thing, is_deep=is_deep)
            if what:
                where = f"{thing.version} {thing.what}"
                yield CatalogueFault(where=where, what=what, hint=_REBUILD)

    def _damage_of(self, thing: StoredThing, *, is_deep: bool) -> str:
        if not self._its.blobs.has(thing.digest):
            return f"The stored file {thing.digest.short} is missing."
        if not self._its.blobs.has(thing.digest, thing.size_bytes):
            return f"The stored file {thing.digest.short} is not of {thing.size_bytes} bytes."
        if is_deep:
            try:
                self._its.blobs.verify(thing.digest)
            except ImageBuilderError as error:
                return f"{error.message} {error.context}"
        return ""

    def _missing_layers(self, on_rows: OnRows, *, is_deep: bool) -> Iterator[CatalogueFault]:
        layers = self._its.layers()
        for content in sorted(self._its.versions.contents_in_use()):
            on_rows("layers", 1)
            what = "" if layers.has(content) else "Its files are missing."
            if is_deep and not what:
                try:
                    layers.get(content)
                except ImageBuilderError as error:
                    what = f"{error.message} {error.context}"
            if what:
                where = f"layer {content.short}"
                yield CatalogueFault(where=where, what=what, hint=_REBUILD)

    def _refuse_when_in_use(self) -> None:
        running = self._its.running()
        if running:
            raise CatalogueInUse(running)

    def _keep_aside(self, on_rows: OnRows) -> BackupState:
        path = self._kept_aside / f"before-restore-{self._clock.now():%Y%m%dT%H%M%S%f}.backup"
        return self._care.back_up(path, self._clock.now(), on_rows, replaces=False)

    def _entry(
        self, action: AuditAction, subject: str, why: str, after: dict[str, str]
    ) -> AuditEntry:
        act = Act(actor=self._actor, at=self._clock.now(), why=why)
        return AuditEntry(act=act, action=action, subject=subject, after=after)


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.password) or "password" in parse_qs(parts.query)


class CatalogueInUse(WrongState):
    """Builds are under way that would write to another catalogue than they read."""

    code = "catalogue-in-use"

    def __init__(self, runs: Sequence[str]) -> None:
        """Name the runs."""
        super().__init__(
            "The catalogue is in use by builds.",
            context=f"Running: {', '.join(runs[:5])}.",
            hint="Wait until they have ended; watch them with: imagebuilder run list",
        )


class PasswordInArguments(InvalidInput):
    """A password stands where every user of the machine can read it."""

    code = "password-in-arguments"

    def __init__(self) -> None:
        """Say where it belongs."""
        super().__init__(
            "The address holds a password, which everybody on this machine could read.",
            context="Other users see the arguments of running commands.",
            hint="Leave it out, change it if it matters, and write it to ~/.pgpass, the file that "
            "PGPASSFILE names, or a service in ~/.pg_service.conf.",
        )
