"""Materials: everything that went into a version, by digest where that is known.

Where it is not known, that is said with the reason: a provenance must not promise more than it has.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from imagebuilder.domain.attestation import Material
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.kept import kept_list, kept_texts
from imagebuilder.domain.package import InstalledPackage

_PACKAGE_UNKNOWN = "its file was checked against a signed index and not kept"
_PARENT_UNKNOWN = {
    "debian": "a suite, told by its package indexes and packages",
    "ami": "an AMI that stayed at AWS, told by its region and id",
    "packer": "what a source of Packer's starts from, told by its settings",
}
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def materials_of(
    version: ImageVersion,
    parent: ImageVersion | None,
    files: Mapping[tuple[str, str, str], Digest] | None = None,
) -> Iterator[Material]:
    """Give what went into a version, each kind in an order that is always the same.

    Shape: `files` maps a package's name, version and architecture to the digest of its file.
    """
    for document in version.documents:
        uri = f"urn:imagebuilder:{document.kind}:{quote(document.name)}"
        yield Material(kind=document.kind, name=document.name, uri=uri, digest=document.digest)
    for row in kept_list(version.plan, "tests"):
        test = kept_texts(row)
        if test is not None and len(test) == 2:  # noqa: PLR2004 - a path and a digest
            path, digest = test
            uri = f"urn:imagebuilder:tests:{quote(path)}"
            yield Material(kind="tests", name=path, uri=uri, digest=Digest.parse(digest))
    yield _parent(version, parent)
    for address, index in sorted(version.indexes.items()):
        yield Material(kind="package-index", name=address, uri=address, digest=index)
    vendor = "debian/" if _suite(version) else ""
    for package in version.packages:
        known = (files or {}).get((package.name, package.version, package.architecture))
        yield Material(
            kind="package",
            name=f"{package.name} {package.version} {package.architecture}",
            uri=_package_uri(package, vendor),
            digest=known,
            unknown="" if known else _PACKAGE_UNKNOWN,
        )


def parameters_of(version: ImageVersion) -> Mapping[str, str]:
    """Give the parameters of components. Shape: layer.parameter -> value."""
    return {
        f"{layer.name}.{name}": value
        for layer in version.layers
        for name, value in layer.parameters.items()
    }


def image_material(kind: str, image: ImageVersion) -> Material:
    """Give a version of ours that another came from."""
    uri = f"urn:imagebuilder:image:{quote(image.reference)}"
    return Material(kind=kind, name=image.reference, uri=uri, digest=image.disk_digest)


def _parent(version: ImageVersion, parent: ImageVersion | None) -> Material:
    if parent is not None:
        return image_material("parent", parent)
    asked = version.parent.asked
    # What a suite is told by is a digest, too: of how it is asked for, not of what came.
    is_file = asked.startswith(("rootfs:", "file:", "oci:"))
    found = _SHA256.search(version.parent.identity) if is_file else None
    digest = Digest(found[1]) if found else None
    return Material(
        kind="parent",
        name=asked,
        uri=f"urn:imagebuilder:parent:{quote(asked)}",
        digest=digest,
        unknown="" if digest else _PARENT_UNKNOWN.get(asked.partition(":")[0], "not recorded"),
    )


def _suite(version: ImageVersion) -> str:
    plan = version.plan
    return str(plan.get("suite", "")) if isinstance(plan, Mapping) else ""


def _package_uri(package: InstalledPackage, vendor: str) -> str:
    """Give the package URL. Source: purl-spec, deb and rpm; rpm knows its own architectures."""
    architecture = package.architecture
    is_rpm = architecture in ("x86_64", "aarch64", "noarch")
    kind = "rpm/" if is_rpm else f"deb/{vendor}"
    version = quote(package.version, safe="")
    return f"pkg:{kind}{quote(package.name)}@{version}?arch={architecture}"
