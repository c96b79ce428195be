"""Envelopes, bundles and statements, read from whoever wrote them."""

import json
from typing import Any

import pytest

from imagebuilder.domain.attestation import Material, Statement, Subject
from imagebuilder.domain.image import ParentEdge
from imagebuilder.formats.dsse import Envelope, pae
from imagebuilder.formats.intoto import statement_bytes, statement_of
from imagebuilder.formats.materials import materials_of
from imagebuilder.formats.sigstore import MEDIA_TYPE, bundle_bytes, envelopes_of, lines_of
from tests.build import a_digest, a_version

ENVELOPE = Envelope(payload=b"\0\xff", payload_type="text/x", signature=b"sig", key_hint="ab")


def test_pae_is_as_its_specification_says() -> None:
    # Source: dsse protocol.md, the example of its test vectors.
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_bundles_come_back_alone_and_several_in_a_file() -> None:
    bundle = bundle_bytes(ENVELOPE)

    assert envelopes_of(bundle) == (ENVELOPE,)
    assert envelopes_of(json.dumps(json.loads(bundle), indent=2).encode()) == (ENVELOPE,)
    assert envelopes_of(lines_of([bundle, bundle])) == (ENVELOPE, ENVELOPE)
    assert json.loads(bundle)["mediaType"] == MEDIA_TYPE
    assert json.loads(bundle)["verificationMaterial"] == {
        "publicKey": {"hint": "ab"},
        "tlogEntries": [],
    }


def changed(**parts: Any) -> bytes:
    bundle = json.loads(bundle_bytes(ENVELOPE))
    bundle["dsseEnvelope"].update(parts)
    return json.dumps(bundle).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b" \n", "empty"),
        (b"[]", "no JSON object"),
        (changed(signatures=[]), "exactly one signature"),
        (changed(signatures=[{"sig": "YQ=="}, {"sig": "YQ=="}]), "exactly one signature"),
        (changed(signatures=["x"]), "no JSON object"),
        (changed(payload="no base64!"), "no base64"),
        (changed(payload=7), "no payload"),
        (changed(payloadType=None), "no payloadType"),
        (bundle_bytes(ENVELOPE) + b"\n{", "line 2 of 2"),
        (b"{}\n" * 300, "more than 200 lines"),
    ],
)
def test_what_is_no_bundle_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        envelopes_of(content)


def test_a_statement_comes_back_and_has_the_same_bytes_again() -> None:
    subject = Subject(name="a", digest=a_digest("a"), size_bytes=7)
    statement = Statement(subjects=(subject,), predicate_type="urn:x", predicate={"b": 1, "a": 2})

    written = statement_bytes(statement)

    assert statement_of(written) == statement
    assert statement_bytes(statement_of(written)) == written


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b'{"_type":"https://in-toto.io/Statement/v0.1"}', b"[" * 100_000],
    ids=["empty", "list", "nothing", "old", "deep"],
)
def test_what_is_no_statement_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        statement_of(payload)


@pytest.mark.parametrize("digest", ["", "abc", "A" * 64, 7, None])
def test_a_subject_without_a_digest_is_refused(digest: object) -> None:
    written = json.loads(
        statement_bytes(
            Statement(
                subjects=(Subject(name="a", digest=a_digest()),),
                predicate_type="urn:x",
                predicate={},
            )
        )
    )
    written["subject"][0]["digest"]["sha256"] = digest

    with pytest.raises(ValueError, match=r"."):
        statement_of(json.dumps(written).encode())


def test_a_suite_is_told_by_no_digest_and_a_file_by_its_own() -> None:
    digest = a_digest("root").hex
    suite = ParentEdge(asked="debian:bookworm", identity=f"suite bookworm {digest}")
    file = ParentEdge(asked="rootfs:base.tar", identity=f"rootfs {digest}")

    def parent_of(edge: ParentEdge) -> Material:
        version = a_version(parent=edge, plan={"suite": "bookworm"})
        return next(m for m in materials_of(version, None) if m.kind == "parent")

    assert (parent_of(suite).digest, bool(parent_of(suite).unknown)) == (None, True)
    assert (parent_of(file).digest, parent_of(file).unknown) == (a_digest("root"), "")


@pytest.mark.parametrize(
    ("asked", "said"),
    [("ami:eu-central-1/ami-12345678", "an AMI"), ("packer:debian-12", "Packer"), ("x:y", "not")],
)
def test_a_parent_that_stayed_where_it_was_is_not_said_to_be_a_suite(asked: str, said: str) -> None:
    version = a_version(parent=ParentEdge(asked=asked, identity=asked), plan={"suite": ""})

    (parent,) = [m for m in materials_of(version, None) if m.kind == "parent"]

    assert (parent.digest, said in parent.unknown) == (None, True)


def test_a_package_has_the_digest_of_its_file_where_that_is_known() -> None:
    version = a_version(plan={"suite": "bookworm"})
    known = {("bash", "5.2-1", "amd64"): a_digest("bash.deb")}

    bash, nginx = (m for m in materials_of(version, None, known) if m.kind == "package")

    assert (bash.uri, bash.digest) == ("pkg:deb/debian/bash@5.2-1?arch=amd64", a_digest("bash.deb"))
    assert (nginx.digest, bool(nginx.unknown)) == (None, True)
