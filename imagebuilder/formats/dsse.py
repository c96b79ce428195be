"""DSSE: an envelope around bytes, with a signature of them and of what they are.

Source: github.com/secure-systems-lab/dsse, protocol.md and envelope.md, v1.0.
"""

from dataclasses import dataclass

INTOTO_PAYLOAD = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Some bytes, what they are, and one signature of both; `key_hint` is not signed."""

    payload: bytes
    payload_type: str
    signature: bytes
    key_hint: str = ""

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is of."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Give the pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
