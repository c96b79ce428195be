"""OCI: a version as an artifact of a registry, and what was signed of it as referrers to it.

The same version gives the same bytes, and so the same digest, whenever it is written.

Source: OCI image specification 1.1.0, manifest.md and descriptor.md; distribution specification
1.1.0, "Listing Referrers" and its fallback, the referrers tag schema.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.published import file_name, native_architecture
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.formats.sigstore import MEDIA_TYPE as BUNDLE_TYPE

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY = b"{}"
"""What stands in the place of a configuration, where there is none."""

IMAGE_TYPE = "application/vnd.imagebuilder.image.v1"
IMAGE_NAME = "io.imagebuilder.image"
"""The annotation by which a manifest of ours is known, and of which image it is."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
_FILE_TYPES = {
    ArtifactFormat.RAW: "application/x-raw-disk-image",
    ArtifactFormat.QCOW2: "application/x-qemu-disk",
    ArtifactFormat.TAR: "application/x-tar",
    ArtifactFormat.VMDK: "application/x-vmdk-disk",
    ArtifactFormat.VHD: "application/x-vhd-disk",
}
"""Source: the shared MIME-info database of freedesktop.org."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Content of a registry, as others refer to it. `title` is the name of a file."""

    media_type: str
    digest: Digest
    size_bytes: int
    artifact_type: str = ""
    title: str = ""

    def written(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        told: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size_bytes,
        }
        if self.artifact_type:
            told["artifactType"] = self.artifact_type
        if self.title:
            told["annotations"] = {_TITLE: self.title}
        return told


def file_descriptor(
    version: ImageVersion, format_: ArtifactFormat, digest: Digest, size_bytes: int
) -> Descriptor:
    """Give how a file of a version is referred to."""
    return Descriptor(
        media_type=_FILE_TYPES[format_],
        digest=digest,
        size_bytes=size_bytes,
        title=file_name(version, format_),
    )


def image_manifest(version: ImageVersion, files: Sequence[Descriptor]) -> bytes:
    """Give the manifest of a version."""
    number = version.version
    annotations = {
        IMAGE_NAME: version.image,
        "io.imagebuilder.version": version.reference,
        "io.imagebuilder.architecture": native_architecture(version),
        "org.opencontainers.image.created": f"{version.created_at:%Y-%m-%dT%H:%M:%SZ}",
        _TITLE: version.image,
        "org.opencontainers.image.version": f"{number.version}-{number.build}",
    }
    return _manifest(IMAGE_TYPE, files, annotations, None)


def bundle_manifest(bundle: bytes, subject: Descriptor) -> bytes:
    """Give the manifest by which a bundle refers to a version's."""
    layer = Descriptor(
        media_type=BUNDLE_TYPE, digest=Digest.of_bytes(bundle), size_bytes=len(bundle)
    )
    return _manifest(BUNDLE_TYPE, [layer], {}, subject)


def manifest_descriptor(content: bytes, artifact_type: str = "") -> Descriptor:
    """Give how a manifest is referred to."""
    return Descriptor(
        media_type=MANIFEST_TYPE,
        digest=Digest.of_bytes(content),
        size_bytes=len(content),
        artifact_type=artifact_type,
    )


def referrers_tag(subject: Digest) -> str:
    """Give the tag that lists referrers where a registry does not list them itself."""
    return f"sha256-{subject.hex}"


def with_referrers(index: bytes, own: Sequence[Descriptor]) -> bytes:
    """Give an index of referrers with ours among them. Raises: ValueError: it is no index."""
    others = _entries_but(index, [descriptor.digest for descriptor in own])
    return _index([*others, *(descriptor.written() for descriptor in own)])


def without_referrers(index: bytes, own: Sequence[Digest]) -> bytes:
    """Give an index of referrers without ours. Raises: ValueError: it is no index."""
    return _index(_entries_but(index, own))


def referrers_of(index: bytes) -> frozenset[Digest]:
    """Give what an index lists. Raises: ValueError: it is no index."""
    return frozenset(Digest.parse(entry["digest"]) for entry in _entries(index))


def annotations_of(manifest: bytes) -> Mapping[str, str]:
    """Give what a manifest says of itself; nothing when it is none."""
    try:
        found = json.loads(manifest)["annotations"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def image_file_of(manifest: bytes) -> Descriptor | None:
    """Give the file that holds an image: a disk, or the only layer; None where that is not plain.

    Raises: ValueError: it is no manifest.
    """
    layers = layers_of(manifest)
    for media_type in (_FILE_TYPES[ArtifactFormat.QCOW2], _FILE_TYPES[ArtifactFormat.RAW]):
        disks = [layer for layer in layers if layer.media_type == media_type]
        if len(disks) == 1:
            return disks[0]
    return layers[0] if len(layers) == 1 else None


def layers_of(manifest: bytes) -> Sequence[Descriptor]:
    """Give the files of a manifest. Raises: ValueError: it is none."""
    try:
        return [
            Descriptor(
                media_type=str(layer["mediaType"]),
                digest=Digest.parse(layer["digest"]),
                size_bytes=int(layer["size"]),
                title=str((layer.get("annotations") or {}).get(_TITLE, "")),
            )
            for layer in json.loads(manifest)["layers"]
        ]
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no manifest of an image: {error!r}") from error


def _manifest(
    artifact_type: str,
    layers: Sequence[Descriptor],
    annotations: Mapping[str, str],
    subject: Descriptor | None,
) -> bytes:
    config = Descriptor(
        media_type=_EMPTY_TYPE, digest=Digest.of_bytes(EMPTY), size_bytes=len(EMPTY)
    )
    told: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": artifact_type,
        "config": config.written(),
        "layers": [layer.written() for layer in layers],
    }
    if annotations:
        told["annotations"] = annotations
    if subject is not None:
        told["subject"] = subject.written()
    return canonical_json(told)


def _index(entries: Sequence[dict[str, Any]]) -> bytes:
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})


def _entries_but(index: bytes, digests: Sequence[Digest]) -> Sequence[dict[str, Any]]:
    return [entry for entry in _entries(index) if Digest.parse(entry["digest"]) not in digests]


def _entries(index: bytes) -> Sequence[dict[str, Any]]:
    if not index:
        return []
    try:
        entries = json.loads(index)["manifests"]
        for entry in entries:
            Digest.parse(entry["digest"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no index: {error!r}") from error
    found: list[dict[str, Any]] = entries
    return found
