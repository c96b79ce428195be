"""Messages that were signed are known, and no others."""

import hashlib
import hmac

import pytest

from imagebuilder.domain.signature import is_body_signed, is_signed, signed, signed_at

SECRET, BODY, AT = b"s3cret", b'{"a":1}', 1_767_225_600
HEADER = signed(SECRET, AT, BODY)


def test_signed_then_is_what_the_documentation_tells_others_to_compute() -> None:
    digest = hmac.new(SECRET, f"{AT}.".encode() + BODY, hashlib.sha256).hexdigest()

    assert f"t={AT},v1={digest}" == HEADER
    assert is_signed(HEADER, SECRET, BODY)
    assert signed_at(HEADER) == AT


@pytest.mark.parametrize(
    ("header", "secret", "body"),
    [
        (HEADER, b"other", BODY),
        (HEADER, SECRET, BODY + b" "),
        (HEADER.replace(f"t={AT}", f"t={AT + 1}"), SECRET, BODY),
        (HEADER[:-1], SECRET, BODY),
        (HEADER + "0", SECRET, BODY),
        ("", SECRET, BODY),
        ("t=,v1=", SECRET, BODY),
        (HEADER.upper(), SECRET, BODY),
        (HEADER.replace("t=", "t=\u0661"), SECRET, BODY),
    ],
    ids=["secret", "body", "moment", "short", "long", "none", "empty", "capitals", "digits"],
)
def test_is_signed_when_anything_is_another_then_is_not(
    header: str, secret: bytes, body: bytes
) -> None:
    assert not is_signed(header, secret, body)


def test_is_body_signed_then_knows_what_github_sends() -> None:
    # Source: GitHub, "Validating webhook deliveries": its own example.
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert is_body_signed(header, b"It's a Secret to Everybody", b"Hello, World!")
    assert not is_body_signed(header, b"It's a Secret to Everybody", b"Hello, World")
    assert not is_body_signed("sha1=757107ea", b"It's a Secret to Everybody", b"Hello, World!")
