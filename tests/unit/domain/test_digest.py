import hashlib
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.digest import (
    Canonical,
    Digest,
    DigestMismatch,
    canonical_json,
    digest_of,
)

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


def _turned_around(value: Canonical) -> Canonical:
    """Give the same value with the keys of every mapping in the other order."""
    if isinstance(value, dict):
        return {key: _turned_around(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [_turned_around(item) for item in value]
    return value


@given(_values)
def test_digest_of_when_keys_are_in_another_order_then_is_the_same(value: Canonical) -> None:
    assert digest_of(_turned_around(value)) == digest_of(value)


@given(_values)
def test_canonical_json_when_read_back_then_is_the_value(value: Canonical) -> None:
    assert json.loads(canonical_json(value)) == value


@given(_values, _values)
def test_canonical_json_when_values_differ_then_texts_differ(
    some: Canonical, other: Canonical
) -> None:
    is_same = json.dumps(some, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (canonical_json(some) == canonical_json(other)) == is_same


def test_canonical_json_when_written_then_has_sorted_keys_no_spaces_and_utf_8() -> None:
    value: Canonical = {"b": [1, 2.5, None], "a": {"é": True}}

    assert canonical_json(value) == '{"a":{"é":true},"b":[1,2.5,null]}'.encode()


def test_canonical_json_when_mapping_is_of_another_class_then_is_the_same() -> None:
    proxied: Canonical = MappingProxyType({"b": (1, range(2)), "a": MappingProxyType({})})

    assert canonical_json(proxied) == b'{"a":{},"b":[1,[0,1]]}'


def test_canonical_json_when_a_file_name_is_no_utf_8_then_comes_back() -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")

    assert json.loads(canonical_json({name: name})) == {name: name}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_when_number_is_none_then_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": value})


def test_canonical_json_when_value_has_no_form_then_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        canonical_json([b"raw"])


@given(st.binary())
def test_digest_when_of_bytes_then_is_sha_256_and_reads_back(content: bytes) -> None:
    digest = Digest.of_bytes(content)

    assert digest.hex == hashlib.sha256(content).hexdigest()
    assert Digest.parse(str(digest)) == Digest.parse(digest.hex) == digest
    assert digest.hex.startswith(digest.short)
    assert len(digest.short) == 12


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "a" * 63,
        "a" * 65,
        "A" * 64,
        "g" * 64,
        "a" * 63 + "\n",
        "../" + "a" * 61,
        "sha256:sha256:" + "a" * 64,
    ],
)
def test_digest_when_text_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256 digest"):
        Digest.parse(text)


def test_digest_mismatch_when_raised_then_names_the_thing_and_both_digests() -> None:
    expected, found = Digest.of_bytes(b"a"), Digest.of_bytes(b"b")

    error = DigestMismatch("Layer nginx", expected=expected, found=found, hint="Build it again.")

    assert error.message == "Layer nginx is damaged."
    assert str(expected) in error.context
    assert str(found) in error.context
    assert error.hint == "Build it again."
