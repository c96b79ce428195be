from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from imagebuilder.domain.layer import (
    Entry,
    EntryKind,
    Layer,
    LayerTree,
    TreeChange,
    difference,
    link_groups,
    merged,
    stack_content,
    total_size_bytes,
)
from tests.build import SOME_DAY, a_digest, an_entry


@dataclass(frozen=True)
class Made:
    """What a layer has at a name: a file of a link group, nothing (a whiteout), or a folder."""

    content: int = 0
    link_group: int | None = None
    is_whiteout: bool = False
    is_opaque: bool = False
    children: Mapping[str, "Made"] | None = None


_names = st.sampled_from("abc")
_thoroughly = settings(max_examples=250)
_leaves = st.one_of(
    st.builds(Made, content=st.integers(0, 2), link_group=st.sampled_from([None, 1, 2])),
    st.just(Made(is_whiteout=True)),
)
_roots = st.builds(
    Made,
    is_opaque=st.booleans(),
    children=st.dictionaries(
        _names,
        st.recursive(
            _leaves,
            lambda inner: st.builds(
                Made,
                is_opaque=st.booleans(),
                children=st.dictionaries(_names, inner, min_size=1, max_size=3),
            ),
            max_leaves=8,
        ),
        min_size=1,
        max_size=3,
    ),
)


@dataclass
class Growing:
    """A layer while it is made of its folders."""

    entries: dict[str, Entry] = field(default_factory=dict)
    whiteouts: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    groups: dict[int, list[str]] = field(default_factory=dict)

    def grow(self, path: str, made: Made) -> None:
        if made.is_whiteout:
            self.whiteouts.add(path)
        elif made.children is None:
            # All names of one file hold the same.
            content = made.content if made.link_group is None else made.link_group
            self.entries[path] = an_entry(content=a_digest(str(content)), size_bytes=content)
            if made.link_group is not None:
                self.groups.setdefault(made.link_group, []).append(path)
        else:
            self.entries[path] = an_entry(EntryKind.DIRECTORY, mode=0o755)
            if made.is_opaque:
                self.opaque.add(path)
            for name, child in made.children.items():
                self.grow(f"{path.rstrip('/')}/{name}", child)


def _layer(root: Made) -> LayerTree:
    growing = Growing()
    growing.grow("/", root)
    for group in growing.groups.values():
        first, *others = sorted(group)
        for path in others:
            growing.entries[path] = replace(growing.entries[path], hard_link_of=first)
    return LayerTree(
        entries=growing.entries,
        whiteouts=frozenset(growing.whiteouts),
        opaque=frozenset(growing.opaque),
    )


_layers = st.lists(_roots.map(_layer), min_size=1, max_size=4)


def _found_by_looking_down(layers: Sequence[LayerTree], path: str) -> int | None:
    """Give the layer whose entry is seen at a path, as a lookup from the top finds it."""
    above = [path[:end] or "/" for end in range(len(path)) if path[end] == "/" and path != "/"]
    for number in range(len(layers) - 1, -1, -1):
        layer = layers[number]
        if path in layer.entries:
            return number
        if path in layer.whiteouts:
            return None
        for folder in above:
            here = layer.entries.get(folder)
            is_no_folder = here is not None and here.kind is not EntryKind.DIRECTORY
            if is_no_folder or folder in layer.whiteouts or folder in layer.opaque:
                return None
    return None


@_thoroughly
@given(_layers)
def test_merged_when_compared_with_lookups_from_the_top_then_sees_the_same(
    layers: list[LayerTree],
) -> None:
    paths = {path for layer in layers for path in layer.entries}
    seen = {path: _found_by_looking_down(layers, path) for path in paths}
    expected = {
        path: replace(layers[number].entries[path], hard_link_of=None)
        for path, number in seen.items()
        if number is not None
    }

    tree = merged(layers)

    assert {p: replace(entry, hard_link_of=None) for p, entry in tree.items()} == expected


@_thoroughly
@given(_layers)
def test_merged_when_names_are_of_one_file_of_one_layer_then_only_those_are_linked(
    layers: list[LayerTree],
) -> None:
    tree = merged(layers)
    files: dict[tuple[int, str], list[str]] = {}
    for path in tree:
        number = _found_by_looking_down(layers, path)
        assert number is not None
        first = layers[number].entries[path].hard_link_of or path
        files.setdefault((number, first), []).append(path)

    for names in files.values():
        leader, *others = sorted(names)
        assert tree[leader].hard_link_of is None
        assert all(tree[name].hard_link_of == leader for name in others)


@_thoroughly
@given(_layers)
def test_merged_when_layers_are_merged_in_two_steps_then_lookups_agree(
    layers: list[LayerTree],
) -> None:
    assert merged([LayerTree(entries=merged(layers))]) == merged(layers)


def test_merged_when_nothing_touches_a_link_then_it_stays() -> None:
    first = an_entry(content=a_digest("same"))
    linked = replace(first, hard_link_of="/a")
    lower = LayerTree(entries={"/a": first, "/b": linked})

    assert merged([lower, LayerTree(entries={"/c": first})]) == {
        "/a": first,
        "/b": linked,
        "/c": first,
    }


def test_merged_when_a_symlink_takes_a_folder_s_place_then_all_below_is_gone() -> None:
    folder, link = an_entry(EntryKind.DIRECTORY), an_entry(EntryKind.SYMLINK, target="usr/lib")
    lower = LayerTree(entries={"/lib": folder, "/lib/a": folder, "/lib/a/x": an_entry()})

    assert merged([lower, LayerTree(entries={"/lib": link})]) == {"/lib": link}


def test_merged_when_higher_layer_changes_only_the_mode_then_link_is_broken() -> None:
    first = an_entry(content=a_digest("same"))
    lower = LayerTree(entries={"/a": first, "/b": replace(first, hard_link_of="/a")})
    higher = LayerTree(entries={"/a": replace(first, mode=0o600)})

    tree = merged([lower, higher])

    assert tree["/b"] == first


def test_merged_when_first_name_is_taken_away_then_the_others_stay_linked() -> None:
    first = an_entry(content=a_digest("same"))
    linked = replace(first, hard_link_of="/a")
    lower = LayerTree(entries={"/a": first, "/b": linked, "/c": linked})

    tree = merged([lower, LayerTree(entries={}, whiteouts=frozenset({"/a"}))])

    assert tree == {"/b": first, "/c": replace(first, hard_link_of="/b")}


def test_merged_when_a_name_starts_as_a_hidden_folder_s_then_stays() -> None:
    folder = an_entry(EntryKind.DIRECTORY)
    lower = LayerTree(entries={"/a": folder, "/a/x": an_entry(), "/ab": an_entry()})

    tree = merged([lower, LayerTree(entries={"/a": folder}, opaque=frozenset({"/a"}))])

    assert tree.keys() == {"/a", "/ab"}


def test_merged_when_nothing_is_given_then_is_empty() -> None:
    assert merged([]) == {}


@given(_layers, _layers)
def test_difference_when_applied_to_old_then_gives_new(
    old_layers: list[LayerTree], new_layers: list[LayerTree]
) -> None:
    old, new = merged(old_layers), merged(new_layers)

    change = difference(old, new)

    made = {path: entry for path, entry in old.items() if path not in change.removed}
    made |= {path: new[path] for path in (*change.added, *change.changed)}
    assert made == new
    assert change.is_empty == (old == new)


@given(_layers, _layers)
def test_difference_when_turned_around_then_added_and_removed_change_places(
    old_layers: list[LayerTree], new_layers: list[LayerTree]
) -> None:
    old, new = merged(old_layers), merged(new_layers)

    there, back = difference(old, new), difference(new, old)

    assert (there.added, there.removed) == (back.removed, back.added)
    assert (there.changed, there.content_changed) == (back.changed, back.content_changed)


@given(_layers, _layers)
def test_difference_when_listed_then_is_sorted_and_content_is_a_part_of_changed(
    old_layers: list[LayerTree], new_layers: list[LayerTree]
) -> None:
    change = difference(merged(old_layers), merged(new_layers))

    for paths in (change.added, change.removed, change.changed, change.content_changed):
        assert list(paths) == sorted(set(paths))
    assert set(change.content_changed) <= set(change.changed)


def test_difference_when_only_the_mode_changed_then_content_is_not() -> None:
    old = an_entry(content=a_digest("same"))

    change = difference({"/a": old}, {"/a": replace(old, mode=0o600)})

    assert change == TreeChange(changed=("/a",))


def test_difference_when_a_link_is_broken_then_the_name_must_be_made_anew() -> None:
    whole = an_entry(content=a_digest("same"))
    linked = replace(whole, hard_link_of="/a")

    change = difference({"/a": whole, "/b": linked}, {"/a": whole, "/b": whole})

    assert change == TreeChange(changed=("/b",), content_changed=("/b",))


def test_difference_when_trees_are_the_same_then_is_empty() -> None:
    tree = {"/": an_entry(EntryKind.DIRECTORY), "/a": an_entry()}

    assert difference(tree, dict(tree)).is_empty


def test_link_groups_when_files_have_several_names_then_first_has_the_others() -> None:
    tree = {
        "/c": an_entry(hard_link_of="/a"),
        "/b": an_entry(hard_link_of="/a"),
        "/a": an_entry(),
        "/single": an_entry(),
    }

    assert link_groups(tree) == {"/a": ["/b", "/c"]}


def test_total_size_when_a_file_has_two_names_then_counts_once() -> None:
    entries = {
        "/a": an_entry(size_bytes=10),
        "/b": an_entry(size_bytes=10, hard_link_of="/a"),
        "/c": an_entry(size_bytes=5),
    }

    assert total_size_bytes(entries) == 15


def test_stack_content_when_any_layer_differs_then_is_another() -> None:
    layers = [
        Layer(
            key=a_digest("key"),
            content=a_digest(name),
            parent_content=None,
            name=name,
            created_at=SOME_DAY,
            size_bytes=0,
        )
        for name in ("low", "high")
    ]

    low, high = layers
    assert len({stack_content(stack) for stack in ([low], [high], [low, high], [high, low])}) == 4
    assert stack_content([low, high]) == stack_content(tuple(layers))
    assert stack_content([]) is None
