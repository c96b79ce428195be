"""Sigstore bundles: a signed envelope and which key may have signed it, as one JSON document.

A file of several has one a line. None of ours has a transparency log's word: the key is what one
has to trust. What is read is foreign, so that sizes and shapes are checked before anything else.

Source: github.com/sigstore/protobuf-specs, protos/sigstore_bundle.proto, media type v0.3.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any

from imagebuilder.domain.digest import canonical_json
from imagebuilder.formats.dsse import Envelope

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
LARGEST_BYTES = 64 * 1024 * 1024
"""A bill of a large image takes 2 MiB; nobody needs more than some of them in a file."""
MOST_BUNDLES = 200


def bundle_bytes(envelope: Envelope) -> bytes:
    """Give an envelope as a bundle, on one line."""
    return canonical_json(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": envelope.key_hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": _encoded(envelope.payload),
                "payloadType": envelope.payload_type,
                "signatures": [{"keyid": envelope.key_hint, "sig": _encoded(envelope.signature)}],
            },
        }
    )


def lines_of(bundles: Iterable[bytes]) -> bytes:
    """Give several bundles as one file."""
    return b"".join(bundle.strip() + b"\n" for bundle in bundles)


def envelopes_of(content: bytes) -> tuple[Envelope, ...]:
    """Give the envelopes of a file: one bundle, or one a line.

    Raises: ValueError: it is no such file, is cut, or is too large.
    """
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES} bytes")
    if not content.strip():
        raise ValueError("it is empty")
    whole = _json(content)
    if whole is not None:
        return (_envelope(whole),)
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) > MOST_BUNDLES:
        raise ValueError(f"it has more than {MOST_BUNDLES} lines")
    found = []
    for number, line in enumerate(lines, start=1):
        read = _json(line)
        if read is None:
            raise ValueError(f"line {number} of {len(lines)} is no whole JSON document")
        try:
            found.append(_envelope(read))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return tuple(found)


def _json(content: bytes) -> Any:  # noqa: ANN401 - whatever a stranger wrote
    """Give what is written, None when that is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _envelope(bundle: Any) -> Envelope:  # noqa: ANN401 - as above
    if not isinstance(bundle, Mapping):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - a stranger's text
    media_type = bundle.get("mediaType")
    if media_type != MEDIA_TYPE:
        raise ValueError(f"its mediaType is {str(media_type)[:80]!r}, not {MEDIA_TYPE}")
    envelope = _part(bundle, "dsseEnvelope")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise ValueError("its dsseEnvelope has not exactly one signature")
    material = _part(bundle, "verificationMaterial")
    key = material.get("publicKey")
    hint = key.get("hint", "") if isinstance(key, Mapping) else ""
    if not isinstance(signatures[0], Mapping):
        raise ValueError("its signature is no JSON object")  # noqa: TRY004 - as above
    return Envelope(
        payload=_decoded(envelope, "payload"),
        payload_type=_text(envelope, "payloadType"),
        signature=_decoded(signatures[0], "sig"),
        key_hint=hint if isinstance(hint, str) else "",
    )


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if not isinstance(found, Mapping):
        raise ValueError(f"it has no {name}")  # noqa: TRY004 - as above
    return found


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise ValueError(f"it has no {name}")  # noqa: TRY004 - as above
    return found


def _decoded(value: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(value, name), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(f"its {name} is no base64") from error


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
