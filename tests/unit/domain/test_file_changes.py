from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.file_changes import (
    Aspect,
    ChangeKind,
    FolderCount,
    PathPattern,
    PathPatternMalformed,
    file_diff,
)
from imagebuilder.domain.layer import Entry, EntryKind
from tests.build import a_digest, an_entry

_entries = st.builds(
    an_entry,
    st.sampled_from([EntryKind.FILE, EntryKind.DIRECTORY]),
    mode=st.sampled_from([0o644, 0o600]),
    uid=st.integers(0, 1),
    mtime=st.integers(0, 1),
    content=st.sampled_from([None, a_digest("a"), a_digest("b")]),
)
_paths = st.sampled_from(["/", "/etc", "/etc/passwd", "/usr/bin/true"])
_trees = st.dictionaries(_paths, _entries)


@given(_trees, _trees)
def test_files_when_compared_then_each_name_is_told_once_or_is_the_same(
    old: dict[str, Entry], new: dict[str, Entry]
) -> None:
    diff = file_diff(old, new)

    told = [change.path for change in diff.by_path]
    assert told == sorted(set(told))
    assert {c.path for c in diff.added} == new.keys() - old.keys()
    assert {c.path for c in diff.removed} == old.keys() - new.keys()
    both = old.keys() & new.keys()
    assert len(diff.changed) + diff.retimed == sum(old[path] != new[path] for path in both)
    assert all(change.aspects for change in diff.changed)


@given(_trees, _trees)
def test_files_when_compared_the_other_way_then_what_came_went(
    old: dict[str, Entry], new: dict[str, Entry]
) -> None:
    diff, back = file_diff(old, new), file_diff(new, old)

    assert [c.path for c in diff.added] == [c.path for c in back.removed]
    assert [(c.path, c.aspects) for c in diff.changed] == [
        (c.path, c.aspects) for c in back.changed
    ]


@pytest.mark.parametrize(
    ("more", "aspects"),
    [
        ({"mode": 0o600}, (Aspect.MODE,)),
        ({"uid": 33}, (Aspect.OWNER,)),
        ({"gid": 33}, (Aspect.OWNER,)),
        ({"content": a_digest("other"), "size_bytes": 7}, (Aspect.CONTENT,)),
        ({"xattrs": (("security.capability", "01"),)}, (Aspect.ATTRIBUTES,)),
        ({"hard_link_of": "/bin/a"}, (Aspect.LINKS,)),
        ({"mode": 0o4755, "uid": 1}, (Aspect.MODE, Aspect.OWNER)),
        ({"kind": EntryKind.DIRECTORY, "content": None, "mode": 0o755}, (Aspect.KIND,)),
    ],
)
def test_file_when_changed_then_says_what_of_it(
    more: dict[str, Any], aspects: tuple[Aspect, ...]
) -> None:
    old = an_entry(content=a_digest("one"))
    new = an_entry(**{"content": a_digest("one"), **more})

    (change,) = file_diff({"/f": old}, {"/f": new}).changed

    assert (change.aspects, change.kind) == (aspects, ChangeKind.CHANGED)


def test_link_when_it_leads_elsewhere_then_target_is_told_and_its_mode_is_not() -> None:
    old = an_entry(EntryKind.SYMLINK, target="a", mode=0o777)
    new = an_entry(EntryKind.SYMLINK, target="b", mode=0o755)

    assert file_diff({"/l": old}, {"/l": new}).changed[0].aspects == (Aspect.TARGET,)


def test_files_when_only_their_times_differ_then_they_are_counted_and_not_told() -> None:
    diff = file_diff({"/f": an_entry(mtime=1)}, {"/f": an_entry(mtime=2)})

    assert (diff.is_empty, diff.changed, diff.retimed) == (True, (), 1)


def test_counts_when_by_folder_then_add_up_below_the_top_ones() -> None:
    one, other = an_entry(), an_entry(mode=0o600)
    old = {"/": one, "/etc/a": one, "/usr/bin/x": one, "/etc/same": one}
    new = {"/": other, "/etc/a": other, "/etc/b": one, "/etc/same": one}

    assert file_diff(old, new).by_folder == (
        FolderCount(folder="/", added=0, removed=0, changed=1),
        FolderCount(folder="/etc", added=1, removed=0, changed=1),
        FolderCount(folder="/usr", added=0, removed=1, changed=0),
    )


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/etc", "/etc", True),
        ("/etc", "/etc/nginx/nginx.conf", True),
        ("/etc/", "/etc/nginx", True),
        ("/etc", "/etcetera", False),
        ("/", "/usr/bin/true", True),
        ("/", "/", True),
        ("/etc/*.conf", "/etc/nginx/nginx.conf", True),
        ("/etc/*.conf", "/etc/nginx", False),
        ("/etc/**/*.conf", "/etc/nginx/sites/a.conf", True),
        ("*/nginx", "/etc/nginx/nginx.conf", True),
        ("/usr/lib?", "/usr/lib6/x", True),
        ("/[eu]*", "/usr", True),
        ("/[!e]*", "/etc", False),
        ("/etc/x.y", "/etc/xay", False),
        ("/etc", "/etc/line\nend", True),
    ],
)
def test_pattern_when_matched_then_means_paths_and_all_below(
    pattern: str, path: str, *, expected: bool
) -> None:
    assert PathPattern.parse(pattern).matches(path) is expected


@pytest.mark.parametrize("text", ["", "etc/*.conf", "./etc", "/etc/[ab", "/etc/[", "/a/[]"])
def test_pattern_when_malformed_then_shows_the_forms(text: str) -> None:
    with pytest.raises(PathPatternMalformed) as caught:
        PathPattern.parse(text)

    assert "/etc/*.conf" in caught.value.hint


def test_files_when_a_pattern_is_given_then_only_those_are_told() -> None:
    new = {"/etc/a": an_entry(), "/usr/a": an_entry()}

    diff = file_diff({"/etc/b": an_entry()}, new, PathPattern.parse("/etc"))

    assert [c.path for c in diff.by_path] == ["/etc/a", "/etc/b"]
