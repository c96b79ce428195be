"""Copying: a version's bits are taken over under another image's name."""

from dataclasses import dataclass, replace

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.cascade import Publication
from imagebuilder.domain.errors import InvalidInput, Refused
from imagebuilder.domain.ids import ImageName, VersionId, is_name
from imagebuilder.domain.image import ImageVersion, parse_reference
from imagebuilder.domain.standing import Standing
from imagebuilder.domain.versions import BuildVersion, RecipeVersion, Wildcard, next_build
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.publishing import Publish, unfollowed
from imagebuilder.ports.standings import StandingStore
from imagebuilder.ports.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDesk:
    """What copies are made of and kept in.

    `published` is told of each new one, as a part of the transaction that records it.
    """

    versions: VersionStore
    standings: StandingStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock
    ids: IdSource
    published: Publish = unfollowed


class Copying:
    """Records versions that are copies of others, so that no upstream can take them away."""

    def __init__(self, desk: CopyDesk, actor: str) -> None:
        """Copy in the name of `actor`."""
        self._desk = desk
        self._actor = actor

    def copy(self, reference: str, name: str, *, why: str = "") -> ImageVersion:
        """Record the bits of a version as the next build of its number, of another image.

        Durable: recorded whole or not at all, with its audit entry. A revocation of the source
        reaches the copy.

        Raises: CopyMisnamed; SourceUnusable; VersionNotFound; ReferenceMalformed;
        ReferenceAmbiguous.
        """
        if not is_name(name):
            raise CopyMisnamed(name, "It is not a name that an image may have.")
        image = ImageName(name)
        desk = self._desk
        with desk.transactions.together():
            at = desk.clock.now()
            source = desk.versions.find(parse_reference(reference), at)
            if source.image == image:
                raise CopyMisnamed(name, f"{source.reference} is of that image already.")
            standing = desk.standings.standings([source.id], at)[source.id]
            if not standing.is_usable:
                raise SourceUnusable(source.reference, standing)
            copy = replace(
                source,
                id=VersionId(desk.ids.new("version")),
                image=image,
                version=self._next(image, source.version),
                created_at=at,
                copied_from=source.id,
            )
            desk.versions.add(copy)
            desk.audit.add(
                AuditEntry(
                    act=Act(actor=self._actor, at=at, why=why),
                    action=AuditAction.VERSION_COPIED,
                    subject=copy.reference,
                    after={"copied_from": source.reference, "id": copy.id},
                )
            )
            desk.published(Publication(image=image, version=copy.version), at)
        return copy

    def _next(self, image: ImageName, version: BuildVersion) -> BuildVersion:
        number = version.version
        asked = RecipeVersion(number.major, number.minor, number.patch)
        same = Wildcard((number.major, number.minor, number.patch))
        last = self._desk.versions.last_build(image, same)
        return next_build(asked, [last.version] if last else [], same_definition_as=None)


class CopyMisnamed(InvalidInput):
    """A copy cannot have the name it is to have."""

    code = "copy-misnamed"

    def __init__(self, name: str, reason: str) -> None:
        """Quote it and say why."""
        super().__init__(
            f"A copy cannot be named {name[:80]!r}.",
            context=reason,
            hint="Name another image with --as, of small letters, digits, dots and hyphens.",
        )


class SourceUnusable(Refused):
    """A version that may not be used is to be copied."""

    code = "source-unusable"

    def __init__(self, reference: str, standing: Standing) -> None:
        """Say how it stands, and why."""
        revocation = standing.revocation
        why = f": {revocation.act.why}" if standing.is_revoked and revocation is not None else ""
        super().__init__(
            f"{reference} cannot be copied.",
            context=f"It is {standing.state}{why}.",
            hint="Copy another version of the image; see: imagebuilder image list",
        )
