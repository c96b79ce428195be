from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.adapters.local.sparse import copy_sparse, data_extents
from imagebuilder.ports.disks import BLOCK_BYTES


def a_disk(path: Path, blocks: dict[int, bytes], size: int = 8 * BLOCK_BYTES) -> Path:
    with path.open("wb") as disk:
        disk.truncate(size)
        for number, content in blocks.items():
            disk.seek(number * BLOCK_BYTES)
            disk.write(content)
    return path


def test_map_leaves_out_zeros_whether_written_or_hole(tmp_path: Path) -> None:
    holes = a_disk(tmp_path / "holes", {1: b"x"})
    zeros = a_disk(tmp_path / "zeros", {1: b"x", 3: bytes(BLOCK_BYTES)})

    assert list(BlockMap.of(zeros).blocks) == [1]
    assert BlockMap.of(zeros).digest == BlockMap.of(holes).digest


def test_digest_changes_when_a_byte_moves_to_another_block(tmp_path: Path) -> None:
    one = BlockMap.of(a_disk(tmp_path / "one", {1: b"x"}))
    other = BlockMap.of(a_disk(tmp_path / "other", {2: b"x"}))

    assert one.digest != other.digest


def test_digest_changes_with_the_size_of_the_disk(tmp_path: Path) -> None:
    one = BlockMap.of(a_disk(tmp_path / "one", {1: b"x"}))
    other = BlockMap.of(a_disk(tmp_path / "other", {1: b"x"}, size=9 * BLOCK_BYTES))

    assert one.digest != other.digest


def test_map_of_a_disk_that_ends_within_a_block_takes_the_rest_as_zero(tmp_path: Path) -> None:
    whole = BlockMap.of(a_disk(tmp_path / "whole", {0: b"y" * BLOCK_BYTES, 7: b"x"}))
    short = BlockMap.of(
        a_disk(tmp_path / "short", {0: b"y" * BLOCK_BYTES, 7: b"x"}, size=7 * BLOCK_BYTES + 512)
    )

    assert short.blocks == whole.blocks


def test_changed_since_names_new_changed_and_emptied_blocks(tmp_path: Path) -> None:
    before = BlockMap.of(a_disk(tmp_path / "before", {1: b"a", 2: b"b", 3: b"c"}))
    after = BlockMap.of(a_disk(tmp_path / "after", {1: b"a", 2: b"B", 4: b"d"}))

    assert after.changed_since(before) == (2, 3, 4)


def test_map_that_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    found = BlockMap.of(a_disk(tmp_path / "disk", {1: b"a", 5: b"b"}))

    assert BlockMap.read(found.written()) == found


def data_bytes(path: Path) -> int:
    with path.open("rb") as opened:
        return sum(end - start for start, end in data_extents(opened.fileno(), 2**40))


@given(st.dictionaries(st.integers(0, 63), st.sampled_from([b"a", b"b", bytes(4096)]), max_size=8))
def test_copy_of_any_sparse_file_has_the_same_bytes_and_no_more_data(
    tmp_path_factory: pytest.TempPathFactory, pieces: dict[int, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("sparse")
    source, target = folder / "source", folder / "target"
    target.write_bytes(b"was there before")
    with source.open("wb") as disk:
        disk.truncate(64 * 65536 + 7)
        for number, content in pieces.items():
            disk.seek(number * 65536)
            disk.write(content)

    copy_sparse(source, target)

    assert target.read_bytes() == source.read_bytes()
    assert data_bytes(target) <= data_bytes(source)


def test_data_extents_between_two_offsets_begin_within_them(tmp_path: Path) -> None:
    disk = a_disk(tmp_path / "disk", {0: b"a", 2: b"b", 6: b"c"})
    with disk.open("rb") as opened:
        found = list(data_extents(opened.fileno(), 6 * BLOCK_BYTES, BLOCK_BYTES))

    assert [start for start, _ in found] == [2 * BLOCK_BYTES]
