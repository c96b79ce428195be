from dataclasses import replace

import pytest

from imagebuilder.domain.layer import Entry, EntryKind
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.rebuild import (
    FileDifference,
    PackagesGone,
    Rebuild,
    RebuildDiffers,
    file_differences,
    first_versions,
)
from tests.build import a_package, an_entry, an_upgrade


def moved(name: str, old: str, new: str, architecture: str = "amd64") -> Upgrade:
    return replace(an_upgrade(name), old_version=old, new_version=new, architecture=architecture)


class TestFirstVersions:
    def test_versions_when_nothing_was_upgraded_then_are_those_installed(self) -> None:
        bash = a_package("bash", version="5.2-1")

        assert first_versions([bash], ()) == (("bash", "5.2-1", bash.architecture),)

    @pytest.mark.parametrize("is_turned", [False, True])
    def test_versions_when_upgraded_twice_then_are_the_first_in_whatever_order(
        self, *, is_turned: bool
    ) -> None:
        bash = a_package("bash", version="3")
        moves = [
            moved("bash", "1", "2", bash.architecture),
            moved("bash", "2", "3", bash.architecture),
        ]

        found = first_versions([bash], moves[::-1] if is_turned else moves)

        assert [version for _, version, _ in found] == ["1"]

    @pytest.mark.parametrize(
        "move",
        [
            moved("bash", "", "3"),
            moved("bash", "1", "2"),
            moved("dash", "1", "3"),
            moved("bash", "1", "3", "i386"),
        ],
        ids=["it-came-new", "it-went-elsewhere", "another-package", "another-architecture"],
    )
    def test_versions_when_an_upgrade_did_not_lead_here_then_stay(self, move: Upgrade) -> None:
        bash = replace(a_package("bash", version="3"), architecture="amd64")

        assert first_versions([bash], [move]) == (("bash", "3", "amd64"),)

    def test_versions_when_upgrades_run_in_a_circle_then_end(self) -> None:
        bash = replace(a_package("bash", version="1"), architecture="amd64")

        found = first_versions([bash], [moved("bash", "1", "2"), moved("bash", "2", "1")])

        assert found == (("bash", "1", "amd64"),)


class TestFiles:
    @pytest.mark.parametrize(
        ("old", "new", "what"),
        [
            (None, an_entry(), ("extra",)),
            (an_entry(), None, ("missing",)),
            (an_entry(content="a"), an_entry(content="b"), ("content",)),
            (an_entry(mode=0o644), an_entry(mode=0o755), ("mode",)),
            (an_entry(uid=1), an_entry(uid=2), ("owner",)),
            (an_entry(mtime=1), an_entry(mtime=2), ("time",)),
            (an_entry(), an_entry(kind=EntryKind.FIFO), ("kind",)),
        ],
        ids=["extra", "missing", "content", "mode", "owner", "time", "kind"],
    )
    def test_differences_when_a_file_is_another_then_name_it_and_how(
        self, old: Entry | None, new: Entry | None, what: tuple[str, ...]
    ) -> None:
        trees = [{} if entry is None else {"/etc/x": entry} for entry in (old, new)]

        assert file_differences(*trees) == (FileDifference(path="/etc/x", what=what),)

    def test_differences_when_all_is_the_same_then_are_none(self) -> None:
        tree = {"/": an_entry(), "/etc/x": an_entry(mode=0o600)}

        assert file_differences(tree, dict(tree)) == ()

    def test_differences_of_several_files_then_are_in_the_order_of_paths(self) -> None:
        old = {"/a": an_entry(mtime=1), "/b": an_entry(), "/c": an_entry(mode=1)}
        new = {"/a": an_entry(mtime=2), "/c": an_entry(mode=2)}

        assert [d.path for d in file_differences(old, new)] == ["/a", "/b", "/c"]


class TestErrors:
    def test_difference_of_many_files_then_the_first_are_named_and_the_rest_counted(self) -> None:
        files = tuple(FileDifference(path=f"/{n}", what=("content",)) for n in range(7))

        error = RebuildDiffers.of(Rebuild(reference="web@1.0.0/1", files=files))

        assert "7 files differ" in error.message
        assert error.context.splitlines() == [*(f"/{n}: content" for n in range(5)), "and 2 more"]

    def test_packages_gone_when_there_are_many_then_the_first_are_named(self) -> None:
        error = PackagesGone("web@1.0.0/1", [(f"p{n}", "1", "all") for n in range(7)])

        assert "7 of its packages" in error.message
        assert "p4=1, and 2 more" in error.context
