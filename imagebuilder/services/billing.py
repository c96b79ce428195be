"""Billing: the whole bill of a version, of what its root held and what its record knows."""

import json
from collections.abc import Iterator, Mapping

from imagebuilder.domain.bill import (
    Bill,
    BilledFile,
    BillMissing,
    BillPart,
    BillUnreadable,
    Contents,
    PartKind,
    contents_of,
)
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.image import ImageVersion, parse_reference
from imagebuilder.domain.package import PackageKey
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock


class Billing:
    """Tells what is in versions."""

    def __init__(self, versions: VersionStore, blobs: BlobStore, clock: Clock) -> None:
        """Read records in versions and documents in blobs."""
        self._versions = versions
        self._blobs = blobs
        self._clock = clock

    def show(self, reference: str) -> Bill:
        """Give the bill of the version that a reference means.

        Raises: as `bill`; ReferenceMalformed; VersionNotFound; ReferenceAmbiguous;
        ChannelNotFound; ChannelEmpty.
        """
        return self.bill(self._versions.find(parse_reference(reference), self._clock.now()))

    def bill(self, version: ImageVersion) -> Bill:
        """Give the bill of a version. Raises: BillMissing; BillUnreadable; BlobMissing."""
        return Bill(
            image=version.image,
            version=str(version.version),
            recorded_at=version.created_at,
            identity=version.disk_digest,
            files=tuple(
                BilledFile(format=artifact.format, digest=artifact.digest)
                for artifact in version.artifacts
            ),
            parts=(*self._parent(version), *_parts(version)),
            contents=self.contents(version),
        )

    def contents(self, version: ImageVersion) -> Contents:
        """Give what the root of a version held. Raises: as `bill`."""
        if version.bill is None:
            raise BillMissing(version.reference)
        digest = version.bill.document
        try:
            return contents_of(json.loads(self._blobs.read(digest)))
        except ValueError as error:
            raise BillUnreadable(digest, f"{error}.") from error

    def archives(self, version: ImageVersion) -> Mapping[PackageKey, Digest]:
        """Give the digests of the files of a version's packages that are known; none of no bill.

        Raises: BillUnreadable; BlobMissing.
        """
        packages = self.contents(version).packages if version.bill else ()
        return {p.package.key: p.archive for p in packages if p.archive is not None}

    def _parent(self, version: ImageVersion) -> Iterator[BillPart]:
        edge = version.parent
        if edge.version_id is None:
            yield BillPart(kind=PartKind.PARENT, name=edge.asked)
            return
        parent = self._versions.get(edge.version_id)
        yield BillPart(
            kind=PartKind.PARENT,
            name=parent.image,
            version=str(parent.version),
            digest=parent.disk_digest,
        )


def _parts(version: ImageVersion) -> Iterator[BillPart]:
    for document in version.documents:
        if document.kind == PartKind.RECIPE.value:
            yield BillPart(kind=PartKind.RECIPE, name=document.name, digest=document.digest)
    for layer in version.layers:
        if layer.component_digest is not None:
            yield BillPart(
                kind=PartKind.COMPONENT,
                name=layer.name,
                version=layer.component_version,
                digest=layer.component_digest,
            )
    for address, digest in sorted(version.indexes.items()):
        yield BillPart(kind=PartKind.INDEX, name=address, digest=digest)
