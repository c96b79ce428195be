"""Layer records: what is written of a layer, to be found by its key or its content.

The files of a layer are no part of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.digest import Canonical, Digest, canonical_json, digest_of
from imagebuilder.domain.layer import Layer

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """A layer that can be had elsewhere; `archive` is the digest of the file with its files."""

    layer: Layer
    archive: Digest

    @property
    def files(self) -> frozenset[Digest]:
        """What has to be there for it: manifest, archive and evidence."""
        return frozenset((self.layer.content, self.archive, *self.layer.evidence.values()))


def layer_document(layer: Layer) -> dict[str, Canonical]:
    """Give a layer as a value that JSON can write."""
    return {
        "key": layer.key.hex,
        "content": layer.content.hex,
        "parent_content": layer.parent_content.hex if layer.parent_content else None,
        "name": layer.name,
        "created_at": layer.created_at.isoformat(),
        "size_bytes": layer.size_bytes,
        "evidence": {name: digest.hex for name, digest in layer.evidence.items()},
    }


def layer_of(fields: Mapping[str, object]) -> Layer:
    """Give the layer that `layer_document` wrote.

    Raises: ValueError: a field is not what it should be; KeyError: one is missing.
    """
    parent = fields["parent_content"]
    evidence = fields["evidence"]
    if not isinstance(evidence, Mapping):
        raise ValueError("evidence is no mapping")  # noqa: TRY004 - a damaged file, not a wrong type
    created_at = datetime.fromisoformat(str(fields["created_at"]))
    if created_at.tzinfo is None:
        raise ValueError("its moment has no time zone")
    return Layer(
        key=Digest(str(fields["key"])),
        content=Digest(str(fields["content"])),
        parent_content=Digest(str(parent)) if parent else None,
        name=str(fields["name"]),
        created_at=created_at,
        size_bytes=int(str(fields["size_bytes"])),
        evidence={str(name): Digest(str(value)) for name, value in evidence.items()},
    )


def key_name(key: Digest, parent_content: Digest | None) -> Digest:
    """Give what a layer is looked for by elsewhere: its key and what it lies on.

    Machines may have made what is below anew, each for itself; every one finds what fits its own.
    """
    return digest_of([key.hex, parent_content.hex if parent_content else None])


def record_text(record: LayerRecord) -> bytes:
    """Give the one text of a record, with the digest of all else in it."""
    fields: dict[str, Canonical] = {
        "layer": layer_document(record.layer),
        "archive": record.archive.hex,
    }
    return canonical_json({**fields, "check": digest_of(fields).hex})


def record_of(text: bytes) -> LayerRecord:
    """Give the record that `record_text` wrote, wherever it comes from.

    Raises: ValueError: it is not as it was written, or what no layer can be.
    """
    try:
        read = json.loads(text)
        if not isinstance(read, dict) or not isinstance(read["layer"], dict):
            raise ValueError("it is no record of a layer")  # noqa: TRY004 - damage, not a wrong type
        record = LayerRecord(layer=layer_of(read["layer"]), archive=Digest(str(read["archive"])))
    except KeyError as error:
        raise ValueError(f"it says nothing of {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    # The name is shown on terminals.
    if not record.layer.name.isprintable() or len(record.layer.name) > _LONGEST_NAME:
        raise ValueError("its name is none")
    if record_text(record) != text:
        raise ValueError("it is not as it was written")
    return record
