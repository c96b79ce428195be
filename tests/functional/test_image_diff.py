"""`imagebuilder image diff` in text, JSON and Markdown."""

from dataclasses import dataclass, replace

import pytest

from imagebuilder.adapters.local import manifest
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.image import ImageVersion, RecordedLayer
from imagebuilder.domain.layer import Entry, EntryKind, LayerTree
from imagebuilder.domain.updates import upgrades_document
from tests.build import (
    a_digest,
    a_draft,
    a_layer,
    a_package,
    an_entry,
    an_update,
    an_upgrade,
)
from tests.functional.conftest import Catalogue, Cli


def test_diff_of_one_version_then_compares_it_with_the_one_before(
    cli: Cli, catalogue: Catalogue
) -> None:
    shown = cli("image", "diff", "debian-web").stdout

    assert shown.startswith("debian-web@1.2.0/1 -> debian-web@1.2.1/1\n")
    assert "  ~ nginx  1.0.0 -> 1.0.1 (port=8080)\n" in shown
    assert "      +version: 2\n" in shown
    assert "\npackages  1 added, 1 removed, 1 upgraded\n" in shown
    assert "  ~ bash:amd64  5.2-1 -> 5.2-2  upgraded\n" in shown
    assert "  + curl:amd64  8.0\n" in shown
    assert "  - nginx:amd64  1.22.1-9\n" in shown
    assert "  + raw  2.9 MiB" in shown


def test_diff_the_other_way_then_says_so_and_names_downgrades(
    cli: Cli, catalogue: Catalogue
) -> None:
    shown = cli("image", "diff", "debian-web@1.2.1", "debian-web@1.2.0").stdout

    assert "(debian-web@1.2.1/1 was recorded after debian-web@1.2.0/1)\n" in shown
    assert "  ~ bash:amd64  5.2-2 -> 5.2-1  downgraded\n" in shown


def test_diff_as_json_then_tells_old_and_new_of_each_change(cli: Cli, catalogue: Catalogue) -> None:
    diff = cli.json("image", "diff", "debian-web@1.2.0", "debian-web@1.2.1")

    assert (diff["old"], diff["new"], diff["is_empty"]) == (
        "debian-web@1.2.0/1",
        "debian-web@1.2.1/1",
        False,
    )
    assert (diff["is_backwards"], diff["is_across_images"]) == (False, False)
    (component,) = diff["components"]
    assert (component["name"], component["kind"]) == ("nginx", "changed")
    assert (component["old"]["parameters"], component["new"]["parameters"]) == (
        {},
        {"port": "8080"},
    )
    assert [(p["name"], p["kind"]) for p in diff["packages"]] == [
        ("bash", "upgraded"),
        ("curl", "added"),
        ("nginx", "removed"),
    ]
    assert [(a["name"], a["old"]) for a in diff["artifacts"]] == [("raw", None)]


def test_diff_when_manifests_are_gone_then_says_so_and_tells_the_rest(
    cli: Cli, catalogue: Catalogue
) -> None:
    shown = cli("image", "diff", "debian-web", "--files")
    diff = cli.json("image", "diff", "debian-web")

    assert shown.exit_code == 0
    gone = "debian-web@1.2.0/1 and debian-web@1.2.1/1"
    assert f"\nfiles  not known any more of {gone}\n" in shown.stdout
    assert diff["files"] is None
    assert diff["without_files"] == ["debian-web@1.2.0/1", "debian-web@1.2.1/1"]


def test_diff_of_images_with_different_parents_then_names_both_parents(
    cli: Cli, catalogue: Catalogue
) -> None:
    shown = cli("image", "diff", "debian-base", "debian-web@1.2.0").stdout

    assert "(they are versions of different images)\n" in shown
    assert "  ~ debian:bookworm -> image:debian-base@1.x\n" in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("debian-base",), (3, "no-version-before")),
        (("debian-web", "debian-web@1.2.1"), (2, "same-version-twice")),
        (("debian-web", "debian-wed"), (3, "version-not-found")),
        (("debian-web@1..", "debian-base"), (2, "reference-malformed")),
        (("debian-web", "--path", "etc"), (2, "path-pattern-malformed")),
        (("debian-web", "--path", "/etc/[a"), (2, "path-pattern-malformed")),
    ],
)
def test_diff_when_it_cannot_be_told_then_says_why(
    cli: Cli, catalogue: Catalogue, arguments: tuple[str, ...], expected: tuple[int, str]
) -> None:
    error = cli.error("image", "diff", *arguments)

    assert (error["exit"], error["code"]) == expected
    assert error["hint"]


def test_diff_when_the_format_is_unknown_then_names_those_there_are(cli: Cli) -> None:
    result = cli("image", "diff", "debian-web", "--format", "html")

    assert result.exit_code == 2
    assert "'text', 'json', 'markdown'" in result.stderr


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions, the files of which are known."""

    old: ImageVersion
    new: ImageVersion


def _known(cli: Cli, layer: RecordedLayer, entries: dict[str, Entry]) -> RecordedLayer:
    """Write a layer's manifest into the store, and nothing but it."""
    text = manifest.written(LayerTree(entries=entries))
    content = Digest.of_bytes(text)
    folder = cli.home / "layers/manifests"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / content.hex).write_bytes(text)
    return replace(layer, content=content)


@pytest.fixture(name="pair")
def _pair(cli: Cli) -> Pair:
    one, two = an_entry(content=a_digest("1"), size_bytes=1024), an_entry(content=a_digest("2"))
    root = _known(cli, a_layer("root"), {"/": an_entry(EntryKind.DIRECTORY), "/etc/same": one})
    old = {
        "/etc/passwd": one,
        "/etc/shadow": one,
        "/usr/bin/sh": an_entry(EntryKind.SYMLINK, target="dash"),
        "/usr/bin/gone": one,
        "/usr/share/later": an_entry(mtime=1),
    }
    new = {
        "/etc/passwd": replace(two, size_bytes=2048),
        "/etc/shadow": replace(one, mode=0o640, gid=42),
        "/usr/bin/sh": an_entry(EntryKind.SYMLINK, target="bash"),
        "/usr/bin/new": one,
        "/usr/share/later": an_entry(mtime=2),
    }
    record = cli.application().cataloguing.record
    mended = replace(an_upgrade(), is_security=True, cves=("CVE-2026-1",))
    plan = {"upgrades": {"q": upgrades_document({"Update": an_update(mended)})}}
    return Pair(
        record(
            a_draft(
                layers=(root, _known(cli, a_layer(), old)),
                packages=(a_package("openssl", "3.0.15-1"),),
            )
        ),
        record(
            a_draft(
                layers=(root, _known(cli, a_layer(), new)),
                packages=(a_package("openssl", "3.0.16-1"),),
                plan=plan,
            )
        ),
    )


def test_diff_without_files_then_counts_them(cli: Cli, pair: Pair) -> None:
    shown = cli("image", "diff", "debian-web").stdout

    assert "\nfiles  1 added, 1 removed, 3 changed\n" in shown
    assert "/etc/passwd" not in shown
    assert "\nlayers\n  ~ nginx  4.7 GiB\n" in shown


def test_diff_with_files_then_tells_what_became_of_each(cli: Cli, pair: Pair) -> None:
    shown = cli("image", "diff", "debian-web", "--files").stdout

    assert (
        "files  1 added, 1 removed, 3 changed\n"
        "  ~ /etc/passwd  content 1.0 KiB -> 2.0 KiB\n"
        "  ~ /etc/shadow  mode 0644 -> 0640, owner 0:0 -> 0:42\n"
        "  - /usr/bin/gone  1.0 KiB\n"
        "  + /usr/bin/new  1.0 KiB\n"
        "  ~ /usr/bin/sh  target dash -> bash\n"
    ) in shown
    assert "  ~ openssl:amd64  3.0.15-1 -> 3.0.16-1  upgraded, security: CVE-2026-1\n" in shown


def test_diff_when_a_path_is_given_then_counts_and_lists_that_alone(cli: Cli, pair: Pair) -> None:
    shown = cli("image", "diff", "debian-web", "--files", "--path", "/etc/*").stdout

    assert "\nfiles  2 changed\n  ~ /etc/passwd" in shown
    assert "/usr/bin" not in shown
    assert "\nfiles  none differ\n" in cli("image", "diff", "debian-web", "--path", "/opt").stdout


def test_diff_with_files_as_json_then_holds_both_entries(cli: Cli, pair: Pair) -> None:
    files = cli.json("image", "diff", "debian-web", "--files", "--path", "/etc/shadow")["files"]

    assert {name: files[name] for name in ("added", "removed", "changed", "retimed")} == {
        "added": 0,
        "removed": 0,
        "changed": 1,
        "retimed": 0,
    }
    (listed,) = files["listed"]
    assert (listed["path"], listed["kind"], listed["aspects"]) == (
        "/etc/shadow",
        "changed",
        ["mode", "owner"],
    )
    assert (listed["old"]["mode"], listed["new"]["mode"]) == ("0644", "0640")
    assert listed["new"]["gid"] == 42


def test_diff_as_json_when_files_are_not_asked_for_then_counts_them_by_folder(
    cli: Cli, pair: Pair
) -> None:
    diff = cli.json("image", "diff", "debian-web")

    assert diff["files"] == {
        "added": 1,
        "removed": 1,
        "changed": 3,
        "retimed": 1,
        "folders": [
            {"folder": "/etc", "added": 0, "removed": 0, "changed": 2},
            {"folder": "/usr", "added": 1, "removed": 1, "changed": 1},
        ],
        "listed": None,
    }
    (update,) = diff["security_updates"]
    assert (update["name"], update["cves"]) == ("openssl", ["CVE-2026-1"])


def test_diff_as_markdown_then_is_fit_for_a_release(cli: Cli, pair: Pair) -> None:
    notes = cli("image", "diff", "debian-web", "--format", "markdown").stdout.splitlines()

    assert notes[0] == f"# `{pair.old.reference}` to `{pair.new.reference}`"
    assert "1 security update that ends 1 CVE, files: 1 added, 1 removed, 3 changed" in notes[2]
    assert [line for line in notes if line.startswith("## ")] == [
        "## Security updates",
        "## Packages",
        "## Files",
    ]
    assert "| `openssl:amd64` | `3.0.15-1` | `3.0.16-1` | `CVE-2026-1` |" in notes
    assert "| `/etc` | 0 | 0 | 2 |" in notes


def test_diff_as_json_by_format_then_is_that_of_the_option(cli: Cli, pair: Pair) -> None:
    told = cli("image", "diff", "debian-web", "--format", "json").stdout

    assert told == cli("image", "diff", "debian-web", "--json").stdout
