"""What a DocumentSource keeps, seen through the one that reads files."""

from pathlib import Path

import pytest

from imagebuilder.adapters.system.document_files import FileDocumentSource
from imagebuilder.ports.documents import DocumentSource, DocumentUnreadable


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Make a folder with recipes, components and a stranger beside them."""
    for name in (
        "house/recipes/web.yaml",
        "house/recipes/base.yml",
        "house/recipes/notes.txt",
        "house/components/nginx/component.yaml",
        "house/components/nginx/files/site.yaml",
        "house/components/deep/er/component.yml",
        "house/components/flat.yaml",
        "stranger/component.yaml",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"name: {name}\n")
    return tmp_path / "house"


@pytest.fixture
def source() -> DocumentSource:
    """Give the source that reads files."""
    return FileDocumentSource()


def named(house: Path, *names: str) -> list[str]:
    return [str(house / name) for name in names]


def test_text_gives_what_the_file_says_without_a_byte_order_mark(
    source: DocumentSource, tmp_path: Path
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes("\ufeffname: größe\n".encode())

    assert source.text(str(file)) == "name: größe\n"


def test_documents_at_a_folder_are_those_in_it_and_at_a_file_the_file(
    source: DocumentSource, house: Path
) -> None:
    (house / "recipes/deeper").mkdir()
    (house / "recipes/deeper/other.yaml").write_text("name: other")

    assert source.documents_at(str(house / "recipes")) == named(
        house, "recipes/base.yml", "recipes/web.yaml"
    )
    for path in ("recipes/web.yaml", "recipes/notes.txt", "recipes/absent.yaml"):
        assert source.documents_at(str(house / path)) == named(house, path)
    assert source.documents_at(str(house / "recipes/deeper/..")) != []


def test_text_when_there_is_no_file_then_names_it(source: DocumentSource, tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match=r"absent\.yaml cannot be read\.$") as caught:
        source.text(str(tmp_path / "absent.yaml"))

    assert caught.value.context == "There is no such file."


def test_text_when_it_is_a_folder_then_says_so(source: DocumentSource, tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        source.text(str(tmp_path))

    assert caught.value.context == "It is not a file."


def test_text_when_it_is_not_utf8_then_says_where(source: DocumentSource, tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"name: gr\xf6\xdfe\n")

    with pytest.raises(DocumentUnreadable) as caught:
        source.text(str(file))

    assert "offset 8" in caught.value.context


def test_text_when_it_is_huge_then_is_not_read(source: DocumentSource, tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    file.write_bytes(b"#" * (1024 * 1024 + 1))

    with pytest.raises(DocumentUnreadable, match="huge") as caught:
        source.text(str(file))

    assert "1048576 bytes" in caught.value.context


def test_component_paths_finds_flat_and_nested_ones_beside_the_folder_of_the_recipe(
    source: DocumentSource, house: Path
) -> None:
    assert source.component_paths(str(house / "recipes/web.yaml")) == named(
        house,
        "components/deep/er/component.yml",
        "components/flat.yaml",
        "components/nginx/component.yaml",
    )


def test_component_paths_when_the_recipe_is_deeper_then_looks_further_up(
    source: DocumentSource, house: Path
) -> None:
    deep = house / "recipes/team/stage"
    deep.mkdir(parents=True)

    assert len(source.component_paths(str(deep / "web.yaml"))) == 3


def test_component_paths_when_there_is_no_folder_then_gives_none(
    source: DocumentSource, tmp_path: Path
) -> None:
    assert source.component_paths(str(tmp_path / "lonely/recipe.yaml")) == []


def test_component_paths_with_configured_folders_gives_theirs_too(house: Path) -> None:
    source = FileDocumentSource([house.parent / "stranger"])

    assert str(house.parent / "stranger/component.yaml") in source.component_paths(
        str(house / "recipes/web.yaml")
    )


def test_component_paths_when_a_link_leaves_the_folder_then_does_not_follow_it(
    source: DocumentSource, house: Path
) -> None:
    stranger = house.parent / "stranger"
    (house / "components/linked").mkdir()
    (house / "components/linked/component.yaml").symlink_to(stranger / "component.yaml")
    (house / "components/away").symlink_to(stranger)

    assert len(source.component_paths(str(house / "recipes/web.yaml"))) == 3


def test_recipe_paths_gives_every_recipe_of_the_folder_sorted(
    source: DocumentSource, house: Path
) -> None:
    assert source.recipe_paths(str(house / "recipes/web.yaml")) == named(
        house, "recipes/base.yml", "recipes/web.yaml"
    )


def test_locate_takes_a_path_relative_to_the_document(source: DocumentSource, house: Path) -> None:
    located = source.locate("../components/flat.yaml", str(house / "recipes/web.yaml"))

    assert located == house / "components/flat.yaml"


def test_locate_when_there_is_nothing_then_says_where_it_looked(
    source: DocumentSource, house: Path
) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        source.locate("tests/web", str(house / "recipes/web.yaml"))

    assert str(house / "recipes/tests/web") in caught.value.context


def test_python_files_of_a_folder_are_all_below_and_of_a_file_itself(
    source: DocumentSource, tmp_path: Path
) -> None:
    for name in ("t/test_a.py", "t/deep/test_b.py", "t/data.txt", "t/__pycache__/x.py", "out.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "t/link.py").symlink_to(tmp_path / "out.py")
    found = source.python_files(tmp_path / "t")
    assert found == [str(tmp_path / "t/deep/test_b.py"), str(tmp_path / "t/test_a.py")]
    assert source.python_files(tmp_path / "out.py") == [str(tmp_path / "out.py")]


def test_folder_digest_does_not_depend_on_where_the_folder_stands(
    source: DocumentSource, house: Path
) -> None:
    before = source.folder_digest(house / "components")
    moved = house.rename(house.parent / "elsewhere")

    assert source.folder_digest(moved / "components") == before


@pytest.mark.parametrize("name", ["nginx/component.yaml", "nginx/new.txt"])
def test_folder_digest_when_a_file_changes_or_comes_then_is_another(
    source: DocumentSource, house: Path, name: str
) -> None:
    before = source.folder_digest(house / "components")
    (house / "components" / name).write_text("changed")

    assert source.folder_digest(house / "components") != before


def test_folder_digest_when_a_file_is_renamed_then_is_another(
    source: DocumentSource, house: Path
) -> None:
    before = source.folder_digest(house / "components")
    (house / "components/flat.yaml").rename(house / "components/other.yaml")

    assert source.folder_digest(house / "components") != before


def test_folder_digest_when_python_was_compiled_then_is_the_same(
    source: DocumentSource, house: Path
) -> None:
    before = source.folder_digest(house / "components")
    (house / "components/__pycache__").mkdir()
    (house / "components/__pycache__/test_web.cpython-311.pyc").write_bytes(b"compiled")
    (house / "components/test_web.pyc").write_bytes(b"compiled")

    assert source.folder_digest(house / "components") == before


def test_folder_digest_of_a_file_is_that_of_its_bytes(source: DocumentSource, house: Path) -> None:
    one, other = house / "components/flat.yaml", house / "components/copy.yaml"
    other.write_bytes(one.read_bytes())

    assert source.folder_digest(one) == source.folder_digest(other)


def test_folder_digest_when_there_is_nothing_then_raises(
    source: DocumentSource, house: Path
) -> None:
    with pytest.raises(DocumentUnreadable):
        source.folder_digest(house / "absent")


def a_digest_of(source: DocumentSource, tmp_path: Path, path: str = "files") -> object:
    return source.shipped_digest(path, str(tmp_path / "component.yaml"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("a")
    (folder / "sub/b").write_text("b")
    (folder / "link").symlink_to("sub/b")
    return folder


def test_shipped_digest_when_anything_that_counts_changes_then_differs(
    source: DocumentSource, tmp_path: Path, files: Path
) -> None:
    digests = [a_digest_of(source, tmp_path)]
    for change in (
        lambda: (files / "a").write_text("c"),
        lambda: (files / "a").chmod(0o755),
        lambda: (files / "a").rename(files / "c"),
        (files / "empty").mkdir,
        lambda: (files / "link2").symlink_to("sub"),
    ):
        change()
        digests.append(a_digest_of(source, tmp_path))

    assert len(set(digests)) == len(digests)


def test_shipped_digest_when_what_does_not_count_changes_then_stays(
    source: DocumentSource, tmp_path: Path, files: Path
) -> None:
    before = a_digest_of(source, tmp_path)

    (files / "sub/__pycache__").mkdir()
    (files / "sub/__pycache__/b.pyc").write_text("x")
    (files / "a").touch()
    (files / "a").chmod(0o640)
    (tmp_path / "README.md").write_text("x")

    assert a_digest_of(source, tmp_path) == before


@pytest.mark.parametrize(
    "path", ["..", "../x", "/etc", "out", "out/hostname", "absent", "files/../.."]
)
def test_shipped_digest_when_it_lies_elsewhere_then_is_refused(
    source: DocumentSource, tmp_path: Path, files: Path, path: str
) -> None:
    (tmp_path / "out").symlink_to("/etc")

    with pytest.raises(DocumentUnreadable):
        a_digest_of(source, tmp_path, path)


@pytest.mark.parametrize("target", ["/etc/hostname", "../component.yaml", "sub/../../x"])
def test_shipped_digest_when_a_link_in_it_leads_out_then_is_refused(
    source: DocumentSource, tmp_path: Path, files: Path, target: str
) -> None:
    (files / "sub2").symlink_to(target)

    with pytest.raises(DocumentUnreadable) as caught:
        a_digest_of(source, tmp_path)

    assert caught.value.context == "The link sub2 leads out of it."
