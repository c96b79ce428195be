"""Keys, signing, exporting and verifying, as people type them."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.packer import stand_in
from imagebuilder.formats.dsse import pae
from imagebuilder.ports.process import Command
from tests.build import a_digest, a_draft, an_artifact
from tests.functional.conftest import DISK, Catalogue, Cli

SECRET = "correct horse battery"


@pytest.fixture
def key(cli: Cli, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the private key that is in the settings."""
    monkeypatch.setenv("THE_SECRET", SECRET)
    monkeypatch.setenv("IMAGEBUILDER_SIGNING_PASSPHRASE", "env:THE_SECRET")
    path = cli.folder / "images.key"
    result = cli("key", "generate", path)
    assert result.exit_code == 0, result.stderr
    monkeypatch.setenv("IMAGEBUILDER_SIGNING_KEY", f"file:{path}")
    return path


def exported(cli: Cli, reference: str = "debian-web", name: str = "web.qcow2") -> Path:
    cli.json("image", "attest", reference)
    told = cli.json("image", "export", reference, "-o", name)
    assert told["bundle"] == str(cli.folder / f"{name}.sigstore.jsonl")
    return cli.folder / name


def bundles(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bundle_of(file).read_text().splitlines()]


def bundle_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sigstore.jsonl")


def payload_of(bundle: dict[str, Any]) -> dict[str, Any]:
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert isinstance(payload, dict)
    return payload


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def refusal(cli: Cli, *arguments: str | Path) -> str:
    error = cli.error("verify", *arguments)
    assert error["exit"] == 4, error
    return str(error["code"])


def test_key_generate_then_only_the_owner_can_read_it_and_it_is_encrypted(
    cli: Cli, key: Path
) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in key.read_bytes()
    assert cli("key", "show", "--pem").stdout == public(key).read_text()
    assert cli.json("key", "show", public(key))["algorithm"] == "ecdsa-p256"
    assert cli.error("key", "generate", key)["code"] == "key-file-there"


def test_attest_then_provenance_names_every_input(
    cli: Cli, key: Path, catalogue: Catalogue
) -> None:
    file = exported(cli)

    provenance, tests = map(payload_of, bundles(file))

    assert tests["predicate"]["result"] == "PASSED"
    assert [each["digest"]["sha256"] for each in provenance["subject"]] == [
        catalogue.disk.hex,
        catalogue.disk.hex,
        catalogue.new.disk_digest.hex,
    ]
    definition = provenance["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["reference"] == catalogue.new.reference
    assert definition["externalParameters"]["parameters"] == {"nginx.port": "8080"}
    materials = {m["name"]: m for m in definition["resolvedDependencies"]}
    parent = materials[catalogue.base.reference]
    assert parent["digest"]["sha256"] == catalogue.base.disk_digest.hex
    index = materials["http://deb.example.org/debian bookworm"]
    assert index["annotations"]["kind"] == "package-index"
    assert "digestUnknown" in materials["curl 8.0 amd64"]["annotations"]
    assert provenance["predicate"]["runDetails"]["metadata"]["invocationId"] == (
        catalogue.new.run_id
    )


def test_key_show_as_openpgp_then_prints_what_gpg_imports(cli: Cli, key: Path) -> None:
    shown = cli("key", "show", "--openpgp")

    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n")
    assert shown.stdout.endswith("-----END PGP PUBLIC KEY BLOCK-----\n")


def test_verify_needs_the_artifact_the_bundle_and_the_key_alone(cli: Cli, key: Path) -> None:
    file = exported(cli)
    home = cli.folder / "nobody"
    home.mkdir()
    pub = shutil.copy(public(key), home)
    words = ["-m", "imagebuilder", "verify", str(file), "--key", str(pub), "--json"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "IMAGEBUILDER_HOME": str(home)}

    done = subprocess.run(
        [sys.executable, *words],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=home,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    assert [each["image"] for each in told["statements"]] == ["debian-web@1.2.1/1", None]
    assert sorted(path.name for path in home.iterdir()) == [Path(pub).name]


def test_openssl_verifies_what_was_signed(cli: Cli, key: Path) -> None:
    envelope = bundles(exported(cli))[0]["dsseEnvelope"]
    signed, signature = cli.folder / "signed", cli.folder / "signature"
    signed.write_bytes(pae(envelope["payloadType"], base64.b64decode(envelope["payload"])))
    signature.write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))

    def verified() -> int:
        argv = ["openssl", "dgst", "-sha256", "-verify", str(public(key))]
        argv += ["-signature", str(signature), str(signed)]
        return subprocess.run(argv, capture_output=True, check=False).returncode

    assert verified() == 0
    signed.write_bytes(signed.read_bytes() + b" ")
    assert verified() != 0


def test_verify_when_the_artifact_was_changed_then_says_so(cli: Cli, key: Path) -> None:
    file = exported(cli)
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)

    assert refusal(cli, file, "--key", public(key)) == "artifact-tampered"


@pytest.mark.parametrize("part", ["payload", "sig"])
def test_verify_when_the_bundle_was_changed_then_says_so(cli: Cli, key: Path, part: str) -> None:
    file = exported(cli)
    bundle = bundles(file)[0]
    envelope = bundle["dsseEnvelope"]
    if part == "payload":
        said = base64.b64decode(envelope["payload"]).replace(b"debian-web", b"debian-bad")
        envelope["payload"] = base64.b64encode(said).decode()
    else:
        envelope["signatures"][0]["sig"] = base64.b64encode(b"another").decode()
    bundle_of(file).write_text(json.dumps(bundle))

    assert refusal(cli, file, "--key", public(key)) == "bundle-tampered"


def test_verify_when_the_key_is_another_then_says_so(cli: Cli, key: Path) -> None:
    file = exported(cli)
    other = cli.folder / "other.key"
    cli("key", "generate", other)

    assert refusal(cli, file, "--key", public(other)) == "key-wrong"
    assert cli("verify", file, "--key", public(other), "--key", public(key)).exit_code == 0


def test_verify_when_the_bundle_is_of_another_artifact_then_says_so(cli: Cli, key: Path) -> None:
    file = exported(cli)
    application = cli.application()
    other = an_artifact(size_bytes=5)
    other = type(other)(
        format=other.format,
        digest=application.blobs.put(b"other"),
        size_bytes=5,
        virtual_size_bytes=5,
    )
    application.cataloguing.record(a_draft("another", artifacts=(other,)))
    swapped = exported(cli, "another", "another.qcow2")

    words = (file, "--key", public(key), "--bundle", bundle_of(swapped))
    assert refusal(cli, *words) == "subject-swapped"


def test_verify_when_it_is_a_true_image_but_another_than_wanted_then_says_so(
    cli: Cli, key: Path
) -> None:
    file = exported(cli)

    assert refusal(cli, file, "--key", public(key), "--image", "db") == "expectation-unmet"
    assert refusal(cli, file, "--key", public(key), "--builder", "urn:x") == "expectation-unmet"
    assert refusal(cli, file, "--key", public(key), "--predicate", "bill") == "predicate-missing"
    words = ("--image", "debian-web@1.2.1/1", "--predicate", "tests", "--predicate", "provenance")
    assert cli("verify", file, "--key", public(key), *words).exit_code == 0


@pytest.mark.parametrize("asked", [("--image", "debian-web"), ("--builder", "urn:x")])
def test_verify_when_an_image_is_wanted_and_nothing_tells_of_which_it_is_then_says_so(
    cli: Cli, key: Path, asked: tuple[str, str]
) -> None:
    file = exported(cli)
    others = [each for each in bundles(file) if "slsa.dev" not in payload_of(each)["predicateType"]]
    bundle_of(file).write_text("".join(f"{json.dumps(each)}\n" for each in others))
    words = (file, "--key", public(key), "--predicate", "tests")

    assert cli("verify", *words).exit_code == 0
    error = cli.error("verify", *words, *asked)
    assert (error["code"], error["exit"]) == ("predicate-missing", 4)
    assert "provenance" in error["message"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"mediaType":"x"}', b"[" * 100_000],
    ids=["empty", "cut", "list", "nothing", "binary", "other", "deep"],
)
def test_verify_when_the_bundle_is_none_then_says_so(cli: Cli, key: Path, content: bytes) -> None:
    file = exported(cli)
    bundle_of(file).write_bytes(content)

    assert refusal(cli, file, "--key", public(key)) == "bundle-malformed"


def test_verify_when_the_bundle_was_cut_then_says_so(cli: Cli, key: Path) -> None:
    file = exported(cli)
    bundle_of(file).write_bytes(bundle_of(file).read_bytes()[:-100])

    assert refusal(cli, file, "--key", public(key)) == "bundle-malformed"


def test_verify_when_the_bundle_is_too_large_then_says_so(cli: Cli, key: Path) -> None:
    file = exported(cli)
    with bundle_of(file).open("r+b") as stream:
        stream.truncate(65 * 1024 * 1024)

    assert refusal(cli, file, "--key", public(key)) == "bundle-malformed"


def test_verify_when_nothing_is_signed_then_says_so(cli: Cli, catalogue: Catalogue) -> None:
    told = cli.json("image", "export", "debian-web", "-o", "web.qcow2")
    pub = cli.folder / "some.key.pub"
    cli("key", "generate", "some.key", "--no-passphrase")

    assert told["bundle"] is None
    assert refusal(cli, "web.qcow2", "--key", pub) == "unsigned"
    assert refusal(cli, "debian-web", "--key", pub) == "unsigned"
    assert "signed    no" in cli("image", "show", "debian-web").stdout
    assert cli.error("image", "attest", "debian-web")["code"] == "no-signing-key"


def test_verify_of_a_version_then_reads_its_artifacts(cli: Cli, key: Path) -> None:
    cli.json("image", "attest", "debian-web")

    told = cli.json("verify", "debian-web")
    assert [each["artifact"] for each in told] == [
        "debian-web@1.2.1/1 qcow2",
        "debian-web@1.2.1/1 raw",
    ]
    blob = Path(cli.application().blobs.path(cli.application().blobs.put(DISK)))
    blob.chmod(0o600)
    blob.write_bytes(DISK[:-1] + b"!")
    assert refusal(cli, "debian-web") == "artifact-tampered"


def test_verify_of_a_version_that_lies_elsewhere_alone_then_where_that_is_was_signed(
    cli: Cli, key: Path
) -> None:
    plan = {"there": [["aws:1/eu-central-1", "ami-1", "eu-central-1", "amazon-ebs.web"]]}
    draft = a_draft("cloud", artifacts=(), plan=plan, disk_digest=stand_in(plan))
    cli.application().cataloguing.record(draft)
    assert refusal(cli, "cloud") == "unsigned"
    cli.json("image", "attest", "cloud")

    (told,) = cli.json("verify", "cloud", "--image", "cloud")

    assert told["artifact"] == "the record that cloud@1.2.0/1 is aws:1/eu-central-1 ami-1"
    assert told["digest"] == str(stand_in(plan))
    assert "not read" in cli("verify", "cloud").stderr
    assert refusal(cli, "cloud", "--image", "db") == "expectation-unmet"


def test_verify_of_a_version_when_where_it_lies_is_not_what_was_signed_then_says_so(
    cli: Cli, key: Path
) -> None:
    plan = {"there": [["aws:1/eu-central-1", "ami-2"]]}
    other = stand_in({"there": [["aws:1/eu-central-1", "ami-1"]]})
    cli.application().cataloguing.record(
        a_draft("cloud", artifacts=(), plan=plan, disk_digest=other)
    )
    cli.json("image", "attest", "cloud")

    assert refusal(cli, "cloud") == "subject-swapped"


def test_verify_of_a_version_without_anything_to_look_at_then_is_refused(
    cli: Cli, key: Path
) -> None:
    cli.application().cataloguing.record(
        a_draft("cloud", artifacts=(), plan={}, disk_digest=a_digest("nowhere"))
    )
    cli.json("image", "attest", "cloud")

    assert refusal(cli, "cloud") == "nothing-to-verify"


def test_rotate_then_what_the_old_key_signed_still_verifies(cli: Cli, key: Path) -> None:
    file = exported(cli)
    old = cli.json("key", "show")["id"]

    told = cli.json("key", "rotate")

    assert (told["old"], told["aside"]) == (old, f"{key}.{old[:12]}")
    assert [each["state"] for each in cli.json("key", "list")] == ["retired", "active"]
    assert cli("verify", "debian-web").exit_code == 0
    assert cli("verify", file, "--key", f"{key}.{old[:12]}.pub").exit_code == 0
    assert refusal(cli, file, "--key", public(key)) == "key-wrong"
    cli.json("image", "attest", "debian-web")
    keys = {each["key"] for each in cli.json("image", "attestations", "debian-web")}
    assert keys == {old, told["id"]}
    cli.json("image", "export", "debian-web", "-o", file.name, "--force")
    assert cli("verify", file, "--key", public(key)).exit_code == 0


def test_retire_when_a_key_is_compromised_then_nothing_it_signed_counts(
    cli: Cli, key: Path
) -> None:
    cli.json("image", "attest", "debian-web")
    identity = cli.json("key", "show")["id"]

    cli("key", "retire", identity[:8], "--compromised", "--why", "it was copied")

    assert cli.error("verify", "debian-web")["code"] in ("key-not-given", "key-wrong")
    assert cli.error("key", "retire", "ffff")["code"] == "key-unknown"


@pytest.mark.parametrize("again", [("rotate",), ("retire", "ID")], ids=["rotate", "retire"])
def test_end_when_a_key_is_compromised_then_it_stays_so(
    cli: Cli, key: Path, again: tuple[str, ...]
) -> None:
    cli.json("image", "attest", "debian-web")
    identity = cli.json("key", "show")["id"]
    cli("key", "retire", identity, "--compromised", "--why", "it was copied")

    result = cli("key", *(identity if word == "ID" else word for word in again))

    assert result.exit_code == 0
    assert f"{identity[:12]} compromised" in result.stdout
    known = {each["id"]: each for each in cli.json("key", "list")}[identity]
    assert (known["state"], known["why"]) == ("compromised", "it was copied")
    assert cli.error("verify", "debian-web")["code"] in ("key-not-given", "key-wrong")


@pytest.mark.parametrize("how", [(), ("--compromised",)], ids=["retired", "compromised"])
def test_sign_when_the_key_was_ended_then_is_refused_until_there_is_another(
    cli: Cli, key: Path, tmp_path: Path, how: tuple[str, ...]
) -> None:
    cli.json("image", "attest", "debian-web")
    before = len(cli.json("image", "attestations", "debian-web"))
    cli("key", "retire", cli.json("key", "show")["id"], *how)
    (tmp_path / "near").mkdir()
    near = f"{{name: near, folder: {{path: {tmp_path}/near}}}}"
    document = cli.write("near.yaml", f"kind: Distribution\nname: near\ntargets: [{near}]\n")

    error = cli.error("image", "attest", "debian-web")
    moved = cli("channel", "set", "debian-web@1.2.1", "stable")

    assert (error["code"], error["exit"]) == ("key-ended", 4)
    assert (moved.exit_code, "signs no more" in moved.stderr) == (0, True)
    assert len(cli.json("image", "attestations", "debian-web")) == before
    placed = cli("distribute", "debian-web", "--to", document)
    assert (placed.exit_code != 0, "signs no more" in placed.output) == (True, True)
    cli.json("key", "rotate")
    cli.json("image", "attest", "debian-web")


def test_a_key_that_others_can_read_is_refused(cli: Cli, key: Path) -> None:
    key.chmod(0o640)

    error = cli.error("image", "attest", "debian-web")

    assert (error["code"], error["exit"]) == ("key-exposed", 4)
    assert "0640" in error["context"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"nonsense", "encrypted"),
        (b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n", "public key"),
        (b"x" * 70_000, "too large"),
    ],
    ids=["missing", "nonsense", "public", "large"],
)
def test_a_key_that_is_none_is_refused(
    cli: Cli, key: Path, content: bytes | None, said: str
) -> None:
    key.unlink()
    if content is not None:
        key.touch(0o600)
        key.write_bytes(content)

    error = cli.error("image", "attest", "debian-web")

    assert (error["code"], error["exit"]) == ("key-unusable", 2)
    assert said in error["context"]


def test_a_wrong_passphrase_is_refused_and_shown_nowhere(
    cli: Cli, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_SECRET", "wrong guess")

    result = cli("image", "attest", "debian-web")

    assert result.exit_code == 2
    assert "passphrase is not the one" in result.stderr
    assert "wrong guess" not in result.stderr
    monkeypatch.delenv("THE_SECRET")
    assert cli.error("image", "attest", "debian-web")["code"] == "secret-missing"


@pytest.mark.parametrize("curve", ["secp256k1", "secp521r1"])
def test_a_key_on_another_curve_is_refused(
    cli: Cli, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, curve: str
) -> None:
    path = cli.folder / "curve.key"
    argv = ["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", str(path)]
    subprocess.run(argv, check=True, capture_output=True)
    path.chmod(0o600)
    monkeypatch.setenv("IMAGEBUILDER_SIGNING_KEY", f"file:{path}")

    error = cli.error("image", "attest", "debian-web")

    assert (error["code"], error["exit"]) == ("key-unusable", 2)
    assert "P-256" in error["hint"]


def test_verify_with_a_private_key_or_none_is_refused(cli: Cli, key: Path) -> None:
    file = exported(cli)

    assert cli.error("verify", file, "--key", key)["code"] == "key-unusable"
    assert cli.error("verify", file)["code"] == "key-not-given"
    assert cli.error("verify", "gone.qcow2", "--key", public(key))["code"] == "file-not-there"


def test_a_promotion_is_signed(cli: Cli, key: Path) -> None:
    result = cli("channel", "set", "debian-web@1.2.1", "stable", "--why", "released")
    assert result.exit_code == 0, result.stderr

    (signed,) = cli.json("image", "attestations", "debian-web")
    assert signed["predicate"] == "promotion"


def test_a_promotion_stands_when_the_key_is_out_and_it_is_said(cli: Cli, key: Path) -> None:
    key.unlink()

    result = cli("channel", "set", "debian-web@1.2.1", "stable")

    assert result.exit_code == 0
    assert "is not signed" in result.stderr
    assert cli.json("channel", "show", "debian-web@stable")["version"] == "debian-web@1.2.1/1"


def test_no_secret_lies_in_the_home(cli: Cli, key: Path) -> None:
    cli.json("image", "attest", "debian-web")

    found = [
        path
        for path in cli.home.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert found == []


def test_ed25519_signs_too_and_the_same_statement_has_the_same_bytes(
    cli: Cli, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("key", "generate", "ed.key", "--type", "ed25519", "--no-passphrase")
    monkeypatch.setenv("IMAGEBUILDER_SIGNING_KEY", f"file:{cli.folder / 'ed.key'}")

    first = cli.json("image", "attest", "debian-web")
    second = cli.json("image", "attest", "debian-web")

    assert [each["bundle"] for each in first] == [each["bundle"] for each in second]
    assert cli("verify", "debian-web").exit_code == 0


def test_export_when_another_bundle_is_in_the_way_then_refuses(cli: Cli, key: Path) -> None:
    cli.json("image", "attest", "debian-web")
    there = cli.write("web.qcow2.sigstore.jsonl", "mine")

    assert cli.error("image", "export", "debian-web", "-o", "web.qcow2")["code"] == "file-there"
    assert there.read_text() == "mine"
    told = cli.json("image", "export", "debian-web", "-o", "web.qcow2", "--no-bundle")
    assert (told["bundle"], there.read_text()) == (None, "mine")


def test_programs_do_not_get_the_passphrase(cli: Cli, key: Path) -> None:
    result = cli.application().commands.check(Command(argv=["env"]))

    assert SECRET.encode() not in result.stdout


def test_gc_and_check_know_the_bundles(cli: Cli, key: Path) -> None:
    signed = cli.json("image", "attest", "debian-web")

    blobs = cli.application().blobs
    needless = blobs.put(b"nobody needs it")
    for blob in blobs.digests():
        os.utime(blobs.path(blob), (0, 0))

    assert cli("gc", "--unused", "1h").exit_code == 0

    kept = [Digest.parse(each["bundle"]) for each in signed]
    assert not blobs.has(needless)
    assert all(blobs.has(bundle) for bundle in kept)
    Path(blobs.path(kept[0])).unlink()
    assert "bundle of what was signed" in cli("catalogue", "check").output


def test_a_copy_is_signed_and_says_what_it_is_of(cli: Cli, key: Path, catalogue: Catalogue) -> None:
    cli.json("image", "copy", "debian-web", "--as", "mine")
    cli.json("image", "export", "mine", "-o", "mine.qcow2")

    provenance = payload_of(bundles(cli.folder / "mine.qcow2")[0])["predicate"]

    materials = provenance["buildDefinition"]["resolvedDependencies"]
    (source,) = [m for m in materials if m["annotations"]["kind"] == "source"]
    assert source["name"] == catalogue.new.reference
    assert source["digest"]["sha256"] == catalogue.new.disk_digest.hex
    assert cli("verify", "mine.qcow2", "--key", public(key), "--image", "mine").exit_code == 0


def test_verify_when_the_bundle_cannot_be_read_then_says_so(cli: Cli, key: Path) -> None:
    file = exported(cli)
    os.mkfifo(cli.folder / "pipe")

    for name in ("gone", "pipe", "."):
        error = cli.error("verify", file, "--key", public(key), "--bundle", name)
        assert (error["code"], error["exit"]) == ("file-unreadable", 2)
