"""Signature: that a message comes from who knows a secret, and is not one of long ago.

What is signed and what is checked is the same, so that one imagebuilder can be told by another.
"""

import hashlib
import hmac
import re

SIGNATURE_HEADER = "Imagebuilder-Signature"
ID_HEADER = "Imagebuilder-Id"
EVENT_HEADER = "Imagebuilder-Event"
VALID_SECONDS = 300
"""So far a message's moment may be from now, before or after: clocks differ, and networks wait."""

_SIGNED = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_BODY_SIGNED = re.compile(r"sha256=([0-9a-f]{64})")


def signed(secret: bytes, at_seconds: int, body: bytes) -> str:
    """Give the header that signs a message at a moment. Units: seconds since 1970."""
    return f"t={at_seconds},v1={_digest(secret, str(at_seconds).encode() + b'.' + body)}"


def signed_at(header: str) -> int | None:
    """Give the moment that a header says it was signed at; None when it is no such header."""
    matched = _SIGNED.fullmatch(header)
    return None if matched is None else int(matched.group(1))


def is_signed(header: str, secret: bytes, body: bytes) -> bool:
    """Whether a header signs a message by a secret, whenever that was."""
    matched = _SIGNED.fullmatch(header)
    return matched is not None and hmac.compare_digest(
        header, signed(secret, int(matched.group(1)), body)
    )


def is_body_signed(header: str, secret: bytes, body: bytes) -> bool:
    """Whether a header signs a body by a secret, without any moment.

    Source: GitHub, "Validating webhook deliveries", X-Hub-Signature-256.
    """
    matched = _BODY_SIGNED.fullmatch(header)
    return matched is not None and hmac.compare_digest(matched.group(1), _digest(secret, body))


def _digest(secret: bytes, message: bytes) -> str:
    return hmac.new(secret, message, hashlib.sha256).hexdigest()
