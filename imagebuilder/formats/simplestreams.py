"""Simplestreams: an index of images, by which mirrors and tools find the newest of each.

An image is a product for each architecture, and its versions begin with the second they were
recorded at, since readers take the last in the order of letters for the newest.

Source: simplestreams 0.1.0, the files of index:1.0 and products:1.0.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.published import native_architecture, release_of
from imagebuilder.domain.recipe import ArtifactFormat

INDEX_PATH = "streams/v1/index.json"
PRODUCTS_PATH = "streams/v1/imagebuilder.json"

_CONTENT_ID = "imagebuilder:images"
_DATATYPE = "image-downloads"
_INDEX_FORMAT = "index:1.0"
_PRODUCTS_FORMAT = "products:1.0"
_KINDS = {
    ArtifactFormat.RAW: "disk.raw",
    ArtifactFormat.QCOW2: "disk-kvm.img",
    ArtifactFormat.TAR: "root.tar",
    ArtifactFormat.VMDK: "disk.vmdk",
    ArtifactFormat.VHD: "disk.vhd",
}
"""What a file is called among a version's; the name of the qcow2 disk is the one others use too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFile:
    """A file as the index tells of it."""

    format: ArtifactFormat
    path: str
    digest: Digest
    size_bytes: int


def with_version(content: bytes, version: ImageVersion, files: Iterable[StreamFile]) -> bytes:
    """Give the products with a version among them, in place of what was said of it.

    Raises: ValueError: the content is no such file.
    """
    products = _products(content)
    architecture = native_architecture(version)
    distribution, _, release = release_of(version).partition(":")
    product = products.setdefault(f"{version.image}:{architecture}", {"versions": {}})
    product |= {
        "aliases": version.image,
        "arch": architecture,
        "os": distribution,
        "release": release,
    }
    number = version.version
    told = f"{number.version}-{number.build}"
    product["versions"][f"{version.created_at:%Y%m%d%H%M%S}-{told}"] = {
        "label": version.reference,
        "pubname": f"{version.image}-{told}",
        "items": {
            _KINDS[file.format]: {
                "ftype": _KINDS[file.format],
                "path": file.path,
                "sha256": file.digest.hex,
                "size": file.size_bytes,
            }
            for file in files
        },
    }
    return _document(products)


def without_files(content: bytes, paths: Collection[str]) -> bytes:
    """Give the products without some files, and without what is empty then.

    Raises: ValueError: as `with_version`.
    """
    products = _products(content)
    for product in products.values():
        for version in product["versions"].values():
            items = version["items"].items()
            version["items"] = {k: item for k, item in items if item["path"] not in paths}
        versions = product["versions"].items()
        product["versions"] = {key: version for key, version in versions if version["items"]}
    return _document({key: product for key, product in products.items() if product["versions"]})


def told_files(content: bytes) -> Mapping[str, Digest]:
    """Give the files that products tell of. Shape: path -> digest.

    Raises: ValueError: as `with_version`.
    """
    return {
        item["path"]: Digest(item["sha256"])
        for product in _products(content).values()
        for version in product["versions"].values()
        for item in version["items"].values()
    }


def index_of(content: bytes, products: bytes) -> bytes:
    """Give the index that leads to the products, and where else it led before; empty without any.

    Raises: ValueError: one of them is no such file.
    """
    entries = _index(content)
    told = _products(products)
    entries.pop(_CONTENT_ID, None)
    if told:
        entries[_CONTENT_ID] = {
            "datatype": _DATATYPE,
            "format": _PRODUCTS_FORMAT,
            "path": PRODUCTS_PATH,
            "products": sorted(told),
        }
    return _json({"format": _INDEX_FORMAT, "index": entries}) if entries else b""


def _index(content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    document = _json_of(content)
    entries = document.get("index")
    if document.get("format") != _INDEX_FORMAT or not isinstance(entries, dict):
        raise ValueError(f"it is no {_INDEX_FORMAT}")
    return entries


def _products(content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    document = _json_of(content)
    try:
        products: dict[str, Any] = document["products"]
        for product in products.values():
            for version in product["versions"].values():
                _ = {item["path"]: Digest(item["sha256"]) for item in version["items"].values()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no {_PRODUCTS_FORMAT}: {error!r}") from error
    return products


def _json_of(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is no JSON that anybody could mean") from error
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - a stranger's text
    return document


def _document(products: Mapping[str, Any]) -> bytes:
    """Give the file of products; empty when there are none."""
    document = {
        "content_id": _CONTENT_ID,
        "datatype": _DATATYPE,
        "format": _PRODUCTS_FORMAT,
        "products": products,
    }
    return _json(document) if products else b""


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
