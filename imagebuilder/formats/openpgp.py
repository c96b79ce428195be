"""OpenPGP: a key of ours as GnuPG and systemd read it, and detached signatures by it.

A key has no moment of its own; there it has to have one, which is the same for all of ours, so that
its fingerprint is always the same.

Source: RFC 4880, sections 4.2, 5.2 and 5.5; RFC 6637 for ECDSA; for ed25519 the draft
koch-eddsa-for-openpgp-04, as GnuPG does it.
"""

import base64
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import wrap
from typing import TypeAlias

from imagebuilder.domain.attestation import KeyAlgorithm, PublicKey

Sign: TypeAlias = Callable[[bytes], bytes]
"""Gives a signature of a message by the key that is spoken of."""

_MADE_AT_SECONDS = 1577836800
_VERSION = 4
_SIGNATURE, _PUBLIC_KEY, _USER_ID = 2, 6, 13
_OF_DOCUMENT, _OF_USER_ID = 0x00, 0x13
_CREATED_AT, _ISSUER, _KEY_FLAGS, _FINGERPRINT = 2, 16, 27, 33
_CERTIFIES_AND_SIGNS = b"\x03"
_SHORT, _MIDDLE = 192, 8384
_NATIVE_POINT = b"\x40"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How keys of an algorithm are written. Units: `point_bytes` at the end of the DER form."""

    algorithm: int
    curve: bytes
    hash_number: int
    hash_name: str
    point_bytes: int
    is_native: bool = False


_KINDS = {
    KeyAlgorithm.ECDSA_P256: _Kind(
        algorithm=19,
        curve=bytes.fromhex("2a8648ce3d030107"),
        hash_number=8,
        hash_name="sha256",
        point_bytes=65,
    ),
    KeyAlgorithm.ECDSA_P384: _Kind(
        algorithm=19,
        curve=bytes.fromhex("2b81040022"),
        hash_number=9,
        hash_name="sha384",
        point_bytes=97,
    ),
    KeyAlgorithm.ED25519: _Kind(
        algorithm=22,
        curve=bytes.fromhex("2b06010401da470f01"),
        hash_number=8,
        hash_name="sha256",
        point_bytes=32,
        is_native=True,
    ),
}


def certificate(key: PublicKey, sign: Sign) -> str:
    """Give a key, with a name that it signed for itself, as text that gpg imports."""
    body, name = _key_body(key), f"imagebuilder {key.id.short}".encode()
    subject = b"\x99" + struct.pack(">H", len(body)) + body
    subject += b"\xb4" + struct.pack(">I", len(name)) + name
    flags = _subpacket(_KEY_FLAGS, _CERTIFIES_AND_SIGNS)
    signed = _signature(key, sign, _Signed(_OF_USER_ID, subject, _MADE_AT_SECONDS, flags))
    content = _packet(_PUBLIC_KEY, body) + _packet(_USER_ID, name) + signed
    lines = "\n".join(wrap(base64.b64encode(content).decode(), 64))
    # Newer standards do without the sum; GnuPG finds the end of some texts by it alone.
    summed = base64.b64encode(_crc24(content).to_bytes(3)).decode()
    head, end = (f"-----{word} PGP PUBLIC KEY BLOCK-----" for word in ("BEGIN", "END"))
    return f"{head}\n\n{lines}\n={summed}\n{end}\n"


def detached_signature(content: bytes, key: PublicKey, sign: Sign, at_seconds: int) -> bytes:
    """Give a signature of a file, made at a moment. Units: seconds since 1970."""
    return _signature(key, sign, _Signed(_OF_DOCUMENT, content, at_seconds))


@dataclass(frozen=True, slots=True)
class _Signed:
    """What is signed, as what, when, and what more is said with it."""

    kind: int
    subject: bytes
    at_seconds: int
    more: bytes = b""


def _signature(key: PublicKey, sign: Sign, signed: _Signed) -> bytes:
    kind, fingerprint = _KINDS[key.algorithm], _fingerprint(key)
    told = _subpacket(_FINGERPRINT, bytes([_VERSION]) + fingerprint)
    told += _subpacket(_CREATED_AT, struct.pack(">I", signed.at_seconds)) + signed.more
    head = bytes([_VERSION, signed.kind, kind.algorithm, kind.hash_number])
    head += struct.pack(">H", len(told)) + told
    trailer = bytes([_VERSION, 0xFF]) + struct.pack(">I", len(head))
    message = signed.subject + head + trailer
    digest = hashlib.new(kind.hash_name, message).digest()
    if kind.is_native:
        made = sign(digest)
        numbers = [int.from_bytes(half) for half in (made[:32], made[32:])]
    else:
        numbers = _der_numbers(sign(message))
    issuer = _subpacket(_ISSUER, fingerprint[-8:])
    body = head + struct.pack(">H", len(issuer)) + issuer + digest[:2]
    return _packet(_SIGNATURE, body + b"".join(map(_number, numbers)))


def _key_body(key: PublicKey) -> bytes:
    kind = _KINDS[key.algorithm]
    lines = [line for line in key.pem.splitlines() if not line.startswith("-----")]
    point = base64.b64decode("".join(lines))[-kind.point_bytes :]
    if kind.is_native:
        point = _NATIVE_POINT + point
    head = struct.pack(">BIB", _VERSION, _MADE_AT_SECONDS, kind.algorithm)
    return head + bytes([len(kind.curve)]) + kind.curve + _number(int.from_bytes(point))


def _fingerprint(key: PublicKey) -> bytes:
    body = _key_body(key)
    told = b"\x99" + struct.pack(">H", len(body)) + body
    return hashlib.sha1(told, usedforsecurity=False).digest()


def _der_numbers(signature: bytes) -> list[int]:
    """Give the two numbers of an ECDSA signature. Source: RFC 3279, 2.2.3; both are short."""
    numbers, position = [], 2 if signature[1] < 0x80 else 3  # noqa: PLR2004 - X.690, 8.1.3
    for _ in range(2):
        length = signature[position + 1]
        numbers.append(int.from_bytes(signature[position + 2 : position + 2 + length]))
        position += 2 + length
    return numbers


def _crc24(content: bytes) -> int:
    """Give the sum that ends a text. Source: RFC 4880, 6.1."""
    crc = 0xB704CE
    for byte in content:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc


def _number(number: int) -> bytes:
    bits = number.bit_length()
    return struct.pack(">H", bits) + number.to_bytes((bits + 7) // 8)


def _subpacket(kind: int, content: bytes) -> bytes:
    return bytes([len(content) + 1, kind]) + content


def _packet(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < _SHORT:
        length = bytes([size])
    elif size < _MIDDLE:
        length = bytes([((size - _SHORT) >> 8) + _SHORT, (size - _SHORT) & 0xFF])
    else:
        length = b"\xff" + struct.pack(">I", size)
    return bytes([0xC0 | tag]) + length + body
