"""Mirroring: what the pipeline documents in a folder say is in force, and changes there are built.

A file is looked at once it was the same at two looks: what is half written, or on its way in a
checkout, is left alone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from imagebuilder.documents.reader import is_pipeline
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError, InvalidInput, WrongState
from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.pipeline import Pipeline
from imagebuilder.ports.documents import DocumentSource
from imagebuilder.ports.folders import FolderEmptied, FolderSight, Stamp
from imagebuilder.ports.pipelines import AppliedPipeline, PipelinePaused

_ENDINGS = (".yaml", ".yml")


class Applied(Protocol):
    """What applying a document came to."""

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline as it is in force now."""
        ...


class Books(Protocol):
    """Lets pipelines be in force, all that is done in the name of the folder."""

    def apply(
        self, places: Sequence[str], *, why: str = "", is_dry: bool = False
    ) -> Sequence[Applied]:
        """Let documents be in force. Raises: InvalidInput; WrongState: nothing was changed."""
        ...

    def remove(self, name: str, why: str = "", *, is_dry: bool = False) -> AppliedPipeline:
        """Take a pipeline out of force."""
        ...

    def list(self) -> Sequence[AppliedPipeline]:
        """Give all pipelines by name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """What a folder is mirrored with; `actor` is in whose name `books` are changed.

    `uses` gives the files and folders that a build of a recipe reads, `start` lets a pipeline run
    and is told why, `on_fault` is told of what cannot be, and the pipeline it is about if any.
    """

    folder: PurePath
    actor: str
    sight: FolderSight
    documents: DocumentSource
    books: Books
    uses: Callable[[str], Collection[PurePath]]
    start: Callable[[PipelineName, str], object]
    on_fault: Callable[[ImageBuilderError, PipelineName | None], None]


@dataclass(slots=True)
class _Known:
    """What was seen, handled, and is in force from the folder.

    Shape: `names` maps a document to the pipeline that it is in force as, `told` a file and a
    pipeline to the fault that was told of them last.
    """

    seen: Mapping[PurePath, Stamp] | None = None
    stamps: dict[PurePath, Stamp] = field(default_factory=dict)
    digests: dict[PurePath, Digest] = field(default_factory=dict)
    names: dict[PurePath, PipelineName] = field(default_factory=dict)
    faulty: set[PurePath] = field(default_factory=set)
    told: dict[tuple[PurePath, PipelineName | None], str] = field(default_factory=dict)
    has_begun: bool = False


class Mirroring:
    """Mirrors one folder. Durable: what is in force is kept, so another process can go on."""

    def __init__(self, mirror: Mirror) -> None:
        """Begin with nothing known."""
        self._with = mirror
        self._known = _Known()

    def forget(self) -> None:
        """Begin anew: what another process saw meanwhile is not known here."""
        self._known = _Known()

    def look(self) -> None:
        """See what changed since the last look, and let it be so.

        A folder that cannot be read, or is empty at once, changes nothing.
        Raises: Unavailable: what was not done is done at the next look.
        """
        known = self._known
        try:
            files = self._with.sight.files(self._with.folder)
        except InvalidInput as error:
            self._with.on_fault(error, None)
            known.seen = None
            return
        before, known.seen = known.seen, files
        if before is None:
            return
        if not known.has_begun:
            known.names = self._in_force()
        changed = self._changed(files, before)
        # A file is gone when two looks in a row did not find it: a checkout takes files away first.
        gone = {path for path in known.names if path not in files and path not in before}
        if gone and not files:
            self._with.on_fault(FolderEmptied(self._with.folder, len(gone)), None)
            return
        if changed or gone:
            self._take(files, changed, gone)
        known.has_begun = True

    def _in_force(self) -> dict[PurePath, PipelineName]:
        """Give the documents that are in force from here, applied by whichever process."""
        return {
            PurePath(each.pipeline.path): each.pipeline.name
            for each in self._with.books.list()
            if each.applied_by == self._with.actor
            and PurePath(each.pipeline.path).is_relative_to(self._with.folder)
        }

    def _changed(
        self, files: Mapping[PurePath, Stamp], before: Mapping[PurePath, Stamp]
    ) -> Mapping[PurePath, Digest]:
        """Give the files that are settled and of another content than was handled."""
        changed = {}
        for path, stamp in files.items():
            if before.get(path) != stamp or self._known.stamps.get(path) == stamp:
                continue
            digest = self._with.sight.digest(path)
            if digest is not None and self._known.digests.get(path) != digest:
                changed[path] = digest
            elif digest is not None:
                self._known.stamps[path] = stamp
        return changed

    def _take(
        self,
        files: Mapping[PurePath, Stamp],
        changed: Mapping[PurePath, Digest],
        gone: Collection[PurePath],
    ) -> None:
        known = self._known
        documents = {path for path in changed if self._is_document(path)}
        # What was wrong with one document may be put right by a change of another file.
        for path in sorted((documents | known.faulty) & files.keys()):
            self._apply(path, files)
        for path in sorted(gone):
            name = known.names.pop(path, None)
            if name is not None:  # else another document is of the same pipeline now
                self._remove(name, f"{path} is gone")
            known.digests.pop(path, None)
            known.stamps.pop(path, None)
        known.faulty &= files.keys()
        if known.has_begun:
            self._start(changed.keys() - documents)
        known.digests |= changed
        known.stamps |= {path: files[path] for path in changed}

    def _is_document(self, path: PurePath) -> bool:
        """Whether a file is a pipeline's document, or was one: then it is a faulty one now."""
        if path in self._known.names:
            return True
        if path.suffix not in _ENDINGS:
            return False
        try:
            return is_pipeline(self._with.documents.text(str(path)))
        except InvalidInput:
            return False

    def _apply(self, path: PurePath, files: Collection[PurePath]) -> None:
        known, why = self._known, f"{path} changed"
        try:
            (change,) = self._with.books.apply([str(path)], why=why, is_dry=True)
            name, former = change.pipeline.name, known.names.get(path)
            for other, same in known.names.items():
                if same == name and other != path and other in files:
                    raise NameTaken(path, name, other)
            self._with.books.apply([str(path)], why=why)
        except (InvalidInput, WrongState) as error:
            known.faulty.add(path)
            self._tell(path, known.names.get(path), error)
            return
        known.names = {p: n for p, n in known.names.items() if n != name} | {path: name}
        known.faulty.discard(path)
        known.told.pop((path, former), None)
        if former is not None and former != name:
            self._remove(former, f"{path} is of {name} now")

    def _remove(self, name: PipelineName, why: str) -> None:
        try:
            self._with.books.remove(name, why)
        except WrongState as error:
            # Somebody else did it already.
            self._with.on_fault(error, None)

    def _start(self, changed: Collection[PurePath]) -> None:
        """Let the pipelines run whose builds read something that changed."""
        if not changed:
            return
        places = {path: {path, self._with.sight.real(path)} for path in sorted(changed)}
        uses: dict[str, Collection[PurePath]] = {}
        for applied in self._with.books.list():
            pipeline = applied.pipeline
            if pipeline.recipe_path not in uses:
                uses[pipeline.recipe_path] = self._used(pipeline)
            used = uses[pipeline.recipe_path]
            of = [path for path, real in places.items() if _are_among(real, used)]
            if of:
                more = f" and {len(of) - 1} more" if len(of) > 1 else ""
                self._start_one(pipeline.name, f"{of[0]}{more} changed")

    def _start_one(self, name: PipelineName, why: str) -> None:
        try:
            self._with.start(name, why)
        except PipelinePaused:
            # What was paused is not to run because of this.
            return
        except (InvalidInput, WrongState) as error:
            self._with.on_fault(error, name)

    def _used(self, pipeline: Pipeline) -> Collection[PurePath]:
        """Give what a pipeline's build reads; nothing when its recipe is faulty, which is told."""
        path = PurePath(pipeline.recipe_path)
        try:
            used = self._with.uses(pipeline.recipe_path)
        except (InvalidInput, WrongState) as error:
            if path.is_relative_to(self._with.folder):
                self._tell(path, pipeline.name, error)
            return ()
        self._known.told.pop((path, pipeline.name), None)
        return used

    def _tell(self, path: PurePath, name: PipelineName | None, error: ImageBuilderError) -> None:
        """Tell of a fault, of the same once."""
        said = f"{error.message} {error.context}"
        if self._known.told.get((path, name)) != said:
            self._known.told[path, name] = said
            self._with.on_fault(error, name)


def _are_among(places: Iterable[PurePath], uses: Collection[PurePath]) -> bool:
    return any(place == use or place.is_relative_to(use) for place in places for use in uses)


class NameTaken(WrongState):
    """Two documents in a watched folder are of the same pipeline."""

    code = "name-taken"

    def __init__(self, path: PurePath, name: str, other: PurePath) -> None:
        """Name both."""
        super().__init__(
            f"{path} is of pipeline {name}, and so is {other}.",
            context=f"What {other} says stays in force.",
            hint="Give one of them another name.",
        )
