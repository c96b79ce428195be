"""What a hook's body asks for is read strictly where it is ours, and left alone where it is not."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis.strategies import binary

from imagebuilder.domain.hook import HookMalformed, HookWish, wish_of


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b'{"zen": "Keep it simple."}'])
def test_wish_of_a_body_that_asks_for_nothing(body: bytes) -> None:
    assert wish_of(body) == HookWish()


def test_wish_of_a_body_then_values_are_texts() -> None:
    said = {
        "reason": " a new\n page ",
        "variants": ["small", "large"],
        "parameters": {"web.port": 80, "web.tls": True, "web.name": "zu groß", "web.share": 0.5},
    }

    assert wish_of(json.dumps(said).encode()) == HookWish(
        reason="a new page",
        variants=("small", "large"),
        parameters={
            "web.port": "80",
            "web.tls": "true",
            "web.name": "zu groß",
            "web.share": "0.5",
        },
    )


def test_wish_of_a_push_then_it_is_the_reason() -> None:
    push = {"ref": "refs/heads/main", "repository": {"full_name": "acme/images"}}

    assert wish_of(json.dumps(push).encode()).reason == "a push to refs/heads/main of acme/images"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "no JSON document"),
        (b"\xff", "no JSON document"),
        (b"[" * 100_000, "no JSON document"),
        (b"[]", "no JSON object"),
        (b'"x"', "no JSON object"),
        (b'{"reason": 1}', "reason is no text"),
        (b'{"variants": "small"}', "variants is no list"),
        (b'{"variants": [1]}', "variants is no list"),
        (b'{"parameters": []}', "parameters is no object"),
        (b'{"parameters": {"port": "1"}}', "'port' is no component.parameter"),
        (b'{"parameters": {"web.a\\u0000": "1"}}', "is no component.parameter"),
        (b'{"parameters": {"web.port": null}}', "The value of web.port"),
        (b'{"parameters": {"web.port": ["1"]}}', "The value of web.port"),
        (b"payload=%7B%7D", "no JSON document"),
    ],
)
def test_wish_of_a_body_that_is_wrong_then_says_what(body: bytes, reason: str) -> None:
    with pytest.raises(HookMalformed) as caught:
        wish_of(body)

    assert reason in caught.value.context


@given(binary(max_size=200))
def test_wish_of_any_bytes_then_is_one_or_malformed(body: bytes) -> None:
    with suppress(HookMalformed):
        assert isinstance(wish_of(body), HookWish)
