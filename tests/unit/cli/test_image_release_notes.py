from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from imagebuilder.cli.image_release_notes import code, release_notes
from imagebuilder.domain.comparison import compared
from imagebuilder.domain.evidence import Outcome
from imagebuilder.domain.file_changes import FileDiff, file_diff
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.package import PackageMove
from imagebuilder.domain.security_updates import SecurityUpdate
from tests.build import (
    SOME_DAY,
    a_layer,
    a_package,
    a_parent,
    a_report,
    a_version,
    an_artifact,
    an_entry,
)

_HOSTILE = (
    "`|<img src=x onerror=alert(1)>\\` @someone **x** [a](javascript:b) #1 ~~c~~ \x1b[2J\n# h"
)


def _notes(old: ImageVersion, new: ImageVersion, *, with_files: bool = False, **more: Any) -> str:
    diff = replace(compared(old, new), **({"files": FileDiff()} | more))
    return "\n".join(release_notes(diff, with_files=with_files))


def _headings(notes: str) -> list[str]:
    return [line for line in notes.splitlines() if line.startswith("#")]


def _versions(**more: tuple[Any, Any]) -> tuple[ImageVersion, ImageVersion]:
    later = SOME_DAY + timedelta(days=3)
    return (
        a_version("web@1.0.0/1", **{name: pair[0] for name, pair in more.items()}),
        a_version(
            "web@1.1.0/1", created_at=later, **{name: pair[1] for name, pair in more.items()}
        ),
    )


def test_notes_when_nothing_differs_then_are_a_heading_and_a_summary() -> None:
    notes = _notes(*_versions())

    assert _headings(notes) == ["# `web@1.0.0/1` to `web@1.1.0/1`"]
    assert notes.splitlines()[2] == (
        "From `web@1.0.0/1` of 2026-03-01 to `web@1.1.0/1` of 2026-03-04: files: none differ, "
        "1 of 1 test passed, layers of 9.3 GiB."
    )


def test_notes_when_everything_differs_then_have_every_section_in_order() -> None:
    old, new = _versions(
        parent=(a_parent(), a_parent(asked="debian:trixie")),
        layers=((a_layer(),), (a_layer(content="c", version="1.1.0", parameters={"port": "80"}),)),
        packages=(
            (a_package("a", "1"), a_package("b", "2"), a_package("c", "1"), a_package("e", "1")),
            (a_package("a", "2"), a_package("b", "1"), a_package("d", "1"), a_package("e", "0:1")),
        ),
        reports=((a_report(),), (a_report(test_page=Outcome.SKIPPED, test_new=Outcome.PASSED),)),
        artifacts=((an_artifact(size_bytes=2**20),), (an_artifact(size_bytes=2**21),)),
    )
    diff = compared(old, new)
    (upgraded,) = diff.moved(PackageMove.UPGRADED)
    notes = _notes(
        old,
        new,
        with_files=True,
        security=(SecurityUpdate(change=upgraded, cves=("CVE-2026-1", "CVE-2026-2")),),
        files=file_diff({"/etc/a": an_entry()}, {"/etc/a": an_entry(mode=0), "/usr/b": an_entry()}),
    )

    assert _headings(notes)[1:] == [
        "## Security updates",
        "## Packages",
        "### Upgraded",
        "### Downgraded",
        "### Rewritten",
        "### Added",
        "### Removed",
        "## Components and parameters",
        "## Tests",
        "## Files",
        "## Size",
    ]
    assert "1 security update that ends 2 CVEs" in notes
    assert "| `a:amd64` | `1` | `2` | `CVE-2026-1`, `CVE-2026-2` |" in notes
    assert "| `b:amd64` | `2` | `1` |" in notes
    assert "| parent | `debian:bookworm` | `debian:trixie` |" in notes
    assert "| `nginx` | `1.0.0` | `1.1.0`, `port=80` |" in notes
    assert "| `offline test_page` | passed | skipped |" in notes
    assert "| `/usr` | 1 | 0 | 0 |" in notes
    assert "- changed `/etc/a` (mode)" in notes
    assert "| `qcow2` | 1.0 MiB | 2.0 MiB |" in notes


def test_security_updates_when_their_cves_are_not_known_then_say_so() -> None:
    old, new = _versions(packages=((a_package("a", "1"),), (a_package("a", "2"),)))
    (change,) = compared(old, new).packages

    notes = _notes(old, new, security=(SecurityUpdate(change=change, cves=None),))

    assert "| `a:amd64` | `1` | `2` | not known |" in notes
    assert ", 1 security update, " in notes


def test_component_when_its_document_changed_but_not_its_version_then_says_which() -> None:
    layer = a_layer()
    other = replace(layer, component_digest=layer.key)

    notes = _notes(*_versions(layers=((layer,), (other,))))

    assert f"| `nginx` | `1.0.0`, document `{layer.component_digest.short}` |" in notes  # type: ignore[union-attr]


def test_notes_when_files_are_not_known_then_say_of_which_version() -> None:
    notes = _notes(*_versions(), files=None, without_files=("web@1.0.0/1",))

    assert "files not known any more of `web@1.0.0/1`" in notes
    assert "## Files" not in notes


def test_notes_when_the_first_is_younger_or_of_another_image_then_say_so() -> None:
    old, new = _versions()

    notes = _notes(new, replace(old, image=new.image))
    across = _notes(old, a_version("other@1.0.0/1"))

    assert "The first of them was recorded after the second." in notes
    assert "They are versions of different images." in across


def _shown(markdown: str) -> list[Any]:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return [t for block in parser.parse(markdown) for t in [block, *(block.children or [])]]


@pytest.mark.parametrize("text", [_HOSTILE, "a`b", "``", "a\\", "|", "", " ", "\\|x"])
def test_notes_when_names_are_hostile_then_table_stays_whole_and_holds_no_markup(
    text: str,
) -> None:
    packages = (a_package(text, text), a_package("last", "1"))

    notes = _notes(*_versions(packages=((), packages)))

    kinds = [token.type for token in _shown(notes)]
    assert kinds.count("tr_open") == 3, notes
    assert kinds.count("td_open") == 4
    assert not {"link_open", "image", "strong_open", "em_open", "s_open", "html_block"} & set(kinds)
    tags = {t.content for t in _shown(notes) if t.type == "html_inline"}
    assert tags <= {"<code>", "</code>"}
    assert "\x1b" not in notes


@given(st.text(max_size=30))
def test_code_when_shown_then_is_the_text_without_its_white_space(text: str) -> None:
    inline = _shown(f"| a |\n|---|\n| {code(text)} |")

    shown = "".join(t.content for t in inline if t.type in ("code_inline", "text", "text_special"))
    printed = "".join(c if c.isprintable() or c in "\t\n " else "?" for c in text)
    assert "".join(shown.removeprefix("a").split()) == "".join(printed.split())
