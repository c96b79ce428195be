"""RegistryCarrier: a version as an artifact of an OCI registry, its bundles as referrers to it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from imagebuilder.adapters.web.registry import Content, Registry
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.published import artifact_in, lacking
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import OciPlace, Target, TargetSpec, TargetUnavailable, filled
from imagebuilder.formats.oci import (
    EMPTY,
    IMAGE_NAME,
    INDEX_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    annotations_of,
    bundle_manifest,
    file_descriptor,
    image_manifest,
    layers_of,
    manifest_descriptor,
    referrers_of,
    referrers_tag,
    with_referrers,
    without_referrers,
)
from imagebuilder.formats.sigstore import MEDIA_TYPE as BUNDLE_TYPE
from imagebuilder.ports.targets import (
    Drift,
    FormatUnavailable,
    OnBytes,
    Placed,
    PlacingFailed,
    Shipment,
    TargetRefused,
    Usage,
)

_ATTEMPTS = 20
_TAG = "tag"
_BUNDLES = "bundles"
_NOTHING = "nothing"
_ANOTHER = "Look whose it is; set tag to another name, such as {version}-{build}."


class RegistryCarrier:
    """Brings versions to repositories of registries."""

    def __init__(self, secret_of: Callable[[str], bytes]) -> None:
        """Find what credentials refer to by secret_of."""
        self._secret_of = secret_of

    def targets(self, spec: TargetSpec) -> Sequence[Target]:
        """Give the one repository that an entry names."""
        repository = _place(spec).repository
        key = f"oci:{repository}"
        return [Target(key=key, spec=spec, where={"repository": repository})]

    def hindrances(
        self, target: Target, version: ImageVersion, takers: Sequence[Target] = ()
    ) -> Sequence[Objection]:
        """Give formats the version lacks, and whether we are let in. Raises: TargetUnavailable."""
        del takers
        found = list(lacking(version, _place(target.spec).formats))
        try:
            self._registry(target).check()
        except (TargetRefused, PlacingFailed) as error:
            reason = f"{error.message} {error.context}"
            found.append(Objection(reason=reason, remedy=error.hint))
        return found

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        """See that the artifact is there under its tag, and its bundles. Raises: as the port."""
        place, version = _place(target.spec), shipment.version
        if lacking(version, place.formats):
            raise FormatUnavailable(target.key, version.reference, place.formats)
        registry = self._registry(target)
        tag = filled(place.tag, shipment.words)
        self._refuse_foreign_tag(target, registry, tag, version)
        files = [self._pushed(registry, shipment, format_, on_bytes) for format_ in place.formats]
        registry.push_bytes(EMPTY)
        manifest = image_manifest(version, files)
        registry.push_manifest(tag, manifest, MANIFEST_TYPE)
        subject = manifest_descriptor(manifest)
        bundles = self._push_bundles(registry, subject, shipment.bundle)
        return Placed(
            external_id=f"{place.repository}@{subject.digest}",
            traits={_TAG: tag, _BUNDLES: " ".join(str(bundle.digest) for bundle in bundles)},
        )

    def drifts(
        self, target: Target, placement: Placement, takers: Sequence[Target] = ()
    ) -> Sequence[Drift]:
        """Give what is gone, and a tag that another one took. Raises: as the port."""
        del takers
        registry, digest = self._registry(target), _digest(placement)
        manifest = registry.manifest(str(digest))
        if manifest is None:
            return [Drift(what="manifest", wanted=str(digest), found=_NOTHING)]
        return [
            *self._tag_drifts(registry, placement, manifest),
            *(
                Drift(what=f"file {layer.title}", wanted=str(layer.digest), found=_NOTHING)
                for layer in layers_of(manifest)
                if registry.size_of(layer.digest) != layer.size_bytes
            ),
            *(
                Drift(what="bundle", wanted=str(bundle), found=_NOTHING)
                for bundle in _bundles(placement)
                if registry.manifest(str(bundle)) is None
            ),
        ]

    def usages(self, target: Target, placement: Placement) -> Sequence[Usage]:
        """Give nothing: a registry does not tell who pulled."""
        del target, placement
        return []

    def withdraw(self, target: Target, placement: Placement, *, delete: bool) -> None:
        """Delete the artifact, its tag and its bundles: a registry knows nothing between.

        Raises: TargetUnavailable; TargetRefused: it deletes nothing.
        """
        del delete
        registry, digest = self._registry(target), _digest(placement)
        bundles = _bundles(placement)
        registry.delete_manifest(digest)
        for bundle in bundles:
            registry.delete_manifest(bundle)
        tag = referrers_tag(digest)
        index, listed = _listed(registry, tag)
        if not listed.isdisjoint(bundles):
            registry.delete_manifest(Digest.of_bytes(index))
        if listed - set(bundles):
            registry.push_manifest(tag, without_referrers(index, bundles), INDEX_TYPE)

    def _registry(self, target: Target) -> Registry:
        place = _place(target.spec)
        reference = place.credentials
        return Registry(
            place.repository,
            is_plain_http=place.is_plain_http,
            credentials=(lambda: self._secret_of(reference)) if reference else None,
        )

    def _pushed(
        self, registry: Registry, shipment: Shipment, format_: ArtifactFormat, on_bytes: OnBytes
    ) -> Descriptor:
        """See that a file of the version is there, and give how it is referred to."""
        artifact = artifact_in(shipment.version, format_)
        with ExitStack() as opened:
            if artifact is not None:
                file, digest = Path(shipment.file(artifact)), artifact.digest
            else:
                file = Path(opened.enter_context(shipment.disk()))
                digest = _digest_of(file)
            size_bytes = file.stat().st_size
            content = Content(
                digest=digest,
                size_bytes=size_bytes,
                file=file,
                journal=Path(shipment.scratch) / f"oci-{digest.hex}.upload",
            )
            registry.push_file(content, on_bytes)
        return file_descriptor(shipment.version, format_, digest, size_bytes)

    def _push_bundles(
        self, registry: Registry, subject: Descriptor, bundles: bytes
    ) -> Sequence[Descriptor]:
        """See that each bundle refers to the artifact, and is listed where nobody else lists it."""
        own = []
        is_listed = True
        for bundle in bundles.splitlines():
            registry.push_bytes(bundle)
            manifest = bundle_manifest(bundle, subject)
            descriptor = manifest_descriptor(manifest, BUNDLE_TYPE)
            reply = registry.push_manifest(str(descriptor.digest), manifest, MANIFEST_TYPE)
            is_listed = is_listed and "oci-subject" in reply.headers
            own.append(descriptor)
        if not is_listed:
            _list(registry, referrers_tag(subject.digest), own)
        return own

    def _refuse_foreign_tag(
        self, target: Target, registry: Registry, tag: str, version: ImageVersion
    ) -> None:
        """Let a tag pass that is free, or on a version of the same image. Raises: TargetRefused."""
        there = registry.manifest(tag)
        if there is not None and annotations_of(there).get(IMAGE_NAME) != version.image:
            reason = f"It is on {Digest.of_bytes(there)}, which is none of image {version.image}."
            raise TargetRefused(target.key, f"to move tag {tag}", reason, _ANOTHER)

    def _tag_drifts(
        self, registry: Registry, placement: Placement, manifest: bytes
    ) -> Iterator[Drift]:
        """Tell of a tag that is gone or another's; to move on to our next is no drift."""
        tag, digest = placement.traits.get(_TAG, ""), Digest.of_bytes(manifest)
        there = registry.manifest(tag) if tag else manifest
        if there is None:
            yield Drift(what=f"tag {tag}", wanted=str(digest), found=_NOTHING)
        elif annotations_of(there).get(IMAGE_NAME) != annotations_of(manifest).get(IMAGE_NAME):
            found = str(Digest.of_bytes(there))
            yield Drift(what=f"tag {tag}", wanted=str(digest), found=found)


def _place(spec: TargetSpec) -> OciPlace:
    if not isinstance(spec.place, OciPlace):
        raise TypeError(f"{type(spec.place).__name__} is no registry")
    return spec.place


def _digest(placement: Placement) -> Digest:
    return Digest.parse(placement.external_id.rpartition("@")[2])


def _bundles(placement: Placement) -> Sequence[Digest]:
    return [Digest.parse(text) for text in placement.traits.get(_BUNDLES, "").split()]


def _list(registry: Registry, tag: str, own: Sequence[Descriptor]) -> None:
    """See that an index lists what is ours. Raises: as the port."""
    for _ in range(_ATTEMPTS):
        index, listed = _listed(registry, tag)
        # Others may write it at the same time, and the specification knows no condition.
        if {descriptor.digest for descriptor in own} <= listed:
            return
        registry.push_manifest(tag, with_referrers(index, own), INDEX_TYPE)
    reason = f"Ours were gone from it after each of {_ATTEMPTS} attempts."
    raise TargetUnavailable(registry.service.place, f"PUT of referrers under {tag}", reason)


def _listed(registry: Registry, tag: str) -> tuple[bytes, frozenset[Digest]]:
    """Give the index under a tag and what it lists; nothing of none. Raises: TargetRefused."""
    index = registry.manifest(tag) or b""
    try:
        return index, referrers_of(index)
    except ValueError as error:
        call = f"to list referrers under {tag}"
        hint = "Delete that tag, then do this again."
        raise TargetRefused(registry.service.place, call, str(error), hint) from error


def _digest_of(file: Path) -> Digest:
    with file.open("rb") as opened:
        return Digest(hashlib.file_digest(opened, "sha256").hexdigest())
