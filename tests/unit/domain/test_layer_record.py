"""Records of layers, which come from places that nobody vouches for."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from imagebuilder.domain.digest import canonical_json, digest_of
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.layer_record import (
    LayerRecord,
    key_name,
    layer_document,
    layer_of,
    record_of,
    record_text,
)
from tests.build import a_digest

LAYER = Layer(
    key=a_digest("key"),
    content=a_digest("content"),
    parent_content=a_digest("below"),
    name="nginx",
    created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    size_bytes=5_000_000_000,
    evidence={"upgrades": a_digest("list")},
)
RECORD = LayerRecord(layer=LAYER, archive=a_digest("archive"))


def rewritten(**changes: Any) -> bytes:
    """Give a record with other fields of its layer, whose check is right all the same."""
    fields = json.loads(record_text(RECORD))
    del fields["check"]
    fields["layer"] |= changes
    return canonical_json({**fields, "check": digest_of(fields).hex})


def test_a_record_when_read_is_what_was_written() -> None:
    assert record_of(record_text(RECORD)) == RECORD


def test_a_layer_on_nothing_when_read_is_what_was_written() -> None:
    lowest = layer_of({**layer_document(LAYER), "parent_content": None})

    assert lowest.parent_content is None
    assert layer_of(layer_document(lowest)) == lowest


def test_the_files_of_a_record_are_manifest_archive_and_evidence() -> None:
    assert RECORD.files == {a_digest("content"), a_digest("archive"), a_digest("list")}


def test_key_name_differs_with_what_is_below() -> None:
    names = {key_name(a_digest("key"), below) for below in (None, a_digest("a"), a_digest("b"))}

    assert len(names | {key_name(a_digest("other"), None)}) == 4


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(record_text(RECORD)[:-2], id="cut off"),
        pytest.param(record_text(RECORD) + b" ", id="more"),
        pytest.param(record_text(RECORD).replace(b"nginx", b"nginy"), id="another name"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"layer":[]}', id="no layer"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(rewritten(evidence=[]), id="no evidence"),
        pytest.param(rewritten(content="../../etc"), id="no digest"),
        pytest.param(rewritten(created_at="2026-01-02T03:04:05"), id="no time zone"),
        pytest.param(rewritten(created_at="yesterday"), id="no moment"),
        pytest.param(rewritten(name="\x1b[2J"), id="a name that moves the cursor"),
        pytest.param(rewritten(name="n" * 201), id="a long name"),
        pytest.param(rewritten(size_bytes="many"), id="no size"),
    ],
)
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        record_of(text)
