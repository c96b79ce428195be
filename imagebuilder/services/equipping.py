"""Equipping: the content that scans are made with is added, told of and taken away."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.content import AddedContent, ContentPack, content_for, named_content
from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.content import ContentFile, ContentFiles, ContentStore
from imagebuilder.ports.scanning import Scanner
from imagebuilder.ports.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDesk:
    """Where packs and their files are kept, and who can read them."""

    contents: ContentStore
    files: ContentFiles
    blobs: BlobStore
    scanner: Scanner
    audit: AuditLog
    transactions: Transactions
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A pack that is there now; `is_new` when it was not before."""

    content: AddedContent
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A pack that is gone, or would be, and how many versions it judged, which stay as they are."""

    content: AddedContent
    versions: int


class Equipping:
    """Keeps packs of content. Durable: a pack is kept after its file, with its audit entry."""

    def __init__(self, desk: ContentDesk, actor: str) -> None:
        """Keep them in the name of `actor`."""
        self._desk = desk
        self._actor = actor

    def add(self, file: str) -> Kept:
        """Keep a file of content; one that is there already changes nothing.

        Raises: ContentUnreadable.
        """
        with self._desk.files.copied(file) as copy:
            return self._kept(copy)

    def fetch(self) -> Sequence[Kept]:
        """Keep the content of Debian's own package of it.

        Raises: ContentNotPackaged; ContentUnreadable; NoMirror; MirrorUnreachable;
        SignatureRefused; IndexDiffers.
        """
        with self._desk.files.packaged() as files:
            return [self._kept(file) for file in files]

    def list(self) -> Sequence[AddedContent]:
        """Give all packs, by name and by when they were added."""
        return self._desk.contents.all()

    def show(self, name: str) -> AddedContent:
        """Give a pack by its name, its name and version, or its digest. Raises: ContentMissing."""
        return named_content(name, self.list())

    def made_for(self, release: str) -> AddedContent:
        """Give the newest pack for a release, as bills name it. Raises: ContentMissing."""
        return content_for(release, self.list())

    def remove(self, name: str, *, is_rehearsal: bool = False) -> Dropped:
        """Forget a pack; its file stays while a version was judged by it.

        Raises: ContentMissing.
        """
        with self._desk.transactions.together():
            found = self.show(name)
            versions = self._desk.contents.judged(found.pack.digest)
            if not is_rehearsal:
                self._desk.contents.remove(found.pack.digest)
                self._tell(AuditAction.CONTENT_REMOVED, found.pack, _told(found.pack), None)
        return Dropped(content=found, versions=versions)

    def _kept(self, file: ContentFile) -> Kept:
        pack = self._desk.scanner.describe(file.path, file.digest)
        # Also of a pack that is there: its file may have been lost.
        self._desk.blobs.adopt(file.path)
        with self._desk.transactions.together():
            content = AddedContent(pack=pack, added_at=self._desk.clock.now())
            is_new = self._desk.contents.add(content)
            if is_new:
                self._tell(AuditAction.CONTENT_ADDED, pack, None, _told(pack))
                return Kept(content=content, is_new=True)
            known = (each for each in self.list() if each.pack.digest == pack.digest)
            return Kept(content=next(known), is_new=False)

    def _tell(
        self, action: AuditAction, pack: ContentPack, before: Canonical, after: Canonical
    ) -> None:
        act = Act(actor=self._actor, at=self._desk.clock.now())
        self._desk.audit.add(
            AuditEntry(act=act, action=action, subject=pack.name, before=before, after=after)
        )


def _told(pack: ContentPack) -> Canonical:
    return {"version": pack.version, "digest": str(pack.digest)}
